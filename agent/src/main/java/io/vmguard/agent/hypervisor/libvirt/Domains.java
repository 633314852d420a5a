/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.IntByReference;
import io.vmguard.agent.hypervisor.ActiveDomain;
import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.hypervisor.StartResult;
import io.vmguard.agent.hypervisor.SuspendResult;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.libvirt.jna.CString;
import org.libvirt.jna.DomainByReference;
import org.libvirt.jna.DomainPointer;

/** What is asked about domains on an open connection. Everything but {@link #uuid} and {@link #name} may block. */
final class Domains {

    /** {@code VIR_UUID_BUFLEN} in libvirt-host.h. */
    private static final int UUID_BYTES = 16;

    private Domains() {}

    /** The UUID of a domain object; local. */
    static UUID uuid(LibvirtCalls calls, DomainPointer domain) {
        byte[] raw = new byte[UUID_BYTES];
        if (calls.virDomainGetUUID(domain, raw) < 0) {
            throw new IllegalStateException("virDomainGetUUID: " + calls.virGetLastErrorMessage());
        }
        ByteBuffer bytes = ByteBuffer.wrap(raw);
        return new UUID(bytes.getLong(), bytes.getLong());
    }

    /** The name of a domain object; local. */
    static String name(LibvirtCalls calls, DomainPointer domain) {
        String name = calls.virDomainGetName(domain);
        if (name == null) {
            throw new IllegalStateException("virDomainGetName: " + calls.virGetLastErrorMessage());
        }
        return name;
    }

    /** All active domains. One that ends while they are read is left out. */
    static List<ActiveDomain> listActive(Connection connection) throws LibvirtFailure {
        LibvirtCalls calls = connection.calls();
        DomainByReference found = new DomainByReference();
        int count = calls.virConnectListAllDomains(
                connection.pointer(), found, LibvirtCalls.VIR_CONNECT_LIST_DOMAINS_ACTIVE);
        if (count < 0) {
            throw LibvirtFailure.last(calls, "virConnectListAllDomains");
        }
        Pointer array = found.getValue();
        DomainPointer[] domains = new DomainPointer[count];
        for (int i = 0; i < count; i++) {
            domains[i] = new DomainPointer();
            domains[i].setPointer(array.getPointer((long) i * Native.POINTER_SIZE));
        }
        try {
            List<ActiveDomain> active = new ArrayList<>(count);
            for (DomainPointer domain : domains) {
                describe(calls, domain).ifPresent(active::add);
            }
            return active;
        } finally {
            for (DomainPointer domain : domains) {
                calls.virDomainFree(domain);
            }
            Native.free(Pointer.nativeValue(array));
        }
    }

    /** This domain, if it is active. */
    static Optional<ActiveDomain> active(Connection connection, UUID uuid) throws LibvirtFailure {
        LibvirtCalls calls = connection.calls();
        DomainPointer domain = calls.virDomainLookupByUUID(connection.pointer(), bytes(uuid));
        if (domain == null) {
            LibvirtFailure failure = LibvirtFailure.last(calls, "virDomainLookupByUUID");
            if (failure.is(LibvirtCalls.VIR_ERR_NO_DOMAIN)) {
                return Optional.empty();
            }
            throw failure;
        }
        try {
            return describe(calls, domain);
        } finally {
            calls.virDomainFree(domain);
        }
    }

    private static Optional<ActiveDomain> describe(LibvirtCalls calls, DomainPointer domain) throws LibvirtFailure {
        int id = calls.virDomainGetID(domain);
        if (id < 0) {
            return Optional.empty();
        }
        CString xml = calls.virDomainGetXMLDesc(domain, 0);
        if (xml == null) {
            LibvirtFailure failure = LibvirtFailure.last(calls, "virDomainGetXMLDesc");
            if (failure.is(LibvirtCalls.VIR_ERR_NO_DOMAIN)) {
                return Optional.empty();
            }
            throw failure;
        }
        // toString also frees the C string.
        byte[] bytes = xml.toString().getBytes(StandardCharsets.UTF_8);
        return Optional.of(new ActiveDomain(uuid(calls, domain), name(calls, domain), id, bytes));
    }

