/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.AreaPool;
import io.vmguard.lease.device.AreaPool.Found;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.LeaseStore.Opened;
import io.vmguard.lease.paxos.HeldRecord;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosName;
import io.vmguard.lease.paxos.PaxosRelease;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.random.RandomGenerator;

/**
 * Gives areas of a device to resources, one at a time: among the hosts by the lease {@link AreaPool#NAMES}, within this one by turns.
 *
 * <pre>
 *   acquire NAMES                        an ordinary exclusive lease: who dies with it is waited for like any other
 *     the name stands somewhere?         looked for again, now that nobody else gives names
 *     the first free area gets it        one sector, at once or not at all
 *   release NAMES                        or, if that fails, again and again while the membership lasts
 * </pre>
 */
final class AreaNaming {
    /** Longer than many names take that others give; a host that died with the lease takes longer, and callers come again. */
    private static final int PATIENCE_IO_TIMEOUTS = 2;

    private static final int LONGEST_PAUSE_MILLIS = 200;

    private final Membership membership;
    private final LeaseStore store;
    private final LeaseClock clock;
    private final RandomGenerator random;
    private final BlockingDriver driver;
    private final ExecutorService threads;
    private final ScheduledExecutorService timer;
    private final Semaphore turn = new Semaphore(1, true);
    private final AtomicInteger underWay = new AtomicInteger();
    private volatile boolean inFlight;

    AreaNaming(
            Membership membership,
            LeaseStore store,
            LeaseClock clock,
            RandomGenerator random,
            BlockingDriver driver,
            ExecutorService threads,
            ScheduledExecutorService timer) {
        this.membership = membership;
        this.store = store;
        this.clock = clock;
        this.random = random;
        this.driver = driver;
        this.threads = threads;
        this.timer = timer;
    }

    /** Whether no I/O of it can land any more. */
    boolean idle() {
        return underWay.get() == 0;
    }

    /**
     * Sees to it that a resource has an area. Blocks as long as the storage does, and for others who give names.
     *
     * @return why it has none
     */
    Optional<Opened.Refused> give(LeaseName resource) {
        if (inFlight) {
            return busy("an agent of this host that was killed may still write a name");
        }
        long untilNanos = clock.bootNanos()
                + membership
                        .timeouts
                        .ioTimeout()
                        .multipliedBy(PATIENCE_IO_TIMEOUTS)
                        .toNanos();
        underWay.incrementAndGet();
        try {
            if (!turn.tryAcquire(untilNanos - clock.bootNanos(), TimeUnit.NANOSECONDS)) {
                return busy("other leases of this host are given theirs");
            }
            try {
                return giveInTurn(resource, untilNanos);
            } finally {
                turn.release();
            }
        } catch (BlockingDriver.Closing | InterruptedException e) {
            return refused(LeaseFault.NO_MEMBERSHIP, "the agent is stopping");
        } finally {
            underWay.decrementAndGet();
        }
    }

    private Optional<Opened.Refused> giveInTurn(LeaseName resource, long untilNanos) throws BlockingDriver.Closing {
        Opened opened = openNames();
        if (opened instanceof Opened.Refused refused) {
            return Optional.of(refused);
        }
        try (LeaseFile names = ((Opened.Ready) opened).file()) {
            while (true) {
                PaxosAcquire.Result result = acquire(names);
                if (result instanceof PaxosAcquire.Result.Acquired acquired) {
                    return underLease(resource, names, acquired.held());
                }
                if (!isPassing(result) || clock.bootNanos() >= untilNanos) {
                    return explain(result);
                }
                driver.pause(Duration.ofMillis(random.nextInt(1, LONGEST_PAUSE_MILLIS)));
            }
        }
    }

    /** Another host gives names just now. One that is silent is not waited for: it may take minutes until it is known to be dead. */
    private static boolean isPassing(PaxosAcquire.Result result) {
        return result instanceof PaxosAcquire.Result.Held held
                ? held.status() == HostStatus.LIVE || held.status() == HostStatus.UNKNOWN
                : result instanceof PaxosAcquire.Result.Failed failed
                        && failed.fault() == LeaseFault.LOST_RACE
                        && !failed.mayHaveWon();
    }

    private Optional<Opened.Refused> explain(PaxosAcquire.Result result) {
        if (result instanceof PaxosAcquire.Result.Held held) {
            return busy("host id " + held.owner().hostId() + " gives areas to leases");
        }
        PaxosAcquire.Result.Failed failed = (PaxosAcquire.Result.Failed) result;
        if (failed.mayHaveWon()) {
            settle();
        }
        return refused(failed.fault(), store.path(AreaPool.NAMES) + ": " + failed.why());
    }

