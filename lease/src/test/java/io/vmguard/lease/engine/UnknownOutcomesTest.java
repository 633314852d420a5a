/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static io.vmguard.lease.engine.LiveHost.LS;
import static io.vmguard.lease.engine.LiveHost.NOTE;
import static io.vmguard.lease.engine.LiveHost.R1;
import static io.vmguard.lease.engine.LiveHost.SOON;
import static io.vmguard.lease.engine.LiveHost.answer;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.ReceiveResult;
import io.vmguard.lease.engine.FaultyStore.Kind;
import io.vmguard.lease.engine.LiveHost.Machine;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.Await;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * Every single write of every operation goes wrong once, with and without effect. Whatever the caller was told, in the end nothing is
 * undetermined, nobody is left out for good, and two hosts never hold what only one may.
 */
@Execution(ExecutionMode.CONCURRENT)
class UnknownOutcomesTest {
    /** More than any operation has. */
    private static final int MAX_WRITES = 12;

    @TempDir(factory = UnderTarget.class)
    Path dir;

    private FaultyStore storage;
    private LiveHost host;
    private LiveHost other;
    private int resources;
    private LeaseName resource = R1;

    @BeforeEach
    void oneHostWithAFaultyStoreAndAnother() throws IOException {
        Path leases = Files.createDirectory(dir.resolve("leases"));
        AtomicReference<FaultyStore> faulty = new AtomicReference<>();
        host = Machine.at(leases, dir.resolve("a"))
                .through(store -> {
                    faulty.set(new FaultyStore(store, LS, LeaseLayout.SECTOR_512.noteOffset()));
                    return faulty.get();
                })
                .join();
        other = Machine.at(leases, dir.resolve("b")).join();
        host.awaitMember();
        other.awaitMember();
        Await.until("sight of each other", SOON, () -> host.sees(other) && other.sees(host));
        storage = faulty.get();
    }

    @AfterEach
    void end() {
        host.close();
        other.close();
    }

    private interface Case {
        void run();
    }

    /** Runs an operation with a fault at its first write, its second, ... until it has no more. */
    private void atEachWrite(Case operation, Case check) {
        List<String> tried = new ArrayList<>();
        for (Kind kind : Kind.values()) {
            for (int number = 0; number < MAX_WRITES; number++) {
                resource = new LeaseName("R" + ++resources);
                tried.add(kind + " at write " + number + " of " + resource);
                prepared = Optional.empty();
                fault = Optional.of(new Fault(number, kind));
                operation.run();
                boolean came = storage.hasFailed();
                storage.failWrite(Integer.MAX_VALUE - 1, kind);
                Await.until(
                        "a decided outcome after " + tried.get(tried.size() - 1) + "; undetermined "
                                + host.engine.view().undetermined(),
                        SOON,
                        () -> host.engine.view().undetermined().isEmpty());
                check.run();
                if (!came) {
                    break;
                }
            }
        }
        assertThat(tried).as("faults came").hasSizeGreaterThan(4);
    }

    private record Fault(int number, Kind kind) {}

    private Optional<Fault> fault = Optional.empty();
    private Optional<AcquireResult> prepared = Optional.empty();

    private void armed() {
        Fault now = fault.orElseThrow();
        storage.failWrite(now.number(), now.kind());
    }

    @Test
    void anExclusiveAcquire() {
        atEachWrite(
                () -> {
                    armed();
                    prepared = Optional.of(host.acquire(resource));
                },
                () -> {
                    if (prepared.orElseThrow() instanceof AcquireResult.Acquired) {
                        assertThat(other.acquire(resource)).isInstanceOf(AcquireResult.HeldBy.class);
                        host.release(resource);
                    } else {
                        assertThat(host.engine.view().held()).doesNotContainKey(resource);
                    }
                    freeForTheOther();
                });
    }

    @Test
    void aSharedAcquire() {
        atEachWrite(
                () -> {
                    armed();
                    prepared = Optional.of(shared());
                },
                () -> {
                    if (prepared.orElseThrow() instanceof AcquireResult.Acquired) {
                        assertThat(other.acquire(resource)).isInstanceOf(AcquireResult.HeldBy.class);
                        host.release(resource);
                    } else {
                        assertThat(host.engine.view().held()).doesNotContainKey(resource);
                    }
                    freeForTheOther();
                });
    }

