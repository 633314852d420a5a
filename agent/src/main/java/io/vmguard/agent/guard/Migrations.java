/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.migration.SourceSide;
import io.vmguard.agent.migration.TargetSide;
import io.vmguard.lease.LeaseTransfer;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Live migration, both ways: what {@link SourceSide} and {@link TargetSide} say is to be done, done. Where libvirt stands its status files
 * say, which come also while it hangs; its events are a second voice for the one thing that must not be late, that a guest runs.
 */
final class Migrations {
    private final GuardState state;
    private final Arrivals arrivals;
    private final Departures departures;
    private final PastDepartures past;
    private final Map<UUID, DomainStatus> statuses = new HashMap<>();

    /**
     * @param prepared called when a start that was refused can be granted after all: its leases will be given
     * @param refused called when it cannot
     * @param doom ends a run that must not go on
     * @param kill the same, at once
     */
    Migrations(
            GuardState state,
            LeaseTransfer transfer,
            Consumer<Run> prepared,
            BiConsumer<Run, StartAnswer> refused,
            Consumer<Run> doom,
            Consumer<Run> kill) {
        this.state = state;
        this.arrivals = new Arrivals(state, transfer, prepared, refused, doom);
        this.departures = new Departures(state, transfer, doom, kill);
        this.past = new PastDepartures(state, transfer);
    }

    /** libvirt's {@code migrate} hook: this domain is about to come. */
    StartAnswer expect(UUID uuid, String name) {
        if (state.shut || state.loop.closing()) {
            return new StartAnswer.CannotTell(Sentences.stopping(name));
        }
        if (!state.settings.liveMigration() && !state.settings.observe()) {
            return new StartAnswer.Refused(Sentences.noMigration(name));
        }
        if (!state.member() && !state.settings.observe()) {
            return new StartAnswer.CannotTell(
                    Sentences.notReady(name, state.lockspace.view().detail()));
        }
        arrivals.expect(uuid);
        return new StartAnswer.Granted("");
    }

    /** A start begins. */
    void begins(Run run) {
        run.arriving = arrivals.isExpected(run.uuid);
    }

    /**
     * Everything that an arriving run asked for is answered, and not all of it is held.
     *
     * @return whether more can be done: the run is decided again when it is
     */
    boolean prepare(Run run) {
        return run.arriving && run.incoming == null && arrivals.prepare(run);
    }

    /** Why a run that could have all its leases must not come all the same: nobody guards it where it comes from. */
    boolean isUnguarded(Run run) {
        return run.arriving && run.incoming == null && !state.settings.allowUnguardedMigration();
    }

    /** The live domain of a status file. */
    void status(DomainStatus status) {
        UUID uuid = status.domain().uuid();
        if (uuid != null) {
            statuses.put(uuid, status);
        }
    }

    void noStatus(String name) {
        statuses.values().removeIf(status -> status.domain().name().equals(name));
    }

    /** The hypervisor says that a guest runs. */
    void resumed(Run run) {
        arrivals.resumed(run);
        departures.resumed(run);
    }

    /** A continued membership: what an earlier agent was at. */
    void adopt() {
        arrivals.adopt();
    }

    /** Does what is due about runs that are over. */
    void settle(long nowNanos) {
        past.settleWhenDue(nowNanos);
    }

    /** Does what is due. */
    void act(Run run, long nowNanos) {
        @Nullable DomainStatus status = statuses.get(run.uuid);
        arrivals.act(run, status, nowNanos);
        explainStop(run);
        departures.act(run, status, nowNanos);
        Outgoing outgoing = run.outgoing;
        if (outgoing != null) {
            outgoing.postCopy = status != null && status.isFetched();
        }
    }

    /** Whether a run is on its way to another host, or has gone there. */
    boolean isLeaving(Run run) {
        DomainStatus status = statuses.get(run.uuid);
        return status != null && (status.migratesOut() || status.switchedOver());
    }

    /** Whether the guest of a run is on another host, or may be: it has not come from there, or has been sent. */
    boolean isElsewhere(Run run) {
        DomainStatus status = statuses.get(run.uuid);
        return (run.incoming != null && !Reception.hasGuest(run, run.incoming, status))
                || (run.outgoing != null && run.isBetweenHosts())
                || (status != null && status.switchedOver());
    }

    /** The membership is lost, and with it every word that was left for another host: what is under way goes on without this host's. */
    void lost(Run run) {
        if (run.outgoing != null && !run.isBetweenHosts()) {
            run.outgoing = null;
        }
    }

    /** A run has ended, or will not begin; its leases are about to be released. */
    void ended(Run run) {
        arrivals.ended(run);
        past.ended(run);
    }

    /** A run was found on whose leases somebody else sits. */
    void explain(Run run, Runnable conflict) {
        boolean seenWhole = !run.found && !run.carriedOver;
        if (!seenWhole && !run.explained && !run.isMigrating() && run.wanted.containsKey(run.channel())) {
            past.explain(run, conflict);
        } else {
            conflict.run();
        }
    }

    /** A run was found that has all its leases; it may have been stopped by an earlier agent while it had not. */
    private void explainStop(Run run) {
        boolean whole = run.phase == Phase.RUNNING && run.pending.isEmpty() && run.holds(run.channel());
        if (whole && run.foundStopped && !run.explained && !run.isMigrating()) {
            past.explain(run, () -> {});
        }
    }
}
