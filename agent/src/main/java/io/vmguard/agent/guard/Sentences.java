/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.OneLine;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.HostName;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/** What people are told: what, who, why, and the way out. Pure. */
final class Sentences {
    private static final String NOT_STARTED = " Not started. See: vmguard status";

    private static final long END_OF_FOUR_DIGIT_YEARS = 253_402_300_800L;

    private Sentences() {}

    /** @param label the disk, {@code vda (rbd:rbd/vm1)} */
    static String heldBy(String label, AcquireResult.HeldBy held, Optional<Owner> self) {
        StringBuilder text =
                new StringBuilder("vmguard: ").append(OneLine.of(label)).append(" is in use by ");
        Optional<LeaseNote> note = held.note();
        boolean here = self.isPresent() && self.get().equals(held.owner());
        note.ifPresent(
                n -> text.append("domain ").append(OneLine.of(n.domainName())).append(" on "));
        text.append(host(held, note)).append(here ? " (this host)" : "");
        note.ifPresent(n -> text.append(since(n)));
        if (held.shared()) {
            text.append(", in shared mode");
        }
        return text.append(" (")
                .append(life(held))
                .append(").")
                .append(NOT_STARTED)
                .toString();
    }

    /** The number comes from a disk: it may be anything. */
    private static String since(LeaseNote note) {
        long seconds = note.sinceEpochSeconds();
        return seconds > 0 && seconds < END_OF_FOUR_DIGIT_YEARS ? ", since " + Instant.ofEpochSecond(seconds) : "";
    }

    private static String host(AcquireResult.HeldBy held, Optional<LeaseNote> note) {
        String id = "host id " + held.owner().hostId();
        if (note.isPresent()) {
            return "host " + OneLine.of(note.get().hostName());
        }
        return held.hostName().isEmpty() ? id : "host " + OneLine.of(HostName.node(held.hostName())) + ", " + id;
    }

    private static String life(AcquireResult.HeldBy held) {
        if (held.status() == HostStatus.LIVE) {
            return "alive, renewed " + seconds(held.silentFor()) + " ago; free when it lets go";
        }
        if (held.status() == HostStatus.UNKNOWN && held.freeIn().isPresent()) {
            return "seen " + seconds(held.silentFor())
                    + " ago for the first time, not seen to renew yet; if it does not, its" + " lease can be taken in "
                    + seconds(held.freeIn()) + ": try again then";
        }
        if (held.freeIn().isPresent()) {
            return "silent for " + seconds(held.silentFor()) + "; if it stays silent its lease can be taken in "
                    + seconds(held.freeIn()) + ": try again then";
        }
        return "not seen alive yet; ask again in a minute";
    }

    static String cannotTell(String label, String why) {
        return "vmguard: " + OneLine.of(label) + ": cannot tell whether it is free: " + OneLine.of(why) + "."
                + NOT_STARTED;
    }

    static String notReady(String domain, String detail) {
        return "vmguard: " + OneLine.of(domain) + ": this host is not a member of the lease directory now: "
                + (detail.isEmpty() ? "joining" : OneLine.of(detail)) + "." + NOT_STARTED;
    }

    static String noWatchdog(String domain, String why) {
        return "vmguard: " + OneLine.of(domain) + ": the watchdog that is configured cannot be armed: "
                + OneLine.of(why) + "." + NOT_STARTED;
    }

    static String cannotProtect(String target, String reason) {
        return "vmguard: " + OneLine.of(target) + " cannot be protected: " + OneLine.of(reason)
                + ". Not started. See: vmguard explain";
    }

    /** Said of a domain that waits, paused, for leases that it has lost. */
    static String halted(String domain) {
        return OneLine.of(domain)
                + " has lost its leases; its QEMU is paused and stopped (SIGSTOP). It may go on when it has them"
                + " again and no other host had them meanwhile; whoever lets it go on before has it killed.";
    }

