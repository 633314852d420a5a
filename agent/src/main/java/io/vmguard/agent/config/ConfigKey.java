/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** The keys of the file, with their defaults as an operator would write them. */
enum ConfigKey {
    LEASE_DIR("/var/lib/vmguard/leases"),
    LOCKSPACE("__LIBVIRT__DISKS__"),
    HOST_ID("auto"),
    IO_TIMEOUT("10s"),
    WATCHDOG_TIMEOUT("60s"),
    WATCHDOG("auto"),
    MAX_HOSTS("254"),
    LIBVIRT_URI("qemu:///system"),
    MODE("enforce"),
    ON_UNPROTECTED("auto"),
    ALLOW_IGNORE_LOCKFAILURE("false"),
    LIVE_MIGRATION("true"),
    ALLOW_UNGUARDED_MIGRATION("false"),
    SOCKET("/run/vmguard/agent.sock"),
    SOCKET_GROUP(""),
    STATE_DIR("/var/lib/vmguard"),
    RUNTIME_DIR("/run/vmguard"),
    HOOK_TIMEOUT("30s"),
    DESTROY_TIMEOUT("5s"),
    COMPAT("auto"),
    DOMAIN_LEASE("true"),
    ON_UNIDENTIFIED("path"),
    CEPH_CLUSTERS(""),
    GLUSTER_CLUSTERS("");

    private final String defaultText;

    ConfigKey(String defaultText) {
        this.defaultText = defaultText;
    }

    /** As in the file: {@code lease_dir}. */
    String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    String defaultText() {
        return defaultText;
    }

    static Optional<ConfigKey> of(String key) {
        return Arrays.stream(values()).filter(known -> known.key().equals(key)).findFirst();
    }
}
