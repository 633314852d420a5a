/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.NoteSector;
import io.vmguard.lease.paxos.HeldRecord;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.random.RandomGenerator;

/** Runs resource machines of one membership on real files; each call blocks as long as the storage does. */
final class Operations {
    private final Membership membership;
    private final LeaseStore store;
    private final LeaseClock clock;
    private final RandomGenerator random;
    private final BlockingDriver driver;
    private final AreaNaming naming;
    private final AtomicInteger underWay = new AtomicInteger();

    Operations(
            Membership membership,
            LeaseStore store,
            LeaseClock clock,
            RandomGenerator random,
            BlockingDriver driver,
            AreaNaming naming) {
        this.membership = membership;
        this.store = store;
        this.clock = clock;
        this.random = random;
        this.driver = driver;
        this.naming = naming;
    }

    /** Whether no I/O of this membership can land any more. A new membership of this host must not begin before. */
    boolean idle() {
        return underWay.get() == 0 && naming.idle();
    }

    /**
     * Runs one machine to its end on a resource, which is made if there is none.
     *
     * @param refused what it comes to if the resource cannot be opened, or turns out to have been removed meanwhile
     */
    <R> R run(
            LeaseName resource, Function<ResourceContext, Step<R>> machine, BiFunction<LeaseFault, String, R> refused) {
        return onFile(
                resource,
                true,
                (file, context) -> {
                    R result = drive(machine.apply(context), file);
                    return file.stillNamed()
                            ? result
                            : refused.apply(
                                    LeaseFault.MISSING,
                                    "the lease file " + resource + " was removed or replaced meanwhile: try again");
                },
                refused);
    }

    /** What is done on an open resource. */
    interface OnFile<R> {
        R run(LeaseFile file, ResourceContext context) throws BlockingDriver.Closing;
    }

    /** Does something with the file of a resource in hand. */
    <R> R onFile(LeaseName resource, boolean mayCreate, OnFile<R> action, BiFunction<LeaseFault, String, R> refused) {
        underWay.incrementAndGet();
        try {
            return open(resource, mayCreate)
                    .fold(
                            ready -> onOpened(resource, ready.file(), action, refused),
                            (fault, why) -> refused.apply(fault, why));
        } finally {
            underWay.decrementAndGet();
        }
    }

    private <R> R onOpened(
            LeaseName resource, LeaseFile opened, OnFile<R> action, BiFunction<LeaseFault, String, R> refused) {
        try (LeaseFile file = opened) {
            return action.run(file, context(resource));
        } catch (BlockingDriver.Closing e) {
            return refused.apply(LeaseFault.NO_MEMBERSHIP, "the agent is stopping");
        }
    }

    private ResourceContext context(LeaseName resource) {
        return membership.context(resource, clock, random);
    }

    private LeaseStore.Opened open(LeaseName resource, boolean mayCreate) {
        LeaseStore.Opened opened = openOnce(resource, mayCreate);
        boolean nameless = mayCreate
                && opened instanceof LeaseStore.Opened.Refused refused
                && refused.fault() == LeaseFault.MISSING
                && store.pool().isPresent();
        if (!nameless) {
            return opened;
        }
        Optional<LeaseStore.Opened.Refused> refused = naming.give(resource);
        return refused.isPresent() ? refused.get() : openOnce(resource, false);
    }

    private LeaseStore.Opened openOnce(LeaseName resource, boolean mayCreate) {
        return store.open(
                resource,
                membership.layout.areaBytes(),
                () -> LeaseArea.resource(membership.layout, membership.lockspace, resource, membership.maxHosts),
                mayCreate);
    }

    /** Runs a machine on a file that is open already. */
    <R> R drive(Step<R> machine, LeaseFile file) throws BlockingDriver.Closing {
        return driver.run(machine, membership.file, file);
    }

    /** Whether a resource keeps its place for good. */
    boolean keepsPlaces() {
        return store.pool().isPresent();
    }

    /** Takes the file of a resource away that nobody can acquire any more. */
    void remove(LeaseName resource, LeaseFile file) throws IOException {
        store.remove(resource, file);
    }

    /** For people only: nothing depends on whether it arrives. */
    boolean writeNote(LeaseName resource, LeaseNote user, HeldRecord held) {
        if (open(resource, false) instanceof LeaseStore.Opened.Ready ready) {
            try (LeaseFile file = ready.file()) {
                return file.write(
                                membership.layout.noteOffset(),
                                NoteSector.encode(
                                        membership.layout,
                                        user,
                                        membership.owner,
                                        held.leader().lver()),
                                membership.timeouts.ioTimeout())
                        instanceof IoOutcome.Done;
            }
        }
        return false;
    }

    /** Names the file, for people who have to look at it, unless that is said already or it is not the file's fault. */
    String withFile(LeaseName resource, LeaseFault fault, String why) {
        return fault == LeaseFault.NO_MEMBERSHIP || why.startsWith(store.where())
                ? why
                : store.path(resource) + ": " + why;
    }
}