    /** Said of such a domain when its agent has gone. */
    static String orphaned(String domain) {
        return OneLine.of(domain)
                + " was stopped (SIGSTOP) before this agent began, and whether another host had its disks since"
                + " cannot be told. End it: virsh destroy. Whoever lets it go on has it killed.";
    }

    /** Said of a domain whose leases another host holds for it, without a word of giving them. */
    static String notOffered(String domain) {
        return "vmguard: " + OneLine.of(domain)
                + ": the host that it comes from holds its leases and does not offer them: its agent does not run,"
                + " does not see the migration, or is older than this one." + NOT_STARTED;
    }

    static String giverNotSeenAlive(String domain) {
        return "vmguard: " + OneLine.of(domain)
                + ": the host that it comes from holds its leases and has not been seen to renew since this agent began to"
                + " look. If it is alive, migrate again in a minute." + NOT_STARTED;
    }

    static String noMigration(String domain) {
        return "vmguard: " + OneLine.of(domain)
                + ": incoming live migration is off on this host (live_migration); shut it down and start it here."
                + " Not started.";
    }

    static String fromUnguarded(String domain) {
        return "vmguard: " + OneLine.of(domain)
                + ": the host that it comes from holds no lease for it, so it is not guarded there. Not started. Guard"
                + " that host first, or set allow_unguarded_migration";
    }

    static String toUnguarded(String domain) {
        return OneLine.of(domain) + " has been migrated to a host that has not asked for its leases: it is not guarded"
                + " there.";
    }

    static String ignores(String domain) {
        return OneLine.of(domain)
                + " has on_lockfailure ignore: it is not stopped when its leases are lost, and two hosts may"
                + " write to its disks then.";
    }

    static String mayNotIgnore(String domain) {
        return OneLine.of(domain)
                + " has on_lockfailure ignore, which allow_ignore_lockfailure does not allow: treated as poweroff.";
    }

    static String unknownLockFailure(String domain, String word) {
        return OneLine.of(domain) + " has on_lockfailure " + OneLine.of(word)
                + ", which is not known: treated as poweroff.";
    }

    static String previousAlive(String domain, int pid) {
        return "vmguard: " + OneLine.of(domain) + ": the QEMU of its previous run, pid " + pid
                + ", has not ended and may still write." + NOT_STARTED;
    }

    static String previousUnknown(String domain) {
        return "vmguard: " + OneLine.of(domain)
                + ": cannot tell whether its previous run has ended: try again, and if that does not help see whether a QEMU of it runs."
                + NOT_STARTED;
    }

    static String busy(String domain) {
        return "vmguard: " + OneLine.of(domain) + ": another start of it waits for its leases: that one goes on."
                + NOT_STARTED;
    }

    static String stopping(String domain) {
        return "vmguard: " + OneLine.of(domain) + ": the lease agent is stopping: try again when it runs."
                + NOT_STARTED;
    }

    static String overload(String domain) {
        return "vmguard: " + OneLine.of(domain) + ": the lease agent has too much to do: try again in a moment."
                + NOT_STARTED;
    }

    static String internalError(String domain) {
        return "vmguard: " + OneLine.of(domain)
                + ": the lease agent has made a mistake: try again, and report what its log says (vmguard report)."
                + NOT_STARTED;
    }

    /** The same about a domain that runs without having been asked for. */
    static String runsAllTheSame(String refusal) {
        return refusal.replaceFirst("^vmguard: ", "").replace(" Not started.", " It runs all the same.");
    }

    /** The same about an image that a block job of a running domain writes. */
    static String writesAllTheSame(String refusal) {
        return refusal.replaceFirst("^vmguard: ", "").replace(" Not started.", " A block job writes it all the same.");
    }

    static String seconds(Optional<Duration> duration) {
        return duration.map(d -> (d.toMillis() + 500) / 1000 + " s").orElse("an unknown time");
    }
}
