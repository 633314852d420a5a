/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.time.Duration;
import java.util.Locale;

/**
 * What can befall the first host of a {@link FaultPair} while a guarded domain runs on it, each as it happens in production. Faults can
 * be combined; they are injected in the order in which they stand here and healed in the reverse order.
 */
enum Fault {
    DEADMAN_KILLED("deadman killed, masked", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.a
                    .host
                    .sh("systemctl mask --runtime vmguard-deadman; systemctl kill -s KILL vmguard-deadman; "
                            + "systemctl stop vmguard-deadman")
                    .mustSucceed();
        }

        @Override
        void heal(FaultPair pair) {
            pair.a
                    .host
                    .sh("systemctl unmask --runtime vmguard-deadman; systemctl start vmguard-deadman")
                    .mustSucceed();
        }
    },
    RUN_FULL("disk full at /run", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.host.sh("mount -o remount,size=64M /run; dd if=/dev/zero of=/run/filler bs=4k 2>/dev/null; "
                    + "dd if=/dev/zero of=/run/filler2 bs=1 count=4096 2>/dev/null; df /run");
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.host.sh("rm -f /run/filler /run/filler2").mustSucceed();
        }
    },
    WALL_CLOCK_STEPS("wall clock of the agent a day ahead, then a day back", Fate.LIVES) {
        @Override
        void prepare(FaultPair pair) {
            pair.fakeWallClock();
        }

        @Override
        void inject(FaultPair pair) {
            pair.wallClock("+1d");
            pair.pause(Duration.ofSeconds(5));
            pair.wallClock("-1d");
        }

        @Override
        void heal(FaultPair pair) {
            pair.wallClock("+0");
        }
    },
    LIBVIRTD_STOPPED("libvirtd SIGSTOP", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.host.sh("systemctl kill -s STOP libvirtd").mustSucceed();
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.host.sh("systemctl kill -s CONT libvirtd").mustSucceed();
        }
    },
    LIBVIRTD_KILLED("libvirtd SIGKILL", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.host.sh("systemctl kill -s KILL libvirtd").mustSucceed();
        }
    },
    AGENT_KILLED("agent SIGKILL", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.host.sh("systemctl kill -s KILL vmguard").mustSucceed();
        }
    },
    AGENT_OUT_OF_MEMORY("agent killed for want of memory", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.outOfMemory();
        }
    },
    RESTART_STORM("agent restarted ten times", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.a
                    .host
                    .sh(
                            Duration.ofMinutes(2),
                            "for i in 1 2 3 4 5 6 7 8 9 10; do systemctl restart --no-block vmguard; "
                                    + "sleep 0.$((i % 3 + 3)); done")
                    .mustSucceed();
        }
    },
    AGENT_STOPPED_SHORTLY("agent SIGSTOP for 10 s", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.a
                    .host
                    .sh("systemctl kill --kill-who=main -s STOP vmguard; sleep 10; "
                            // On a busy machine systemd has replaced it by then.
                            + "systemctl kill --kill-who=main -s CONT vmguard; true")
                    .mustSucceed();
        }
    },
    /** systemd's watchdog may end the stopped agent in time for the next one to go on. */
    AGENT_STOPPED("agent SIGSTOP for good", Fate.EITHER) {
        @Override
        void inject(FaultPair pair) {
            pair.a.host.sh("systemctl kill --kill-who=main -s STOP vmguard").mustSucceed();
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.host.sh("systemctl kill --kill-who=main -s CONT vmguard");
        }
    },
    AGENT_KILLED_FOR_GOOD("agent SIGKILL, masked: deadman alone", Fate.DIES) {
        @Override
        void inject(FaultPair pair) {
            pair.a
                    .host
                    .sh("systemctl mask --runtime vmguard; systemctl kill -s KILL vmguard")
                    .mustSucceed();
        }

        @Override
        void heal(FaultPair pair) {
            pair.a
                    .host
                    .sh("systemctl unmask --runtime vmguard; systemctl start --no-block vmguard")
                    .mustSucceed();
        }
    },
    QEMU_STOPPED("QEMU SIGSTOP", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.host.sh("kill -STOP $(cat /run/libvirt/qemu/" + pair.domain() + ".pid)");
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.host.sh("kill -CONT $(cat /run/libvirt/qemu/" + pair.domain() + ".pid)");
        }
    },
    /** SIGKILL does not end it; only a reset of the machine would. */
    IMAGE_STORAGE_STALLS("image storage stalls: QEMU in uninterruptible sleep", Fate.LIVES, false) {
        @Override
        void inject(FaultPair pair) {
            pair.images("stall");
        }

        @Override
        void heal(FaultPair pair) {
            pair.images("ok");
        }
    },
    /** The kernel cuts a look at the lockspace, 1 MiB, into requests of 128 KiB. */
    STORAGE_SLOW("lease storage slow: a look takes half of io_timeout", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.leaseDirectory("delay " + FaultPair.IO_TIMEOUT.toMillis() / 2 / 8);
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.leaseDirectory("ok");
        }
    },
    /**
     * A renewal begins 2 T after the one before, or a second after its end: one that takes half of the budget comes too late for the
     * next one. A write is two requests, with one to make it last.
     */
    STORAGE_WRITES_NEAR_HALF_BUDGET("lease writes take 45 % of the budget", Fate.LIVES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.leaseDirectory("delayw " + FaultPair.LOST.toMillis() * 45 / 100 / 2);
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.leaseDirectory("ok");
        }
    },
    STORAGE_WRITES_MOST_OF_BUDGET("lease writes take 90 % of the budget", Fate.DIES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.leaseDirectory("delayw " + FaultPair.LOST.toMillis() * 90 / 100 / 2);
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.leaseDirectory("ok");
        }
    },
    STORAGE_READ_ONLY("lease storage read-only", Fate.DIES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.leaseDirectory("erofs");
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.leaseDirectory("ok");
        }
    },
    STORAGE_ERRORS("lease storage fails with errors", Fate.DIES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.leaseDirectory("eio");
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.leaseDirectory("ok");
        }
    },
    STORAGE_STALLS("lease storage stalls", Fate.DIES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.leaseDirectory("stall");
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.leaseDirectory("ok");
        }
    },
    /** Only a watchdog keeps a host from going on that was frozen for longer than others wait. */
    HOST_FROZEN("host frozen, thawed after take-over", Fate.DIES, false) {
        @Override
        void inject(FaultPair pair) {
            pair.a.host.freeze();
        }

        @Override
        void heal(FaultPair pair) {
            pair.a.host.thaw();
        }
    },
    POWER_LOSS("host loses power", Fate.DIES) {
        @Override
        void inject(FaultPair pair) {
            pair.a.host.powerOff();
        }

        @Override
        void heal(FaultPair pair) {
            pair.discard();
        }
    };

    /** What must become of the domain. */
    enum Fate {
        LIVES,
        DIES,
        EITHER
    }

    final String description;
    final Fate fate;
    /** Whether one writer is promised without a watchdog. */
    final boolean promised;

    Fault(String description, Fate fate) {
        this(description, fate, true);
    }

    Fault(String description, Fate fate, boolean promised) {
        this.description = description;
        this.fate = fate;
        this.promised = promised;
    }

    /** Before the domain starts. */
    void prepare(FaultPair pair) {}

    abstract void inject(FaultPair pair);

    /** Takes it back; nothing to do for what heals by itself. */
    void heal(FaultPair pair) {}

    boolean onLeaseStorage() {
        return name().startsWith("STORAGE_");
    }

    boolean onAgent() {
        return name().startsWith("AGENT_") || this == RESTART_STORM;
    }

    boolean onLibvirtd() {
        return name().startsWith("LIBVIRTD_");
    }

    boolean onWholeHost() {
        return this == HOST_FROZEN || this == POWER_LOSS;
    }

    /** The kernel freezes no process in uninterruptible sleep, neither in a cgroup nor to suspend the machine. */
    private boolean cannotBeFrozen() {
        return this == IMAGE_STORAGE_STALLS;
    }

    /** Whether the two can be had at once and are anything but one of them alone. */
    boolean combinesWith(Fault other) {
        return this != other
                && !(onLeaseStorage() && other.onLeaseStorage())
                && !(onAgent() && other.onAgent())
                && !(onLibvirtd() && other.onLibvirtd())
                && !(onWholeHost() && other.onWholeHost())
                && !(cannotBeFrozen() && other == HOST_FROZEN)
                && !(this == HOST_FROZEN && other.cannotBeFrozen())
                && this != POWER_LOSS
                && other != POWER_LOSS;
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
