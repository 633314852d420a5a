/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A machine with a stock daemon: membership and life by sanlock's rules. Its watchdog bites 50 to 60 s after 8 T, with users or without,
 * unless the daemon has stopped all users first; a daemon that is killed has no successor before that.
 *
 * <p>It is never suspended: its timestamps, its patience and its watchdog's all go by a clock that stands still meanwhile.
 */
final class SimStock extends SimMachine {
    private static final LeaseName NO_RESOURCE = new LeaseName("none");
    private static final long SECOND = Duration.ofSeconds(1).toNanos();
    private static final long TICK_NANOS = Simulation.millis(500);

    /** From the join until the lockspace has failed and all users are gone. */
    final class Member {
        final Process process;
        final StockIo io = new StockIo(sim.timeouts.ioTimeout());
        final Duration limit = sim.timeouts.ioTimeout();
        final StockTable table = new StockTable();
        final Owner owner;
        private final Map<LeaseName, StockLease.Held> held = new TreeMap<>(Comparator.comparing(LeaseName::value));
        private final Map<LeaseName, Boolean> busy = new TreeMap<>(Comparator.comparing(LeaseName::value));
        boolean failed;
        private LeaderRecord last;
        private boolean certain = true;
        private boolean renewing;

        private Member(Process process, LeaderRecord joined) {
            this.process = process;
            this.last = joined;
            this.owner = joined.owner();
        }

        long now() {
            return clock.monotonicSeconds();
        }

        int ioTimeoutSeconds() {
            return sim.timeouts.ioTimeoutSeconds();
        }

        SplittableRandom random() {
            return sim.random;
        }

        void undoes(LeaseName resource, long lver) {
            sim.ledger.undone(owner, resource, lver);
        }

        boolean owns(LeaderRecord leader) {
            return !leader.isFree() && leader.holder().equals(owner);
        }

        /** Its users have no patience any more. */
        boolean isLeaving() {
            return sim.calm;
        }
    }

    private final long hostId;
    private @Nullable Member member;
    /** The watchdog counts. */
    private boolean armed;

    SimStock(Simulation sim, int number, long hostId) {
        super(sim, number);
        this.hostId = hostId;
    }

    @Override
    public String toString() {
        return "stock " + super.toString();
    }

    @Override
    boolean mayBeSuspended() {
        return false;
    }

    @Override
    boolean isGuarded() {
        return armed || super.isGuarded();
    }

    @Override
    void onPower() {
        armed = false;
        member = null;
        String name = boot.id + ".stock"; // a new one at each start
        join(new Process(), name);
    }

    @Override
    void onCrash() {
        member = null;
        armed = false;
    }

    @Override
    void onKill() {
        Member killed = member;
        if (killed != null) {
            sim.say(() -> this + "'s daemon is killed");
            killed.process.dead = true;
        }
    }

    /**
     * The leader names it, a late write having put an old version back, and its own ballots for the next one are beaten for ever by blocks
     * that are further: docs/simulation.md.
     */
    boolean isBeatenForEver(LeaseName resource) {
        Member now = member;
        if (now == null) {
            return false;
        }
        Optional<LeaderRecord> leader = sim.disk.leader(resource).filter(now::owns);
        return leader.isPresent()
                && sim.disk.highestLver(resource) > leader.get().lver() + 1
                && sim.disk
                        .block(resource, hostId)
                        .filter(block ->
                                block.lver() == leader.get().lver() + 1 && block.bal() == 0 && !block.released())
                        .isPresent();
    }

    // ---- join

    private void join(Process process, String name) {
        StockIo io = new StockIo(sim.timeouts.ioTimeout());
        Step<Optional<LeaderRecord>> machine = io.delta(
                hostId,
                record -> {
                    if (record.isFree() || record.resourceName().equals(name)) {
                        return claim(io, record, name);
                    }
                    long dead = StockTable.deadAfter(record.ioTimeoutSeconds(), sim.timeouts.ioTimeoutSeconds());
                    return new Step.Pause<>(
                            Duration.ofSeconds(dead),
                            () -> io.delta(
                                    hostId,
                                    now -> now.equals(record) || now.isFree()
                                            ? claim(io, now, name)
                                            : Step.end(Optional.empty()),
                                    () -> Step.end(Optional.empty())));
                },
                () -> Step.end(Optional.empty()));
        run(process, new Owner(hostId, 0), machine, NO_RESOURCE, joined -> {
            if (joined.isEmpty()) {
                process.later(4 * SECOND, () -> join(process, name));
                return;
            }
            Member now = new Member(process, joined.get());
            member = now;
            sim.ledger.joined(this, now.owner);
            sim.say(() -> this + " is member " + now.owner);
            armed = true;
            feed(now);
            watchFuse();
            renewLoop(now);
            watchDeadline(now, name);
            // A shared holder that has just joined is not seen by stock hosts: docs/interop.md.
            process.later(settleNanos(sim), () -> live(now));
        });
    }

