/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

/** What can befall one of the two hosts of a migration. Each is over after a while, or {@link #heal}ed. */
enum MigrationFault {
    AGENT_KILLED {
        @Override
        void inject(GuardedHost host) {
            host.host.sh("systemctl kill -s KILL vmguard").mustSucceed();
        }
    },
    LIBVIRTD_KILLED {
        @Override
        void inject(GuardedHost host) {
            host.host.sh("systemctl kill -s KILL libvirtd").mustSucceed();
        }
    },
    /** For longer than the other side's keepalive waits. */
    LIBVIRTD_STOPPED(35) {
        @Override
        void inject(GuardedHost host) {
            host.host.sh("systemctl kill -s STOP libvirtd").mustSucceed();
        }

        @Override
        void heal(GuardedHost host) {
            host.host.sh("systemctl kill -s CONT libvirtd").mustSucceed();
        }
    },
    /** For less time than its leases last. */
    LEASES_STALL(8) {
        @Override
        void inject(GuardedHost host) {
            host.leaseDirectory("stall");
        }

        @Override
        void heal(GuardedHost host) {
            host.leaseDirectory("ok");
        }
    },
    LEASES_FAIL(8) {
        @Override
        void inject(GuardedHost host) {
            host.leaseDirectory("eio");
        }

        @Override
        void heal(GuardedHost host) {
            host.leaseDirectory("ok");
        }
    },
    /** Until they are lost, and before another host may take them. */
    LEASES_LOST(28) {
        @Override
        void inject(GuardedHost host) {
            host.leaseDirectory("stall");
        }

        @Override
        void heal(GuardedHost host) {
            host.leaseDirectory("ok");
        }
    },
    HOST_FROZEN(8) {
        @Override
        void inject(GuardedHost host) {
            host.host.freeze();
        }

        @Override
        void heal(GuardedHost host) {
            host.host.thaw();
        }
    },
    HOST_LOST {
        @Override
        void inject(GuardedHost host) {
            host.host.powerOff();
        }
    };

    /** How long it lasts; 0 if it is not taken back. */
    final int seconds;

    MigrationFault() {
        this(0);
    }

    MigrationFault(int seconds) {
        this.seconds = seconds;
    }

    abstract void inject(GuardedHost host);

    /** Takes it back. */
    void heal(GuardedHost host) {}
}
