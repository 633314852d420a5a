/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosAcquire.Want;
import io.vmguard.lease.paxos.PaxosAdopt;
import io.vmguard.lease.paxos.PaxosDowngrade;
import io.vmguard.lease.paxos.PaxosReceive;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/** Finds out which of a predecessor's resources are held indeed, after a restart of the process under the same membership. */
final class Adoption {
    private final Resources table;
    private final Transfers transfers;
    private final Operations io;

    Adoption(Resources table, Transfers transfers, Operations io) {
        this.table = table;
        this.transfers = transfers;
        this.io = io;
    }

    /**
     * Does not wait for the outcome: one file that hangs holds up no other.
     *
     * @param mayChange those that a killed predecessor may still change, whoever has them: untouched until it is gone
     */
    void begin(Map<LeaseName, LeaseUse> users, Set<LeaseName> mayChange, CompletableFuture<Void> predecessorGone) {
        List<Hold> unknown = table.inherit(users, mayChange);
        unknown.stream().filter(hold -> !mayChange.contains(hold.resource)).forEach(this::ask);
        predecessorGone.thenRun(() -> {
            table.predecessorGone();
            unknown.stream().filter(hold -> mayChange.contains(hold.resource)).forEach(this::ask);
        });
    }

    private void ask(Hold hold) {
        hold.operations.execute(() -> run(hold, 0));
    }

    private void run(Hold hold, int tries) {
        PaxosAdopt.Result result =
                io.run(hold.resource, context -> new PaxosAdopt(context).start(), PaxosAdopt.Result.Failed::new);
        if (result instanceof PaxosAdopt.Result.Held held) {
            table.carriedOver(hold, held.held());
        } else if (result instanceof PaxosAdopt.Result.Overwritten overwritten) {
            table.carriedOverUnseen(hold, overwritten.held());
        } else if (result instanceof PaxosAdopt.Result.Proposed) {
            runProposed(hold, tries);
        } else if (result instanceof PaxosAdopt.Result.HalfReleased half) {
            if (half.held().mode() == LeaseMode.SHARED) {
                // Whatever the local record says: a user that lives counts on the mark.
                table.recorded(hold, half.held());
                runShared(hold, 0);
            } else {
                table.undetermined(hold); // a release is asked for only when the user is gone
            }
        } else if (result instanceof PaxosAdopt.Result.Unconfirmed unconfirmed) {
            runGiven(hold, unconfirmed.leader().writer(), tries);
        } else if (result instanceof PaxosAdopt.Result.Given given) {
            transfers.givenBefore(hold, given.receiver());
        } else if (result instanceof PaxosAdopt.Result.NotHeld) {
            table.forget(hold);
        } else {
            table.retry(hold, tries, () -> run(hold, tries + 1));
        }
    }

    /**
     * The predecessor died in the middle of an acquire, or it held this and the late write of somebody shows an older version: its user
     * may live. A ballot tells whether it is ours, and puts the leader right. Whoever finds that there is no user gives it back.
     */
    private void runProposed(Hold hold, int tries) {
        Want want = hold.mode == LeaseMode.SHARED ? Want.SHARED : Want.EXCLUSIVE;
        PaxosAcquire.Result result = table.acquireOnDisk(hold, want);
        if (result instanceof PaxosAcquire.Result.Acquired acquired) {
            table.carriedOver(hold, acquired.held());
        } else if (result instanceof PaxosAcquire.Result.Held) {
            table.forget(hold);
        } else {
            table.retry(hold, tries, () -> run(hold, tries + 1));
        }
    }

    /**
     * The predecessor died after it was given to us, or given back, and before it said that it knew: its user may have begun meanwhile,
     * as a domain does whose migration went on without the agent. Whoever finds that there is none gives it back.
     */
    private void runGiven(Hold hold, Owner giver, int tries) {
        PaxosReceive.Result result = io.run(
                hold.resource, context -> new PaxosReceive(context, giver).confirm(), PaxosReceive.Result.Failed::new);
        if (result instanceof PaxosReceive.Result.Confirmed confirmed) {
            table.carriedOver(hold, confirmed.held());
        } else if (result instanceof PaxosReceive.Result.NotOurs) {
            table.forget(hold);
        } else {
            table.retry(hold, tries, () -> run(hold, tries + 1));
        }
    }

    /** The predecessor died on the way to or from shared mode; its user may live and counts on shared mode at least. */
    private void runShared(Hold hold, int tries) {
        PaxosDowngrade.Result result = io.run(
                hold.resource,
                context -> new PaxosDowngrade(context, hold.record()).start(),
                PaxosDowngrade.Result.Failed::new);
        if (result instanceof PaxosDowngrade.Result.Shared shared) {
            table.carriedOver(hold, shared.held());
        } else {
            table.retry(hold, tries, () -> runShared(hold, tries + 1));
        }
    }
}
