/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUpkeep;
import io.vmguard.lease.RemoveResult;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.RequestResult;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** Removes whatever it is told to, unless the test has laid down another answer. Any thread. */
public final class FakeUpkeep implements LeaseUpkeep {
    private final List<LeaseName> removed = new ArrayList<>();
    private final Map<LeaseName, RemoveResult> answers = new HashMap<>();

    /** What comes of removing this one. */
    public synchronized void answer(LeaseName resource, RemoveResult result) {
        answers.put(resource, result);
    }

    /** In the order they were asked for. */
    public synchronized List<LeaseName> removed() {
        return List.copyOf(removed);
    }

    @Override
    public CompletableFuture<RequestResult> request(LeaseName resource, RequestMode mode) {
        return CompletableFuture.completedFuture(
                new RequestResult.Refused(LeaseFault.NOT_OWNER, "nobody is asked for anything here"));
    }

    @Override
    public CompletableFuture<Boolean> writeDown(LeaseName resource) {
        return CompletableFuture.completedFuture(true);
    }

    @Override
    public synchronized CompletableFuture<RemoveResult> remove(LeaseName resource) {
        removed.add(resource);
        return CompletableFuture.completedFuture(answers.getOrDefault(resource, new RemoveResult.Removed()));
    }
}
