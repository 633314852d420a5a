/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

import java.time.Duration;
import java.util.Optional;
import java.util.UUID;

/**
 * The hypervisor of this host, seen from the guard. Any thread may call any method, but never from inside a {@link Listener}.
 *
 * <p>Every question has a limit and comes back within it, even if the hypervisor hangs: its call is then abandoned and the
 * answer is "cannot tell". Nothing here throws because the hypervisor is absent, slow or broken.
 *
 * <p>While a hook of a domain is being served, neither {@link #listActive} nor {@link #destroy} of that domain can answer
 * before the hook has exited. {@link #resolveVolume} can, and so can {@link #active} of any other domain.
 */
public interface Hypervisor extends AutoCloseable {

    /**
     * Starts the threads that connect and that deliver events, and returns at once. The hypervisor may come up later, go
     * away and come back: it is looked for until {@link #close}.
     *
     * @param listener told about connections and events
     * @throws IllegalStateException if started before
     */
    void start(Listener listener);

    /** Whether events arrive now. Never blocks. */
    ConnectionState state();

    /**
     * Lists the active domains with their live XML. Two lists are never under way at once: while an abandoned one still
     * hangs, the answer is {@link ListResult.CannotTell}.
     *
     * @param limit how long to wait at most, above zero
     */
    ListResult listActive(Duration limit);

    /**
     * Asks for one domain, which answers while a hook of another one holds up the list. A few at a time; a further one, or one of which
     * an abandoned one still hangs, gets {@link ListResult.CannotTell}.
     *
     * @param domain the domain's UUID
     * @param limit how long to wait at most, above zero
     * @return a list with this domain, or with nothing if it is not active
     */
    ListResult active(UUID domain, Duration limit);

    /**
     * Stops a domain the hard way. Up to twenty of these go on in parallel, one for each calling thread; a further one
     * waits for its turn within its limit. If an earlier, abandoned request for the same domain is still under way, its
     * answer is waited for instead of sending a second one. A request not yet sent when the limit is over never is.
     *
     * @param domain the domain's UUID
     * @param limit how long to wait at most, above zero
     */
    KillResult destroy(UUID domain, Duration limit);

    /**
     * Pauses a domain.
     *
     * @param domain the domain's UUID
     * @param limit how long to wait at most, above zero
     */
    SuspendResult suspend(UUID domain, Duration limit);

    /**
     * Starts a domain, with its hooks: the caller must not hold up their answers.
     *
     * @param domain the domain's UUID
     * @param xml what it is started from if the hypervisor does not know it (any more): it was transient; empty if not known
     * @param limit how long to wait at most, above zero
     */
    StartResult start(UUID domain, Optional<byte[]> xml, Duration limit);

    /** What can be changed about domains that run. */
    LiveDevices devices();

    /**
     * Finds out what {@code <source pool=… volume=… mode=…>} means on this host.
     *
     * @param pool the pool's name
     * @param volume the volume's name
     * @param mode {@code host}, {@code direct}, or empty where the XML has none
     * @param limit how long to wait at most, above zero
     */
    VolumeResult resolveVolume(String pool, String volume, String mode, Duration limit);

    /** Ends events first, then the connections, then the threads; returns within a few seconds whatever hangs. */
    @Override
    void close();

    /**
     * Told about connections and events, on threads of the hypervisor adapter: it must only put them into a queue. An
     * implementation that waits here stops the events of all domains and in the end loses the connection.
     */
    interface Listener {

        /**
         * Events arrive from here on. Nothing that happened before is replayed: list the active domains now. A first
         * event may overtake this call.
         */
        void connected();

        /**
         * Events no longer arrive.
         *
         * @param why for people
         */
        void disconnected(String why);

        /**
         * Something happened to a domain. Events of one domain come in order.
         *
         * @param event what
         */
        void lifecycle(DomainEvent event);

        /**
         * Something about a running domain's devices or jobs has changed.
         *
         * @param change what
         */
        void changed(DomainChange change);
    }
}
