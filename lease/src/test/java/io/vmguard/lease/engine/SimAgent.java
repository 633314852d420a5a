/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import io.vmguard.lease.delta.Callers;
import io.vmguard.lease.delta.DeltaJoin;
import io.vmguard.lease.delta.DeltaRenewal;
import io.vmguard.lease.ondisk.HostName;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One process of the agent, as far as the membership goes: what {@link MembershipLife} and {@link Joiner} do around the machines, without
 * their threads.
 */
final class SimAgent {
    private static final LeaseName NO_RESOURCE = new LeaseName("none");
    private static final long RETRY_JOIN_NANOS = Duration.ofSeconds(2).toNanos();
    private static final long RETRY_RENEWAL_NANOS = Duration.ofSeconds(1).toNanos();
    private static final int DEADLINE_TICK_MILLIS = 100;

    final SimHost host;
    final Simulation sim;
    final SimMachine.Process process;

    private @Nullable Membership membership;
    private boolean entered;
    /** Hosts that are gone for good keep their ids. */
    private boolean noIdLeft;

    private @Nullable SimLeases leases;
    private @Nullable Callers callers;

    SimAgent(SimHost host) {
        this.host = host;
        this.sim = host.sim;
        this.process = host.new Process();
    }

    void start() {
        attempt(false);
    }

    boolean isMember() {
        Membership now = membership;
        return entered && now != null && now.inTime();
    }

    boolean hasNoId() {
        return noIdLeft;
    }

    Optional<SimLeases> leases() {
        return isMember() ? Optional.ofNullable(leases) : Optional.empty();
    }

    // ---- machines

    /** Runs a machine to its end. */
    <R> void run(Owner writer, Step<R> step, LeaseName resource, Consumer<R> end) {
        host.run(process, writer, step, resource, end);
    }

    // ---- join

    /** @param usersGone nothing of an earlier membership of this boot is left */
    private void attempt(boolean usersGone) {
        Step<IoOutcome> look = new Step.Read<>(
                Step.Area.LOCKSPACE, 0, Simulation.LAYOUT.areaBytes(), sim.timeouts.ioTimeout(), Step::end);
        run(new Owner(0, 0), look, NO_RESOURCE, outcome -> {
            if (!(outcome instanceof IoOutcome.Done done)
                    || LeaderRecord.at(done.bytes(), 0).magic() != LeaderRecord.DELTA_MAGIC) {
                process.later(RETRY_JOIN_NANOS, () -> attempt(usersGone));
                return;
            }
            onLook(done.bytes(), usersGone);
        });
    }

    private void onLook(byte[] area, boolean usersGone) {
        Optional<LocalRecord> before = Optional.ofNullable(host.boot.record);
        Succession succession = sim.planted.succession(
                area,
                before,
                host.clock.bootNanos(),
                Succession.decide(
                        area,
                        Simulation.LAYOUT,
                        Simulation.LOCKSPACE,
                        sim.timeouts,
                        host.clock,
                        before,
                        Remains.NONE,
                        usersGone));
        if (succession instanceof Succession.Continued continued) {
            sim.counts.resumes++;
            LocalRecord left = before.orElseThrow();
            Membership resumed = membership(continued.record(), continued.renewedNanos(), left.suspendedNanos());
            enter(resumed, left.users(), true);
        } else if (succession instanceof Succession.UsersFirst) {
            stopUsers(() -> attempt(true));
        } else {
            joinAnew(area, ((Succession.Anew) succession).ownThisBoot(), new HashSet<>());
        }
    }

    private void joinAnew(byte[] area, Optional<Long> ownThisBoot, Set<Long> excluded) {
        Optional<JoinPlan> plan = JoinPlan.choose(
                area,
                Simulation.LAYOUT,
                Simulation.MAX_HOSTS,
                Simulation.LOCKSPACE,
                host.forcedId > 0 ? Optional.of(host.forcedId) : Optional.empty(),
                ownThisBoot,
                host.remembered,
                excluded,
                sim.random);
        noIdLeft = plan.isEmpty();
        if (noIdLeft) {
            process.later(RETRY_JOIN_NANOS, () -> attempt(true));
            return;
        }
        long id = plan.get().hostId();
        long suspendedNanos = host.clock.suspendedNanos();
        DeltaJoin machine = new DeltaJoin(
                Simulation.LOCKSPACE,
                Simulation.LAYOUT,
                sim.timeouts,
                host.clock,
                id,
                hostName(),
                plan.get().entry());
        run(new Owner(id, 0), machine.start(), NO_RESOURCE, result -> {
            if (result instanceof DeltaJoin.Result.Joined joined) {
                Membership anew = membership(joined.record(), joined.startedNanos(), suspendedNanos);
                host.boot.record = record(anew, Map.of());
                host.remembered = Optional.of(RememberedHostId.of("", joined.record()));
                enter(anew, Map.of(), false);
            } else if (result instanceof DeltaJoin.Result.Busy && host.forcedId == 0) {
                excluded.add(id);
                joinAnew(area, ownThisBoot, excluded);
            } else {
                process.later(RETRY_JOIN_NANOS, () -> attempt(true));
            }
        });
    }

    private String hostName() {
        return HostName.of(
                String.format(Locale.ROOT, "%08x", host.number),
                String.format(Locale.ROOT, "%08x", host.boot.id.hashCode()),
                sim.timeouts.watchdog(),
                "node" + host.number);
    }

