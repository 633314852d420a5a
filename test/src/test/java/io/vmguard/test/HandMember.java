/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.delta.DeltaJoin;
import io.vmguard.lease.delta.DeltaLeave;
import io.vmguard.lease.delta.DeltaRenewal;
import io.vmguard.lease.delta.HostTable;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.linux.LeaseDirectory;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.paxos.HeldRecord;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosDowngrade;
import io.vmguard.lease.paxos.PaxosRelease;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** A member that renews by itself and whose other deeds are run {@link ByHand}, with the shipping machines. */
final class HandMember implements AutoCloseable {
    static final IoOutcome TOO_LATE = new IoOutcome.Failed(LeaseFault.TIMED_OUT, "later than allowed, says the test");

    private final LinuxClock clock = new LinuxClock();
    private final SecureRandom random = new SecureRandom();
    private final ScheduledExecutorService renewals = Executors.newSingleThreadScheduledExecutor();
    private final List<LeaseFile> opened = new ArrayList<>();
    private final LeaseStore store;
    private final Geometry geometry;
    private final LeaseName lockspace;
    private final Timeouts timeouts;
    private final LeaseFile lockspaceFile;
    private final HostTable hosts;
    private volatile LeaderRecord record;
    private volatile long renewedNanos;

    /** Joins as this host id, which must be free. */
    HandMember(SharedDir leases, Geometry geometry, String lockspace, int ioTimeoutSeconds, int hostId) {
        this.geometry = geometry;
        this.lockspace = new LeaseName(lockspace);
        this.timeouts = Timeouts.ofSeconds(ioTimeoutSeconds);
        this.store = new LeaseDirectory(leases.path(), clock, random);
        this.lockspaceFile = open(lockspace);
        this.hosts = new HostTable(this.lockspace, geometry.layout(), timeouts);
        DeltaJoin.Result.Joined joined = (DeltaJoin.Result.Joined)
                joining(leases, geometry, lockspace, ioTimeoutSeconds, hostId, "by-hand-" + hostId)
                        .finish();
        record = joined.record();
        renewedNanos = joined.startedNanos();
        renew();
        long everyMillis = timeouts.renewalInterval().toMillis();
        renewals.scheduleAtFixedRate(this::renew, everyMillis, everyMillis, TimeUnit.MILLISECONDS);
    }

    /** A join of a free host id in a lockspace, to be run by hand. */
    static ByHand<DeltaJoin.Result> joining(
            SharedDir leases, Geometry geometry, String lockspace, int ioTimeoutSeconds, int hostId, String hostName) {
        LinuxClock clock = new LinuxClock();
        LeaseName name = new LeaseName(lockspace);
        LeaseFile file = open(new LeaseDirectory(leases.path(), clock, new SecureRandom()), name, geometry);
        DeltaJoin join = new DeltaJoin(
                name,
                geometry.layout(),
                Timeouts.ofSeconds(ioTimeoutSeconds),
                clock,
                hostId,
                hostName,
                DeltaJoin.Entry.FREE_ONLY);
        return new ByHand<>(file, file, join.start());
    }

    private LeaseFile open(String name) {
        LeaseFile file = open(store, new LeaseName(name), geometry);
        opened.add(file);
        return file;
    }

    private static LeaseFile open(LeaseStore store, LeaseName name, Geometry geometry) {
        LeaseStore.Opened opened = store.open(name, geometry.areaBytes(), () -> new byte[0], false);
        return opened.fold(LeaseStore.Opened.Ready::file, (fault, why) -> {
            throw new AssertionError(fault + " " + why);
        });
    }

    private void renew() {
        DeltaRenewal renewal = new DeltaRenewal(
                lockspace, geometry.layout(), timeouts, clock, record, true, deadlineNanos(), Set.of());
        long askedNanos = clock.bootNanos();
        DeltaRenewal.Result result = new ByHand<>(lockspaceFile, lockspaceFile, renewal.start()).finish();
        result.area().ifPresent(area -> hosts.update(area, askedNanos, clock.bootNanos()));
        if (result instanceof DeltaRenewal.Result.Renewed renewed) {
            record = renewed.record();
            renewedNanos = renewed.startedNanos();
        }
    }

    private long deadlineNanos() {
        return renewedNanos + timeouts.renewalFailed().toNanos();
    }

    Owner owner() {
        return record.owner();
    }

    /** An exclusive acquire at its beginning. */
    ByHand<PaxosAcquire.Result> acquiring(String resource) {
        return run(resource, new PaxosAcquire(context(resource)).start());
    }

    /** The conversion of a shared hold to an exclusive one, at its beginning. */
    ByHand<PaxosAcquire.Result> upgrading(String resource) {
        return run(resource, new PaxosAcquire(context(resource), PaxosAcquire.Want.UPGRADE).start());
    }

    /** A shared acquire at its beginning. */
    ByHand<PaxosAcquire.Result> sharing(String resource) {
        return run(resource, new PaxosAcquire(context(resource), PaxosAcquire.Want.SHARED).start());
    }

    /** The conversion of an exclusive hold to a shared one, at its beginning. */
    ByHand<PaxosDowngrade.Result> downgrading(String resource, HeldRecord held) {
        return run(resource, new PaxosDowngrade(context(resource), held).start());
    }

    /** A release at its beginning. */
    ByHand<PaxosRelease.Result> releasing(String resource, HeldRecord held) {
        return run(resource, new PaxosRelease(context(resource), held).start());
    }

    private <R> ByHand<R> run(String resource, Step<R> first) {
        return new ByHand<>(lockspaceFile, open(resource), first);
    }

    private ResourceContext context(String resource) {
        return new ResourceContext(
                lockspace,
                new LeaseName(resource),
                geometry.layout(),
                geometry.layout().maxHosts(),
                timeouts,
                owner(),
                hosts,
                () -> clock.bootNanos() < deadlineNanos(),
                clock,
                random);
    }

    /** The next step enters a ballot. */
    <R> Predicate<Step<R>> phase1() {
        return step -> isBlockWrite(step) && !proposes(step);
    }

    /** The next step writes our proposal. */
    <R> Predicate<Step<R>> phase2() {
        return step -> isBlockWrite(step) && proposes(step);
    }

    /** The next step commits the chosen owner. */
    static <R> Predicate<Step<R>> commit() {
        return step -> step instanceof Step.Write<R> write && write.offsetBytes() == 0;
    }

    /** The next step reads. */
    static <R> Predicate<Step<R>> read() {
        return step -> step instanceof Step.Read<R>;
    }

    boolean isBlockWrite(Step<?> step) {
        return step instanceof Step.Write<?> write
                && write.offsetBytes() == geometry.layout().diskBlockOffset(owner().hostId());
    }

    /** Whether the block that is to be written has a ballot number for its value: {@code bal}, at offset 8. */
    private static boolean proposes(Step<?> step) {
        return step instanceof Step.Write<?> write && write.sector()[8] + write.sector()[9] + write.sector()[10] != 0;
    }

    /** Frees the host id whatever is held under it. */
    void leave() {
        stopRenewals();
        DeltaLeave leave = new DeltaLeave(geometry.layout(), timeouts.ioTimeout(), record);
        new ByHand<>(lockspaceFile, lockspaceFile, leave.start()).finish();
    }

    private void stopRenewals() {
        renewals.shutdown();
        try {
            if (!renewals.awaitTermination(Duration.ofSeconds(10).toMillis(), TimeUnit.MILLISECONDS)) {
                throw new AssertionError("a renewal does not end");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
    }

    @Override
    public void close() {
        stopRenewals();
        opened.forEach(LeaseFile::close);
    }
}
