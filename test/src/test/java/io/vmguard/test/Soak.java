/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Random operations of all kinds ({@link SoakOperation}) on many domains over three hosts, while troubles ({@link SoakTrouble}) befall
 * those hosts. Each disk belongs to one worker at a time, which therefore knows what must come of each operation: what runs somewhere is
 * refused everywhere else, what runs nowhere is granted. The {@link OverlapWatch} knows nothing of that. In the end every lease must be
 * free, and no agent may have made a mistake by its own account.
 *
 * <p>{@code make soak MINUTES=…}; not part of {@code make test}. The first line printed has the seed; order differs with the same
 * seed, since workers run at once.
 */
@NeedsTestImage
class Soak {
    private static final int MINUTES = Integer.getInteger("soak.minutes", 1);
    private static final long SEED = Long.getLong("soak.seed", 20_261_128L);
    private static final int DISKS = Integer.getInteger("soak.domains", 20);
    private static final int WORKERS = 3;
    private static final int MIN_SECONDS_BETWEEN_TROUBLES = 5;
    private static final int MAX_SECONDS_BETWEEN_TROUBLES = 20;
    private static final String PREFIX = "soak";

    /** A stack trace, or an internal error in the agent's own words. */
    private static final Pattern MISTAKE =
            Pattern.compile("VG-90[0-9]|\\bException\\b|^\\S+ .*\\sat [a-z]+\\.[a-z.]+\\(");

    private final Queue<String> failures = new ConcurrentLinkedQueue<>();
    private final List<SoakDisk> disks = new ArrayList<>();
    private final Queue<SoakDisk> free = new ConcurrentLinkedQueue<>();
    /** Read: somebody operates. Write: nobody may. */
    private final ReadWriteLock operating = new ReentrantReadWriteLock(true);

    @Test
    void whateverIsDoneOneHostWritesAndNothingIsLeftBehind() throws Exception {
        System.out.println("soak: seed " + SEED + ", " + MINUTES + " min, " + DISKS + " domains, three hosts");
        try (SharedDir leases = SharedDir.create("leases");
                SharedDir images = SharedDir.create("images");
                OverlapWatch watch = new OverlapWatch(PREFIX);
                SoakSite site = new SoakSite(watch, leases, images)) {
            forgetJournals(site);
            try {
                makeDisks(site);
                soak(site);
                assertThat(watch.overlaps()).isEmpty();
                assertThat(failures).isEmpty();
                endAll(site);
                Eventually.await(
                        "every lease to be free on disk",
                        SoakSite.PATIENCE,
                        () -> TwoHosts.allFreeButForLostHosts(leases.path()));
                assertThat(leaseFiles(leases.path()))
                        .as("leases that were held at some time")
                        .isPositive();
            } finally {
                site.hosts().forEach(site::keepJournal);
                System.out.println("soak: last operations\n" + site.history());
                System.out.println("soak: overlaps " + watch.overlaps() + ", failures " + failures.size() + ", "
                        + site.operations() + " operations, " + site.counts() + ", " + watch.counts() + ", seed "
                        + SEED);
            }
            assertThat(mistakes(site)).isEmpty();
        }
    }

    private static void forgetJournals(SoakSite site) throws IOException {
        for (GuardedHost host : site.hosts()) {
            for (String unit : List.of("vmguard", "vmguard-deadman", "libvirtd")) {
                Files.deleteIfExists(SoakSite.journal(host, unit));
            }
        }
    }

    private static List<String> mistakes(SoakSite site) throws IOException {
        List<String> found = new ArrayList<>();
        for (GuardedHost host : site.hosts()) {
            for (String unit : List.of("vmguard", "vmguard-deadman")) {
                try (Stream<String> lines = Files.lines(SoakSite.journal(host, unit))) {
                    lines.filter(line -> MISTAKE.matcher(line).find()).forEach(found::add);
                }
            }
        }
        return found;
    }

    private void makeDisks(SoakSite site) {
        site.host(0)
                .host
                .sh("cd /images; truncate -s 1M " + SoakSite.CDROM + "; for i in $(seq " + DISKS + "); do f=" + PREFIX
                        + "$i; truncate -s 16M $f.img $f.copy $f.more; truncate -s 1440K $f.floppy; done")
                .mustSucceed();
        for (int i = 1; i <= DISKS; i++) {
            SoakDisk disk = new SoakDisk(PREFIX + i);
            disk.outOfReachUntilNanos = System.nanoTime();
            disks.add(disk);
            free.add(disk);
        }
    }

    private void soak(SoakSite site) throws InterruptedException {
        long endNanos = System.nanoTime() + Duration.ofMinutes(MINUTES).toNanos();
        CountDownLatch over = new CountDownLatch(1);
        ExecutorService workers = Executors.newFixedThreadPool(WORKERS + 1);
        for (int i = 0; i < WORKERS; i++) {
            Random random = new Random(SEED + i);
            workers.execute(() -> {
                while (System.nanoTime() - endNanos < 0 && failures.isEmpty()) {
                    operate(site, random);
                }
                if (!failures.isEmpty()) {
                    over.countDown();
                }
            });
        }
        workers.execute(() -> trouble(site, new Random(SEED - 1), over));
        workers.shutdown();
        try {
            boolean ignored = over.await(Duration.ofMinutes(MINUTES).toSeconds(), TimeUnit.SECONDS);
        } finally {
            over.countDown();
        }
        assertThat(workers.awaitTermination(5, TimeUnit.MINUTES))
                .as("all operations end")
                .isTrue();
    }

