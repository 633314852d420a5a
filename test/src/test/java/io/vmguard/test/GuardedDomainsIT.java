/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.TwoHosts.assertFreesAtOnce;
import static io.vmguard.test.TwoHosts.assertRefused;
import static io.vmguard.test.TwoHosts.create;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What can happen in the life of a domain, on two hosts with real libvirt and QEMU: its leases are held exactly as long as its QEMU may
 * write, however it starts and ends.
 *
 * <p>io_timeout is 1 s, the least there is; nothing here waits for a bound that depends on it.
 */
@NeedsTestImage
class GuardedDomainsIT {
    @RegisterExtension
    static final TwoHosts HOSTS = new TwoHosts("io_timeout: 1s", "hook_timeout: 5s");

    /** Of the race: more with {@code make race}. */
    private static final int ROUNDS = Integer.getInteger("race.rounds", 25);

    private final GuardedHost a = HOSTS.a;
    private final GuardedHost b = HOSTS.b;

    // ---- ends

    @Test
    void theLeaseOfAKilledQemuIsFreeAtOnce() {
        String disk = HOSTS.disk("killed");
        create(a, "victim", disk).mustSucceed();
        assertRefused(b, disk, "victim", a);
        a.host.sh("kill -9 $(cat /run/libvirt/qemu/victim.pid)").mustSucceed();
        assertFreesAtOnce(b, disk);
    }

    @Test
    void theLeaseOfAGuestThatPowersItselfOffIsFreeAtOnce() {
        String disk = HOSTS.disk("poweroff");
        // mov dx, 0x604; mov ax, 0x2000; out dx, ax: the power button of QEMU's PC. Then the mark of a boot sector.
        a.host.sh("printf '\\272\\004\\006\\270\\000\\040\\357\\353\\376' | dd conv=notrunc of=" + disk
                        + "; printf '\\125\\252' | dd conv=notrunc bs=1 seek=510 of=" + disk)
                .mustSucceed();
        create(a, "shortlived", disk).mustSucceed();
        Eventually.await(
                "the guest to power off",
                Duration.ofSeconds(60),
                () -> a.host.runningDomains().isEmpty());
        assertFreesAtOnce(b, disk);
    }

    @Test
    void aStartThatFailsInLibvirtAfterItWasGrantedLeavesNoLease() {
        String disk = HOSTS.disk("missing");
        a.host.run("rm", disk).mustSucceed();
        assertThat(create(a, "unlucky", disk).mustFail().stderr()).contains("No such file");
        assertFreesAtOnce(b, disk);
    }

    @Test
    void aStartThatFailsInQemuAfterItWasGrantedLeavesNoLease() {
        a.host.sh("mkdir -p -m 700 /var/lib/libvirt/images/private").mustSucceed();
        b.host.sh("mkdir -p /var/lib/libvirt/images/private").mustSucceed();
        String disk = HOSTS.disk("private/unreadable");
        assertThat(create(a, "unlucky", disk).mustFail().stderr()).contains("Permission denied");
        assertFreesAtOnce(b, disk);
    }

    @Test
    void aSuspendedDomainKeepsItsLease() {
        String disk = HOSTS.disk("suspended");
        create(a, "sleeper", disk).mustSucceed();
        a.host.virsh("suspend", "sleeper").mustSucceed();
        HOSTS.assertTaken(disk, "sleeper", a);
        a.host.virsh("resume", "sleeper").mustSucceed();
        HOSTS.assertTaken(disk, "sleeper", a);
        assertThat(a.host.runningDomains()).containsExactly("sleeper");
    }

    @Test
    void aManagedSaveFreesTheLeaseAndRestoringTakesItAgain() {
        String disk = HOSTS.disk("saved");
        define(a, "saved", disk);
        a.host.virsh("start", "saved").mustSucceed();
        a.host.virsh("managedsave", "saved").mustSucceed();
        Eventually.await(
                "the disk to be free",
                TwoHosts.AT_ONCE,
                () -> create(b, "next", disk).mustSucceed().ok());

        assertThat(a.host.virsh("start", "saved").mustFail().stderr())
                .contains("is in use by domain next on host node-b");
        assertThat(a.host.virsh("dominfo", "saved").stdout())
                .as("a refused start does not cost the saved state")
                .containsPattern("Managed save: +yes");

        b.host.virsh("destroy", "next").mustSucceed();
        Eventually.await(
                "the domain to be restored",
                TwoHosts.AT_ONCE,
                () -> a.host.virsh("start", "saved").mustSucceed().ok());
        assertThat(a.host.virsh("dominfo", "saved").stdout()).containsPattern("Managed save: +no");
        HOSTS.assertTaken(disk, "saved", a);
    }

    @Test
    void aSaveToAFileFreesTheLeaseAndRestoringTakesItAgain() {
        String disk = HOSTS.disk("saved-file");
        create(a, "saved", disk).mustSucceed();
        a.host.virsh("save", "saved", "/var/lib/libvirt/images/saved.state").mustSucceed();
        assertFreesAtOnce(b, disk);
        Eventually.await(
                "the domain to be restored",
                TwoHosts.AT_ONCE,
                () -> a.host.virsh("restore", "/var/lib/libvirt/images/saved.state")
                        .mustSucceed()
                        .ok());
        HOSTS.assertTaken(disk, "saved", a);
    }

