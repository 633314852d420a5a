/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import java.util.List;
import java.util.UUID;

/** Whether a command line is that of a domain's QEMU. libvirt starts it with {@code -name guest=NAME,… -uuid UUID}. */
enum QemuCommandLine {
    /** UUID and name are the domain's. */
    OF_DOMAIN,
    /** The UUID is the domain's, the name is not. */
    OF_UUID_ONLY,
    /** Something else. */
    OTHER;

    private static final String NAME_PREFIX = "guest=";

    /** Compares complete arguments, each right after its option. */
    static QemuCommandLine judge(List<String> arguments, String domainName, UUID uuid) {
        if (!hasUuid(arguments, uuid)) {
            return OTHER;
        }
        int option = arguments.indexOf("-name");
        boolean named = option >= 0 && option + 1 < arguments.size() && isName(arguments.get(option + 1), domainName);
        return named ? OF_DOMAIN : OF_UUID_ONLY;
    }

    /** Whether {@code -uuid} and the UUID follow each other. */
    static boolean hasUuid(List<String> arguments, UUID uuid) {
        int option = arguments.indexOf("-uuid");
        return option >= 0
                && option + 1 < arguments.size()
                && arguments.get(option + 1).equalsIgnoreCase(uuid.toString());
    }

    private static boolean isName(String value, String domainName) {
        // QEMU reads two commas as one that is part of the value.
        String expected = NAME_PREFIX + domainName.replace(",", ",,");
        if (!value.startsWith(expected)) {
            return false;
        }
        String rest = value.substring(expected.length());
        return rest.isEmpty() || (rest.startsWith(",") && !rest.startsWith(",,"));
    }
}
