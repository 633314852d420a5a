/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import io.vmguard.agent.identity.IdentityRules;
import io.vmguard.agent.identity.StorageClusters;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The settings of one agent, checked by {@link ConfigLoader} and fixed from then on.
 *
 * @param leaseDir absolute, shared by all hosts: a directory of the lockspace file and one file per lease, or a device that holds them side
 *     by side
 * @param lockspace 1 to 48 bytes of printable ASCII without {@code /}, not starting with a dot
 * @param hostId 1 to 2000, or empty to find a free one
 * @param ioTimeout 1 s to 30 s in whole seconds; every other delay of the lease protocol follows from it
 * @param watchdogTimeout 10 s to 60 s in whole seconds: how long after 8 I/O timeouts users of lost leases may still be stopped; the
 *     same on all hosts
 * @param watchdog what resets this machine when that does not help
 * @param maxHosts 1 to 2000: for how many hosts leases are made, if this host makes the lockspace
 * @param libvirtUri of this host's libvirt
 * @param mode what an unprotected start leads to
 * @param onUnprotected what happens to a domain found running although another host holds its lease
 * @param allowIgnoreLockfailure whether a domain with {@code <on_lockfailure>ignore</on_lockfailure>} runs on when its lease is lost
 * @param liveMigration whether domains may be migrated live between this host and other guarded ones
 * @param allowUnguardedMigration whether domains may be migrated from and to hosts that hold no leases for them
 * @param socket absolute, at most 107 bytes (the limit of a Unix socket address)
 * @param socketGroup may use the socket beside root; empty for root only
 * @param stateDir absolute; survives a reboot
 * @param runtimeDir absolute; need not survive a reboot
 * @param hookTimeout 1 s to 5 min: how long a start waits for an answer, also while the agent is still joining
 * @param storage how storage is identified, and what else is leased; the same on all hosts
 * @param destroyTimeout 1 s to less than two thirds of the watchdog timeout: how long libvirt gets to destroy a domain before QEMU is killed directly
 */
public record AgentConfig(
        Path leaseDir,
        String lockspace,
        OptionalInt hostId,
        Duration ioTimeout,
        Duration watchdogTimeout,
        WatchdogChoice watchdog,
        int maxHosts,
        String libvirtUri,
        Mode mode,
        OnUnprotected onUnprotected,
        boolean allowIgnoreLockfailure,
        boolean liveMigration,
        boolean allowUnguardedMigration,
        Path socket,
        Optional<String> socketGroup,
        Path stateDir,
        Path runtimeDir,
        Duration hookTimeout,
        Duration destroyTimeout,
        StorageRules storage) {

    /** What happens to a start that cannot be protected. */
    public enum Mode {
        /** It is refused. */
        ENFORCE,
        /** It is let through and logged. */
        OBSERVE
    }

    /** What happens to a domain found running while another owner holds one of its leases. */
    public enum OnUnprotected {
        /** Paused, but only reported if it began to run before the first agent of this host did. */
        AUTO,
        /** It is reported, again and again, and left alone. */
        REPORT,
        /** It is reported, and paused through libvirt each time it is found running. */
        PAUSE,
        /** It is destroyed. */
        DESTROY
    }

    /** Whether the lease that libvirt's sanlock plug-in would take is held as well. */
    public enum Compat {
        /**
         * It is: no host can know that none of that kind will ever come, nor one of vmguard 0.1.0, which knows no other names; and an
         * answer that changed while domains run would leave them open to hosts of that kind.
         */
        AUTO,
        LIBVIRT_SANLOCK,
        NONE
    }

    /** What happens to a disk that this host cannot identify. */
    public enum OnUnidentified {
        /** It is refused. */
        REFUSE,
        /** Its path is its name. */
        PATH
    }

    /**
     * @param clusters of storage that are told apart; {@link StorageClusters#NONE} if there is only one of each kind
     */
    public record StorageRules(
            Compat compat, boolean domainLease, OnUnidentified onUnidentified, StorageClusters clusters) {

        /** As the identification of storage takes them. */
        public IdentityRules identity() {
            return new IdentityRules(compat != Compat.NONE, onUnidentified == OnUnidentified.REFUSE, clusters);
        }
    }

    /** The settings of an empty or missing file. */
    public static AgentConfig defaults() {
        return ConfigLoader.defaults();
    }
}