    // ---- which disks

    @Test
    void aRefusedStartTakesNoneOfItsDisks() {
        String[] disks = HOSTS.disks("all", 3);
        String second = disks[1];
        create(a, "holder", second).mustSucceed();
        assertThat(create(b, "three", disks).mustFail().stderr())
                .contains("vdb (file:" + second + ") is in use by domain holder on host node-a");
        create(b, "other", disks[0], disks[2]).mustSucceed();
        b.awaitLeases("other", 2, TwoHosts.AT_ONCE);
        assertThat(create(a, "three", disks).mustFail().stderr()).contains("is in use by domain ");
        HOSTS.assertTaken(second, "holder", a);
    }

    @Test
    void aDomainMayHaveMoreDisksThanAStockLockManagerAllows() {
        for (int count : new int[] {8, 9}) {
            String[] disks = HOSTS.disks("many", count);
            create(a, "wide" + count, disks).mustSucceed();
            a.awaitLeases("wide" + count, count, TwoHosts.AT_ONCE);
            assertRefused(b, disks[count - 1], "wide" + count, a);
            a.host.virsh("destroy", "wide" + count).mustSucceed();
            assertFreesAtOnce(b, disks[count - 1]);
        }
    }

    @Test
    void aVolumeOfAStoragePoolIsTheFileThatItIs() {
        String pool = "mkdir -p /srv/vols && virsh pool-create-as vols dir --target /srv/vols"
                + " && virsh vol-create-as vols one.raw 1M --format raw";
        Stream.of(a, b).forEach(host -> host.host.sh(pool).mustSucceed());
        String path = "/srv/vols/one.raw";
        String volume = "<disk type='volume' device='disk'><driver name='qemu' type='raw'/>"
                + "<source pool='vols' volume='one.raw'/><target dev='vda' bus='virtio'/></disk>";

        a.host.createDomain("by-volume", "--xml", volume).mustSucceed();
        HOSTS.assertTaken(path, "by-volume", a);
        a.host.virsh("destroy", "by-volume").mustSucceed();

        Eventually.await(
                "the file to be free",
                TwoHosts.AT_ONCE,
                () -> create(b, "by-path", path).mustSucceed().ok());
        for (GuardedHost host : List.of(a, b)) {
            assertThat(host.host
                            .createDomain("by-volume", "--xml", volume)
                            .mustFail()
                            .stderr())
                    .contains("vda (file:" + path + ") is in use by domain by-path on host node-b");
        }
    }

    // ---- races

    @Test
    void ofFourStartsAtTheSameMomentOnTwoHostsExactlyOneWins() {
        String disk = HOSTS.disk("race");
        define(a, "red", disk);
        define(a, "green", disk);
        define(b, "blue", disk);
        define(b, "white", disk);
        long begunNanos = System.nanoTime();
        for (int round = 1; round <= ROUNDS; round++) {
            // Time enough for both hosts to have their shells at the starting line.
            String signal = Long.toString(System.currentTimeMillis() + 250);
            Running onA = race(a, signal, "red", "green");
            Running onB = race(b, signal, "blue", "white");
            List<String> said = new ArrayList<>();
            said.addAll(onA.awaitEnd(Duration.ofSeconds(30)).stdout().lines().toList());
            said.addAll(onB.awaitEnd(Duration.ofSeconds(30)).stdout().lines().toList());

            assertThat(said)
                    .as("round %d", round)
                    .filteredOn(line -> line.startsWith("won "))
                    .hasSize(1);
            String winner = said.stream()
                    .filter(line -> line.startsWith("won "))
                    .findFirst()
                    .orElseThrow()
                    .substring(4);
            GuardedHost host = a.host.runningDomains().contains(winner) ? a : b;
            assertThat(host.host.runningDomains()).containsExactly(winner);
            host.host.virsh("destroy", winner).mustSucceed();
            Eventually.await("the lease of round " + round + " to be free", TwoHosts.AT_ONCE, HOSTS::allFree);
            if (round % 50 == 0) {
                System.out.printf(
                        "race: %d rounds of four starts on two hosts, one winner in each, %d s%n",
                        round, Duration.ofNanos(System.nanoTime() - begunNanos).toSeconds());
            }
        }
    }

    /** Two clients of libvirt that start a domain each at a time of the clock; prints {@code won NAME} or the error. */
    private static Running race(GuardedHost host, String millis, String... domains) {
        StringBuilder script = new StringBuilder();
        for (String domain : domains) {
            script.append("{ until [ $(date +%s%3N) -ge ").append(millis).append(" ]; do :; done; virsh -q start ");
            script.append(domain).append(" 2>&1 && echo won ").append(domain).append("; } & ");
        }
        return host.host.spawn("sh", "-c", script.append("wait").toString());
    }

    static void define(GuardedHost host, String domain, String... disks) {
        host.host
                .run(Stream.concat(
                                Stream.of(
                                        "bash", "-c", "test-domain \"$@\" | virsh define /dev/stdin", "define", domain),
                                Stream.of(TwoHosts.options(disks)))
                        .toArray(String[]::new))
                .mustSucceed();
    }
}