    private Membership membership(LeaderRecord record, long renewedNanos, long suspendedNanos) {
        return new Membership(
                Simulation.LOCKSPACE,
                Simulation.LAYOUT,
                Simulation.MAX_HOSTS,
                sim.timeouts,
                NoFile.INSTANCE,
                host.clock,
                record,
                renewedNanos,
                suspendedNanos);
    }

    private LocalRecord record(Membership of, Map<LeaseName, LeaseUse> users) {
        return new LocalRecord(
                host.boot.id,
                "",
                of.owner,
                of.record().resourceName(),
                sim.planted.suspendedNanos(of.suspendedNanos(), host.clock),
                false,
                users);
    }

    void writeRecord(Membership of, Map<LeaseName, LeaseUse> users) {
        host.boot.record = record(of, users);
    }

    /** One renewal at once, as a proof and for a first look at the others. */
    private void enter(Membership in, Map<LeaseName, LeaseUse> users, boolean resumed) {
        membership = in;
        entered = false;
        leases = new SimLeases(this, in);
        callers = new Callers(Simulation.LAYOUT, sim.timeouts, in.owner.hostId());
        host.feed(in.deadlineNanos());
        sim.ledger.joined(host, in.owner);
        watchDeadline(in);
        renewOnce(in, renewed -> {
            if (!renewed || !in.inTime()) {
                lose(in);
                stopUsers(() -> afterLoss(in));
                return;
            }
            entered = true;
            sim.say(() -> host + " is member " + in.owner + (resumed ? ", resumed" : ""));
            if (resumed) {
                leases.adopt(users);
            }
            renewLoop(in);
            leases.live();
        });
    }

    // ---- renew

    private void renewLoop(Membership in) {
        if (in.isLost()) {
            return;
        }
        long dueNanos = sim.timeouts.renewalInterval().toNanos() - in.ageNanos();
        process.later(dueNanos > 0 ? dueNanos : RETRY_RENEWAL_NANOS, () -> {
            if (!in.isLost()) {
                renewOnce(in, renewed -> renewLoop(in));
            }
        });
    }

    private void renewOnce(Membership in, Consumer<Boolean> then) {
        long askedNanos = host.clock.bootNanos();
        long suspendedNanos = host.clock.suspendedNanos();
        DeltaRenewal machine = new DeltaRenewal(
                Simulation.LOCKSPACE,
                Simulation.LAYOUT,
                sim.timeouts,
                host.clock,
                in.record(),
                in.recordCertain(),
                in.deadlineNanos(),
                in.attention());
        SimLeases of = leases;
        of.begin();
        run(in.owner, machine.start(), NO_RESOURCE, result -> {
            of.end();
            result.area().ifPresent(area -> look(in, area, askedNanos));
            then.accept(onRenewal(in, result, suspendedNanos));
        });
    }

    private boolean onRenewal(Membership in, DeltaRenewal.Result result, long suspendedNanos) {
        if (result instanceof DeltaRenewal.Result.Renewed renewed) {
            long countsFromNanos = sim.planted.renewedNanos(renewed.startedNanos(), host.clock.bootNanos());
            if (!in.renewed(renewed.record(), countsFromNanos, suspendedNanos)) {
                loseNow(in);
                return false;
            }
            host.feed(in.deadlineNanos());
            if (sim.random.nextInt(8) > 0) {
                host.remembered = Optional.of(RememberedHostId.of("", renewed.record()));
            }
            return true;
        }
        in.renewalFailed();
        if (result instanceof DeltaRenewal.Result.Lost) {
            loseNow(in);
            return false;
        }
        return !in.isLost();
    }

    private void look(Membership in, byte[] area, long askedNanos) {
        long nowNanos = host.clock.bootNanos();
        in.hosts.update(area, askedNanos, nowNanos);
        if (entered && callers.call(area, in.hosts, nowNanos)) {
            leases.lookForRequests();
        }
    }

    // ---- lose

    private void watchDeadline(Membership in) {
        if (in.isLost()) {
            return;
        }
        if (!in.inTime()) {
            loseNow(in);
            return;
        }
        long leftNanos = in.deadlineNanos() - host.clock.bootNanos();
        process.later(leftNanos + Simulation.millis(sim.random.nextInt(DEADLINE_TICK_MILLIS)), () -> watchDeadline(in));
    }

    private boolean lose(Membership in) {
        if (!in.lose()) {
            return false;
        }
        sim.counts.lostMemberships++;
        sim.say(() -> host + " loses membership " + in.owner);
        sim.ledger.handOversEnd(host);
        return true;
    }

    private void loseNow(Membership in) {
        boolean wasEntered = entered;
        if (lose(in) && wasEntered) {
            entered = false;
            stopUsers(() -> afterLoss(in));
        }
    }

    /** Some time before the watchdog bites, or too late. */
    private void stopUsers(Runnable then) {
        if (host.boot.uses.isEmpty()) {
            then.run();
            return;
        }
        long leftNanos = Math.max(0, host.boot.fuseNanos - host.clock.bootNanos());
        process.later((long) (leftNanos * 1.1 * sim.random.nextDouble()), () -> {
            Set.copyOf(host.boot.uses.keySet()).stream().sorted(BY_NAME).forEach(host::stopUse);
            then.run();
        });
    }

    private static final java.util.Comparator<LeaseName> BY_NAME = java.util.Comparator.comparing(LeaseName::value);

    /** No new membership while an I/O of the old one may still land. */
    private void afterLoss(Membership in) {
        if (leases != null && !leases.idle()) {
            process.later(Simulation.millis(DEADLINE_TICK_MILLIS), () -> afterLoss(in));
            return;
        }
        attempt(true);
    }
}
