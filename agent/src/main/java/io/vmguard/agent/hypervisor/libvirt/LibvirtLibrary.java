/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import com.sun.jna.Library;
import com.sun.jna.Native;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.libvirt.jna.Libvirt;

/**
 * Loads libvirt.so.0 and prepares it for events.
 *
 * <p>Static because what it prepares is: libvirt has one error handler and one event loop implementation in a process, and
 * both must be registered before the first connection is opened (libvirt-event.h).
 */
final class LibvirtLibrary {

    /** The name with its ABI version: the one without comes with development packages only. */
    private static final String SONAME = "libvirt.so.0";

    /** Errors are read from the call that had them; libvirt's own handler would print them to stderr as well. */
    private static final Libvirt.VirErrorCallback SILENT = (userData, error) -> {};

    private static @Nullable LibvirtCalls loaded;

    private LibvirtLibrary() {}

    /**
     * The library; loaded at the first call. Never blocks on a hypervisor.
     *
     * @throws LibvirtFailure if it is not installed or does not work here; a later call tries again
     */
    static synchronized LibvirtCalls load() throws LibvirtFailure {
        LibvirtCalls calls = loaded;
        if (calls == null) {
            calls = prepare(SONAME);
            loaded = calls;
        }
        return calls;
    }

    /** Loads a library of that name; its own method for the sake of a test with a name that is not there. */
    static LibvirtCalls prepare(String soname) throws LibvirtFailure {
        LibvirtCalls calls;
        try {
            calls = Native.load(soname, LibvirtCalls.class, Map.of(Library.OPTION_STRING_ENCODING, "UTF-8"));
        } catch (LinkageError e) {
            // UnsatisfiedLinkError, or NoClassDefFoundError when JNA's own native part did not load before.
            throw LibvirtFailure.local("libvirt library not found (" + soname + "): " + firstLine(e));
        }
        calls.virSetErrorFunc(null, SILENT);
        if (calls.virInitialize() < 0) {
            throw LibvirtFailure.last(calls, "virInitialize");
        }
        if (calls.virEventRegisterDefaultImpl() < 0) {
            throw LibvirtFailure.last(calls, "virEventRegisterDefaultImpl");
        }
        return calls;
    }

    private static String firstLine(Throwable failure) {
        return String.valueOf(failure.getMessage()).lines().findFirst().orElse("no reason given");
    }
}
