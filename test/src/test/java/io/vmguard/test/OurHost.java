/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReceiveResult;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.RequestResult;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.engine.EngineSettings;
import io.vmguard.lease.engine.HostIdentity;
import io.vmguard.lease.engine.LeaseEngine;
import io.vmguard.lease.ondisk.LockspaceRules;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The lease engine in this process as one more host on a lease directory, with an identity of its own. */
final class OurHost implements AutoCloseable {
    private static final Duration ANSWER_LIMIT = Duration.ofSeconds(30);

    private static final LeaseNote USER =
            new LeaseNote("demo1", "7b1c6b1e-4a57-4a3b-9d26-1f6a0b8c2d3e", "vda (file)", "our-node", 1_700_000_000);

    /** All that the engine has told, one line each: {@code "joined 3/1"}, {@code "lost RENEW_DIFF ..."}. */
    final List<String> events = new CopyOnWriteArrayList<>();

    private final LeaseEngine engine;

    private OurHost(
            Path leases, Path local, String lockspace, int ioTimeoutSeconds, OptionalInt hostId, Geometry geometry)
            throws IOException {
        SecureRandom random = new SecureRandom();
        Path state = local.resolve("state");
        engine = LeaseEngine.open(
                new EngineSettings(
                        new LeaseName(lockspace),
                        Timeouts.ofSeconds(ioTimeoutSeconds),
                        hostId,
                        HostIdentity.ofThisMachine(state, random),
                        local.resolve("run"),
                        state,
                        geometry.layout(),
                        Math.min(
                                LockspaceRules.USUAL_MAX_HOSTS,
                                geometry.layout().maxHosts())),
                leases,
                random,
                new Recorder());
    }

    /**
     * Opens the engine; {@link #join} makes it a member.
     *
     * @param local its runtime and state directories: one per host
     */
    static OurHost open(Path leases, Path local, String lockspace, int ioTimeoutSeconds, OptionalInt hostId) {
        return open(leases, local, lockspace, ioTimeoutSeconds, hostId, Geometry.SECTORS_512);
    }

