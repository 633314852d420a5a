/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.derive.LeaseMode;
import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.guard.GuardSettings.OnUnprotected;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.TransferWord.State;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Leases that are lost while a domain is on its way: what its {@code <on_lockfailure>} says counts on the host where its guest is. */
class DomainGuardMigrationLossTest {
    private static final Owner NODE_B = new Owner(2, 7);
    /** Half of the time for an orderly end. */
    private static final Duration TO_PAUSE = GuardBench.DESTROY_LIMIT.dividedBy(2);

    private final GuardBench bench = GuardBench.of(
                    GuardBench.settings(false, OnUnprotected.REPORT, true, GuardBench.ANSWER_LIMIT))
            .joined();

    // ---- the host that it comes from

    @Test
    void itsMigrationIsCancelledBeforeItIsPausedAndItCanMigrateAgainWithItsLeasesBack() {
        TestDomain domain = domain("pause");
        FakeProcess qemu = leaving(domain);
        bench.lockspace.lose();
        bench.pass(Duration.ofMillis(500));
        assertThat(bench.hypervisor.changes()).containsExactly("cancel");
        assertThat(bench.hypervisor.suspends())
                .as("libvirt resumes it when its migration has failed")
                .isEmpty();

        status(domain, "running", "migration-canceled", "", "");
        bench.pass(Duration.ofMillis(200));
        assertThat(bench.hypervisor.suspends()).containsExactly(domain.uuid());
        assertThat(qemu.stopped()).isTrue();
        assertThat(bench.hypervisor.destroys()).isEmpty();

        status(domain, "paused", "user", "", "");
        bench.joined();
        bench.pass(Duration.ofMillis(200));
        assertThat(qemu.stopped()).isFalse();
        TransferWord lost = bench.transfer.giver;
        status(domain, "running", "unpaused", "", "");
        bench.pass(Duration.ofMillis(200));
        assertThat(bench.transfer.giver).as("no migration is under way").isEqualTo(lost);
        status(domain, "running", "unpaused", "migration out", "perform3");
        bench.pass(Duration.ofMillis(200));
        assertThat(bench.transfer.giver).as("another offer").isNotEqualTo(lost);
        assertThat(qemu.alive()).isTrue();
    }

    @Test
    void ifItsMigrationIsNotCancelledInTimeItIsPoweredOff() {
        TestDomain domain = domain("pause");
        FakeProcess qemu = leaving(domain);
        bench.lockspace.lose();
        bench.pass(TO_PAUSE.minusMillis(100));
        assertThat(bench.hypervisor.destroys()).isEmpty();
        bench.pass(Duration.ofMillis(200));
        assertThat(bench.hypervisor.destroys()).containsExactly(domain.uuid());
        assertThat(bench.hypervisor.suspends()).isEmpty();
        bench.pass(GuardBench.DESTROY_LIMIT);
        assertThat(qemu.alive()).isFalse();
    }

