/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import com.sun.jna.ptr.IntByReference;
import io.vmguard.agent.hypervisor.ChangeResult;
import io.vmguard.agent.hypervisor.LiveDevices;
import java.time.Duration;
import java.util.UUID;
import org.libvirt.jna.DomainPointer;
import org.libvirt.jna.virDomainJobInfo;

/** Changes to running domains through libvirt's C library, on the threads and connections that destroys have too. */
final class LibvirtDevices implements LiveDevices {

    private final BoundedCalls calls;
    private final Connections connections;

    LibvirtDevices(BoundedCalls calls, Connections connections) {
        this.calls = calls;
        this.connections = connections;
    }

    /** One change, on a domain that was looked up. */
    private interface Change {
        ChangeResult of(LibvirtCalls calls, DomainPointer domain) throws LibvirtFailure;
    }

    @Override
    public ChangeResult pause(UUID domain, Duration limit) {
        return change("pause of domain " + domain, domain, limit, (lib, found) -> {
            IntByReference state = new IntByReference();
            if (lib.virDomainGetState(found, state, new IntByReference(), 0) < 0) {
                throw LibvirtFailure.last(lib, "virDomainGetState");
            }
            return state.getValue() == LibvirtCalls.VIR_DOMAIN_PAUSED
                    ? new ChangeResult.Unneeded()
                    : done(lib, lib.virDomainSuspend(found), "virDomainSuspend");
        });
    }

    @Override
    public ChangeResult resume(UUID domain, Duration limit) {
        return change(
                "resume of domain " + domain,
                domain,
                limit,
                (lib, found) -> done(lib, lib.virDomainResume(found), "virDomainResume"));
    }

    @Override
    public ChangeResult unplug(UUID domain, String alias, Duration limit) {
        return change(
                "unplug of " + alias + " of domain " + domain,
                domain,
                limit,
                (lib, found) -> done(
                        lib,
                        lib.virDomainDetachDeviceAlias(found, alias, LibvirtCalls.VIR_DOMAIN_DEVICE_MODIFY_LIVE),
                        "virDomainDetachDeviceAlias"));
    }

    @Override
    public ChangeResult eject(UUID domain, String target, Duration limit) {
        // Targets are letters and digits; whatever else comes from outside must not become XML.
        if (!target.matches("[a-z0-9]{1,16}")) {
            return new ChangeResult.Failed("'" + target + "' is no drive");
        }
        String empty = "<disk type='file' device='floppy'><target dev='" + target + "' bus='fdc'/></disk>";
        int flags = LibvirtCalls.VIR_DOMAIN_DEVICE_MODIFY_LIVE | LibvirtCalls.VIR_DOMAIN_DEVICE_MODIFY_FORCE;
        return change(
                "eject of " + target + " of domain " + domain,
                domain,
                limit,
                (lib, found) ->
                        done(lib, lib.virDomainUpdateDeviceFlags(found, empty, flags), "virDomainUpdateDeviceFlags"));
    }

    @Override
    public ChangeResult abortJob(UUID domain, String target, Duration limit) {
        return change(
                "abort of the block job of " + target + " of domain " + domain,
                domain,
                limit,
                (lib, found) -> done(lib, lib.virDomainBlockJobAbort(found, target, 0), "virDomainBlockJobAbort"));
    }

    @Override
    public ChangeResult cancelMigration(UUID domain, Duration limit) {
        return change("cancellation of the migration of domain " + domain, domain, limit, (lib, found) -> {
            virDomainJobInfo job = new virDomainJobInfo();
            if (lib.virDomainGetJobInfo(found, job) < 0) {
                throw LibvirtFailure.last(lib, "virDomainGetJobInfo");
            }
            return job.type == LibvirtCalls.VIR_DOMAIN_JOB_NONE
                    ? new ChangeResult.Unneeded()
                    : done(lib, lib.virDomainAbortJob(found), "virDomainAbortJob");
        });
    }

    private static ChangeResult done(LibvirtCalls lib, int result, String function) throws LibvirtFailure {
        if (result < 0) {
            LibvirtFailure failure = LibvirtFailure.last(lib, function);
            if (failure.is(LibvirtCalls.VIR_ERR_DEVICE_MISSING) || failure.is(LibvirtCalls.VIR_ERR_NO_DOMAIN)) {
                return new ChangeResult.Unneeded();
            }
            throw failure;
        }
        return new ChangeResult.Done();
    }

    private ChangeResult change(String what, UUID uuid, Duration limit, Change change) {
        try {
            return calls.run(
                    what, limit, call -> connections.with(call, limit, open -> onDomain(open, call, uuid, change)));
        } catch (LibvirtFailure failure) {
            return new ChangeResult.Failed(failure.reason());
        }
    }

    private static ChangeResult onDomain(Connection open, Call call, UUID uuid, Change change) throws LibvirtFailure {
        LibvirtCalls lib = open.calls();
        DomainPointer domain = lib.virDomainLookupByUUID(open.pointer(), Domains.bytes(uuid));
        if (domain == null) {
            LibvirtFailure failure = LibvirtFailure.last(lib, "virDomainLookupByUUID");
            if (failure.is(LibvirtCalls.VIR_ERR_NO_DOMAIN)) {
                return new ChangeResult.Unneeded();
            }
            throw failure;
        }
        try {
            call.proceed();
            return change.of(lib, domain);
        } finally {
            lib.virDomainFree(domain);
        }
    }
}
