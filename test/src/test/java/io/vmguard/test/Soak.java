/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Random operations of all kinds on many domains over three hosts, while agents and libvirtd are restarted and killed at random. Each
 * disk belongs to one worker at a time, which therefore knows what must come of each operation: what runs somewhere is refused
 * everywhere else, what runs nowhere is granted. The {@link OverlapWatch} knows nothing of that. In the end every lease must be free.
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
    private static final Duration BETWEEN_TROUBLES = Duration.ofSeconds(12);
    /** An agent that restarts on a busy machine is back by then, and a lease that leaked is not. */
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** What a virsh dies of whose daemon has just gone. */
    private static final int SIGPIPE = 13;

    private static final String PREFIX = "soak";

    private final List<GuardedHost> hosts = new ArrayList<>();
    private final Map<String, Long> counts = new TreeMap<>();
    private final Queue<String> failures = new ConcurrentLinkedQueue<>();
    private final Queue<Disk> free = new ConcurrentLinkedQueue<>();

    /** A disk and who uses it, as its worker knows. */
    private static final class Disk {
        final String name;
        int host = -1;
        boolean paused;

        Disk(String name) {
            this.name = name;
        }

        String path() {
            return "/images/" + name + ".img";
        }

        boolean runs() {
            return host >= 0;
        }
    }

    @Test
    void whateverIsDoneOneHostWritesAndNothingIsLeftBehind() throws Exception {
        System.out.println("soak: seed " + SEED + ", " + MINUTES + " min, " + DISKS + " domains, three hosts");
        try (SharedDir leases = SharedDir.create("leases");
                SharedDir images = SharedDir.create("images")) {
            try {
                boot(leases, images);
                String seen;
                try (OverlapWatch watch = new OverlapWatch(PREFIX)) {
                    soak();
                    assertThat(watch.overlaps()).isEmpty();
                    seen = watch.counts();
                }
                assertThat(failures).isEmpty();
                endAll();
                Eventually.await("every lease to be free on disk", PATIENCE, () -> TwoHosts.allFree(leases.path()));
                assertThat(leaseFiles(leases.path()))
                        .as("leases that were held at some time")
                        .isPositive();
                System.out.println("soak: overlap 0, " + counts + ", " + seen);
            } catch (Exception | AssertionError e) {
                hosts.forEach(host -> System.out.printf("%s:%n%s%n", host.host.name(), host.host.journal("vmguard")));
                throw e;
            } finally {
                hosts.forEach(GuardedHost::close);
            }
        }
    }

    private void boot(SharedDir leases, SharedDir images) {
        List<CompletableFuture<GuardedHost>> booting = Stream.of("soak-a", "soak-b", "soak-c")
                .map(name -> CompletableFuture.supplyAsync(() -> {
                    GuardedHost host = GuardedHost.start(
                            TestHost.named(name).bind(images, "/shared-images"),
                            leases,
                            "io_timeout: 5s",
                            "watchdog: none",
                            "hook_timeout: 25s");
                    // A file system of its own: QEMU's locks must not be what keeps hosts apart.
                    host.host
                            .sh("mkdir -p /images; stall-dir /shared-images /images /run/image-fault")
                            .mustSucceed();
                    return host;
                }))
                .toList();
        booting.forEach(host -> hosts.add(host.join()));
        hosts.forEach(GuardedHost::awaitReady);
        for (int i = 1; i <= DISKS; i++) {
            Disk disk = new Disk(PREFIX + i);
            hosts.get(0)
                    .host
                    .sh("truncate -s 16M " + disk.path() + " /images/" + disk.name + ".more")
                    .mustSucceed();
            free.add(disk);
        }
    }

    private void soak() throws InterruptedException {
        long endNanos = System.nanoTime() + Duration.ofMinutes(MINUTES).toNanos();
        CountDownLatch over = new CountDownLatch(1);
        ExecutorService workers = Executors.newFixedThreadPool(WORKERS + 1);
        for (int i = 0; i < WORKERS; i++) {
            Random random = new Random(SEED + i);
            workers.execute(() -> {
                while (System.nanoTime() - endNanos < 0 && failures.isEmpty()) {
                    operate(random);
                }
            });
        }
        workers.execute(() -> trouble(new Random(SEED - 1), over));
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
    private void operate(Random random) {
        Disk disk = free.remove();
        Operation operation = Operation.values()[random.nextInt(Operation.values().length)];
        if (!operation.possible(disk)) {
            operation = disk.runs() ? Operation.INTRUDE : Operation.START;
        }
        try {
            operation.perform(this, disk, random);
            count(operation.name());
        } catch (AssertionError e) {
            failures.add(
                    operation + " of " + disk.name + " (host " + disk.host + ", paused " + disk.paused + "): " + e);
        } finally {
            free.add(disk);
        }
    }

    private synchronized void count(String what) {
        counts.merge(what.toLowerCase(Locale.ROOT), 1L, Long::sum);
    }

    /** What users do. */
    private enum Operation {
        START {
            @Override
            boolean possible(Disk disk) {
                return !disk.runs();
            }

            @Override
            void perform(Soak soak, Disk disk, Random random) {
                int host = soak.anyHost(random);
                soak.grant(() -> soak.hosts.get(host).host.createDomain(disk.name, "--file", disk.path()));
                disk.host = host;
            }
        },
        INTRUDE {
            @Override
            void perform(Soak soak, Disk disk, Random random) {
                GuardedHost host = soak.hosts.get(soak.anyHost(random));
                Ran ran = host.host
                        .createDomain(disk.name + "-intruder", "--file", disk.path())
                        .mustFail();
                if (Soak.isNotNow(ran)) {
                    soak.count("refused for now");
                } else {
                    // Under a snapshot it is shared with nobody, and the lease does not say whose it is.
                    assertThat(ran.stderr()).contains("(file:" + disk.path() + ") is in use by ");
                }
            }
        },
        DESTROY {
            @Override
            void perform(Soak soak, Disk disk, Random random) {
                soak.virsh(disk, "destroy", disk.name);
                disk.host = -1;
                disk.paused = false;
            }
        },
        PAUSE_OR_RESUME {
            @Override
            void perform(Soak soak, Disk disk, Random random) {
                soak.virsh(disk, disk.paused ? "resume" : "suspend", disk.name);
                disk.paused = !disk.paused;
            }
        },
        RESET {
            @Override
            boolean possible(Disk disk) {
                return disk.runs() && !disk.paused;
            }

            @Override
            void perform(Soak soak, Disk disk, Random random) {
                soak.virsh(disk, "reset", disk.name);
            }
        },
        SAVE_AND_RESTORE_ANYWHERE {
            @Override
            void perform(Soak soak, Disk disk, Random random) {
                String file = "/images/" + disk.name + ".save";
                soak.virsh(disk, "save", disk.name, file);
                int host = soak.anyHost(random);
                soak.grant(() -> soak.hosts.get(host).host.virsh("restore", file));
                disk.host = host;
                soak.hosts.get(host).host.sh("rm " + file).mustSucceed();
            }
        },
        ATTACH_AND_DETACH {
            @Override
            boolean possible(Disk disk) {
                return disk.runs() && !disk.paused;
            }

            @Override
            void perform(Soak soak, Disk disk, Random random) {
                String more = "/images/" + disk.name + ".more";
                soak.virsh(disk, "attach-disk", disk.name, more, "vdb", "--live", "--subdriver", "raw");
                // There is no hook for this; whoever is faster has it, so nobody else asks before.
                soak.hosts.get(disk.host).awaitLease(disk.name, more, PATIENCE);
                GuardedHost other = soak.hosts.get(soak.anyHost(random));
                Ran ran = other.host
                        .createDomain("more-of-" + disk.name, "--file", more)
                        .mustFail();
                if (!Soak.isNotNow(ran)) {
                    assertThat(ran.stderr()).contains("is in use by domain " + disk.name);
                }
                if (random.nextBoolean()) {
                    soak.virsh(disk, "detach-disk", disk.name, "vdb", "--live");
                    // Without a guest that lets go of it the device may stay; then it stays guarded.
                }
                soak.virsh(disk, "destroy", disk.name);
                disk.host = -1;
            }
        },
        SNAPSHOT_AND_COMMIT {
            @Override
            boolean possible(Disk disk) {
                return disk.runs() && !disk.paused;
            }

            @Override
            void perform(Soak soak, Disk disk, Random random) {
                String overlay = "/images/" + disk.name + ".overlay";
                soak.virsh(
                        disk,
                        "snapshot-create-as",
                        disk.name,
                        "s",
                        "--disk-only",
                        "--no-metadata",
                        "--diskspec",
                        "vda,file=" + overlay);
                INTRUDE.perform(soak, disk, random);
                soak.virsh(disk, "blockcommit", disk.name, "vda", "--active", "--pivot", "--wait");
                soak.hosts.get(disk.host).host.sh("rm " + overlay).mustSucceed();
                INTRUDE.perform(soak, disk, random);
            }
        };

        boolean possible(Disk disk) {
            return disk.runs();
        }

        abstract void perform(Soak soak, Disk disk, Random random);
    }

    private int anyHost(Random random) {
        return random.nextInt(hosts.size());
    }

    private Ran virsh(Disk disk, String... arguments) {
        // libvirtd may be restarting.
        return Eventually.get(String.join(" ", arguments), PATIENCE, () -> {
                    Ran ran = hosts.get(disk.host).host.virsh(arguments);
                    return ran.ok() || !isAway(ran) ? Optional.of(ran) : Optional.empty();
                })
                .mustSucceed();
    }

    /**
     * What must be granted: at once, or as soon as agent and libvirtd are back. An agent that was away when a domain ended gives its
     * leases back when it has come to know.
     */
    private void grant(Supplier<Ran> start) {
        Ran ran = Eventually.get("an answer", PATIENCE, () -> {
            Ran tried = start.get();
            boolean notYetFree = tried.stderr().contains(") is in use by ");
            if (tried.ok() || !isNotNow(tried) && !notYetFree) {
                return Optional.of(tried);
            }
            count(notYetFree ? "not free yet" : "refused for now");
            return Optional.empty();
        });
        ran.mustSucceed();
    }

    private static boolean isAway(Ran ran) {
        return ran.exitCode() == 128 + SIGPIPE
                || ran.stderr().contains("failed to connect to the hypervisor")
                || ran.stderr().contains("End of file while reading data");
    }

    /** Agent or libvirtd are away; they say so. */
    private static boolean isNotNow(Ran ran) {
        return isAway(ran)
                || ran.stderr().contains("agent does not")
                || ran.stderr().contains("not a member")
                || ran.stderr().contains("is stopping");
    }

    private void trouble(Random random, CountDownLatch over) {
        List<String> kinds =
                List.of("systemctl restart vmguard", "systemctl kill -s KILL vmguard", "systemctl restart libvirtd");
        try {
            while (!over.await(BETWEEN_TROUBLES.toMillis(), TimeUnit.MILLISECONDS) && failures.isEmpty()) {
                String kind = kinds.get(random.nextInt(kinds.size()));
                hosts.get(anyHost(random)).host.sh(kind).mustSucceed();
                count(kind);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (AssertionError e) {
            failures.add("trouble: " + e);
        }
    }

    private void endAll() {
        for (GuardedHost host : hosts) {
            host.awaitReady();
            host.host
                    .sh(
                            "for d in $(virsh list --name); do virsh destroy $d; done; virsh list --name | grep -c . && exit 1 || true")
                    .mustSucceed();
            Eventually.await(
                    "no domain to be left on " + host.host.name(),
                    PATIENCE,
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