    /** One operation on one disk. */
    private void operate(SoakSite site, Random random) {
        operating.readLock().lock();
        SoakDisk disk = free.remove();
        try {
            SoakOperation operation = SoakOperation.any(random);
            if (!operation.possible(disk)) {
                operation = disk.runs() ? SoakOperation.INTRUDE : SoakOperation.START;
            }
            perform(operation, site, disk, random);
        } catch (RuntimeException | Error e) {
            failures.add("after that: " + disk + ": " + e);
        } finally {
            free.add(disk);
            operating.readLock().unlock();
        }
    }

    private void perform(SoakOperation operation, SoakSite site, SoakDisk disk, Random random) {
        String what = operation + " " + disk;
        site.note(what);
        disk.operatedNanos = System.nanoTime();
        try {
            operation.perform(site, disk, random);
            site.count(operation.name());
            site.note(what + " -> " + disk);
        } catch (SoakSite.Interrupted e) {
            site.note(what + " interrupted: " + e.getMessage());
            site.count("interrupted");
            tidy(site, disk);
        } catch (RuntimeException | Error e) {
            if (hasQemuAborted(site, disk)) {
                site.note(what + " met a QEMU that has aborted");
                site.count("aborted by QEMU itself");
                tidy(site, disk);
                return;
            }
            site.note(what + " FAILED");
            tellEnd(site, disk);
            failures.add(what + ", now " + disk + ": " + e);
        }
    }

    /**
     * Whether the last QEMU of its domain has ended by a failed assertion of its own. QEMU 7.2 does so when a domain that came paused by a
     * migration is saved ({@code bdrv_inactivate_recurse}); to libvirt it has crashed, which is an end like that of KILL_QEMU.
     */
    private static boolean hasQemuAborted(SoakSite site, SoakDisk disk) {
        if (!disk.runs() || !site.host(disk.host).host.isOn()) {
            return false;
        }
        String end = "/tmp/end-" + disk.name;
        return site.host(disk.host)
                .host
                .sh("tac /var/log/libvirt/qemu/" + disk.name + ".log | sed '/: starting up libvirt/q' > " + end
                        + " && grep -q 'Assertion .* failed' " + end + " && grep -q reason=crashed " + end)
                .ok();
    }

    /** How its QEMUs have ended: libvirt writes there whether one was destroyed or has crashed, and QEMU why. */
    private static void tellEnd(SoakSite site, SoakDisk disk) {
        for (GuardedHost host : site.hosts()) {
            if (host.host.isOn()) {
                System.out.printf(
                        "soak: %s on %s:%n%s%n",
                        disk.name,
                        host.host.name(),
                        host.host
                                .sh("grep -v '^-' /var/log/libvirt/qemu/" + disk.name
                                        + ".log | tail -n 12 | cut -c1-300;"
                                        + " journalctl --no-pager -b -u libvirtd --grep " + disk.name
                                        + " | tail -n 8 | cut -c1-300")
                                .output());
            }
        }
    }

    /** What has come of an interrupted operation is not known: nothing may be left of it. */
    private static void tidy(SoakSite site, SoakDisk disk) {
        site.endEverywhere(disk.name);
        site.endLost(disk.name);
        site.host(0)
                .host
                .sh("rm -f /images/" + disk.name + ".save /images/" + disk.name + ".overlay")
                .mustSucceed();
        disk.ended(System.nanoTime());
    }

    private void trouble(SoakSite site, Random random, CountDownLatch over) {
        try {
            while (failures.isEmpty()) {
                int pause = random.nextInt(MIN_SECONDS_BETWEEN_TROUBLES, MAX_SECONDS_BETWEEN_TROUBLES);
                if (over.await(pause, TimeUnit.SECONDS)) {
                    return;
                }
                SoakTrouble trouble = SoakTrouble.any(random);
                int host = site.any(random);
                site.note(trouble + " of host " + host);
                site.troubleBegins(host);
                trouble.befall(site, host, disks, operating.writeLock());
                SoakTrouble.awaitRecovery(site.host(host));
                site.troubleEnds(host, trouble.agentAway());
                site.note(trouble + " of host " + host + " is over");
                site.count(trouble.name());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException | Error e) {
            failures.add("trouble: " + e);
        }
    }

    private static void endAll(SoakSite site) {
        for (GuardedHost host : site.hosts()) {
            host.awaitReady();
            host.host
                    .sh("for d in $(virsh list --name); do virsh destroy $d; done; test -z \"$(virsh list --name)\"")
                    .mustSucceed();
            Eventually.await(
                    "no domain to be left on " + host.host.name(),
                    SoakSite.PATIENCE,
                    () -> host.statusJson().contains("\"domains\":[]"));
        }
    }

    private static long leaseFiles(Path directory) throws IOException {
        try (Stream<Path> all = Files.list(directory)) {
            return all.filter(file -> file.getFileName().toString().matches("[0-9a-f]{32}"))
                    .count();
        }
    }
}
