/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.delta.DeltaJoin;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.random.RandomGenerator;

/** Opens the lockspace and becomes a member of it: by continuing the membership of this boot's previous process, or by a new one. */
final class Joiner {
    /** How one attempt ended. */
    sealed interface Result {
        /** @param users of the continued membership; empty after a new join */
        record Member(Membership membership, boolean resumed, Map<LeaseName, LeaseNote> users) implements Result {}

        /** A previous process of this boot lost its membership with users alive. They must go first. */
        record UsersFirst(Map<LeaseName, LeaseNote> users) implements Result {}

        record Failed(LeaseFault fault, String why) implements Result {}
    }

    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final int MAX_ID_TRIES = 12;

    private final EngineSettings settings;
    private final LeaseStore store;
    private final LeaseClock clock;
    private final RandomGenerator random;
    private final BlockingDriver driver;
    private final Path recordFile;
    private final Path rememberedFile;

    Joiner(EngineSettings settings, LeaseStore store, LeaseClock clock, RandomGenerator random, BlockingDriver driver) {
        this.settings = settings;
        this.store = store;
        this.clock = clock;
        this.random = random;
        this.driver = driver;
        this.recordFile = settings.runtimeDir().resolve(settings.lockspace() + ".membership");
        this.rememberedFile = settings.stateDir().resolve(settings.lockspace() + ".host-id");
    }

    /**
     * One attempt. Blocks as long as the storage does, and for the protocol's waits.
     *
     * @param usersGone the caller has proof that nothing of an earlier membership of this boot is left
     */
    Result attempt(boolean usersGone) throws BlockingDriver.Closing {
        try {
            Optional<RememberedHostId> remembered =
                    RememberedHostId.read(rememberedFile).filter(r -> r.where().equals(store.where()));
            // A directory that we know and that has lost its lockspace is most likely not mounted. Making a new
            // lockspace in the
            // empty mount point would cut this host off from all others without a word.
            boolean mayCreate = remembered.isEmpty();
            LeaseStore.Opened opened = store.open(
                    settings.lockspace(),
                    LAYOUT.areaBytes(),
                    () -> LeaseArea.lockspace(
                            LAYOUT, settings.lockspace(), settings.timeouts().ioTimeoutSeconds()),
                    mayCreate);
            if (opened instanceof LeaseStore.Opened.Refused refused) {
                return new Result.Failed(refused.fault(), explain(refused, mayCreate));
            }
            LeaseFile file = ((LeaseStore.Opened.Ready) opened).file();
            boolean keepOpen = false;
            try {
                Result result = join(file, remembered, usersGone);
                keepOpen = result instanceof Result.Member;
                return result;
            } finally {
                if (!keepOpen) {
                    file.close();
                }
            }
        } catch (IOException e) {
            return new Result.Failed(LeaseFault.IO, e.getClass().getSimpleName() + ": " + e.getMessage());
        }
    }

    private String explain(LeaseStore.Opened.Refused refused, boolean mayCreate) {
        return refused.fault() == LeaseFault.MISSING && !mayCreate
                ? refused.why() + ". This host has been a member of a lockspace in " + store.where()
                        + ": is it mounted? If the lockspace was removed on purpose, remove " + rememberedFile
                : refused.why();
    }

    private Result join(LeaseFile file, Optional<RememberedHostId> remembered, boolean usersGone)
            throws IOException, BlockingDriver.Closing {
        IoOutcome look = file.read(0, LAYOUT.areaBytes(), settings.timeouts().ioTimeout());
        if (look instanceof IoOutcome.Failed failed) {
            return new Result.Failed(failed.fault(), store.where() + "/" + settings.lockspace() + ": " + failed.why());
        }
        byte[] area = ((IoOutcome.Done) look).bytes();
        Optional<Result> wrong = checkKind(area);
        if (wrong.isPresent()) {
            return wrong.get();
        }
        Optional<LocalRecord> before = LocalRecord.read(recordFile)
                .filter(r -> r.bootId().equals(settings.identity().bootId()))
                .filter(r -> r.where().equals(store.where()));
        Succession succession =
                Succession.decide(area, LAYOUT, settings.lockspace(), settings.timeouts(), clock, before, usersGone);
        if (succession instanceof Succession.Continued continued) {
            Membership membership = new Membership(
                    settings.lockspace(),
                    LAYOUT,
                    settings.timeouts(),
                    file,
                    clock,
                    continued.record(),
                    continued.renewedNanos());
            return new Result.Member(membership, true, before.orElseThrow().users());
        }
        if (succession instanceof Succession.UsersFirst first) {
            return new Result.UsersFirst(first.users());
        }
        return joinAnew(file, area, ((Succession.Anew) succession).ownThisBoot(), remembered);
    }

