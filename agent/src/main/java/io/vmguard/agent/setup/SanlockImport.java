/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.setup;

import io.vmguard.agent.doctor.LibvirtConf;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the configuration of libvirt's sanlock plug-in comes to for vmguard. Both keep their leases in the same form in the same place, so a
 * fleet can be moved one host after the other, and each host excludes each other at every moment.
 *
 * @param settings for vmguard.yaml, in their order; empty if there is an obstacle
 * @param notes what people should know
 * @param obstacles why it cannot be moved like this; empty if it can
 */
public record SanlockImport(Map<String, String> settings, List<String> notes, List<String> obstacles) {
    private static final int MAX_HOST_ID = 2000;
    private static final int LONGEST_IO_TIMEOUT = 30;

    /** Pure: from the texts of {@code qemu.conf} and {@code qemu-sanlock.conf}. */
    public static SanlockImport of(String qemuConf, String sanlockConf) {
        LibvirtConf qemu = LibvirtConf.parse(qemuConf);
        LibvirtConf sanlock = LibvirtConf.parse(sanlockConf);
        Map<String, String> settings = new LinkedHashMap<>();
        List<String> notes = new ArrayList<>();
        List<String> obstacles = new ArrayList<>();

        String manager = qemu.value("lock_manager").orElse("");
        if (!manager.equals("sanlock")) {
            notes.add("lock_manager in qemu.conf is " + (manager.isEmpty() ? "not set" : "'" + manager + "'")
                    + ": libvirt takes no sanlock leases on this host now");
        }
        if (!sanlock.value("auto_disk_leases").orElse("0").equals("1")) {
            notes.add(
                    "auto_disk_leases is off: until now only domains with <lease> elements were guarded. vmguard guards every disk, and takes "
                            + "the leases that such elements name if they are in its lease directory");
        }
        settings.put("lease_dir", sanlock.value("disk_lease_dir").orElse(LibvirtConf.DEFAULT_SANLOCK_DIR));
        number(sanlock, "host_id", 0, MAX_HOST_ID, obstacles).ifPresent(id -> {
            if (id > 0) {
                settings.put("host_id", Integer.toString(id));
            } else {
                notes.add("host_id is not set: vmguard will find a free one");
            }
        });
        number(sanlock, "io_timeout", 0, LONGEST_IO_TIMEOUT, obstacles).ifPresent(seconds -> {
            if (seconds > 0) {
                settings.put("io_timeout", seconds + "s");
            }
        });
        // Stock hosts join under any of the format's host ids, and know no other watchdog constant.
        settings.put("max_hosts", Integer.toString(MAX_HOST_ID));
        settings.put("watchdog_timeout", "60s");
        settings.put("compat", "libvirt-sanlock");
        if (sanlock.value("require_lease_for_disks").orElse("").equals("1")) {
            notes.add("require_lease_for_disks needs no counterpart: a disk that cannot have a lease is refused");
        }
        if (sanlock.value("user").isPresent() || sanlock.value("group").isPresent()) {
            notes.add(
                    "user and group need no counterpart: the agent reads and writes the leases as root; on NFS with root_squash give it "
                            + "an export with no_root_squash");
        }
        return new SanlockImport(obstacles.isEmpty() ? settings : Map.of(), notes, obstacles);
    }

    private static java.util.Optional<Integer> number(
            LibvirtConf conf, String key, int least, int most, List<String> obstacles) {
        String text = conf.value(key).orElse("0");
        if (text.matches("[0-9]{1,6}")) {
            int value = Integer.parseInt(text);
            if (value >= least && value <= most) {
                return java.util.Optional.of(value);
            }
        }
        obstacles.add(key + " in qemu-sanlock.conf is '" + text + "'; vmguard takes " + least + " to " + most);
        return java.util.Optional.empty();
    }

    /** {@code qemu.conf} without its lock manager; the line stays as a comment. */
    public static String withoutLockManager(String qemuConf) {
        return qemuConf.replaceAll("(?m)^([ \\t]*lock_manager[ \\t]*=.*)$", "# by vmguard import-sanlock: $1");
    }
}