    /** Destroys a domain, unless the call is abandoned before the request is sent. */
    static KillResult destroy(Connection connection, Call call, UUID uuid) throws LibvirtFailure {
        LibvirtCalls calls = connection.calls();
        DomainPointer domain = calls.virDomainLookupByUUID(connection.pointer(), bytes(uuid));
        if (domain == null) {
            return goneOrThrow(LibvirtFailure.last(calls, "virDomainLookupByUUID"));
        }
        try {
            call.proceed();
            if (calls.virDomainDestroy(domain) < 0) {
                return goneOrThrow(LibvirtFailure.last(calls, "virDomainDestroy"));
            }
            return new KillResult.Destroyed();
        } finally {
            calls.virDomainFree(domain);
        }
    }

    /** Pauses a domain and sees that it is, unless the call is abandoned before the request is sent. */
    static SuspendResult suspend(Connection connection, Call call, UUID uuid) throws LibvirtFailure {
        LibvirtCalls calls = connection.calls();
        DomainPointer domain = calls.virDomainLookupByUUID(connection.pointer(), bytes(uuid));
        if (domain == null) {
            return notRunningOrThrow(LibvirtFailure.last(calls, "virDomainLookupByUUID"));
        }
        try {
            call.proceed();
            if (calls.virDomainSuspend(domain) < 0) {
                return notRunningOrThrow(LibvirtFailure.last(calls, "virDomainSuspend"));
            }
            IntByReference state = new IntByReference();
            if (calls.virDomainGetState(domain, state, new IntByReference(), 0) < 0) {
                throw LibvirtFailure.last(calls, "virDomainGetState");
            }
            return state.getValue() == LibvirtCalls.VIR_DOMAIN_PAUSED
                    ? new SuspendResult.Suspended()
                    : new SuspendResult.Unknown("libvirt paused it, and now its state is " + state.getValue());
        } finally {
            calls.virDomainFree(domain);
        }
    }

    /** Starts a domain that libvirt knows, or one that it has forgotten from its XML. */
    static StartResult start(Connection connection, Call call, UUID uuid, Optional<byte[]> xml) throws LibvirtFailure {
        LibvirtCalls calls = connection.calls();
        DomainPointer domain = calls.virDomainLookupByUUID(connection.pointer(), bytes(uuid));
        if (domain == null) {
            LibvirtFailure failure = LibvirtFailure.last(calls, "virDomainLookupByUUID");
            if (!failure.is(LibvirtCalls.VIR_ERR_NO_DOMAIN) || xml.isEmpty()) {
                throw failure;
            }
            call.proceed();
            domain = calls.virDomainCreateXML(connection.pointer(), new String(xml.get(), StandardCharsets.UTF_8), 0);
            if (domain == null) {
                throw LibvirtFailure.last(calls, "virDomainCreateXML");
            }
            calls.virDomainFree(domain);
            return new StartResult.Started();
        }
        try {
            if (calls.virDomainGetID(domain) >= 0) {
                return new StartResult.AlreadyActive();
            }
            call.proceed();
            if (calls.virDomainCreate(domain) < 0) {
                throw LibvirtFailure.last(calls, "virDomainCreate");
            }
            return new StartResult.Started();
        } finally {
            calls.virDomainFree(domain);
        }
    }

    static byte[] bytes(UUID uuid) {
        return ByteBuffer.allocate(UUID_BYTES)
                .putLong(uuid.getMostSignificantBits())
                .putLong(uuid.getLeastSignificantBits())
                .array();
    }

    private static SuspendResult notRunningOrThrow(LibvirtFailure failure) throws LibvirtFailure {
        if (failure.is(LibvirtCalls.VIR_ERR_NO_DOMAIN) || failure.is(LibvirtCalls.VIR_ERR_OPERATION_INVALID)) {
            return new SuspendResult.NotRunning();
        }
        throw failure;
    }

    private static KillResult goneOrThrow(LibvirtFailure failure) throws LibvirtFailure {
        if (failure.is(LibvirtCalls.VIR_ERR_NO_DOMAIN) || failure.is(LibvirtCalls.VIR_ERR_OPERATION_INVALID)) {
            return new KillResult.AlreadyGone();
        }
        throw failure;
    }
}
