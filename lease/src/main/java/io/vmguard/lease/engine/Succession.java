/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.HostName;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/** What a process makes of the membership that its predecessor of this boot left behind: pure. */
sealed interface Succession {
    /**
     * The membership goes on under the same generation.
     *
     * @param record as it stands on disk
     * @param renewedNanos boot clock, when the predecessor began that renewal
     * @param remains what a killed predecessor may still change: not to be touched, or not to be counted on, before it is gone
     */
    record Continued(LeaderRecord record, long renewedNanos, Remains remains) implements Succession {}

    /** It is lost, and its users have not been proved gone. */
    record UsersFirst(Map<LeaseName, LeaseUse> users) implements Succession {}

    /** @param ownThisBoot id whose record is proved to be this boot's own, with nothing of that life left */
    record Anew(Optional<Long> ownThisBoot) implements Succession {}

    /** Not before the killed predecessor is gone: what it may still write could meet what this process would. */
    record GoneFirst(String why) implements Succession {}

    /**
     * @param area the lockspace as just read
     * @param before the predecessor's record, of this boot and this lease directory
     * @param remains what killed predecessors may still write
     * @param usersGone the caller has proof that nothing of an earlier membership of this boot is left
     */
    static Succession decide(
            byte[] area,
            LeaseLayout layout,
            LeaseName lockspace,
            Timeouts timeouts,
            LeaseClock clock,
            Optional<LocalRecord> before,
            Remains remains,
            boolean usersGone) {
        if (before.isEmpty()) {
            return anew(remains, Optional.empty());
        }
        Optional<LeaderRecord> still = stillOurs(area, layout, lockspace, before.get());
        if (still.isPresent() && !usersGone) {
            Optional<Continued> continued = inTime(before.get(), still.get(), remains, timeouts, clock);
            if (continued.isPresent()) {
                return remains.other().isPresent()
                        ? new GoneFirst(remains.other().get())
                        : continued.get();
            }
        }
        if (!usersGone && !before.get().users().isEmpty() && !before.get().cleanStop()) {
            return new UsersFirst(before.get().users());
        }
        return anew(remains, still.map(r -> r.owner().hostId()));
    }

    /** INV-4: a write of the old membership must not meet one of the new. */
    private static Succession anew(Remains remains, Optional<Long> ownThisBoot) {
        return remains.underWay()
                ? new GoneFirst("a new membership may only begin when nothing of the old one can be written any more")
                : new Anew(ownThisBoot);
    }

    /**
     * The delta lease on disk, if it is the one of the process that left this local record. The name holds this boot's id and this
     * installation's, and the local lock is ours: nobody else can have written it.
     */
    private static Optional<LeaderRecord> stillOurs(
            byte[] area, LeaseLayout layout, LeaseName lockspace, LocalRecord before) {
        return JoinPlan.record(area, layout, lockspace, before.owner().hostId())
                .filter(onDisk -> !onDisk.isFree()
                        && onDisk.owner().equals(before.owner())
                        && onDisk.resourceName().equals(before.hostName()));
    }

    /**
     * The timestamp is of a clock that stands still while the machine sleeps. What it had slept by the renewal is known from the one that
     * the local record knew of: that one, or the one on disk after it.
     *
     * <pre>
     *   known    slept    record written    renewed    slept    now
     *            '------- both sleeps count as age of the renewal: never too young -------'
     * </pre>
     */
    private static Optional<Continued> inTime(
            LocalRecord before, LeaderRecord onDisk, Remains remains, Timeouts timeouts, LeaseClock clock) {
        long monotonicNanos = clock.monotonicNanos();
        long bootNanos = clock.bootNanos();
        long sleptNanos = bootNanos - monotonicNanos - before.suspendedNanos();
        long sinceNanos =
                monotonicNanos - Duration.ofSeconds(onDisk.timestamp()).toNanos();
        long ageNanos = sinceNanos + sleptNanos;
        boolean otherRules = !HostName.watchdog(onDisk.resourceName()).equals(timeouts.watchdog());
        boolean impossible = sleptNanos < 0 || sinceNanos < 0 || ageNanos < 0;
        if (otherRules || impossible || onDisk.ioTimeoutSeconds() == 0) {
            return Optional.empty();
        }
        // What others grant us hangs on the T that stands on disk, which may be another than the configured one now.
        Duration granted = Timeouts.ofSeconds(onDisk.ioTimeoutSeconds()).renewalFailed();
        Duration wanted = timeouts.renewalFailed();
        boolean inTime = ageNanos < Math.min(granted.toNanos(), wanted.toNanos());
        return inTime ? Optional.of(new Continued(onDisk, bootNanos - ageNanos, remains)) : Optional.empty();
    }
}