    @Test
    void whoIgnoresItsLossStaysHereToo() {
        TestDomain domain = domain("ignore");
        FakeProcess qemu = leaving(domain);
        bench.lockspace.lose();
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.hypervisor.changes()).containsExactly("cancel");
        assertThat(bench.hypervisor.destroys()).isEmpty();
        assertThat(qemu.alive()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"poweroff", "restart"})
    void whoIsToEndNeedsNoCancelling(String word) {
        TestDomain domain = domain(word);
        FakeProcess qemu = leaving(domain);
        bench.lockspace.lose();
        bench.settle();
        assertThat(bench.hypervisor.destroys()).containsExactly(domain.uuid());
        assertThat(bench.hypervisor.changes()).isEmpty();
        qemu.end();
        bench.inactive(domain);
        bench.settle();
        bench.joined();
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.hypervisor.starts()).hasSize(word.equals("restart") ? 1 : 0);
    }

    /** The other host may be told to run it at any time, and would write to the disk that a paused copy remembers. */
    @ParameterizedTest
    @ValueSource(strings = {"poweroff", "pause", "restart", "ignore"})
    void whoseGuestHasBeenSentEndsHereWhateverItWants(String word) {
        TestDomain domain = domain(word);
        FakeProcess qemu = leaving(domain);
        bench.transfer.receiver = null;
        status(domain, "paused", "migration", "migration out", "perform3_done");
        bench.settle();
        bench.lockspace.lose();
        bench.pass(GuardBench.DESTROY_LIMIT.plusSeconds(1));
        assertThat(bench.hypervisor.changes()).isEmpty();
        assertThat(bench.hypervisor.suspends()).isEmpty();
        assertThat(qemu.alive()).isFalse();
    }

    @Test
    void whoseGuestHasBeenSentBeforeItsMigrationCouldBeCancelledIsNotPausedEither() {
        TestDomain domain = domain("pause");
        FakeProcess qemu = leaving(domain);
        bench.lockspace.lose();
        bench.settle();
        status(domain, "paused", "migration", "migration out", "perform3_done");
        bench.pass(GuardBench.DESTROY_LIMIT.plusSeconds(1));
        assertThat(bench.hypervisor.suspends()).isEmpty();
        assertThat(qemu.alive()).isFalse();
    }

    // ---- the host from which the other one fetches the rest of its memory

    /** Post-copy: it cannot run here any more, and without what is left here it cannot go on there. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whatTheOtherHostFetchesFromIsLeftAlone(boolean readable) {
        TestDomain domain = domain("poweroff");
        FakeProcess qemu = fetchedFrom(domain);
        assertThat(bench.view(domain).orElseThrow().state()).isEqualTo("migrated");
        assertThat(bench.watchdog.armed()).as("no lease is in use here").isFalse();
        bench.transfer.unreadable = !readable; // most leases are lost because the storage is away
        bench.pass(Duration.ofSeconds(1));
        bench.lockspace.lose();
        bench.pass(Duration.ofMinutes(3));
        assertThat(qemu.alive()).isTrue();
        assertThat(qemu.stopped()).isFalse();
        assertThat(bench.hypervisor.destroys()).isEmpty();
        assertThat(bench.hypervisor.changes()).isEmpty();
        assertThat(bench.watchdog.armed()).isFalse();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);

        bench.transfer.unreadable = false;
        bench.joined();
        bench.pass(Duration.ofSeconds(10));
        assertThat(qemu.alive()).isTrue();
        assertThat(bench.view(domain).orElseThrow().state()).isEqualTo("migrated");
        assertThat(bench.lockspace.held()).isEmpty();
        qemu.end();
        bench.inactive(domain);
        bench.settle();
        assertThat(bench.view(domain)).isEmpty();
    }

    /** What may happen to a post-copy migration, or is not known of it: then it ends with the membership as ever. */
    private enum Doubt {
        NOT_KNOWN_TO_RUN_THERE {
            @Override
            void arises(DomainGuardMigrationLossTest test, TestDomain domain) {
                test.postCopy(domain);
            }
        },
        NOT_IN_POST_COPY {
            @Override
            void arises(DomainGuardMigrationLossTest test, TestDomain domain) {
                test.status(domain, "paused", "migration", "migration out", "perform3_done");
                test.bench.settle();
                test.runsThere();
            }
        },
        BROKEN_OFF {
            @Override
            void arises(DomainGuardMigrationLossTest test, TestDomain domain) {
                test.postCopy(domain);
                test.runsThere();
                test.status(domain, "paused", "post-copy failed", "", "");
            }
        },
        ENDED_THERE {
            @Override
            void arises(DomainGuardMigrationLossTest test, TestDomain domain) {
                test.postCopy(domain);
                test.runsThere();
                test.answer(State.ENDED);
            }
        },
        NOT_ALL_GIVEN {
            @Override
            void arises(DomainGuardMigrationLossTest test, TestDomain domain) {
                test.bench.transfer.notAskedFor.add(domain.resource());
                test.postCopy(domain);
                test.runsThere();
            }
        },
        STATUS_NOT_KNOWN {
            @Override
            void arises(DomainGuardMigrationLossTest test, TestDomain domain) {
                test.postCopy(domain);
                test.runsThere();
                test.bench.guard.noStatus(domain.name());
            }
        },
        SAID_TO_RUN_HERE {
            @Override
            void arises(DomainGuardMigrationLossTest test, TestDomain domain) {
                test.postCopy(domain);
                test.runsThere();
                test.status(domain, "running", "post-copy", "migration out", "perform3");
            }
        },
        GOES_ON_HERE {
            @Override
            void arises(DomainGuardMigrationLossTest test, TestDomain domain) {
                test.postCopy(domain);
                test.runsThere();
                test.bench.event(domain, DomainEvent.Kind.RESUMED);
            }
        };

        abstract void arises(DomainGuardMigrationLossTest test, TestDomain domain);
    }

    @ParameterizedTest
    @EnumSource
    void inAnyDoubtItEnds(Doubt doubt) {
        TestDomain domain = domain("poweroff");
        FakeProcess qemu = leaving(domain);
        doubt.arises(this, domain);
        bench.pass(Duration.ofMillis(100));
        assertThat(bench.view(domain).map(DomainView::state)).isNotEqualTo(Optional.of("migrated"));
        bench.lockspace.lose();
        bench.pass(GuardBench.DESTROY_LIMIT.plusSeconds(1));
        assertThat(qemu.alive()).isFalse();
    }

    /** Nobody else watches it while this host is no member. */
    @ParameterizedTest
    @EnumSource(names = {"BROKEN_OFF", "STATUS_NOT_KNOWN", "SAID_TO_RUN_HERE", "GOES_ON_HERE"})
    void aDoubtThatArisesAfterTheLossEndsItAtOnce(Doubt doubt) {
        TestDomain domain = domain("poweroff");
        FakeProcess qemu = fetchedFrom(domain);
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(10));
        assertThat(qemu.alive()).isTrue();
        switch (doubt) {
            case BROKEN_OFF -> status(domain, "paused", "post-copy failed", "", "");
            case STATUS_NOT_KNOWN -> bench.guard.noStatus(domain.name());
            case SAID_TO_RUN_HERE -> status(domain, "running", "post-copy", "migration out", "perform3");
            default -> bench.event(domain, DomainEvent.Kind.RESUMED);
        }
        bench.pass(Duration.ofMillis(200));
        assertThat(qemu.alive()).isFalse();
    }

    // ---- the host that it comes to

    @ParameterizedTest
    @ValueSource(strings = {"poweroff", "pause", "restart", "ignore"})
    void whoseGuestHasNotComeYetEndsHereAndIsNotStartedAgain(String word) {
        TestDomain domain = domain(word);
        FakeProcess qemu = arriving(domain);
        bench.lockspace.lose();
        bench.pass(GuardBench.DESTROY_LIMIT.plusSeconds(1));
        assertThat(bench.hypervisor.suspends()).isEmpty();
        assertThat(qemu.alive()).isFalse();
        bench.inactive(domain);
        bench.joined();
        bench.pass(Duration.ofMinutes(3));
        assertThat(bench.hypervisor.starts()).isEmpty();
    }

    @Test
    void whoseGuestHasComeGetsWhatItWants() {
        TestDomain domain = domain("pause");
        FakeProcess qemu = arriving(domain);
        status(domain, "running", "migrated", "", "");
        bench.pass(Duration.ofMillis(200));
        bench.lockspace.lose();
        bench.pass(Duration.ofMillis(500));
        assertThat(bench.hypervisor.suspends()).containsExactly(domain.uuid());
        assertThat(qemu.stopped()).isTrue();
    }

    // ----

    private static TestDomain domain(String word) {
        return TestDomain.of("demo1", "/images/one.qcow2").onLockFailure(word);
    }

    /** It runs here, and its memory is being sent to node-b, which has prepared for its leases. */
    private FakeProcess leaving(TestDomain domain) {
        bench.lockspace.sees(nodeB());
        CompletableFuture<StartAnswer> answer = bench.guard.prepare(domain.spec(), domain.uuid(), derivation(domain));
        bench.settle();
        assertThat(answer).isCompletedWithValue(new StartAnswer.Granted(""));
        FakeProcess qemu = bench.launch(domain);
        bench.pass(Duration.ofMillis(200));
        bench.transfer.owner = GuardBench.SELF;
        status(domain, "running", "booted", "migration out", "perform3");
        bench.pass(Duration.ofMillis(200));
        answer(State.PREPARED);
        bench.pass(Duration.ofMillis(200));
        return qemu;
    }

    /** The same, and now it runs on node-b, which owns its leases and fetches the rest of its memory from here. */
    private FakeProcess fetchedFrom(TestDomain domain) {
        FakeProcess qemu = leaving(domain);
        postCopy(domain);
        runsThere();
        bench.pass(Duration.ofMillis(200));
        return qemu;
    }

    private void postCopy(TestDomain domain) {
        status(domain, "paused", "post-copy", "migration out", "perform3");
        bench.settle();
        // The engine has no more what was given.
        Stream.concat(domain.resources().stream(), Stream.of(channel(domain)))
                .filter(resource -> !bench.transfer.notAskedFor.contains(resource))
                .forEach(bench.lockspace::release);
    }

    private void runsThere() {
        answer(State.RUNNING);
        bench.pass(Duration.ofMillis(200));
    }

    private void answer(State state) {
        TransferWord offer = bench.transfer.giver;
        assertThat(offer).isNotNull();
        bench.transfer.receiver = new TransferWord(NODE_B, offer.attempt(), 7, state);
    }

    /** Its guest runs on node-b, which has offered its leases. */
    private FakeProcess arriving(TestDomain domain) {
        bench.lockspace.sees(nodeB());
        bench.transfer.owner = NODE_B;
        bench.transfer.giver = new TransferWord(NODE_B, 42, 7, State.OFFERED);
        for (LeaseName resource : List.of(domain.resource(), channel(domain))) {
            bench.lockspace.answer(
                    resource,
                    new AcquireResult.HeldBy(
                            NODE_B,
                            nodeB().name(),
                            HostStatus.LIVE,
                            Optional.of(Duration.ofSeconds(3)),
                            Optional.empty(),
                            Optional.of(new LeaseNote(
                                    domain.name(), domain.uuid().toString(), "vda", "node-b", 1_767_000_000L)),
                            false));
        }
        CompletableFuture<StartAnswer> announced = bench.guard.migrate(domain.uuid(), domain.name());
        CompletableFuture<StartAnswer> answer = bench.guard.prepare(domain.spec(), domain.uuid(), derivation(domain));
        bench.settle();
        assertThat(List.of(announced, answer))
                .allMatch(each -> each.getNow(new StartAnswer.CannotTell("")).equals(new StartAnswer.Granted("")));
        FakeProcess qemu = bench.launch(domain);
        status(domain, "paused", "migration", "migration in", "none");
        bench.pass(Duration.ofMillis(200));
        return qemu;
    }

    private void status(TestDomain domain, String state, String reason, String job, String phase) {
        bench.guard.status(new DomainStatus(state, reason, 1, job, phase, domain.spec()));
    }

    private static HostView nodeB() {
        return new HostView(
                NODE_B,
                "33333333-44444444.node-b",
                HostStatus.LIVE,
                Optional.of(Duration.ofSeconds(3)),
                Optional.empty(),
                false);
    }

    private static LeaseName channel(TestDomain domain) {
        return new LeaseName("dom-" + domain.uuid());
    }

    /** With the lease on the domain itself. */
    private static Derivation derivation(TestDomain domain) {
        List<DiskLease> leases = new ArrayList<>(domain.derivation().leases());
        leases.add(new DiskLease(
                "domain",
                LeaseMode.EXCLUSIVE,
                "domain:" + domain.uuid(),
                channel(domain).value(),
                DiskLease.DOMAIN));
        return new Derivation(leases, List.of(), List.of());
    }
}
