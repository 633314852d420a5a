/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.OnLockFailure;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.Lookup;
import io.vmguard.agent.process.QemuProcesses;
import java.time.Duration;
import java.util.UUID;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Finds the QEMU of each run, and the proof that it is gone. */
final class Endings {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final long LOOKUP_LATE_NANOS = Duration.ofMillis(500).toNanos();
    private static final long EARLY_NANOS = Duration.ofSeconds(10).toNanos();
    /** No list takes longer. */
    private static final long ENDED_NANOS = Duration.ofMinutes(5).toNanos();

    /** A QEMU appears within this order of time after its start was granted. */
    static final long LOOKUP_EARLY_NANOS = Duration.ofMillis(50).toNanos();

    private final GuardState state;
    private final QemuProcesses processes;
    private final LeaseClaims claims;
    private final Consumer<Run> beforeRelease;
    private final Consumer<Run> afterEnd;
    private final Consumer<Run> foundOne;

    /**
     * @param beforeRelease called when a run has ended, before what it holds is released
     * @param afterEnd called when a run has ended and its leases are on their way back
     * @param foundOne called when the process of a run is in hand
     */
    Endings(
            GuardState state,
            QemuProcesses processes,
            LeaseClaims claims,
            Consumer<Run> beforeRelease,
            Consumer<Run> afterEnd,
            Consumer<Run> foundOne) {
        this.state = state;
        this.processes = processes;
        this.claims = claims;
        this.beforeRelease = beforeRelease;
        this.afterEnd = afterEnd;
        this.foundOne = foundOne;
    }

    void hintEnd(UUID uuid) {
        Run run = state.runs.get(uuid);
        if (run != null) {
            hintEnd(run);
        }
    }

    /** Somebody says that it has ended: looks for the proof at once. */
    void hintEnd(Run run) {
        GuardedProcess process = run.process;
        if (process != null) {
            if (process.isGone()) {
                end(run);
            }
        } else if (run.phase == Phase.GRANTED && !run.endHinted) {
            run.endHinted = true;
            run.nextLookupNanos = state.clock.bootNanos();
            state.listWanted = true;
        }
    }

    /** Looks for the process if it is time to. */
    void lookWhenDue(Run run, long nowNanos) {
        boolean due = run.process == null && run.phase == Phase.GRANTED && nowNanos >= run.nextLookupNanos;
        if (due && !run.lookupUnderWay) {
            look(run);
        }
    }

    private void look(Run run) {
        run.lookupUnderWay = true;
        long askedNanos = state.clock.bootNanos();
        state.loop.lookUp(
                () -> {
                    Lookup lookup = processes.find(run.name, run.uuid);
                    boolean stopped = lookup instanceof Lookup.Found found
                            && found.process().isStopped();
                    state.loop.tell(() -> onLookup(run, lookup, stopped, askedNanos));
                },
                () -> onLookup(run, new Lookup.CannotTell("internal error"), false, askedNanos));
    }

    private void onLookup(Run run, Lookup lookup, boolean stopped, long askedNanos) {
        run.lookupUnderWay = false;
        long nowNanos = state.clock.bootNanos();
        boolean early = nowNanos - run.mayRunSinceNanos < EARLY_NANOS;
        run.nextLookupNanos = nowNanos + (early || run.doomed ? LOOKUP_EARLY_NANOS : LOOKUP_LATE_NANOS);
        if (lookup instanceof Lookup.Found found) {
            if (state.isOver(run) || run.process != null) {
                found.process().close();
                return;
            }
            run.process = found.process();
            run.on(RunLife.Event.FIND);
            run.foundStopped = stopped;
            foundOne.accept(run);
            LOG.info("VG-200 {} runs as pid {}", run, found.process().pid());
            boolean xmlMissing = run.onLockFailure.action() == OnLockFailure.Action.RESTART && run.xml == null;
            if (xmlMissing || !run.conflicts.isEmpty()) {
                state.listWanted = true; // its XML may be needed later; its age may matter now
            }
            found.process().onGone(() -> state.loop.tell(() -> onGone(run)));
        } else if (lookup instanceof Lookup.NotFound && !state.isOver(run) && run.phase == Phase.GRANTED) {
            // What an earlier agent took for it is known when its claims are answered, and not before.
            boolean inactive =
                    run.inactiveSinceNanos > run.mayRunSinceNanos && (!run.carriedOver || run.pending.isEmpty());
            if (inactive && askedNanos > run.inactiveSinceNanos) {
                // After the grant libvirt had no such domain, or there was no libvirt: no start of it was under way.
                // And there is no process either.
                end(run);
            } else if (run.found) {
                hintEnd(run); // listed, but without a process: one of the two is out of date
            }
        }
    }

    private void onGone(Run run) {
        if (!state.isOver(run)) {
            end(run);
        }
    }

    /** The proof is there: this run can write no more. */
    void end(Run run) {
        GuardedProcess process = run.process;
        LOG.info("VG-201 {} has ended{}", run, process == null ? "" : ": pid " + process.pid() + " is gone");
        if (process != null) {
            process.close();
        }
        boolean halted = run.halted;
        run.on(RunLife.Event.END);
        state.runs.remove(run.uuid, run);
        long nowNanos = state.clock.bootNanos();
        state.endedNanos.values().removeIf(ended -> nowNanos - ended > ENDED_NANOS);
        state.endedNanos.put(run.uuid, nowNanos);
        claims.giveUp(run);
        if (!run.leasesLost || halted) {
            beforeRelease.accept(run);
            claims.releaseAll(run); // what a halted run holds is of the next membership
        }
        afterEnd.accept(run);
    }

    /** Whether the previous run of a domain is over, its news still on the way. */
    boolean endedBefore(Run before) {
        GuardedProcess process = before.process;
        if (process != null && process.isGone()) {
            end(before);
            return true;
        }
        return false;
    }
}
