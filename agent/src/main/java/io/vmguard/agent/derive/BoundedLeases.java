/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Derives within a time, whatever the storage does: an image on a dead server makes every look at it hang, unkillably. What does not
 * come in time is refused, and never known by a weaker name.
 */
public final class BoundedLeases implements StorageLeases {

    private final StorageLeases leases;
    private final ExecutorService threads;
    private final Duration limit;

    /** @param threads may be lost to storage that hangs, so their number must be bounded; full means refused */
    public BoundedLeases(StorageLeases leases, ExecutorService threads, Duration limit) {
        this.leases = leases;
        this.threads = threads;
        this.limit = limit;
    }

    @Override
    public Derivation derive(DomainSpec domain) {
        return within("disks", () -> leases.derive(domain));
    }

    @Override
    public Derivation disk(DiskSpec disk) {
        return within(disk.target(), () -> leases.disk(disk));
    }

    @Override
    public Derivation image(String target, DiskSource source, LeaseMode mode) {
        return within(target, () -> leases.image(target, source, mode));
    }

    private Derivation within(String target, Callable<Derivation> look) {
        try {
            Future<Derivation> future = threads.submit(look);
            return future.get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            return refused(target, "its storage has not answered for " + limit.toSeconds() + " s");
        } catch (RejectedExecutionException e) {
            return refused(target, "earlier looks at storage still wait for an answer");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return refused(target, "the agent is stopping");
        } catch (ExecutionException e) {
            return refused(target, "internal error: " + e.getCause());
        }
    }

    private static Derivation refused(String target, String reason) {
        return new Derivation(List.of(), List.of(), List.of(new Refusal(target, reason)));
    }
}
