/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.delta.DeltaJoin;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.linux.IoJournal;
import io.vmguard.lease.device.linux.ProcessLife;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.HostName;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import java.util.stream.LongStream;

/** Opens the lockspace and becomes a member of it: by continuing the membership of this boot's previous process, or by a new one. */
final class Joiner {
    /** How one attempt ended. */
    sealed interface Result {
        /**
         * @param users of the continued membership; empty after a new join
         * @param remains what killed predecessors may still change under the continued membership
         */
        record Member(Membership membership, boolean resumed, Map<LeaseName, LeaseUse> users, Remains remains)
                implements Result {}

        /** A previous process of this boot lost its membership with users alive. They must go first. */
        record UsersFirst(Map<LeaseName, LeaseUse> users) implements Result {}

        record Failed(LeaseFault fault, String why) implements Result {}
    }

    private static final int SMALLEST_AREA_BYTES = 1 << 20;
    private static final int MAX_ID_TRIES = 12;

    private final EngineSettings settings;
    private final LeaseStore store;
    private final LeaseClock clock;
    private final RandomGenerator random;
    private final BlockingDriver driver;
    private final Supplier<IoJournal> journal;
    private final LockspaceListener listener;
    private final Path recordFile;
    private final Path rememberedFile;
    /** From now on every record says that its users are left running on purpose. */
    private volatile boolean usersKept;

