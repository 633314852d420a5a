/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * From one agent to the next one with a real systemd: wdmd resets the machine of a client whose connection ends while leases are held,
 * so the connection itself must outlive the agent. The daemon is {@code test/infra/image/test-wdmd}, which has no device.
 */
@NeedsTestImage
class WatchdogHandOverIT {
    /** Several renewals, each 10 s after the one before. */
    private static final Duration SOON = Duration.ofSeconds(90);

    private static final String DISK = "/var/lib/libvirt/images/kept.img";

    @Test
    void theConnectionToWdmdOutlivesTheAgentForAsLongAsALeaseIsHeld() {
        try (SharedDir leases = SharedDir.create("leases");
                GuardedHost host = GuardedHost.startOnPlainLeases(
                        TestHost.named("node-a"), leases, "io_timeout: 5s", "hook_timeout: 15s")) {
            host.awaitReady();
            withoutAnyWatchdogTheAgentSaysWhatIsNotPromised(host);

            Running wdmd = host.host.spawn("test-wdmd");
            Eventually.await(
                    "the socket of wdmd",
                    SOON,
                    () -> host.host.run("test", "-S", "/run/wdmd/wdmd.sock").ok());
            host.host.sh("truncate -s 1M " + DISK).mustSucceed();
            host.host.createDomain("kept", "--file", DISK).mustSucceed();
            Eventually.await("a renewal after the first word", SOON, () -> told(wdmd) >= 2);
            assertThat(host.statusJson()).contains("\"kind\":\"wdmd\"", "\"state\":\"armed\"");
            assertThat(keptBySystemd(host)).isEqualTo("1");

            for (String end : List.of("systemctl kill -s KILL vmguard", "systemctl restart vmguard")) {
                String before = mainPid(host);
                host.host.sh(end).mustSucceed();
                Eventually.await(
                        "a new agent after " + end,
                        SOON,
                        () -> !mainPid(host).equals(before) && !mainPid(host).equals("0"));
                host.awaitReady();
                host.awaitLeases("kept", 1, SOON);
                int toldBefore = told(wdmd);
                Eventually.await("the new agent's renewals after " + end, SOON, () -> told(wdmd) >= toldBefore + 2);
                assertThat(heard(wdmd)).as(end).noneMatch(line -> line.endsWith("closed"));
            }
            assertThat(heard(wdmd))
                    .as("one connection, introduced once")
                    .allMatch(line -> line.startsWith("1 "))
                    .containsOnlyOnce("1 register vmguard___LIBVIRT__DISKS__");
            host.host.awaitJournal("vmguard", "wdmd is armed already, left so by an earlier agent: continuing");

            host.host.virsh("destroy", "kept").mustSucceed();
            Eventually.await(
                    "the end of the connection", SOON, () -> heard(wdmd).contains("1 closed"));
            assertThat(heard(wdmd)).endsWith("1 unsupervise", "1 command 3", "1 command 5", "1 closed");
            Eventually.await(
                    "systemd to close its copy", SOON, () -> keptBySystemd(host).equals("0"));
            assertThat(host.statusJson()).contains("\"state\":\"disarmed\"");
        }
    }

    private static void withoutAnyWatchdogTheAgentSaysWhatIsNotPromised(GuardedHost host) {
        String consequence = "Starts are granted all the same: if this machine freezes, or QEMU hangs on dead storage";
        host.host.awaitJournal("vmguard", "no watchdog can be used now: wdmd: ", consequence);
        assertThat(host.status()).contains("no watchdog: wdmd: ", "/dev/watchdog0: there is no such file", consequence);
    }

    private static List<String> heard(Running wdmd) {
        return wdmd.stdout().lines().toList();
    }

    /** How often it was told until when the leases are good. */
    private static int told(Running wdmd) {
        return (int) heard(wdmd).stream()
                .filter(line -> line.contains(" supervise "))
                .count();
    }

    private static String keptBySystemd(GuardedHost host) {
        return host.host.property("vmguard", "NFileDescriptorStore");
    }

    private static String mainPid(GuardedHost host) {
        return host.host.property("vmguard", "MainPID");
    }
}
