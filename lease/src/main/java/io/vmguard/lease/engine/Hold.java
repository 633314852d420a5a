/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.paxos.HeldRecord;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/**
 * One resource in the table of a membership, from the wish to have it until it is certainly not ours.
 *
 * <p>All fields that change are guarded by the table's lock.
 */
final class Hold {
    /**
     * Where it stands.
     *
     * <pre>
     * ACQUIRING -> HELD -> RELEASING -> (gone)         the ordinary life
     *              HELD -> CONVERTING -> HELD          to shared or to exclusive
     * ACQUIRING, CONVERTING, ... -> UNDETERMINED       until acquiring again has told
     *              HELD -> GIVING -> GIVEN -> (gone)   to another host; back to HELD if nothing was given, or it is taken back
     * RECEIVING -> HELD                                from another host
     * INHERITED -> CARRIED_OVER -> HELD                from a predecessor of this process, once the disk was asked
     *           -> GIVEN                               given by it, and not confirmed
     * </pre>
     */
    enum State {
        ACQUIRING,
        HELD,
        INHERITED,
        CARRIED_OVER,
        CONVERTING,
        RELEASING,
        UNDETERMINED,
        GIVING,
        GIVEN,
        RECEIVING
    }

    final LeaseName resource;
    /** One operation on a resource at a time. */
    final SerialExecutor operations;

    final CompletableFuture<AcquireResult> acquired = new CompletableFuture<>();
    final CompletableFuture<ReleaseResult> released = new CompletableFuture<>();
    /** Of an inherited one: completes when it is known whether it is held. */
    final CompletableFuture<Void> adopted = new CompletableFuture<>();

    /** Of an inherited one: its user is gone, and it is given back as soon as it may be touched. */
    boolean releaseWanted;

    final Set<LeaseNote> users = new LinkedHashSet<>();
    LeaseMode mode;
    State state;

    @Nullable
    private HeldRecord record;

    /** A ballot that came to nothing has changed our block since {@link #record}: it is read again before it is written again. */
    boolean recordStale;

    @Nullable
    private Owner partner;

    Hold(LeaseName resource, LeaseMode mode, LeaseNote user, State state, Executor threads) {
        this.resource = resource;
        this.mode = mode;
        this.state = state;
        this.operations = new SerialExecutor(threads);
        users.add(user);
    }

    HeldRecord record() {
        return Objects.requireNonNull(record, "no operation on a hold without a record needs it");
    }

    void record(HeldRecord now) {
        record = now;
        recordStale = false;
        mode = now.mode();
    }

    /** Whether it was ever held, so that it may have a user. */
    boolean hasRecord() {
        return record != null;
    }

    /** The other side of a hand-over. */
    Owner partner() {
        return Objects.requireNonNull(partner, "a hold that is given or received has a partner");
    }

    void partner(Owner other) {
        partner = other;
    }

    LeaseUse use() {
        return new LeaseUse(
                mode, List.copyOf(users), state == State.RECEIVING ? Optional.ofNullable(partner) : Optional.empty());
    }

    /** A shared hold that another user of this host can join at once. */
    boolean isJoinable() {
        return mode == LeaseMode.SHARED && (state == State.HELD || state == State.CARRIED_OVER);
    }
}
