/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.test.SoakSite.Interrupted;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;

/** What users do with a disk and its domain, and what must come of it. */
enum SoakOperation {
    START {
        @Override
        boolean possible(SoakDisk disk) {
            return !disk.runs();
        }

        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            int host = site.any(random);
            if (System.nanoTime() - disk.outOfReachUntilNanos < 0) {
                if (!site.tryOnce(host, disk.name, disk.path())) {
                    return;
                }
            } else {
                site.grant(disk, host, disk.name, () -> site.create(host, disk.name, disk.path()));
            }
            disk.started(host, System.nanoTime());
        }
    },

    /** Two domains want one disk at once, on any hosts. */
    RACE {
        @Override
        boolean possible(SoakDisk disk) {
            return !disk.runs() && System.nanoTime() - disk.outOfReachUntilNanos >= 0;
        }

        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            int host = site.any(random);
            int rival = site.any(random);
            CompletableFuture<Ran> other =
                    CompletableFuture.supplyAsync(() -> site.create(rival, disk.name + "-rival", disk.path()));
            Ran ran = site.create(host, disk.name, disk.path());
            boolean lost = other.join().ok();
            boolean won = ran.ok();
            assertThat(won && lost).as("both have it").isFalse();
            site.count(won ? "race won" : lost ? "race lost" : "race won by nobody");
            if (!won && !lost) {
                boolean troubled = site.isTroubled(host)
                        || site.isTroubled(rival)
                        || disk.lastHost >= 0 && site.isTroubled(disk.lastHost);
                assertThat(troubled)
                        .as(
                                "nobody gets %s: %s / %s",
                                disk.path(), ran.stderr(), other.join().stderr())
                        .isTrue();
            }
            if (won && !site.isTroubled(host)) {
                disk.started(host, System.nanoTime());
                return;
            }
            site.endEverywhere(disk.name + "-rival");
            site.endEverywhere(disk.name); // it may have started although nobody was told
            disk.lastHost = lost ? rival : host;
            disk.ended(System.nanoTime());
        }
    },

    INTRUDE {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            site.refuse(site.any(random), disk.name + "-intruder", disk.path(), disk.name);
        }
    },

    DESTROY {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            site.virsh(disk, "destroy", disk.name);
            disk.ended(System.nanoTime());
        }
    },

    KILL_QEMU {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            site.host(disk.host)
                    .host
                    .sh("kill -9 $(cat /run/libvirt/qemu/" + disk.name + ".pid)")
                    .mustSucceed();
            Eventually.await(
                    "libvirt to know that " + disk.name + " has ended",
                    SoakSite.PATIENCE,
                    () -> site.whereActive(disk.name).isEmpty());
            disk.ended(System.nanoTime());
        }
    },

    PAUSE_OR_RESUME {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            site.virsh(disk, disk.paused ? "resume" : "suspend", disk.name);
            disk.paused = !disk.paused;
        }
    },

    RESET_OR_REBOOT {
        @Override
        boolean possible(SoakDisk disk) {
            return disk.runs() && !disk.paused;
        }

        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            site.virsh(disk, random.nextBoolean() ? "reset" : "reboot", disk.name);
        }
    },

    SAVE_AND_RESTORE_ANYWHERE {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            String file = "/images/" + disk.name + ".save";
            boolean paused = disk.paused;
            site.virsh(disk, "save", disk.name, file);
            disk.ended(System.nanoTime());
            int host = site.any(random);
            site.grant(disk, host, disk.name, () -> site.host(host).host.virsh("restore", file));
            disk.started(host, System.nanoTime());
            disk.paused = paused;
            site.host(host).host.sh("rm " + file).mustSucceed();
        }
    },

    /** While it is saved its disk is anybody's. */
    MANAGED_SAVE_AND_START {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            int host = disk.host;
            boolean paused = disk.paused;
            site.define(disk);
            site.virsh(disk, "managedsave", disk.name);
            disk.ended(System.nanoTime());
            if (random.nextBoolean()) {
                borrow(site, disk, disk.path(), random);
            }
            site.grant(disk, host, disk.name, () -> site.host(host).host.virsh("start", disk.name));
            disk.started(host, System.nanoTime());
            disk.paused = paused;
            site.virsh(disk, "undefine", disk.name);
        }
    },

    MIGRATE {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            int from = disk.host;
            int to = site.other(from, random);
            site.watch.migrates(disk.name);
            try {
                Running migration = site.host(from)
                        .host
                        .spawn(
                                "virsh",
                                "migrate",
                                "--live",
                                "--p2p",
                                "--unsafe",
                                disk.name,
                                SoakSite.uri(to),
                                "--migrateuri",
                                "tcp://127.0.0.1");
                if (random.nextBoolean()) {
                    INTRUDE.perform(site, disk, random);
                }
                Ran ran = migration.awaitEnd(MIGRATION_LIMIT);
                boolean mayFail = site.mayHaveFailed(from, to, ran);
                if (!ran.ok()) {
                    assertThat(mayFail).as("%s", ran).isTrue();
                    site.count("migration failed");
                }
                locate(site, disk, mayFail);
                if (ran.ok()) {
                    assertThat(disk.host).as("host of %s", disk.name).isEqualTo(to);
                }
            } finally {
                site.watch.migrated(disk.name);
            }
            if (disk.runs()) {
                site.host(disk.host).awaitLease(disk.name, disk.path(), SoakSite.PATIENCE);
                INTRUDE.perform(site, disk, random);
            }
        }

        /** In the end it runs on one host at most, and on one if nothing has happened. */
        private void locate(SoakSite site, SoakDisk disk, boolean mayBeGone) {
            boolean paused = disk.paused;
            List<Integer> where = Eventually.get("one host for " + disk.name, SoakSite.PATIENCE, () -> {
                List<Integer> active = site.whereActive(disk.name);
                boolean clear = active.size() <= 1 && site.watch.count(disk.name) == active.size();
                return clear ? Optional.of(active) : Optional.empty();
            });
            disk.ended(System.nanoTime());
            if (where.isEmpty()) {
                assertThat(mayBeGone).as("%s is nowhere", disk.name).isTrue();
                site.count("migration ended it");
                return;
            }
            disk.started(where.get(0), System.nanoTime());
            disk.paused = paused
                    || site.host(disk.host)
                            .host
                            .virsh("domstate", disk.name)
                            .stdout()
                            .contains("paused");
        }
    },

    ATTACH_AND_DETACH {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            String more = "/images/" + disk.name + ".more";
            site.virsh(
                    disk,
                    "attach-disk",
                    disk.name,
                    more,
                    "sda",
                    "--targetbus",
                    "usb",
                    "--live",
                    "--driver",
                    "qemu",
                    "--subdriver",
                    "raw");
            // There is no hook for this; whoever is faster has it, so nobody else asks before.
            guarded(site, disk, more, random);
            site.virsh(disk, "detach-disk", disk.name, "sda", "--live");
            borrow(site, disk, more, random);
        }
    },

    /** A guest without an operating system does not let go of a PCI device: it stays, and so does its lease. */
    ATTACH_AND_END {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            String more = "/images/" + disk.name + ".more";
            site.virsh(disk, "attach-disk", disk.name, more, "vdb", "--live", "--driver", "qemu", "--subdriver", "raw");
            guarded(site, disk, more, random);
            site.virsh(disk, "destroy", disk.name);
            disk.ended(System.nanoTime());
            borrow(site, disk, more, random);
        }
    },

    CHANGE_FLOPPY {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            String floppy = "/images/" + disk.name + ".floppy";
            site.virsh(disk, "change-media", disk.name, "fda", floppy, "--insert", "--live");
            guarded(site, disk, floppy, random);
            site.virsh(disk, "change-media", disk.name, "fda", "--eject", "--live", "--force");
            borrow(site, disk, floppy, random);
        }
    },

    /** Read-only, so it calls for no lease: two domains may have it. */
    CHANGE_CDROM {
        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            site.virsh(disk, "change-media", disk.name, "hdc", SoakSite.CDROM, "--insert", "--live");
            INTRUDE.perform(site, disk, random);
            site.virsh(disk, "change-media", disk.name, "hdc", "--eject", "--live", "--force");
        }
    },

    SNAPSHOT_AND_COMMIT {
        @Override
        boolean possible(SoakDisk disk) {
            return disk.runs() && !disk.paused;
        }

        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            String overlay = "/images/" + disk.name + ".overlay";
            site.virsh(
                    disk,
                    "snapshot-create-as",
                    disk.name,
                    "s",
                    "--disk-only",
                    "--no-metadata",
                    "--diskspec",
                    "vda,file=" + overlay);
            INTRUDE.perform(site, disk, random);
            site.virsh(disk, "blockcommit", disk.name, "vda", "--active", "--pivot", "--wait");
            site.host(disk.host).host.sh("rm " + overlay).mustSucceed();
            INTRUDE.perform(site, disk, random);
        }
    },

    COPY_AND_PIVOT {
        @Override
        boolean possible(SoakDisk disk) {
            return disk.runs() && !disk.paused;
        }

        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            copy(site, disk, random);
            site.virsh(disk, "blockjob", disk.name, "vda", "--pivot");
            disk.pivot();
            borrowFormer(site, disk, disk.copy(), random);
            if (disk.runs()) {
                INTRUDE.perform(site, disk, random);
            }
        }
    },

    COPY_AND_ABORT {
        @Override
        boolean possible(SoakDisk disk) {
            return disk.runs() && !disk.paused;
        }

        @Override
        void perform(SoakSite site, SoakDisk disk, Random random) {
            copy(site, disk, random);
            site.virsh(disk, "blockjob", disk.name, "vda", "--abort");
            borrowFormer(site, disk, disk.copy(), random);
            if (disk.runs()) {
                INTRUDE.perform(site, disk, random);
            }
        }
    };

    private static final Duration MIGRATION_LIMIT = Duration.ofMinutes(2);

    boolean possible(SoakDisk disk) {
        return disk.runs();
    }

    /**
     * @throws AssertionError if something else came of it than had to
     * @throws Interrupted if that is not known, and the site had trouble
     */
    abstract void perform(SoakSite site, SoakDisk disk, Random random);

    /** A running domain has come to use this file: it has the lease, and nobody else gets it. */
    private static void guarded(SoakSite site, SoakDisk disk, String path, Random random) {
        site.host(disk.host).awaitLease(disk.name, path, SoakSite.PATIENCE);
        site.refuse(site.any(random), "guest-of-" + disk.name, path, disk.name);
    }

    /** Nobody uses this file any more: a domain with it starts anywhere. */
    private static void borrow(SoakSite site, SoakDisk disk, String path, Random random) {
        int host = site.any(random);
        String guest = "guest-of-" + disk.name;
        disk.endedNanos = System.nanoTime();
        site.grant(disk, host, guest, () -> site.create(host, guest, path));
        site.endEverywhere(guest);
        disk.endedNanos = System.nanoTime();
        if (!disk.runs()) {
            disk.lastHost = host;
        }
    }

    /** The same with what a disk was on that is there with another image now: its lease may be kept until the domain ends. */
    private static void borrowFormer(SoakSite site, SoakDisk disk, String path, Random random) {
        try {
            borrow(site, disk, path, random);
        } catch (SoakSite.Kept e) {
            site.count("kept until its domain ended");
            site.virsh(disk, "destroy", disk.name);
            disk.ended(System.nanoTime());
            borrow(site, disk, path, random);
        }
    }

    private static void copy(SoakSite site, SoakDisk disk, Random random) {
        site.virsh(
                disk,
                "blockcopy",
                disk.name,
                "vda",
                disk.copy(),
                "--format",
                "raw",
                "--reuse-external",
                "--transient-job",
                "--wait");
        guarded(site, disk, disk.copy(), random);
    }

    static SoakOperation any(Random random) {
        return values()[random.nextInt(values().length)];
    }
}