    /**
     * The same with a geometry for what it makes.
     *
     * @param geometry of a lockspace that is not there yet
     */
    static OurHost open(
            Path leases, Path local, String lockspace, int ioTimeoutSeconds, OptionalInt hostId, Geometry geometry) {
        try {
            return new OurHost(leases, local, lockspace, ioTimeoutSeconds, hostId, geometry);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A member under any free host id, ready to acquire. */
    static OurHost member(Path leases, Path local, String lockspace, int ioTimeoutSeconds) {
        OurHost host = open(leases, local, lockspace, ioTimeoutSeconds, OptionalInt.empty());
        host.engine.join();
        host.awaitMember(ANSWER_LIMIT);
        return host;
    }

    void join() {
        engine.join();
    }

    void awaitMember(Duration limit) {
        Eventually.await("our engine to become a member", limit, () -> {
            if (!engine.member()) {
                throw new AssertionError("it said " + events);
            }
            return true;
        });
    }

    /** Waits until the engine has said something that begins so. */
    String awaitEvent(String beginning, Duration limit) {
        return Eventually.get("our engine to say " + beginning, limit, () -> {
            if (events.stream().noneMatch(e -> e.startsWith(beginning))) {
                throw new AssertionError("it said " + events);
            }
            return events.stream().filter(e -> e.startsWith(beginning)).findFirst();
        });
    }

    void usersGone() {
        engine.usersGone();
    }

    boolean member() {
        return engine.member();
    }

    Owner owner() {
        return engine.view().owner().orElseThrow();
    }

    LockspaceView view() {
        return engine.view();
    }

    AcquireResult acquire(String resource) {
        return acquire(resource, LeaseMode.EXCLUSIVE, USER);
    }

    AcquireResult acquireShared(String resource) {
        return acquire(resource, LeaseMode.SHARED, USER);
    }

    AcquireResult acquire(String resource, LeaseMode mode, LeaseNote user) {
        return answer(engine.acquire(new LeaseName(resource), user, mode, Duration.ZERO));
    }

    /** Changes how it is held. */
    AcquireResult convert(String resource, LeaseMode mode) {
        return answer(engine.convert(new LeaseName(resource), USER, mode));
    }

    /** A shared acquire that must succeed, perhaps after some that met others at it. */
    AcquireResult.Acquired mustShare(String resource) {
        return Eventually.get(
                "our shared acquire of " + resource,
                ANSWER_LIMIT,
                () -> acquireShared(resource) instanceof AcquireResult.Acquired acquired
                        ? Optional.of(acquired)
                        : Optional.empty());
    }

    /** Asks its holder to give it up. */
    RequestResult request(String resource, RequestMode mode) {
        return answer(engine.request(new LeaseName(resource), mode));
    }

    // ---- hand-over

    ReceiveResult prepareToReceive(String resource, Owner giver) {
        return answer(engine.prepareToReceive(new LeaseName(resource), USER, giver));
    }

    HandOverResult handOver(String resource, Owner receiver) {
        return answer(engine.handOver(new LeaseName(resource), receiver));
    }

    ReceiveResult confirmReceived(String resource) {
        return answer(engine.confirmReceived(new LeaseName(resource), ANSWER_LIMIT.dividedBy(2)));
    }

    ReleaseResult decline(String resource) {
        return answer(engine.decline(new LeaseName(resource)));
    }

    AcquireResult takeBack(String resource) {
        return answer(engine.takeBack(new LeaseName(resource)));
    }

    // ---- what must be

    /** This host as one that races for a resource. */
    Race.Racer racer(String resource) {
        return new Race.Racer() {
            @Override
            public int acquire(boolean shared) {
                return (shared ? acquireShared(resource) : OurHost.this.acquire(resource))
                        .fold(
                                acquired -> SanlockHost.HELD,
                                held -> held.shared() ? SanlockHost.SHARED_BY_OTHERS : SanlockHost.IDLIVE,
                                cannotTell -> cannotTell.fault().code());
            }

            @Override
            public void release() {
                mustRelease(resource);
            }
        };
    }

    /** An acquire that must succeed. */
    AcquireResult.Acquired mustAcquire(String resource) {
        return (AcquireResult.Acquired) expect(AcquireResult.Acquired.class, acquire(resource));
    }

    /** An acquire that must be refused. */
    AcquireResult.HeldBy mustBeRefused(String resource) {
        return (AcquireResult.HeldBy) expect(AcquireResult.HeldBy.class, acquire(resource));
    }

    /** An acquire that must end without a yes or no, for this reason. */
    AcquireResult.CannotTell mustNotTell(LeaseFault fault, String resource) {
        AcquireResult.CannotTell result =
                (AcquireResult.CannotTell) expect(AcquireResult.CannotTell.class, acquire(resource));
        if (result.fault() != fault) {
            throw new AssertionError("wanted " + fault + ", not " + result);
        }
        return result;
    }

    /** Asks until granted, as a caller may that knows the holder is on its way out. */
    void acquireWithin(Duration limit, String resource) {
        Eventually.await(
                "our acquire of " + resource, limit, () -> acquire(resource) instanceof AcquireResult.Acquired);
    }

    ReleaseResult release(String resource) {
        return answer(engine.release(new LeaseName(resource), USER));
    }

    /** A release by one of several users. */
    void mustRelease(String resource, LeaseNote user) {
        expect(ReleaseResult.Released.class, answer(engine.release(new LeaseName(resource), user)));
    }

    void mustRelease(String resource) {
        expect(ReleaseResult.Released.class, release(resource));
    }

    private static Object expect(Class<?> wanted, Object result) {
        if (!wanted.isInstance(result)) {
            throw new AssertionError("wanted " + wanted.getSimpleName() + ", not " + result);
        }
        return result;
    }

    private static <T> T answer(Future<T> future) {
        try {
            return future.get(ANSWER_LIMIT.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException | TimeoutException e) {
            throw new AssertionError("the engine did not answer", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
    }

    @Override
    public void close() {
        engine.close();
    }

    private final class Recorder implements LockspaceListener {
        @Override
        public void joined(Owner owner, boolean resumed) {
            events.add((resumed ? "resumed " : "joined ") + owner);
        }

        @Override
        public void joinFailed(LeaseFault fault, String why) {
            events.add("joinFailed " + fault + " " + why);
        }

        @Override
        public void renewalLate(String why) {
            events.add("renewalLate " + why);
        }

        @Override
        public void renewalRecovered() {
            events.add("renewalRecovered");
        }

        @Override
        public void lost(LeaseFault fault, String why) {
            events.add("lost " + fault + " " + why);
        }

        @Override
        public void requested(LeaseName resource, RequestMode mode) {
            events.add("requested " + resource + " " + mode);
        }

        @Override
        public void previousLifeLost(Map<LeaseName, LeaseUse> users) {
            events.add("previousLifeLost " + users.keySet());
        }
    }
}
