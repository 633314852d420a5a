/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.RemoveResult;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.RequestResult;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.engine.Hold.State;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosClear;
import io.vmguard.lease.paxos.PaxosRequest;
import io.vmguard.lease.paxos.ResourceContext;
import java.io.IOException;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/** What is done to resources other than using them: asking another holder for one, hearing what we are asked for, removing one. */
final class Requests {
    /** Who holds a lease that is being removed, for those who are refused it meanwhile. */
    private static final LeaseNote REMOVAL = new LeaseNote("(removal of the lease)", "", "", "", 0);

    private final Membership membership;
    private final Resources table;
    private final Operations io;
    private final Executor threads;

    Requests(Membership membership, Resources table, Operations io, Executor threads) {
        this.membership = membership;
        this.table = table;
        this.io = io;
        this.threads = threads;
    }

    CompletableFuture<RequestResult> request(LeaseName resource, RequestMode mode) {
        CompletableFuture<RequestResult> answer = new CompletableFuture<>();
        threads.execute(() -> answer.complete(runRequest(resource, mode)));
        return answer;
    }

    private RequestResult runRequest(LeaseName resource, RequestMode mode) {
        if (table.isInFlight(resource)) {
            return new RequestResult.CannotTell(
                    LeaseFault.TIMED_OUT, "a write of a killed agent of this host to this lease may still land");
        }
        PaxosRequest.Result result = io.onFile(
                resource,
                false,
                (file, context) -> io.drive(new PaxosRequest(context, mode).start(), file),
                (fault, why) -> fault == LeaseFault.MISSING
                        ? new PaxosRequest.Result.Refused(fault, why)
                        : new PaxosRequest.Result.Failed(fault, why));
        if (result instanceof PaxosRequest.Result.Asked asked) {
            membership.attend(asked.holder().hostId());
            return new RequestResult.Asked(asked.holder(), asked.lver());
        }
        if (result instanceof PaxosRequest.Result.Free) {
            return new RequestResult.Free();
        }
        if (result instanceof PaxosRequest.Result.Refused refused) {
            return new RequestResult.Refused(refused.fault(), io.withFile(resource, refused.fault(), refused.why()));
        }
        PaxosRequest.Result.Failed failed = (PaxosRequest.Result.Failed) result;
        return new RequestResult.CannotTell(failed.fault(), io.withFile(resource, failed.fault(), failed.why()));
    }

    /** Told of a request to give a lease of ours up. */
    interface OnRequest {
        void asked(LeaseName resource, RequestMode mode);
    }

    /** Another host says that it has something for us: looks at the request record of every lease that we hold. */
    void lookForRequests(OnRequest listener) {
        for (Hold hold : table.exclusive()) {
            hold.operations.execute(() -> lookForRequest(hold, listener));
        }
    }

    private void lookForRequest(Hold hold, OnRequest listener) {
        boolean held = table.withHold(hold.resource, same -> same == hold && hold.state == State.HELD);
        if (!held) {
            return;
        }
        long lver = hold.record().leader().lver();
        int force = io.onFile(
                hold.resource,
                false,
                (file, context) -> io.drive(PaxosRequest.asked(context, lver), file),
                (fault, why) -> 0);
        for (RequestMode mode : RequestMode.values()) {
            if (mode.code() == force) {
                listener.asked(hold.resource, mode);
            }
        }
    }

    CompletableFuture<RemoveResult> remove(LeaseName resource) {
        if (io.keepsPlaces()) {
            // A late commit of a host that lost a race would bring the old name back beside a new one.
            return CompletableFuture.completedFuture(new RemoveResult.Refused(
                    LeaseFault.RULES, "a lease on a device keeps its area for good: there is nothing to remove"));
        }
        Hold hold = new Hold(resource, LeaseMode.EXCLUSIVE, REMOVAL, State.ACQUIRING, threads);
        Optional<RemoveResult> refused = table.withHold(
                resource,
                existing -> existing != null
                        ? Optional.of(new RemoveResult.Refused(LeaseFault.NOT_OWNER, "this host holds it"))
                        : table.enter(hold)
                                .map(no -> (AcquireResult.CannotTell) no)
                                .map(no -> new RemoveResult.CannotTell(no.fault(), no.why())));
        if (refused.isPresent()) {
            return CompletableFuture.completedFuture(refused.get());
        }
        CompletableFuture<RemoveResult> answer = new CompletableFuture<>();
        // A bug on the way leaves the lease undetermined, as with every acquire.
        CompletableFuture<AcquireResult> failure = new CompletableFuture<>();
        failure.thenAccept(unknown -> {
            AcquireResult.CannotTell why = (AcquireResult.CannotTell) unknown;
            answer.complete(new RemoveResult.CannotTell(why.fault(), why.why()));
        });
        table.execute(
                hold,
                failure,
                () -> answer.complete(io.onFile(
                        resource,
                        false,
                        (file, context) -> remove(hold, file, context),
                        (fault, why) -> refused(hold, fault, why))));
        return answer;
    }

    /**
     * Takes the lease, makes it unusable, removes the file. In this order a host that has the old file open can never own a lease that
     * others cannot see: it finds the file cleared.
     */
    private RemoveResult remove(Hold hold, LeaseFile file, ResourceContext context) throws BlockingDriver.Closing {
        PaxosAcquire.Result result = io.drive(new PaxosAcquire(context).start(), file);
        if (result instanceof PaxosAcquire.Result.Held held) {
            return refused(
                    hold,
                    LeaseFault.NOT_OWNER,
                    "it is held by host id " + held.owner().hostId());
        }
        if (result instanceof PaxosAcquire.Result.Failed failed) {
            if (failed.mayHaveWon()) {
                table.undetermined(hold);
                return new RemoveResult.CannotTell(failed.fault(), failed.why());
            }
            return refused(hold, failed.fault(), failed.why());
        }
        PaxosAcquire.Result.Acquired acquired = (PaxosAcquire.Result.Acquired) result;
        Optional<RemoveResult> failed = io.drive(
                new PaxosClear(context, acquired.held())
                        .start(
                                Optional::empty,
                                (fault, why) -> Optional.of(new RemoveResult.CannotTell(fault, "clearing it: " + why))),
                file);
        if (failed.isPresent()) {
            table.undetermined(hold);
            return failed.get();
        }
        table.drop(hold);
        try {
            io.remove(hold.resource, file);
            return new RemoveResult.Removed();
        } catch (IOException e) {
            return new RemoveResult.CannotTell(
                    LeaseFault.IO, "it is cleared, but its file could not be removed: " + e.getMessage());
        }
    }

    private RemoveResult refused(Hold hold, LeaseFault fault, String why) {
        table.drop(hold);
        return new RemoveResult.Refused(fault, io.withFile(hold.resource, fault, why));
    }
}
