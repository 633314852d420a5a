/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import java.io.Serial;

/** A call that libvirt refused, or that could not be made. Ends at {@link LibvirtHypervisor}, as a "cannot tell". */
final class LibvirtFailure extends Exception {

    @Serial
    private static final long serialVersionUID = 1L;

    /** Not a number of libvirt's: the failure is on this side. */
    private static final int NO_CODE = -1;

    private final int code;

    private LibvirtFailure(int code, String message) {
        // No stack trace: these are answers, and a retry makes one every few seconds.
        super(message, null, false, false);
        this.code = code;
    }

    /** A failure that libvirt knows nothing of. */
    static LibvirtFailure local(String message) {
        return new LibvirtFailure(NO_CODE, message);
    }

    /** The last error of this thread. To be called on the thread of the failed call, before its next one. */
    static LibvirtFailure last(LibvirtCalls calls, String during) {
        int code = calls.virGetLastErrorCode();
        return new LibvirtFailure(
                code, during + ": " + calls.virGetLastErrorMessage().strip() + " (libvirt error " + code + ")");
    }

    /** Whether libvirt failed with this number. Texts are translated and change; numbers do not. */
    boolean is(int errorNumber) {
        return code == errorNumber;
    }

    /** The text for people; never null here. */
    String reason() {
        return String.valueOf(getMessage());
    }
}
