/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.engine.Hold.State;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosAcquire.Want;
import io.vmguard.lease.paxos.PaxosDowngrade;
import java.util.concurrent.CompletableFuture;

/** Holds on their way from shared to exclusive and back. Their user keeps shared mode at least, whatever comes of it. */
final class Conversions {
    private final Resources table;
    private final Operations io;

    Conversions(Resources table, Operations io) {
        this.table = table;
        this.io = io;
    }

    CompletableFuture<AcquireResult> convert(LeaseName resource, LeaseNote user, LeaseMode mode) {
        return table.withHold(resource, hold -> {
            if (hold == null || hold.state != State.HELD || !hold.users.contains(user)) {
                return CompletableFuture.completedFuture(new AcquireResult.CannotTell(
                        LeaseFault.NOT_OWNER, "this host does not hold it for that user now", false));
            }
            if (hold.mode == mode) {
                return CompletableFuture.completedFuture(new AcquireResult.Acquired(table.lease(hold)));
            }
            if (hold.users.size() > 1) {
                return CompletableFuture.completedFuture(table.heldByUs(hold));
            }
            hold.state = State.CONVERTING;
            CompletableFuture<AcquireResult> answer = new CompletableFuture<>();
            table.execute(
                    hold,
                    answer,
                    mode == LeaseMode.EXCLUSIVE ? () -> runUpgrade(hold, answer) : () -> runDowngrade(hold, answer, 0));
            return answer;
        });
    }

    private void runUpgrade(Hold hold, CompletableFuture<AcquireResult> answer) {
        PaxosAcquire.Result result = table.acquireOnDisk(hold, Want.UPGRADE);
        if (result instanceof PaxosAcquire.Result.Acquired acquired) {
            table.recorded(hold, acquired.held());
            table.settled(hold);
            answer.complete(new AcquireResult.Acquired(table.lease(hold)));
            table.writeNote(hold);
            return;
        }
        // Shared as before, but ballots of ours stand in the block now.
        hold.recordStale = true;
        if (result instanceof PaxosAcquire.Result.Held held) {
            table.settled(hold);
            answer.complete(table.heldBy(held));
            return;
        }
        PaxosAcquire.Result.Failed failed = (PaxosAcquire.Result.Failed) result;
        if (failed.mayHaveWon()) {
            open(hold);
            table.retry(hold, 0, () -> settleUpgrade(hold, 0));
        } else {
            table.settled(hold);
        }
        answer.complete(table.cannotTell(hold, failed));
    }

    /** Upgrades again, then back to shared: whatever the first attempt did, after this its user holds what it held before. */
    private void settleUpgrade(Hold hold, int tries) {
        PaxosAcquire.Result result = table.acquireOnDisk(hold, Want.UPGRADE);
        if (result instanceof PaxosAcquire.Result.Acquired acquired) {
            table.recorded(hold, acquired.held());
            runDowngrade(hold, new CompletableFuture<>(), 0);
        } else if (result instanceof PaxosAcquire.Result.Held) {
            table.settled(hold);
        } else {
            table.retry(hold, tries, () -> settleUpgrade(hold, tries + 1));
        }
    }

    private void runDowngrade(Hold hold, CompletableFuture<AcquireResult> answer, int tries) {
        PaxosDowngrade.Result result = io.run(
                hold.resource,
                context -> new PaxosDowngrade(context, hold.record()).start(),
                PaxosDowngrade.Result.Failed::new);
        if (result instanceof PaxosDowngrade.Result.Shared shared) {
            table.recorded(hold, shared.held());
            table.settled(hold);
            answer.complete(new AcquireResult.Acquired(table.lease(hold)));
            return;
        }
        PaxosDowngrade.Result.Failed failed = (PaxosDowngrade.Result.Failed) result;
        open(hold);
        answer.complete(new AcquireResult.CannotTell(
                failed.fault(), io.withFile(hold.resource, failed.fault(), failed.why()), true));
        table.retry(hold, tries, () -> runDowngrade(hold, answer, tries + 1));
    }

    /** Which mode it has is not known until it has been tried again. */
    private void open(Hold hold) {
        table.withHold(hold.resource, same -> hold.state = State.UNDETERMINED);
    }
}