    private Optional<Result> checkKind(byte[] area) {
        LeaderRecord first = LeaderRecord.at(area, 0);
        String file = store.where() + "/" + settings.lockspace();
        if (first.magic() != LeaderRecord.DELTA_MAGIC) {
            return Optional.of(new Result.Failed(
                    LeaseFault.MAGIC,
                    file + ": this is no lockspace (" + first + "). Set lease_dir or "
                            + "lockspace to another one, or move the file away if you know what it is"));
        }
        Optional<LeaseLayout> layout = LeaseLayout.of(first.sectorSize(), first.flags());
        if (!layout.equals(Optional.of(LAYOUT))) {
            return Optional.of(new Result.Failed(
                    LeaseFault.GEOMETRY,
                    String.format(
                            Locale.ROOT,
                            "%s: the lockspace has sectors of %d bytes and align flag 0x%x; only 512 bytes in areas of 1 MiB are supported",
                            file,
                            first.sectorSize(),
                            first.flags())));
        }
        return JoinPlan.record(area, LAYOUT, settings.lockspace(), 1).isPresent() || anySound(area)
                ? Optional.empty()
                : Optional.of(LeaderRecord.decodeDelta(area, 0, settings.lockspace())
                        .fold(
                                ok -> new Result.Failed(LeaseFault.CHECKSUM, file),
                                (fault, why) -> new Result.Failed(
                                        fault,
                                        file + ": " + why + ". The file's lockspace and the setting lockspace ("
                                                + settings.lockspace() + ") must be the same")));
    }

    /** One damaged record must not lock out the hosts that own the others. */
    private boolean anySound(byte[] area) {
        for (long id = 2; id <= LAYOUT.maxHosts(); id++) {
            if (JoinPlan.record(area, LAYOUT, settings.lockspace(), id).isPresent()) {
                return true;
            }
        }
        return false;
    }

    private Result joinAnew(
            LeaseFile file, byte[] area, Optional<Long> ownThisBoot, Optional<RememberedHostId> remembered)
            throws IOException, BlockingDriver.Closing {
        Set<Long> excluded = new HashSet<>();
        Optional<Long> forced = settings.hostId().isPresent()
                ? Optional.of((long) settings.hostId().getAsInt())
                : Optional.empty();
        byte[] latest = area;
        for (int attempt = 0; attempt < MAX_ID_TRIES; attempt++) {
            Optional<JoinPlan> plan = JoinPlan.choose(
                    latest, LAYOUT, settings.lockspace(), forced, ownThisBoot, remembered, excluded, random);
            if (plan.isEmpty()) {
                return new Result.Failed(LeaseFault.NUM_HOSTS, "no host id is free in " + store.where());
            }
            long id = plan.get().hostId();
            DeltaJoin.Result result = driver.run(
                    new DeltaJoin(
                                    settings.lockspace(),
                                    LAYOUT,
                                    settings.timeouts(),
                                    clock,
                                    id,
                                    settings.identity().hostName(),
                                    plan.get().entry())
                            .start(),
                    file,
                    file);
            if (result instanceof DeltaJoin.Result.Joined joined) {
                Membership membership = new Membership(
                        settings.lockspace(),
                        LAYOUT,
                        settings.timeouts(),
                        file,
                        clock,
                        joined.record(),
                        joined.startedNanos());
                write(membership, Map.of());
                remember(membership.record());
                return new Result.Member(membership, false, Map.of());
            }
            if (result instanceof DeltaJoin.Result.Failed failed) {
                return new Result.Failed(failed.fault(), failed.why());
            }
            DeltaJoin.Result.Busy busy = (DeltaJoin.Result.Busy) result;
            if (forced.isPresent()) {
                return new Result.Failed(
                        LeaseFault.RENEW_OWNER,
                        String.format(
                                Locale.ROOT,
                                "host_id %d is in use by %s (%s, generation %d). Give this host another host_id, or 'auto'",
                                id,
                                HostIdentity.nodeOf(busy.record().resourceName()),
                                busy.record().resourceName(),
                                busy.record().owner().generation()));
            }
            excluded.add(id);
            if (file.read(0, LAYOUT.areaBytes(), settings.timeouts().ioTimeout()) instanceof IoOutcome.Done done) {
                latest = done.bytes();
            }
        }
        return new Result.Failed(LeaseFault.RENEW_OWNER, "other hosts kept taking the host ids that looked free");
    }

    /** Leaves the proof for a successor of this process. */
    void write(Membership membership, Map<LeaseName, LeaseNote> users) throws IOException {
        record(membership, users).write(recordFile);
    }

    /** The same, with the word that the users were left running on purpose. */
    void writeCleanStop(Membership membership, Map<LeaseName, LeaseNote> users) throws IOException {
        record(membership, users).withCleanStop().write(recordFile);
    }

    private LocalRecord record(Membership membership, Map<LeaseName, LeaseNote> users) {
        return new LocalRecord(
                settings.identity().bootId(),
                store.where(),
                membership.owner,
                membership.record().resourceName(),
                clock.bootNanos() - clock.monotonicNanos(),
                false,
                users);
    }

    /** Keeps the last record across boots; called off the renewal path, for it writes to a local disk. */
    void remember(LeaderRecord record) throws IOException {
        RememberedHostId.of(store.where(), record).write(rememberedFile);
    }
}
