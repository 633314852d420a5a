/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Daemon threads for calls that may hang, at most a given number of them. An abandoned call keeps its thread until it
 * returns; a JNA call cannot be interrupted.
 */
final class BoundedCalls {

    /** A thread without work goes after this time; most hosts destroy nothing for months. */
    private static final long IDLE_SECONDS = 60;

    private final ThreadPoolExecutor threads;

    /** What a thread is to do. */
    @FunctionalInterface
    interface Body<T> {
        T run(Call call) throws LibvirtFailure;
    }

    /** A call under way, which more than one thread may wait for. */
    record Pending<T>(String what, Call call, Future<T> answer) {

        /**
         * Waits for the answer. When the limit is over, the call is abandoned.
         *
         * @throws LibvirtFailure if libvirt refused, or did not answer in time
         */
        T await(Duration limit) throws LibvirtFailure {
            try {
                return answer.get(limit.toNanos(), TimeUnit.NANOSECONDS);
            } catch (TimeoutException e) {
                call.abandon();
                throw LibvirtFailure.local(what + ": no answer from libvirt within " + limit.toMillis() + " ms");
            } catch (InterruptedException e) {
                call.abandon();
                Thread.currentThread().interrupt();
                throw LibvirtFailure.local(what + ": interrupted while waiting for libvirt");
            } catch (ExecutionException e) {
                if (e.getCause() instanceof LibvirtFailure failure) {
                    throw failure;
                }
                throw new IllegalStateException(what, e.getCause());
            }
        }
    }

    BoundedCalls(String name, int maxThreads) {
        AtomicInteger number = new AtomicInteger();
        threads = new ThreadPoolExecutor(0, maxThreads, IDLE_SECONDS, TimeUnit.SECONDS, new SynchronousQueue<>(), r -> {
            Thread thread = new Thread(r, name + "-" + number.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        });
    }

    /**
     * Starts a call.
     *
     * @throws LibvirtFailure if every thread is taken by a call that has not returned
     */
    <T> Pending<T> begin(String what, Body<T> body) throws LibvirtFailure {
        Call call = new Call();
        FutureTask<T> task = new FutureTask<>(() -> body.run(call));
        try {
            threads.execute(task);
        } catch (RejectedExecutionException e) {
            throw LibvirtFailure.local(what + ": "
                    + (threads.isShutdown()
                            ? "the connection to libvirt is being closed"
                            : threads.getMaximumPoolSize() + " earlier calls to libvirt have not returned"));
        }
        return new Pending<>(what, call, task);
    }

    /** Starts a call and waits for its answer, both as above. */
    <T> T run(String what, Duration limit, Body<T> body) throws LibvirtFailure {
        return begin(what, body).await(limit);
    }

    /** No new call from here on. Threads in a call end with it. */
    void close() {
        threads.shutdown();
    }
}
