/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

/** Which vmguard this is. */
final class Version {
    private Version() {}

    /** From the jar; {@code dev} when run from classes. */
    static String current() {
        String version = Version.class.getPackage().getImplementationVersion();
        return version == null ? "dev" : version;
    }
}
