/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.deadman;

import io.vmguard.agent.fence.FenceTimes;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The agent's end of the deadman: moves the deadline at each renewal, keeps the list of processes, and looks whether the other process
 * lives. Whatever fails here makes the deadman do less, never more: the agent alone goes on guarding.
 *
 * <p>A process leaves the list only when it is proved gone or the guard spares it, so what an earlier agent has listed stays until then.
 */
public final class Deadman implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(Deadman.class);
    /** Without word that something has changed. */
    private static final Duration PERIOD = Duration.ofSeconds(1);

    private static final long CHECK_NANOS = Duration.ofSeconds(1).toNanos();
    private static final long STOP_MILLIS = 1000;

    /** It is started beside us. */
    private static final long PATIENCE_NANOS = Duration.ofSeconds(10).toNanos();

    /** A write there is a copy in memory. On a disk it could hang, and a renewal with it. */
    private static final Set<String> IN_MEMORY = Set.of("tmpfs", "ramfs");

    /**
     * What the guard wants.
     *
     * @param kill what must not outlive the leases
     * @param spare what may, by the guard's own decision; all others that were listed stay so until they are gone
     */
    public record Orders(List<ListedProcess> kill, List<ListedProcess> spare) {
        public Orders {
            kill = List.copyOf(kill);
            spare = List.copyOf(spare);
        }
    }

    private final Path runtimeDir;
    private final LeaseName lockspace;
    private final String bootId;
    private final long agentPid;
    private final FenceTimes times;
    private final LeaseClock clock;
    private final Predicate<ListedProcess> mayBeThere;
    private final Supplier<Orders> guarded;
    private final DeadmanSign sign;
    private final long startedNanos;
    private final Semaphore wakeUp = new Semaphore(0);
    private final Thread thread;

    /** Null: there is none, so the deadman does nothing. */
    private volatile @Nullable DeadmanFile file;

    private volatile @Nullable String lastDeadline;
    private volatile boolean stoodDown;
    private volatile boolean closing;
    private volatile DeadmanView view = new DeadmanView(false, 0, List.of());

    // Of the one thread that steps.
    private final Set<ListedProcess> known = new LinkedHashSet<>();
    private final Set<ListedProcess> unlisted = new LinkedHashSet<>();
    private Optional<String> fileProblem = Optional.empty();
    private Optional<String> signProblem = Optional.empty();
    private long checkedNanos;
    /** What the list was last held against; null: nothing yet. */
    private @Nullable Orders ordersBefore;

    private boolean running;

    /**
     * Takes over what an earlier agent of this boot left; nothing moves before {@link #start}.
     *
     * @param runtimeDir where the deadman looks
     * @param mayBeThere false only if that process is proved gone; must not block
     * @param guarded what the guard wants now; must not block
     */
    public Deadman(
            Path runtimeDir,
            LeaseName lockspace,
            String bootId,
            long agentPid,
            FenceTimes times,
            LeaseClock clock,
            Predicate<ListedProcess> mayBeThere,
            Supplier<Orders> guarded) {
        this.runtimeDir = runtimeDir;
        this.lockspace = lockspace;
        this.bootId = bootId;
        this.agentPid = agentPid;
        this.times = times;
        this.clock = clock;
        this.mayBeThere = mayBeThere;
        this.guarded = guarded;
        this.sign = new DeadmanSign(runtimeDir);
        this.startedNanos = clock.bootNanos();
        this.checkedNanos = startedNanos - CHECK_NANOS;
        this.thread = new Thread(this::run, "vmguard-deadman");
        thread.setDaemon(true);
        open();
    }

    /** For hosts whose agent kills nothing: an earlier one's orders are withdrawn. */
    public static void withdraw(Path runtimeDir, LeaseName lockspace) throws IOException {
        DeadmanFile.remove(DeadmanFile.path(runtimeDir, lockspace));
    }

    /** Begins to keep the list. */
    public void start() {
        thread.start();
    }

    private void run() {
        try {
            while (!closing) {
                step();
                if (wakeUp.tryAcquire(PERIOD.toMillis(), TimeUnit.MILLISECONDS)) {
                    wakeUp.drainPermits();
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** What is guarded may have changed: it is looked at now. Any thread; returns at once. */
    public void look() {
        wakeUp.release();
    }

    /** A renewal has reached the disk. On the engine's thread: one write into memory, and never an exception. */
    public void renewed(Renewal renewal) {
        long startedNanos = renewal.startedBootNanos();
        String line = DeadmanFile.deadlineLine(
                startedNanos + times.deadmanKills().toNanos(),
                startedNanos + times.warned().toNanos(),
                clock.bootNanos());
        lastDeadline = line;
        DeadmanFile current = file;
        if (current == null) {
            return;
        }
        try {
            current.deadline(line);
        } catch (IOException e) {
            // What stands there would kill domains whose leases are good.
            LOG.error("VG-700 the deadman's deadline could not be moved, so it is taken away", e);
            drop(current);
        }
    }

    private void drop(DeadmanFile current) {
        file = null;
        try {
            current.remove();
        } catch (IOException e) {
            LOG.fatal("VG-701 and the file with it could not be removed: stop vmguard-deadman.service", e);
        }
    }

    /** One look at everything. */
    void step() {
        try {
            long nowNanos = clock.bootNanos();
            boolean check = nowNanos - checkedNanos >= CHECK_NANOS;
            if (check) {
                checkedNanos = nowNanos;
                checkFile();
                checkSign(nowNanos);
            }
            Orders orders = guarded.get();
            // The same orders are looked at again only to find who has gone since.
            if (check || !orders.equals(ordersBefore)) {
                list(orders, check);
                publish();
            }
        } catch (RuntimeException e) {
            LOG.error("VG-902 internal error in what is left for the deadman; it goes on", e);
        }
    }

    private void checkFile() {
        DeadmanFile current = file;
        if (current != null && !current.isThere()) {
            LOG.warn("VG-702 somebody has changed the deadman's file for lockspace {}; it is made anew", lockspace);
            file = null;
            current.close();
        }
        if (file == null) {
            open();
        }
    }

    private void open() {
        if (stoodDown) {
            return;
        }
        Optional<String> problem = Optional.empty();
        try {
            String type = Files.getFileStore(runtimeDir).type();
            if (!IN_MEMORY.contains(type)) {
                problem = Optional.of(runtimeDir + " is " + type + " and not in memory, where no write can hang");
            } else {
                String deadline = lastDeadline;
                DeadmanFile opened = DeadmanFile.open(
                        runtimeDir, lockspace, bootId, agentPid, deadline == null ? DeadmanFile.NO_DEADLINE : deadline);
                known.addAll(opened.processes());
                file = opened;
            }
        } catch (IOException e) {
            problem = Optional.of("nothing can be written for it in " + runtimeDir + ": " + e.getMessage());
        }
        if (!problem.equals(fileProblem)) {
            problem.ifPresent(why -> LOG.error("VG-703 the deadman does not guard lockspace {}: {}", lockspace, why));
            fileProblem = problem;
        }
    }

    private void checkSign(long nowNanos) {
        Optional<String> problem = sign.problem(nowNanos);
        boolean early = !running && nowNanos - startedNanos < PATIENCE_NANOS;
        running = problem.isEmpty();
        if (problem.isPresent() && signProblem.isEmpty()) {
            if (early) {
                return;
            }
            LOG.error("VG-704 the deadman does not run ({}). See: systemctl status vmguard-deadman", problem.get());
        } else if (problem.isEmpty() && !signProblem.isEmpty()) {
            LOG.info("VG-705 the deadman runs");
        }
        signProblem = problem;
    }

    private void list(Orders orders, boolean lookForGone) {
        Set<ListedProcess> wanted = new LinkedHashSet<>(orders.kill());
        known.addAll(orders.spare()); // may be listed from before
        DeadmanFile current = file;
        known.addAll(wanted);
        if (current == null) {
            return;
        }
        ordersBefore = orders;
        Set<ListedProcess> listed = new HashSet<>(current.processes());
        for (ListedProcess process : List.copyOf(known)) {
            boolean spared = orders.spare().contains(process);
            if (spared || !wanted.contains(process) && lookForGone && !mayBeThere.test(process)) {
                known.remove(process);
                unlisted.remove(process);
                if (listed.contains(process)) {
                    tryTo(() -> current.remove(process));
                }
            } else if (!listed.contains(process)) {
                add(current, process);
            }
        }
    }

    private interface Writing {
        void run() throws IOException;
    }

    /** An entry of a process that is gone does no harm; it is tried again by the next agent. */
    private static void tryTo(Writing change) {
        try {
            change.run();
        } catch (IOException e) {
            LOG.warn("VG-706 the deadman's list could not be changed: {}", e.getMessage());
        }
    }

    private void add(DeadmanFile current, ListedProcess process) {
        try {
            current.add(process);
            unlisted.remove(process);
        } catch (IOException e) {
            if (unlisted.add(process)) {
                LOG.error(
                        "VG-707 the deadman does not guard domain {}, pid {}: it cannot be listed: {}",
                        process.name(),
                        process.pid(),
                        e.getMessage());
            }
        }
    }

    private void publish() {
        DeadmanFile current = file;
        List<String> problems = new ArrayList<>();
        signProblem.ifPresent(
                why -> problems.add(
                        "the deadman does not run (" + why
                                + "): if the agent is killed or stopped, nothing ends its domains in time. See: systemctl status vmguard-deadman"));
        fileProblem.ifPresent(why -> problems.add("the deadman guards nothing: " + why));
        if (!unlisted.isEmpty()) {
            problems.add("the deadman does not guard "
                    + String.join(
                            ", ", unlisted.stream().map(ListedProcess::name).toList()) + ": no room to list them");
        }
        view = new DeadmanView(
                running, current == null ? 0 : current.processes().size(), problems);
    }

    /** A moment ago. Any thread. */
    public DeadmanView view() {
        return view;
    }

    /** From here on the deadman does nothing for this lockspace: its domains are left running on purpose. */
    public void standDown() {
        stoodDown = true;
        close();
        try {
            thread.join(STOP_MILLIS); // or it might make a new one
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        file = null;
        try {
            withdraw(runtimeDir, lockspace);
        } catch (IOException e) {
            LOG.fatal("VG-701 the deadman's file could not be removed: stop vmguard-deadman.service", e);
        }
    }

    /** Ends the thread. The orders stay: a successor takes them over, and without one they are carried out. */
    @Override
    public void close() {
        closing = true;
        wakeUp.release();
    }
}
