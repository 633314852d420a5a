/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.inspect.ResourceInspection.Leader;
import io.vmguard.lease.inspect.ResourceInspection.Request;
import io.vmguard.lease.inspect.ResourceInspection.State;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a resource file says by itself. What it means is decided by the delta leases, which must be read <em>after</em> it:
 *
 * <pre>
 *   leader read: held by 3/5
 *                                 host 3 gives it back and leaves; joins as 3/6, takes it again
 *   delta lease read: 3/6         "3/5 is gone" is true all the same, and the lease was takeable meanwhile
 *
 *   delta lease read: 3/4, free
 *                                 host 3 joins as 3/5 and takes it
 *   leader read: held by 3/5      "3/5 is gone" would be wrong
 * </pre>
 *
 * @param owner whom the leader names
 * @param ownerReleased the owner has given back a lease whose leader another host wrote for it
 * @param marks hosts that say they share it
 */
record ResourceSighting(
        LeaseFiles.Entry entry,
        String path,
        State state,
        Optional<Leader> leader,
        Optional<Owner> owner,
        boolean ownerReleased,
        List<Owner> marks,
        Optional<LeaseNote> note,
        boolean untouched,
        Optional<Request> request,
        List<Finding> findings) {

    /** Of a file without a sound leader. */
    static ResourceSighting without(LeaseFiles.Entry entry, String path, State state, List<Finding> findings) {
        return new ResourceSighting(
                entry,
                path,
                state,
                Optional.empty(),
                Optional.empty(),
                false,
                List.of(),
                Optional.empty(),
                false,
                Optional.empty(),
                findings);
    }

    /** @param lockspace as read after this sighting; empty if it is not there */
    ResourceInspection judge(Optional<LockspaceInspection> lockspace) {
        Optional<Holder> holder = owner.map(who -> holder(who, lockspace));
        List<Holder> sharers = marks.stream().map(who -> holder(who, lockspace)).toList();
        State judged = judge(sharers);
        List<Finding> all = new ArrayList<>(findings);
        lockspace.ifPresent(space -> {
            Stream<Owner> holding = judged == State.EXCLUSIVE
                    ? owner.stream()
                    : judged == State.SHARED ? marks.stream() : Stream.empty();
            holding.filter(space::madeAfter).findFirst().ifPresent(who -> all.add(madeAnew(who, space)));
        });
        return new ResourceInspection(
                entry.name(),
                entry.bytes(),
                entry.modifiedEpochSeconds(),
                judged,
                leader,
                holder,
                sharers,
                note,
                untouched,
                request,
                List.copyOf(all));
    }

    private State judge(List<Holder> sharers) {
        State byLeader = state == State.EXCLUSIVE && ownerReleased ? State.FREE : state;
        boolean shared = sharers.stream().anyMatch(sharer -> !sharer.standing().gone());
        return byLeader == State.FREE && shared ? State.SHARED : byLeader;
    }

    private static Holder holder(Owner who, Optional<LockspaceInspection> lockspace) {
        return lockspace.map(space -> space.holder(who)).orElse(new Holder(who, Standing.UNREADABLE, ""));
    }

    private Finding madeAnew(Owner who, LockspaceInspection space) {
        String free = "vmguard lease release --confirm-dead " + entry.name();
        String remedy = space.holder(who).standing() == Standing.LEFT
                ? "Nobody gets it as soon as a host has that id. Free it before: " + free
                : "Nobody gets it while host id " + who.hostId() + " is taken. Stop vmguard on "
                        + space.holder(who).hostName() + ", run there or elsewhere: " + free
                        + ", then start vmguard again.";
        return new Finding(
                LeaseFault.OWNER_LIVE,
                path,
                0,
                "it is held by host id " + who.hostId() + " in generation " + who.generation()
                        + ", which that id has not come to yet: the lockspace was made anew beside this lease",
                remedy);
    }
}