    /** After this every live stock host has looked at the lockspace again, or is none any more. */
    static long settleNanos(Simulation sim) {
        return sim.timeouts.renewalFailed().toNanos() + 4 * SECOND;
    }

    private Step<Optional<LeaderRecord>> claim(StockIo io, LeaderRecord record, String name) {
        int theirs = record.ioTimeoutSeconds() == 0 ? sim.timeouts.ioTimeoutSeconds() : record.ioTimeoutSeconds();
        LeaderRecord written = record.edit()
                .timestamp(Math.max(1, clock.monotonicSeconds()))
                .ioTimeoutSeconds(sim.timeouts.ioTimeoutSeconds())
                .owner(new Owner(hostId, record.owner().generation() + 1))
                .hostName(name)
                .seal();
        return io.write(
                Step.Area.LOCKSPACE,
                StockIo.LAYOUT.deltaOffset(hostId),
                written.sector(StockIo.LAYOUT),
                sim.timeouts.ioTimeout(),
                () -> new Step.Pause<>(
                        Duration.ofSeconds(2L * theirs),
                        () -> io.delta(
                                hostId,
                                back -> Step.end(back.equals(written) ? Optional.of(written) : Optional.empty()),
                                () -> Step.end(Optional.empty()))),
                () -> Step.end(Optional.empty()));
    }

    // ---- renew

    private void feed(Member in) {
        long earlierNanos = SECOND * sim.random.nextInt(11);
        feed(Duration.ofSeconds(in.last.timestamp() + 8L * in.ioTimeoutSeconds())
                        .toNanos()
                - earlierNanos);
    }

    private void renewLoop(Member in) {
        in.process.later(TICK_NANOS, () -> {
            if (in.failed) {
                return;
            }
            if (in.now() - in.last.timestamp() < 2L * in.ioTimeoutSeconds()) {
                renewLoop(in);
                return;
            }
            in.process.later(TICK_NANOS, () -> renew(in));
        });
    }

    /** @param area as read, if it was */
    private record Renewal(Optional<byte[]> area, Optional<LeaderRecord> written, boolean corrupt) {}

    private void renew(Member in) {
        if (in.failed) {
            return;
        }
        in.renewing = true;
        Step<Renewal> machine = in.io.read(
                Step.Area.LOCKSPACE,
                0,
                StockIo.LAYOUT.areaBytes(),
                area -> onArea(in, area),
                () -> Step.end(new Renewal(Optional.empty(), Optional.empty(), false)));
        run(in.process, in.owner, machine, NO_RESOURCE, renewal -> {
            in.renewing = false;
            renewal.area().ifPresent(area -> in.table.update(area, in.now()));
            in.certain = renewal.written().isPresent();
            renewal.written().ifPresent(record -> {
                in.last = record;
                if (!in.failed) {
                    feed(in);
                }
            });
            if (renewal.corrupt()) {
                fail(in);
            }
            renewLoop(in);
        });
    }

    private Step<Renewal> onArea(Member in, byte[] area) {
        Decoded<LeaderRecord> decoded =
                LeaderRecord.decodeDelta(area, (int) StockIo.LAYOUT.deltaOffset(hostId), Simulation.LOCKSPACE);
        if (!(decoded instanceof Decoded.Valid<LeaderRecord> valid)
                || !valid.value().owner().equals(in.last.owner())
                || !valid.value().resourceName().equals(in.last.resourceName())
                || (in.certain && !valid.value().equals(in.last))) {
            return Step.end(new Renewal(Optional.of(area), Optional.empty(), true));
        }
        LeaderRecord next = valid.value()
                .edit()
                .timestamp(in.now())
                .ioTimeoutSeconds(in.ioTimeoutSeconds())
                .noEvent()
                .seal();
        return new Step.Write<>(
                Step.Area.LOCKSPACE,
                StockIo.LAYOUT.deltaOffset(hostId),
                next.sector(StockIo.LAYOUT),
                sim.timeouts.hostDead(),
                outcome -> Step.end(new Renewal(
                        Optional.of(area),
                        outcome instanceof IoOutcome.Done ? Optional.of(next) : Optional.empty(),
                        false)));
    }

