/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.paxos.PaxosWords;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.Step;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Function;

/**
 * The words that giver and receiver of a lease leave for each other. They change nothing about the lease, so they are under way beside
 * its operations; the words of one side are written by one caller, one after the other.
 */
final class TransferWords {
    private final Operations io;
    private final Executor threads;

    TransferWords(Operations io, Executor threads) {
        this.io = io;
        this.threads = threads;
    }

    CompletableFuture<TransferResult> look(LeaseName resource) {
        return run(resource, PaxosWords::look);
    }

    CompletableFuture<TransferResult> tell(LeaseName resource, long attempt, TransferWord.State state) {
        return run(resource, context -> PaxosWords.tell(context, attempt, state));
    }

    private CompletableFuture<TransferResult> run(
            LeaseName resource, Function<ResourceContext, Step<TransferResult>> machine) {
        CompletableFuture<TransferResult> answer = new CompletableFuture<>();
        try {
            threads.execute(() -> {
                try {
                    answer.complete(io.onFile(
                            resource,
                            false,
                            (file, context) -> io.drive(machine.apply(context), file),
                            TransferResult.CannotTell::new));
                } finally {
                    answer.complete(new TransferResult.CannotTell(LeaseFault.IO, "internal error"));
                }
            });
        } catch (RejectedExecutionException e) {
            answer.complete(new TransferResult.CannotTell(LeaseFault.NO_MEMBERSHIP, "the agent is stopping"));
        }
        return answer;
    }
}