    /** @param journal of this process, once it has one */
    Joiner(
            EngineSettings settings,
            LeaseStore store,
            LeaseClock clock,
            RandomGenerator random,
            BlockingDriver driver,
            Supplier<IoJournal> journal,
            LockspaceListener listener) {
        this.settings = settings;
        this.journal = journal;
        this.listener = listener;
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
     * @param seat of this process
     * @param inheritance settled before a new membership is begun
     * @param usersGone the caller has proof that nothing of an earlier membership of this boot is left
     */
    Result attempt(Seat seat, Inheritance inheritance, boolean usersGone) throws BlockingDriver.Closing {
        try {
            Optional<RememberedHostId> earlier = RememberedHostId.read(rememberedFile);
            Optional<RememberedHostId> remembered =
                    earlier.filter(r -> r.where().equals(store.where()));
            // A directory that we know and that has lost its lockspace is most likely not mounted. Making a new
            // lockspace in the
            // empty mount point would cut this host off from all others without a word.
            boolean known = remembered.isPresent()
                    || earlier.filter(RememberedHostId.UNKNOWN::equals).isPresent();
            boolean mayCreate = !known && seat.predecessor().gone().isDone();
            LeaseStore.Opened opened = store.open(
                    settings.lockspace(),
                    SMALLEST_AREA_BYTES,
                    () -> LeaseArea.lockspace(
                            settings.layout(),
                            settings.lockspace(),
                            settings.timeouts().ioTimeoutSeconds(),
                            settings.rules()),
                    mayCreate);
            if (opened instanceof LeaseStore.Opened.Refused refused) {
                return new Result.Failed(refused.fault(), explain(refused, known));
            }
            LeaseFile file = ((LeaseStore.Opened.Ready) opened).file();
            boolean keepOpen = false;
            try {
                Result result = join(file, remembered, seat.predecessor(), inheritance, usersGone);
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

    /** What a process of this boot has left about its membership in this lease directory. */
    Optional<LocalRecord> before() throws IOException {
        return LocalRecord.read(recordFile)
                .filter(r -> r.bootId().equals(settings.identity().bootId()))
                .filter(r -> r.where().equals(store.where()));
    }

    private String explain(LeaseStore.Opened.Refused refused, boolean known) {
        return refused.fault() == LeaseFault.MISSING && known
                ? refused.why() + ". This host has been a member of a lockspace in " + store.where()
                        + ": is it mounted? If the lockspace was removed on purpose, remove " + rememberedFile
                : refused.why();
    }

    private Result join(
            LeaseFile file,
            Optional<RememberedHostId> remembered,
            Predecessor predecessor,
            Inheritance inheritance,
            boolean usersGone)
            throws IOException, BlockingDriver.Closing {
        Optional<LocalRecord> before = before();
        // Before the disk is read: what has landed by then is seen, and what has not is counted.
        Remains remains = predecessor.remains(settings.lockspace(), settings.timeouts(), before);
        Decoded<LockspaceLook> look = LockspaceLook.take(
                file, settings.lockspace(), settings.timeouts().ioTimeout());
        Optional<Decoded.Corrupt<LockspaceLook>> objection = look.fold(
                sound -> sound.objection(settings.timeouts(), settings.hostId()),
                (fault, why) -> Optional.of(new Decoded.Corrupt<>(fault, why)));
        if (objection.isPresent()) {
            return new Result.Failed(
                    objection.get().fault(),
                    store.where() + "/" + settings.lockspace() + ": "
                            + objection.get().why());
        }
        LockspaceLook sound = ((Decoded.Valid<LockspaceLook>) look).value();
        Optional<LeaderRecord> unknown = before.isEmpty() && !usersGone ? latestOfThisBoot(sound) : Optional.empty();
        if (unknown.isPresent()) {
            Optional<Result.Failed> why = rebuildRecord(unknown.get(), sound, predecessor);
            if (why.isPresent()) {
                return why.get();
            }
            before = before();
        }
        Succession succession = Succession.decide(
                sound.area(),
                sound.layout(),
                settings.lockspace(),
                settings.timeouts(),
                clock,
                before,
                remains,
                usersGone);
        if (succession instanceof Succession.Continued continued) {
            long suspendedNanos = before.orElseThrow().suspendedNanos();
            Membership membership =
                    membership(file, sound, continued.record(), continued.renewedNanos(), suspendedNanos);
            Map<LeaseName, LeaseUse> users = before.get().users();
            if (before.get().cleanStop()) {
                write(membership, users); // guarded again: what comes next is no choice of anybody's
            }
            return new Result.Member(membership, true, users, continued.remains());
        }
        if (succession instanceof Succession.GoneFirst first) {
            return new Result.Failed(
                    LeaseFault.NO_MEMBERSHIP,
                    "an agent of this host was killed and hangs in storage I/O (" + predecessor.dying() + "): "
                            + first.why());
        }
        if (succession instanceof Succession.UsersFirst first) {
            return new Result.UsersFirst(first.users());
        }
        if (!usersGone && !inheritance.settle()) {
            return new Result.UsersFirst(inheritance.users());
        }
        return joinAnew(file, sound, ((Succession.Anew) succession).ownThisBoot(), remembered);
    }

    /** The membership that this boot had last, if it was not given up. There may be older ones, whose users are gone. */
    private Optional<LeaderRecord> latestOfThisBoot(LockspaceLook look) {
        long initStartedNanos = initStartedNanos();
        long suspendedNanos = clock.suspendedNanos();
        return LongStream.rangeClosed(1, look.layout().maxHosts())
                .mapToObj(id -> JoinPlan.record(look.area(), look.layout(), settings.lockspace(), id))
                .flatMap(Optional::stream)
                .filter(record -> !record.isFree() && settings.identity().isOfThisBoot(record.resourceName()))
                .filter(record -> !isBefore(record.timestamp(), suspendedNanos, initStartedNanos))
                .max(Comparator.comparingLong(LeaderRecord::timestamp));
    }

    /** Boot clock; the beginning of time if it cannot be told. */
    private static long initStartedNanos() {
        try {
            return ProcessLife.startedBootNanos(1);
        } catch (IOException | RuntimeException e) {
            return Long.MIN_VALUE;
        }
    }

    /**
     * Whether a renewal was before the start of the first process here, with which every process before it has ended. On a machine that
     * never is within one boot; but a container that is started again is still in the boot of its machine, with nothing of its own left.
     *
     * @param timestampSeconds of the monotonic clock
     * @param suspendedNanos how much the boot clock is ahead of it by now, which is at least what it was ahead then
     * @param initStartedNanos boot clock
     */
    static boolean isBefore(long timestampSeconds, long suspendedNanos, long initStartedNanos) {
        return Duration.ofSeconds(timestampSeconds + 1).toNanos() + suspendedNanos < initStartedNanos;
    }

    /**
     * The local record of a membership of this boot is missing or damaged: somebody has removed or edited it. A new membership would
     * give all that the old one holds to whoever asks, with its users running. So the record is made anew, of what is on disk.
     *
     * @return why not
     */
    private Optional<Result.Failed> rebuildRecord(LeaderRecord own, LockspaceLook look, Predecessor predecessor)
            throws IOException {
        String what = recordFile + " is missing or damaged, and what this host holds as host id "
                + own.owner().hostId() + ", generation " + own.owner().generation() + " cannot be told: ";
        if (!predecessor.gone().isDone()) {
            return Optional.of(new Result.Failed(
                    LeaseFault.NO_MEMBERSHIP,
                    what + "an agent that was killed hangs in storage I/O (" + predecessor.dying() + ")"));
        }
        Decoded<Map<LeaseName, LeaseUse>> held = new HeldOnDisk(
                        store.files(),
                        look.layout(),
                        settings.lockspace(),
                        own.owner(),
                        settings.timeouts().ioTimeout())
                .look();
        if (held instanceof Decoded.Corrupt<Map<LeaseName, LeaseUse>> cannotTell) {
            return Optional.of(new Result.Failed(cannotTell.fault(), what + cannotTell.why()));
        }
        Map<LeaseName, LeaseUse> leases = ((Decoded.Valid<Map<LeaseName, LeaseUse>>) held).value();
        // How long the machine had slept: both clocks were read for one and the same renewal, this one in whole
        // seconds. If
        // that is not known, the membership is too old to go on.
        long suspendedNanos = predecessor
                .lastRenewal(own.owner())
                .map(renewal -> renewal.startedNanos()
                        - Duration.ofSeconds(own.timestamp() + 1).toNanos())
                .orElse(Long.MIN_VALUE / 2);
        replace(new LocalRecord(
                settings.identity().bootId(),
                store.where(),
                own.owner(),
                own.resourceName(),
                suspendedNanos,
                false,
                leases));
        listener.recordRebuilt(recordFile.toString(), leases.size());
        return Optional.empty();
    }

    private Membership membership(
            LeaseFile file, LockspaceLook look, LeaderRecord record, long renewedNanos, long suspendedNanos) {
        return new Membership(
                settings.lockspace(),
                look.layout(),
                look.rules().maxHosts(),
                settings.timeouts(),
                file,
                clock,
                record,
                renewedNanos,
                suspendedNanos);
    }

    private Result joinAnew(
            LeaseFile file, LockspaceLook look, Optional<Long> ownThisBoot, Optional<RememberedHostId> remembered)
            throws IOException, BlockingDriver.Closing {
        Set<Long> excluded = new HashSet<>();
        Optional<Long> forced = settings.hostId().isPresent()
                ? Optional.of((long) settings.hostId().getAsInt())
                : Optional.empty();
        byte[] latest = look.area();
        for (int attempt = 0; attempt < MAX_ID_TRIES; attempt++) {
            Optional<JoinPlan> plan = JoinPlan.choose(
                    latest,
                    look.layout(),
                    look.rules().maxHosts(),
                    settings.lockspace(),
                    forced,
                    ownThisBoot,
                    remembered,
                    excluded,
                    random);
            if (plan.isEmpty()) {
                return new Result.Failed(LeaseFault.NUM_HOSTS, "no host id is free in " + store.where());
            }
            long id = plan.get().hostId();
            long suspendedNanos = clock.suspendedNanos();
            DeltaJoin.Result result = driver.run(
                    new DeltaJoin(
                                    settings.lockspace(),
                                    look.layout(),
                                    settings.timeouts(),
                                    clock,
                                    id,
                                    settings.identity().hostName(settings.timeouts()),
                                    plan.get().entry())
                            .start(),
                    file,
                    file);
            if (result instanceof DeltaJoin.Result.Joined joined) {
                Membership membership = membership(file, look, joined.record(), joined.startedNanos(), suspendedNanos);
                write(membership, Map.of());
                remember(membership.record());
                return new Result.Member(membership, false, Map.of(), Remains.NONE);
            }
            if (result instanceof DeltaJoin.Result.Failed failed) {
                return new Result.Failed(failed.fault(), failed.why());
            }
            DeltaJoin.Result.Busy busy = (DeltaJoin.Result.Busy) result;
            if (forced.isPresent()) {
                return new Result.Failed(
                        LeaseFault.HOST_ID_BUSY,
                        String.format(
                                Locale.ROOT,
                                "host_id %d is in use by %s (%s, generation %d). Give this host another host_id, or 'auto'",
                                id,
                                HostName.node(busy.record().resourceName()),
                                busy.record().resourceName(),
                                busy.record().owner().generation()));
            }
            excluded.add(id);
            if (file.read(0, look.layout().areaBytes(), settings.timeouts().ioTimeout())
                    instanceof IoOutcome.Done done) {
                latest = done.bytes();
            }
        }
        return new Result.Failed(LeaseFault.HOST_ID_BUSY, "other hosts kept taking the host ids that looked free");
    }

    /**
     * Leaves the proof for a successor of this process. What a lost membership held stays there as it was at the loss until the next one
     * begins: its users may live.
     *
     * @throws IOException also if the membership is lost
     */
    synchronized void write(Membership membership, Map<LeaseName, LeaseUse> users) throws IOException {
        if (membership.isLost()) {
            throw new IOException("the membership is lost");
        }
        replace(record(membership, users));
    }

    /** Replaces the local record. */
    interface Writing {
        void write() throws IOException;
    }

    /**
     * From now on the users are left running on purpose.
     *
     * @param writing writes the record as it is now
     * @throws IOException if it cannot be written: nothing has changed then
     */
    void keepUsers(Writing writing) throws IOException {
        usersKept = true;
        try {
            writing.write();
        } catch (IOException e) {
            usersKept = false;
            throw e;
        }
    }

    /** What a predecessor has left, with that word. Only while this process has no membership of its own. */
    void keepUsersBefore() throws IOException {
        Optional<LocalRecord> before = before();
        if (before.isPresent()) {
            replace(before.get().withCleanStop());
        }
    }

    private void replace(LocalRecord record) throws IOException {
        IoJournal.Note note = journal.get()
                .begin(IoJournal.Kind.RECORD, "", 0, new byte[0])
                .orElseThrow(() -> new IOException("too much is under way"));
        try {
            record.write(recordFile);
        } finally {
            note.close();
        }
    }

    private LocalRecord record(Membership membership, Map<LeaseName, LeaseUse> users) {
        return new LocalRecord(
                settings.identity().bootId(),
                store.where(),
                membership.owner,
                membership.record().resourceName(),
                membership.suspendedNanos(),
                usersKept,
                users);
    }

    /** Keeps the last record across boots; called off the renewal path, for it writes to a local disk. */
    void remember(LeaderRecord record) throws IOException {
        RememberedHostId.of(store.where(), record).write(rememberedFile);
    }
}
