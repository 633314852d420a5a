/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

/** What a start is told. */
public sealed interface StartAnswer {
    /** One line for people; may be empty for a grant. */
    String message();

    /**
     * All leases are held.
     *
     * @param message a warning, for instance what would have been refused in mode observe
     */
    record Granted(String message) implements StartAnswer {}

    /** A lease is somebody else's, or the domain cannot be protected. */
    record Refused(String message) implements StartAnswer {}

    /** Not ready, or storage does not say. The domain must not start. */
    record CannotTell(String message) implements StartAnswer {}
}
