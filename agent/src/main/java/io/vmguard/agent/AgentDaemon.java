/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.deadman.Deadman;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.events.EventAppender;
import io.vmguard.agent.events.EventLog;
import io.vmguard.agent.fence.FenceTimes;
import io.vmguard.agent.guard.ActiveDomains;
import io.vmguard.agent.guard.DomainGuard;
import io.vmguard.agent.guard.DomainView;
import io.vmguard.agent.guard.GuardSettings;
import io.vmguard.agent.guard.GuardSettings.OnUnprotected;
import io.vmguard.agent.guard.GuardView;
import io.vmguard.agent.hook.AgentClient;
import io.vmguard.agent.hook.DeviceHandler;
import io.vmguard.agent.hook.EventsHandler;
import io.vmguard.agent.hook.HookCalls;
import io.vmguard.agent.hook.HookHandler;
import io.vmguard.agent.hook.HookServer;
import io.vmguard.agent.hook.StopHandler;
import io.vmguard.agent.hook.UpkeepHandler;
import io.vmguard.agent.hypervisor.libvirt.LibvirtHypervisor;
import io.vmguard.agent.hypervisor.statusfile.StatusFiles;
import io.vmguard.agent.process.linux.LinuxImageFiles;
import io.vmguard.agent.process.linux.LinuxQemuProcesses;
import io.vmguard.agent.process.linux.LockedMemory;
import io.vmguard.agent.stop.AgentStop;
import io.vmguard.agent.stop.RunningAgent;
import io.vmguard.agent.systemd.KeepAlive;
import io.vmguard.agent.systemd.KeptDescriptors;
import io.vmguard.agent.systemd.ReadinessSocket;
import io.vmguard.agent.upkeep.AuditLog;
import io.vmguard.agent.upkeep.Upkeep;
import io.vmguard.agent.watchdog.LeaseWatchdog;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.engine.EngineSettings;
import io.vmguard.lease.engine.HostIdentity;
import io.vmguard.lease.engine.LeaseEngine;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.location.LeaseLocation;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * The agent: wires engine, guard, libvirt and hook server, in the order in which they may depend on each other.
 *
 * <pre>
 * start   hook server listens  ->  engine joins  ->  libvirt is looked for      (libvirt may come up much later, or never)
 * stop    hooks are refused    ->  libvirt let go  ->  engine leaves, or with domains running keeps its id until it expires
 * for good: the same, after {@link AgentStop} has done what somebody has chosen
 * </pre>
 */