    @Test
    void aConversionToExclusive() {
        atEachWrite(
                () -> {
                    shared();
                    armed();
                    prepared = Optional.of(answer(host.engine.convert(resource, NOTE, LeaseMode.EXCLUSIVE)));
                },
                () -> {
                    boolean converted = prepared.orElseThrow() instanceof AcquireResult.Acquired;
                    LeaseMode mode = converted ? LeaseMode.EXCLUSIVE : LeaseMode.SHARED;
                    Await.until(
                            "the hold that the caller was told of",
                            SOON,
                            () -> new LeaseUse(mode, List.of(NOTE))
                                    .equals(host.engine.view().held().get(resource)));
                    assertThat(other.acquire(resource)).isInstanceOf(AcquireResult.HeldBy.class);
                    host.release(resource);
                    freeForTheOther();
                });
    }

    @Test
    void aConversionToShared() {
        atEachWrite(
                () -> {
                    host.acquire(resource);
                    armed();
                    prepared = Optional.of(answer(host.engine.convert(resource, NOTE, LeaseMode.SHARED)));
                },
                () -> {
                    assertThat(host.engine.view().held())
                            .containsEntry(resource, new LeaseUse(LeaseMode.SHARED, List.of(NOTE)));
                    assertThat(other.acquire(resource)).isInstanceOf(AcquireResult.HeldBy.class);
                    host.release(resource);
                    freeForTheOther();
                });
    }

    @Test
    void aRelease() {
        atEachWrite(
                () -> {
                    host.acquire(resource);
                    armed();
                    host.release(resource);
                },
                this::freeForTheOther);
    }

    @Test
    void aHandOver() {
        AtomicReference<HandOverResult> given = new AtomicReference<>();
        atEachWrite(
                () -> {
                    host.acquire(resource);
                    answer(other.engine.prepareToReceive(resource, NOTE, host.owner()));
                    armed();
                    given.set(answer(host.engine.handOver(resource, other.owner())));
                    if (given.get() instanceof HandOverResult.Kept) {
                        other.engine.decline(resource).join();
                    } else {
                        // Given, or on the way to it: there is no way back.
                        assertThat(answer(other.engine.confirmReceived(resource, SOON)))
                                .isInstanceOf(ReceiveResult.Confirmed.class);
                    }
                },
                () -> {
                    if (given.get() instanceof HandOverResult.Kept) {
                        assertThat(host.engine.view().held()).containsKey(resource);
                        assertThat(other.acquire(resource)).isInstanceOf(AcquireResult.HeldBy.class);
                        host.release(resource);
                    } else {
                        assertThat(host.engine.view().held()).doesNotContainKey(resource);
                        assertThat(host.acquire(resource)).isInstanceOf(AcquireResult.HeldBy.class);
                        other.release(resource);
                        assertThat(host.acquire(resource)).isInstanceOf(AcquireResult.Acquired.class);
                        host.release(resource);
                    }
                    freeForTheOther();
                });
    }

    @Test
    void receiving() {
        atEachWrite(
                () -> {
                    other.acquire(resource);
                    armed();
                    // A second try is what a caller does who is told that it cannot be told.
                    Await.until(
                            "preparation",
                            SOON,
                            () -> answer(host.engine.prepareToReceive(resource, NOTE, other.owner()))
                                    instanceof ReceiveResult.Prepared);
                    assertThat(answer(other.engine.handOver(resource, host.owner())))
                            .isInstanceOf(HandOverResult.Given.class);
                    Await.until(
                            "confirmation",
                            SOON,
                            () -> answer(host.engine.confirmReceived(resource, Duration.ZERO))
                                    instanceof ReceiveResult.Confirmed);
                },
                () -> {
                    assertThat(host.engine.view().held()).containsKey(resource);
                    assertThat(other.acquire(resource)).isInstanceOf(AcquireResult.HeldBy.class);
                    host.release(resource);
                    freeForTheOther();
                });
    }

    private AcquireResult shared() {
        return answer(host.engine.acquire(resource, NOTE, LeaseMode.SHARED, Duration.ZERO));
    }

    private void freeForTheOther() {
        Await.until(
                "a lease that the other host can have: " + other.acquire(resource),
                SOON,
                () -> other.acquire(resource) instanceof AcquireResult.Acquired
                        || other.engine.view().held().containsKey(resource));
        other.release(resource);
    }
}
