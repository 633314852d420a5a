/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.locks.Lock;

/** What befalls hosts while random operations go on. */
enum SoakTrouble {
    AGENT_RESTARTS("systemctl restart vmguard"),
    AGENT_KILLED("systemctl kill -s KILL vmguard"),
    /** Longer than any operation waits without noticing, shorter than systemd does. */
    AGENT_STANDS_STILL("systemctl kill -s STOP vmguard; sleep 4; systemctl kill -s CONT vmguard"),
    LIBVIRTD_RESTARTS("systemctl restart libvirtd"),
    LIBVIRTD_KILLED("systemctl kill -s KILL libvirtd; systemctl start libvirtd"),
    /** All its domains are gone; others may take their leases when it is dead, or when it is back. No operation is under way at that moment. */
    POWER_LOSS("") {
        @Override
        void befall(SoakSite site, int index, List<SoakDisk> disks, Lock alone) {
            alone.lock();
            try {
                GuardedHost host = site.host(index);
                host.host.powerOff();
                host.host.powerOn();
                long nowNanos = System.nanoTime();
                disks.stream().filter(disk -> disk.host == index).forEach(disk -> {
                    disk.ended(nowNanos);
                    disk.outOfReachUntilNanos = nowNanos + OUT_OF_REACH.toNanos();
                });
            } finally {
                alone.unlock();
            }
        }
    };

    /** 8 x io_timeout + watchdog_timeout, the time between two looks, and a boot. */
    private static final Duration OUT_OF_REACH = Duration.ofSeconds(150);

    private static final Duration LIMIT = Duration.ofMinutes(3);

    private final String script;

    SoakTrouble(String script) {
        this.script = script;
    }

    /**
     * @param disks all
     * @param alone held by nobody who operates
     */
    void befall(SoakSite site, int index, List<SoakDisk> disks, Lock alone) {
        site.host(index).host.sh(LIMIT, script).mustSucceed();
    }

    /** Until agent and libvirtd answer as they should. */
    static void awaitRecovery(GuardedHost host) {
        Eventually.await(
                host.host.name() + " to recover",
                LIMIT,
                () -> host.statusJson().contains("\"ready\":true")
                        && host.statusJson().contains("\"connected\":true")
                        && host.host.virsh("list").ok());
    }

    /** Whether what happens meanwhile happens without an agent. */
    boolean agentAway() {
        return this != LIBVIRTD_RESTARTS && this != LIBVIRTD_KILLED;
    }

    static SoakTrouble any(Random random) {
        return values()[random.nextInt(values().length)];
    }
}