final class AgentDaemon implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(AgentDaemon.class);
    private static final Duration VOLUME_LIMIT = Duration.ofSeconds(3);
    /** For an agent that may be there to answer; less than libvirt's hooks wait. */
    private static final Duration SOCKET_LIMIT = Duration.ofSeconds(3);

    /** As many calls as libvirt serves us at a time: four connections with five calls each, a list, and three looks at single domains. */
    private static final int HYPERVISOR_THREADS = 24;

    private static final int LOOKUP_THREADS = 8;

    /** For changes of running domains; each look takes some milliseconds, and with hanging storage a few seconds at most. */
    private static final int IMAGE_THREADS = 4;

    /** A little less than TimeoutStartSec of the unit. */
    private static final Duration READY_LATEST = Duration.ofSeconds(170);

    /** For leases that are being given back when the agent is told to stop. */
    private static final Duration RELEASE_LIMIT = Duration.ofSeconds(10);

    /** Some hundred KiB; a start is two or three events. */
    private static final int EVENTS_KEPT = 1000;

    private final AgentConfig config;
    private final ReadinessSocket readiness;
    private final LeaseEngine engine;
    private final LibvirtHypervisor hypervisor;
    private final LinuxQemuProcesses processes;
    private final ThreadPoolExecutor hypervisorCalls;
    private final ThreadPoolExecutor lookups;
    private final ThreadPoolExecutor storageLooks;
    private final LinuxImageFiles imageFiles;
    private final ThreadPoolExecutor imageLooks;
    private final LeaseWatchdog watchdog;
    private final DomainGuard guard;
    private final StatusFiles statusFiles;
    private final HookServer server;
    private final EventAppender events;
    /** Empty in mode observe, which kills nothing. */
    private final Optional<Deadman> deadman;

    private final FenceTimes times;
    private final KeepAlive keepAlive;
    private final CountDownLatch stopped = new CountDownLatch(1);

    /**
     * @throws IOException with a sentence for people, if something that the agent needs on this host cannot be used
     * @throws IllegalStateException if another agent runs
     */
    AgentDaemon(AgentConfig config, ReadinessSocket readiness, KeptDescriptors kept) throws IOException {
        this.config = config;
        this.readiness = readiness;
        SecureRandom random = new SecureRandom();
        LinuxClock clock = new LinuxClock();
        HostIdentity identity = HostIdentity.ofThisMachine(config.stateDir(), random);
        EngineSettings settings = new EngineSettings(
                new LeaseName(config.lockspace()),
                new Timeouts(config.ioTimeout(), config.watchdogTimeout()),
                config.hostId(),
                identity,
                config.runtimeDir(),
                config.stateDir(),
                LeaseLayout.SECTOR_512,
                config.maxHosts());
        FenceTimes times = new FenceTimes(settings.timeouts(), config.destroyTimeout());
        this.watchdog = new WatchdogSetup(config, settings.timeouts(), clock, kept).watchdog(identity.nodeName());
        Relay relay = new Relay();
        this.engine = LeaseEngine.open(settings, config.leaseDir(), random, relay);
        this.hypervisor = new LibvirtHypervisor(config.libvirtUri());
        this.processes = LinuxQemuProcesses.start(LinuxQemuProcesses.DEFAULT_PID_DIRECTORY);
        this.hypervisorCalls = threads(HYPERVISOR_THREADS, "vmguard-libvirt-call");
        this.lookups = threads(LOOKUP_THREADS, "vmguard-lookup");
        this.storageLooks = StorageLooks.threads();
        this.imageFiles = new LinuxImageFiles();
        this.imageLooks = threads(IMAGE_THREADS, "vmguard-images");
        DomainLeases leases =
                StorageLooks.leases(config, new HypervisorVolumes(hypervisor, VOLUME_LIMIT), storageLooks);
        boolean observe = config.mode() == AgentConfig.Mode.OBSERVE;
        this.guard = new DomainGuard(
                new GuardSettings(
                        observe,
                        OnUnprotected.valueOf(config.onUnprotected().name()),
                        FirstStart.nanos(config.stateDir(), identity.bootId(), clock),
                        config.allowIgnoreLockfailure(),
                        config.liveMigration(),
                        config.allowUnguardedMigration(),
                        config.hookTimeout(),
                        times,
                        identity.nodeName()),
                engine,
                engine,
                hypervisor,
                processes,
                new ActiveDomains(hypervisor, leases, clock, imageFiles, imageLooks),
                watchdog,
                clock,
                hypervisorCalls,
                lookups);
        relay.guard = guard;
        this.statusFiles = new StatusFiles(StatusFiles.SYSTEM_DIRECTORY, new StatusFiles.Listener() {
            @Override
            public void status(DomainStatus status) {
                guard.status(status);
            }

            @Override
            public void noStatus(String name) {
                guard.noStatus(name);
            }
        });
        this.times = times;
        this.deadman = observe ? Optional.empty() : Optional.of(deadman(identity, clock));
        if (observe) {
            Deadman.withdraw(config.runtimeDir(), settings.lockspace());
        }
        relay.deadman = deadman;
        deadman.ifPresent(other -> guard.onNews(other::look));
        this.keepAlive =
                new KeepAlive(readiness, System.getenv(), new Progress(engine, guard, settings.timeouts(), clock));
        HookCalls calls = new HookCalls(clock);
        EventLog eventLog = new EventLog(EVENTS_KEPT);
        this.events = EventAppender.attach(eventLog);
        StatusSource status =
                new StatusSource(config, identity, engine, hypervisor, guard, deadman, times, watchdog, calls, clock);
        Upkeep upkeep = new Upkeep(
                engine,
                engine,
                new LeaseInspector(LeaseLocation.toLookAt(config.leaseDir(), clock)),
                new AuditLog(config.stateDir().resolve("audit.log"), clock),
                clock,
                identity.nodeName());
        this.server = new HookServer(
                config.socket(),
                config.socketGroup(),
                List.of(
                        new UpkeepHandler(upkeep),
                        new EventsHandler(eventLog, HexFormat.of().toHexDigits(random.nextLong())),
                        new DeviceHandler(guard, leases),
                        new StopHandler(new AgentStop(new Parts(), RELEASE_LIMIT, stopped::countDown))),
                new HookHandler(guard, leases, status, calls, observe, config.hookTimeout()));
    }

    private Deadman deadman(HostIdentity identity, LeaseClock clock) {
        return new Deadman(
                config.runtimeDir(),
                new LeaseName(config.lockspace()),
                identity.bootId(),
                ProcessHandle.current().pid(),
                times,
                clock,
                process -> processes.mayBeThere(process.pid(), process.startTicks()),
                new DeadmanOrders(guard::view));
    }

    private static ThreadPoolExecutor threads(int count, String name) {
        ThreadPoolExecutor pool =
                new ThreadPoolExecutor(count, count, 30, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), task -> {
                    Thread thread = new Thread(task, name);
                    thread.setDaemon(true);
                    return thread;
                });
        pool.allowCoreThreadTimeOut(true);
        return pool;
    }

    /** Starts everything; returns once hooks are answered. */
    void start() throws IOException {
        // Its socket would be taken from an agent that lives. One that was killed cannot answer.
        if (!engine.isOnlyAgent() && answers(config.socket())) {
            throw new IOException("another vmguard agent answers on " + config.socket() + ": stop that one first");
        }
        watchdog.start();
        LockedMemory.lock()
                .ifPresent(
                        why -> LOG.info("VG-101 its memory may be swapped out, which can hold the agent up: {}", why));
        guard.start();
        deadman.ifPresent(Deadman::start);
        server.start();
        LOG.info(
                "VG-100 vmguard {} listens on {}; lease directory {}, mode {}",
                Version.current(),
                config.socket(),
                config.leaseDir(),
                config.mode().name().toLowerCase(Locale.ROOT));
        readiness.status("joining lockspace " + config.lockspace());
        // While storage hangs nothing is decided. Ended for that, and started again, it would hang as well,
        // beside itself.
        CompletableFuture.delayedExecutor(READY_LATEST.toSeconds(), TimeUnit.SECONDS)
                .execute(readiness::ready);
        engine.join();
        keepAlive.start();
        hypervisor.start(guard);
        statusFiles.start();
    }

    private static boolean answers(Path socket) {
        try {
            new AgentClient(socket, SOCKET_LIMIT).get("/v1/status");
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    /** Blocks until somebody asks for the end, for good, or until {@link #close}. */
    void awaitStop() throws InterruptedException {
        stopped.await();
    }

    @Override
    public void close() {
        readiness.stopping();
        int running = stopped.getCount() == 0 ? 0 : engine.view().held().size(); // or it was chosen, and was said
        guard.close();
        if (engine.member() && engine.view().held().isEmpty()) {
            watchdog.disarm(); // the guard may have ended before it came to say so
        }
        watchdog.close(); // before what may hang: it gives the next agent as much time as there is
        server.close();
        statusFiles.close();
        hypervisor.close();
        if (running > 0) {
            LOG.warn(
                    "VG-102 stopping with {} leases in use. Start the agent again within {} s of the last renewal to keep them: the deadman "
                            + "kills their domains {} s after it, for other hosts may take the leases after {} s",
                    running,
                    engine.timeouts().renewalFailed().toSeconds(),
                    times.deadmanKills().toSeconds(),
                    times.hostDead().toSeconds());
        }
        engine.close();
        hypervisorCalls.shutdownNow();
        lookups.shutdownNow();
        storageLooks.shutdownNow();
        imageLooks.shutdownNow();
        imageFiles.close();
        processes.close();
        LOG.info("VG-103 stopped");
        events.detach();
        keepAlive.close();
        deadman.ifPresent(Deadman::close);
        stopped.countDown();
    }

    /** What a stop for good needs. */
    private final class Parts implements RunningAgent {
        @Override
        public List<DomainView> domains() {
            return guard.view().domains();
        }

        @Override
        public CompletableFuture<List<DomainView>> shut() {
            return guard.shut().thenApply(GuardView::domains);
        }

        @Override
        public void reopen() {
            guard.reopen();
        }

        @Override
        public LockspaceView lockspace() {
            return engine.view();
        }

        @Override
        public CompletableFuture<Optional<String>> disarm() {
            return watchdog.standDown();
        }

        @Override
        public void keepUsers() throws IOException {
            engine.keepUsers();
        }

        @Override
        public void standDown() {
            deadman.ifPresent(Deadman::standDown);
        }
    }

    /** Passes the engine's words to the guard, which needs the engine first, and to systemd. */
    private final class Relay implements LockspaceListener {
        @SuppressWarnings("NullAway.Init") // set before the engine joins
        private volatile DomainGuard guard;

        private volatile Optional<Deadman> deadman = Optional.empty();

        @Override
        public void joined(Owner owner, boolean resumed) {
            guard.joined(owner, resumed);
            readiness.ready();
            readiness.status("host id " + owner.hostId() + " in lockspace " + config.lockspace());
        }

        @Override
        public void joinFailed(LeaseFault fault, String why) {
            guard.joinFailed(fault, why);
            // Ready in the sense of the boot: libvirt may come up. Starts that need a lease are refused, with
            // this reason.
            readiness.ready();
            readiness.status("not a member: " + why);
        }

        @Override
        public void recordRebuilt(String file, int leases) {
            guard.recordRebuilt(file, leases);
        }

        @Override
        public void renewed(Renewal renewal) {
            deadman.ifPresent(other -> other.renewed(renewal));
            watchdog.renewed(renewal);
            guard.renewed(renewal);
        }

        @Override
        public void hostChanged(HostView host) {
            guard.hostChanged(host);
        }

        @Override
        public void requested(LeaseName resource, RequestMode mode) {
            guard.requested(resource, mode);
        }

        @Override
        public void renewalLate(String why) {
            guard.renewalLate(why);
        }

        @Override
        public void renewalRecovered() {
            guard.renewalRecovered();
        }

        @Override
        public void lost(LeaseFault fault, String why) {
            watchdog.lost(why);
            guard.lost(fault, why);
        }

        @Override
        public void previousLifeLost(Map<LeaseName, LeaseUse> users) {
            guard.previousLifeLost(users);
        }
    }
}
