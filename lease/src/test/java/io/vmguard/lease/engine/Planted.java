/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.paxos.PaxosAcquire.Want;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.Optional;

/**
 * Protocol bugs that people make, each of which the simulation must find.
 *
 * <p>The shipping machines are not changed for it: what they read and write is tampered with on the way, or what is done around them is
 * done wrongly.
 */
enum Planted {
    NONE("no bug"),
    PHASE_2_UNCHECKED("a ballot does not look whether anybody overtook it in phase 2"),
    PROPOSAL_NOT_CARRIED_ON("a ballot proposes its own host although another proposal stands"),
    EARLIER_PROPOSAL_FORGOTTEN("a ballot wipes what an earlier life of its own host proposed"),
    JUDGED_BY_AN_OLDER_READ("the owner is judged by one read, the version counted by a later one"),
    DEAD_AFTER_8T("a silent owner is dead after 8 T"),
    AGE_FROM_THE_END("a renewal counts from the end of its write"),
    SLEEP_FORGOTTEN(
            "a successor takes the machine for awake since the last renewal if it was since the local record was written"),
    RESUMED_AFTER_EXPIRY("a successor goes on with a membership that has expired"),
    REJOINED_BESIDE_USERS("a successor takes the next generation while users of the last one live"),
    EXPIRED_MEANS_UNUSED("what is under way when a membership expires is struck off the local record, whoever uses it"),
    UNKNOWN_MEANS_NO("an acquire whose outcome is unknown is forgotten"),
    RELEASED_BEFORE_THE_USER_ENDS("a lease is released first and its user stopped then"),
    MARK_LOST_IN_CONVERSION("the ballots of a conversion do not keep the shared mark"),
    GIVER_GOES_ON("the giver of a hand-over uses the disk until it has given"),
    RECEIVER_BEGINS_EARLY("the receiver of a hand-over uses the disk before it has confirmed");

    final String what;

    Planted(String what) {
        this.what = what;
    }

    /** The machine of an acquire, or what is made of it. */
    <R> Step<R> acquire(Step<R> machine, Want want, long me) {
        return switch (this) {
            case PHASE_2_UNCHECKED -> Tampered.with(machine, new Tampered.WithoutRivals(me));
            case PROPOSAL_NOT_CARRIED_ON -> Tampered.with(machine, new Tampered.WithoutProposals(me));
            case EARLIER_PROPOSAL_FORGOTTEN -> Tampered.with(machine, new Tampered.WithoutMemory(me));
            case MARK_LOST_IN_CONVERSION ->
                want == Want.UPGRADE ? Tampered.with(machine, new Tampered.WithoutMark(me)) : machine;
            case JUDGED_BY_AN_OLDER_READ -> Tampered.judgedByAnOlderRead(machine);
            default -> machine;
        };
    }

    /** What an acquire knows. */
    ResourceContext knowing(ResourceContext context) {
        return this != DEAD_AFTER_8T
                ? context
                : new ResourceContext(
                        context.lockspace(),
                        context.resource(),
                        context.layout(),
                        context.usualHosts(),
                        context.timeouts(),
                        context.me(),
                        context.hosts(),
                        context.member(),
                        new Ahead(context.clock(), context.timeouts().watchdog()),
                        context.random());
    }

    private record Ahead(LeaseClock clock, Duration by) implements LeaseClock {
        @Override
        public long monotonicSeconds() {
            return clock.monotonicSeconds();
        }

        @Override
        public long monotonicNanos() {
            return clock.monotonicNanos();
        }

        @Override
        public long bootNanos() {
            return clock.bootNanos() + by.toNanos();
        }

        @Override
        public long wallSeconds() {
            return clock.wallSeconds();
        }
    }

    /** What a successor of a killed process does. */
    Succession succession(byte[] lockspace, Optional<LocalRecord> before, long nowNanos, Succession decided) {
        if (this == REJOINED_BESIDE_USERS && decided instanceof Succession.UsersFirst) {
            return new Succession.Anew(before.map(record -> record.owner().hostId()));
        }
        if (this == RESUMED_AFTER_EXPIRY && decided instanceof Succession.UsersFirst) {
            LocalRecord own = before.orElseThrow();
            Optional<LeaderRecord> still = JoinPlan.record(
                            lockspace,
                            Simulation.LAYOUT,
                            Simulation.LOCKSPACE,
                            own.owner().hostId())
                    .filter(record -> record.owner().equals(own.owner()));
            if (still.isPresent()) {
                return new Succession.Continued(still.get(), nowNanos, Remains.NONE);
            }
        }
        return decided;
    }

    /** What the local record says: how long the machine had slept by the last renewal. */
    long suspendedNanos(long atRenewal, LeaseClock now) {
        return this == SLEEP_FORGOTTEN ? now.suspendedNanos() : atRenewal;
    }

    long renewedNanos(long startedNanos, long endedNanos) {
        return this == AGE_FROM_THE_END ? endedNanos : startedNanos;
    }
}