    // ---- lose

    private void watchDeadline(Member in, String name) {
        in.process.later(SECOND, () -> {
            if (in.now() - in.last.timestamp() >= 8L * in.ioTimeoutSeconds()) {
                fail(in);
            }
            if (in.failed) {
                stopUsers(in, name);
            } else {
                watchDeadline(in, name);
            }
        });
    }

    private void fail(Member in) {
        if (!in.failed) {
            in.failed = true;
            sim.counts.lostMemberships++;
            sim.say(() -> this + "'s lockspace fails, " + in.owner);
        }
    }

    private void stopUsers(Member in, String name) {
        long leftNanos = Math.max(0, boot.fuseNanos - clock.bootNanos());
        long afterNanos = boot.uses.isEmpty() ? 0 : (long) (leftNanos * 1.1 * sim.random.nextDouble());
        in.process.later(afterNanos, () -> {
            List.copyOf(boot.uses.keySet()).forEach(this::stopUse);
            rejoin(in, name);
        });
    }

    private void rejoin(Member in, String name) {
        if (in.renewing || in.busy.containsValue(true)) {
            in.process.later(SECOND, () -> rejoin(in, name));
            return;
        }
        armed = false;
        member = null;
        join(in.process, name);
    }

    // ---- what its users do

    private void live(Member in) {
        if (in.failed) {
            return;
        }
        LeaseName resource = sim.resources.get(sim.random.nextInt(sim.resources.size()));
        if (!in.busy.getOrDefault(resource, false)) {
            StockLease.Held held = in.held.get(resource);
            if (held != null) {
                goOn(in, resource, held);
            } else if (sim.calm && sim.disk.leader(resource).filter(in::owns).isPresent()) {
                // It does not know; what an administrator does about it.
                acquire(in, resource, StockAcquire.Want.EXCLUSIVE);
            } else if (!sim.calm) {
                boolean shared = sim.random.nextDouble() < sim.scenario.sharedShare();
                acquire(in, resource, shared ? StockAcquire.Want.SHARED : StockAcquire.Want.EXCLUSIVE);
            }
        }
        long thinkNanos = (long) (sim.thinkNanos * 2 * sim.random.nextDouble());
        in.process.later(sim.calm ? TICK_NANOS : thinkNanos, () -> live(in));
    }

    private void goOn(Member in, LeaseName resource, StockLease.Held held) {
        int dice = sim.calm ? 0 : sim.random.nextInt(10);
        if (dice < 5) {
            stopUse(resource);
            StockLease lease = new StockLease(in, resource);
            Step<Boolean> release = held.mode() == LeaseMode.SHARED
                    ? lease.releaseShared(held, () -> Step.end(true))
                    : lease.releaseExclusive(held, () -> Step.end(true));
            operate(in, resource, release, done -> in.held.remove(resource));
        } else if (sim.scenario.sharedShare() > 0 && dice < 8) {
            sim.counts.converted++;
            if (held.mode() == LeaseMode.SHARED) {
                acquire(in, resource, StockAcquire.Want.UPGRADE);
            } else {
                use(resource, LeaseMode.SHARED, in.owner);
                operate(
                        in,
                        resource,
                        new StockLease(in, resource).downgrade(held, Step::end),
                        shared -> in.held.put(resource, shared));
            }
        }
    }

    private void acquire(Member in, LeaseName resource, StockAcquire.Want want) {
        StockAcquire machine = new StockAcquire(new StockLease(in, resource), want);
        operate(in, resource, machine.start(), result -> {
            result.ifPresent(held -> {
                in.held.put(resource, held);
                if (!in.failed) {
                    sim.counts.stockAcquires++;
                    use(resource, held.mode(), in.owner);
                }
            });
            if (result.isEmpty() && want == StockAcquire.Want.UPGRADE) {
                machine.lastBlock()
                        .ifPresent(block -> in.held.computeIfPresent(
                                resource, (key, held) -> new StockLease.Held(held.leader(), block)));
            }
        });
    }

    private <R> void operate(Member in, LeaseName resource, Step<R> machine, java.util.function.Consumer<R> then) {
        in.busy.put(resource, true);
        run(in.process, in.owner, machine, resource, result -> {
            in.busy.put(resource, false);
            sim.say(() -> this + " " + resource + ": " + result);
            then.accept(result);
        });
    }
}
