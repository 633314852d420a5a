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
    /** Slack for the two clocks not being read in the same instant. */
    long SUSPEND_SLACK_NANOS = Duration.ofMillis(500).toNanos();

    /**
     * The membership goes on under the same generation.
     *
     * @param record as it stands on disk
     * @param renewedNanos boot clock, when the predecessor began that renewal
     */
    record Continued(LeaderRecord record, long renewedNanos) implements Succession {}

    /** It is lost, and its users have not been proved gone. */
    record UsersFirst(Map<LeaseName, LeaseUse> users) implements Succession {}

    /** @param ownThisBoot id whose record is proved to be this boot's own, with nothing of that life left */
    record Anew(Optional<Long> ownThisBoot) implements Succession {}

    /**
     * @param area the lockspace as just read
     * @param before the predecessor's record, of this boot and this lease directory
     * @param usersGone the caller has proof that nothing of an earlier membership of this boot is left
     */
    static Succession decide(
            byte[] area,
            LeaseLayout layout,
            LeaseName lockspace,
            Timeouts timeouts,
            LeaseClock clock,
            Optional<LocalRecord> before,
            boolean usersGone) {
        if (before.isEmpty()) {
            return new Anew(Optional.empty());
        }
        Optional<LeaderRecord> still = stillOurs(area, layout, lockspace, before.get());
        if (still.isPresent() && !usersGone) {
            Optional<Succession> continued = inTime(before.get(), still.get(), timeouts, clock);
            if (continued.isPresent()) {
                return continued.get();
            }
        }
        if (!usersGone && !before.get().users().isEmpty() && !before.get().cleanStop()) {
            return new UsersFirst(before.get().users());
        }
        return new Anew(still.map(r -> r.owner().hostId()));
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

    private static Optional<Succession> inTime(
            LocalRecord before, LeaderRecord onDisk, Timeouts timeouts, LeaseClock clock) {
        long bootNanos = clock.bootNanos();
        long monotonicNanos = clock.monotonicNanos();
        long sleptNanos = bootNanos - monotonicNanos - before.suspendedNanos();
        long ageNanos = monotonicNanos - Duration.ofSeconds(onDisk.timestamp()).toNanos();
        boolean otherRules = !HostName.watchdog(onDisk.resourceName()).equals(timeouts.watchdog());
        if (otherRules || sleptNanos > SUSPEND_SLACK_NANOS || ageNanos < 0 || onDisk.ioTimeoutSeconds() == 0) {
            return Optional.empty();
        }
        // What others grant us hangs on the T that stands on disk, which may be another than the configured one now.
        Duration granted = Timeouts.ofSeconds(onDisk.ioTimeoutSeconds()).renewalFailed();
        Duration wanted = timeouts.renewalFailed();
        boolean inTime = ageNanos < Math.min(granted.toNanos(), wanted.toNanos());
        return inTime ? Optional.of(new Continued(onDisk, bootNanos - ageNanos)) : Optional.empty();
    }
}