    private Optional<Opened.Refused> underLease(LeaseName resource, LeaseFile names, HeldRecord held)
            throws BlockingDriver.Closing {
        try {
            return name(resource);
        } finally {
            if (release(names, held) instanceof PaxosRelease.Result.Failed) {
                settle();
            }
        }
    }

    private Optional<Opened.Refused> name(LeaseName resource) throws BlockingDriver.Closing {
        Found found = store.pool().orElseThrow().find(resource, membership.layout.areaBytes());
        if (found instanceof Found.Named) {
            return Optional.empty();
        }
        if (found instanceof Found.Refused refused) {
            return refused(refused.fault(), refused.why());
        }
        Found.Free free = (Found.Free) found;
        try (LeaseFile area = free.file()) {
            PaxosName.Result result = drive(new PaxosName(context(free.standIn()), resource).start(), area);
            if (result instanceof PaxosName.Result.Failed failed) {
                if (failed.unknown()) {
                    // What was reported failed may yet be carried out: nobody gives this area away before that is past.
                    driver.pause(membership.timeouts.ioTimeout());
                }
                return refused(failed.fault(), store.path(resource) + ": giving it an area: " + failed.why());
            }
            return Optional.empty();
        }
    }

    // ---- the lease on names

    /**
     * After a restart: a predecessor may have died while it gave a name.
     *
     * @param mayChange a killed one may still change the names, so none is given before it is gone. Other hosts give none either: the
     *     lease on names is this membership's until it is settled
     */
    void settle(boolean mayChange, CompletableFuture<Void> predecessorGone) {
        inFlight = mayChange;
        if (!mayChange) {
            settle();
            return;
        }
        predecessorGone.thenRun(() -> {
            inFlight = false;
            settle();
        });
    }

    /**
     * Whatever became of the lease on names: acquires it again and gives it back, until that has succeeded or the membership is over.
     * A host that went on holding it, unaware, would keep all others from giving names for as long as it lives.
     */
    private void settle() {
        if (store.pool().isPresent()) {
            underWay.incrementAndGet();
            runSettle();
        }
    }

    private void runSettle() {
        try {
            threads.execute(() -> {
                boolean settled = true;
                try {
                    settled = !membership.inTime() || !turn.tryAcquire() ? !membership.inTime() : settleInTurn();
                } finally {
                    if (settled) {
                        underWay.decrementAndGet();
                    } else {
                        timer.schedule(
                                this::runSettle, membership.timeouts.ioTimeout().toMillis(), TimeUnit.MILLISECONDS);
                    }
                }
            });
        } catch (RejectedExecutionException e) {
            underWay.decrementAndGet(); // the engine is closed
        }
    }

    private boolean settleInTurn() {
        try {
            return openNames()
                    .fold(
                            ready -> {
                                try (LeaseFile names = ready.file()) {
                                    return settled(names);
                                }
                            },
                            (fault, why) -> false);
        } finally {
            turn.release();
        }
    }

    private boolean settled(LeaseFile names) {
        try {
            PaxosAcquire.Result result = acquire(names);
            return result instanceof PaxosAcquire.Result.Acquired acquired
                    ? !(release(names, acquired.held()) instanceof PaxosRelease.Result.Failed)
                    : result instanceof PaxosAcquire.Result.Held;
        } catch (BlockingDriver.Closing e) {
            return true;
        }
    }

    private Opened openNames() {
        return store.open(AreaPool.NAMES, membership.layout.areaBytes(), () -> new byte[0], false);
    }

    private PaxosAcquire.Result acquire(LeaseFile names) throws BlockingDriver.Closing {
        return drive(new PaxosAcquire(context(AreaPool.NAMES)).start(), names);
    }

    private PaxosRelease.Result release(LeaseFile names, HeldRecord held) throws BlockingDriver.Closing {
        return drive(new PaxosRelease(context(AreaPool.NAMES), held).start(), names);
    }

    private <R> R drive(Step<R> machine, LeaseFile file) throws BlockingDriver.Closing {
        return driver.run(machine, membership.file, file);
    }

    private ResourceContext context(LeaseName resource) {
        return membership.context(resource, clock, random);
    }

    private static Optional<Opened.Refused> busy(String who) {
        return refused(
                LeaseFault.LOST_RACE, "it has no area on the device yet, and at this moment " + who + ": try again");
    }

    private static Optional<Opened.Refused> refused(LeaseFault fault, String why) {
        return Optional.of(new Opened.Refused(fault, why));
    }
}
