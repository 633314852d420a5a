/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static io.vmguard.agent.guard.LiveXml.disk;
import static io.vmguard.agent.guard.LiveXml.emptyCdrom;
import static io.vmguard.agent.guard.LiveXml.floppy;
import static io.vmguard.agent.guard.LiveXml.lease;
import static io.vmguard.agent.guard.LiveXml.mirrored;
import static io.vmguard.agent.guard.LiveXml.rbd;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.guard.GuardSettings.OnUnprotected;
import io.vmguard.agent.hypervisor.ChangeResult;
import io.vmguard.agent.hypervisor.DomainChange;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.testing.FakeHypervisor;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Leases follow the disks of a running domain: what no hook announces is seen in its live XML, by libvirt's list and by its status file. */
class DomainGuardFollowTest {
    private static final TestDomain DEMO = TestDomain.of("demo", "/i/a");
    private static final int PID = 1000;
    private static final Duration SOON = Duration.ofSeconds(1);
    private static final Duration LIMIT = Duration.ofSeconds(6);

    private final LiveXml live = new LiveXml(DEMO);

    private GuardBench running(OnUnprotected policy) {
        GuardBench bench = GuardBench.of(GuardBench.settings(false, policy, false, GuardBench.ANSWER_LIMIT))
                .joined();
        return running(bench);
    }

    private GuardBench running(GuardBench bench) {
        bench.run(DEMO);
        bench.images.open(PID, "/i/a");
        live.disks(disk("vda", "/i/a")).show(bench);
        return bench;
    }

    private GuardBench running() {
        return running(OnUnprotected.PAUSE);
    }

    private static LeaseMode mode(GuardBench bench, String file) {
        return bench.lockspace.view().held().get(lease(file)).mode();
    }

    // ---- hot-plug and unplug

    @Test
    void aPluggedDiskGetsItsLeaseByTheStatusFileAloneWhileLibvirtHangs() {
        GuardBench bench = running();
        bench.hypervisor.silent(true);
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b", "/i/base")).toStatusFile(bench);
        bench.settle();
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrder(lease("/i/a"), lease("/i/b"), lease("/i/base"));
        assertThat(mode(bench, "/i/b")).isEqualTo(LeaseMode.EXCLUSIVE);
        assertThat(mode(bench, "/i/base")).isEqualTo(LeaseMode.SHARED);
        assertThat(bench.hypervisor.changes()).isEmpty();
    }

    @Test
    void anUnpluggedDiskKeepsItsLeaseUntilQemuHasClosedIt() {
        GuardBench bench = running();
        bench.images.open(PID, "/i/a", "/i/b");
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.pass(Duration.ofMinutes(2));
        assertThat(bench.lockspace.held()).contains(lease("/i/b"));
        bench.images.open(PID, "/i/a");
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
        assertThat(bench.view(DEMO).orElseThrow().leases()).hasSize(1);
    }

    @Test
    void whileOpenFilesCannotBeSeenNothingIsGivenBack() {
        GuardBench bench = running();
        bench.images.open(PID, "/i/a", "/i/b");
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.images.silent(true);
        bench.images.open(PID, "/i/a");
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.held()).contains(lease("/i/b"));
        bench.images.silent(false);
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).doesNotContain(lease("/i/b"));
    }

    /** A domain one of whose disks has gone, the files of which could never be looked at. */
    private GuardBench withoutOneThatWasNeverSeen(String... openNow) {
        GuardBench bench = GuardBench.enforcing();
        bench.images.silent(true);
        bench.run(DEMO);
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.images.silent(false);
        bench.images.open(PID, openNow);
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.lockspace.held()).contains(lease("/i/b"));
        return bench;
    }

    @Test
    void aDiskWhoseFileWasNeverSeenKeepsItsLeaseUntilTheDomainEndsIfAnythingUnknownIsOpen() {
        GuardBench bench = withoutOneThatWasNeverSeen("/i/a", "/i/b");
        bench.pass(Duration.ofMinutes(2));
        assertThat(bench.lockspace.held()).contains(lease("/i/b"));
        bench.processes.end(DEMO.uuid());
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void aDiskWhoseFileWasNeverSeenIsGivenBackWhenNothingIsOpenButWhatTheDomainHas() {
        GuardBench bench = withoutOneThatWasNeverSeen("/i/a");
        bench.pass(Duration.ofSeconds(3));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void aNetworkDiskIsGivenBackWhenTheXmlHasBeenWithoutItForAWhile() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), rbd("vdb", "pool/b")).show(bench);
        assertThat(bench.lockspace.held()).hasSize(2);
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.pass(Duration.ofMillis(1500));
        assertThat(bench.lockspace.held()).hasSize(2);
        bench.pass(Duration.ofSeconds(2));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void aListThatWasBegunBeforeTheDiskCameTakesNoLeaseAway() {
        GuardBench bench = running();
        bench.guard.connected();
        bench.guard.drain(); // a list is about to be taken, and shows what was before
        live.disks(disk("vda", "/i/a"), rbd("vdb", "pool/b")).toStatusFile(bench);
        bench.pass(Duration.ofMinutes(2));
        assertThat(bench.lockspace.held()).as("the status file still shows it").hasSize(2);
    }

    @Test
    void aDiskThatIsPluggedAgainWhileItsLeaseIsGivenBackHasALeaseAtLast() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        live.disks(disk("vda", "/i/a")).show(bench);
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrder(lease("/i/a"), lease("/i/b"));
    }

    @Test
    void aListThatIsThereBeforeTheStatusFileWasLookedIntoIsNotForgotten() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.clock.advance(Duration.ofSeconds(1));
        live.disks(disk("vda", "/i/a")).toLibvirt(bench);
        bench.guard.changed(new DomainChange(DEMO.uuid(), DEMO.name(), DomainChange.Kind.DEVICE_REMOVED, "dev-vdb"));
        bench.settle();
        assertThat(bench.lockspace.held()).as("its status file has it yet").contains(lease("/i/b"));
        live.toStatusFile(bench);
        bench.hypervisor.silent(true); // no further list is needed, nor comes
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void aListThatFailsWhenADiskHasGoneIsAskedForAgainAtOnce() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.clock.advance(Duration.ofSeconds(1));
        bench.hypervisor.silent(true);
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.hypervisor.silent(false);
        bench.pass(Duration.ofSeconds(2));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void whileAHookOfAnotherDomainHoldsUpTheListADomainIsAskedForByItself() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.clock.advance(Duration.ofSeconds(1));
        bench.hypervisor.listsHang(true);
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void aListThatWasHeldUpDoesNotBringBackWhatHasGoneSince() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.clock.advance(Duration.ofSeconds(1));
        bench.hypervisor.listsAreLate();
        bench.guard.changed(new DomainChange(DEMO.uuid(), DEMO.name(), DomainChange.Kind.DEVICE_REMOVED, "dev-vdb"));
        bench.guard.drain(); // the list is asked for, and does not come
        bench.clock.advance(Duration.ofMillis(500));
        live.disks(disk("vda", "/i/a")).toLibvirt(bench);
        bench.guard.drain();
        bench.slowCalls.runLast();
        live.toStatusFile(bench);
        bench.guard.drain();
        bench.slowCalls.runLast();
        bench.guard.drain();
        bench.slowCalls.runLast();
        bench.guard.drain();
        assertThat(bench.lockspace.held()).as("by its own word alone").containsExactly(lease("/i/a"));
        bench.guard.drain();
        bench.slowCalls.runLast(); // now it comes
        bench.guard.drain();
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void aStatusFileThatCouldNotBeLookedIntoIsLookedIntoAgain() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.clock.advance(Duration.ofSeconds(1));
        bench.slowCalls.refuse(true); // as when all threads wait for a storage
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.slowCalls.refuse(false);
        bench.pass(Duration.ofSeconds(2));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    // ---- what left while no agent ran

    private GuardBench afterCrashOf(GuardBench bench) {
        GuardBench next = bench.afterCrash();
        next.lockspace.resume();
        return next;
    }

    @Test
    void aDiskThatLeftWhileNoAgentRanIsGivenBackWhenQemuHasNothingOpenButWhatTheDomainHas() {
        GuardBench bench = running();
        bench.images.open(PID, "/i/a", "/i/b", "/i/base");
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b", "/i/base")).show(bench);
        live.disks(disk("vda", "/i/a"));
        bench = afterCrashOf(bench);
        live.show(bench);
        bench.pass(Duration.ofSeconds(5));
        assertThat(bench.lockspace.held()).as("QEMU has it open yet").contains(lease("/i/b"), lease("/i/base"));
        bench.images.open(PID, "/i/a");
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
        assertThat(bench.view(DEMO).orElseThrow().leases()).hasSize(1);
    }

    @Test
    void aStatusFileThatWasReadBeforeTheDomainWasKnownCounts() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        live.disks(disk("vda", "/i/a"));
        bench = bench.afterCrash();
        live.show(bench); // as at the beginning of an agent, and not again
        bench.lockspace.resume();
        bench.pass(Duration.ofSeconds(4));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void whatIsOpenAndNobodyKnowsKeepsTheLeaseOfADiskThatLeftWhileNoAgentRan() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.images.open(PID, "/i/a", "/i/b-renamed");
        live.disks(disk("vda", "/i/a"));
        bench = afterCrashOf(bench);
        live.show(bench);
        bench.pass(Duration.ofMinutes(2));
        assertThat(bench.lockspace.held()).contains(lease("/i/b"));
        bench.processes.end(DEMO.uuid());
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void aDiskOfAnotherNameInTheSamePlaceKeepsTheLeaseThatAnEarlierAgentTook() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b-as-named-now"));
        bench = afterCrashOf(bench);
        live.show(bench);
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.held()).contains(lease("/i/b"), lease("/i/b-as-named-now"));
    }

    @Test
    void whatTheStatusFileAloneShowsAfterARestartIsKept() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench = afterCrashOf(bench);
        live.toStatusFile(bench);
        live.disks(disk("vda", "/i/a")).toLibvirt(bench);
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.held()).contains(lease("/i/b"));
    }

    @Test
    void aDiskThatLeftWhileNoAgentRanIsGivenBackWhenTheStorageOfTheOthersAnswersAtLast() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        live.disks(disk("vda", "/i/a"));
        bench = afterCrashOf(bench);
        bench.images.silent(true);
        live.show(bench);
        bench.pass(Duration.ofSeconds(2));
        bench.images.silent(false);
        bench.pass(Duration.ofSeconds(5));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    /** The medium of its floppy drive was taken out while no agent ran; both sights show what {@link #live} does now. */
    private GuardBench afterTheEndOf(String floppy, String... shownNow) {
        GuardBench bench = running();
        bench.images.open(PID, "/i/a", floppy);
        live.disks(disk("vda", "/i/a"), floppy(floppy)).show(bench);
        assertThat(bench.lockspace.held()).contains(lease(floppy));
        live.disks(shownNow);
        GuardBench next = afterCrashOf(bench);
        live.show(next);
        return next;
    }

    @Test
    void aMediumThatLeftItsDriveWhileNoAgentRanIsGivenBackWhenQemuHasNothingOpenButWhatTheDomainHas() {
        GuardBench bench = afterTheEndOf("/i/f", disk("vda", "/i/a"), floppy(""));
        bench.pass(Duration.ofSeconds(5));
        assertThat(bench.lockspace.held()).as("QEMU has it open yet").contains(lease("/i/f"));
        bench.images.open(PID, "/i/a");
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
        assertThat(bench.view(DEMO).orElseThrow().leases()).hasSize(1);
    }

    @Test
    void whatIsOpenAndNobodyKnowsKeepsTheLeaseOfAMediumThatLeftWhileNoAgentRan() {
        GuardBench bench = afterTheEndOf("/i/f", disk("vda", "/i/a"), floppy(""));
        bench.images.open(PID, "/i/a", "/i/f-renamed");
        bench.pass(Duration.ofMinutes(2));
        assertThat(bench.lockspace.held()).contains(lease("/i/f"));
        bench.images.open(PID, "/i/a");
        bench.pass(Duration.ofMinutes(2));
        assertThat(bench.lockspace.held()).as("as is said in the journal").contains(lease("/i/f"));
        bench.processes.end(DEMO.uuid());
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void aMediumOfAnotherNameInTheSameDriveKeepsTheLeaseThatAnEarlierAgentTook() {
        GuardBench bench = afterTheEndOf("/i/f", disk("vda", "/i/a"), floppy("/i/f-as-named-now"));
        bench.images.open(PID, "/i/a", "/i/f-as-named-now");
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.held()).contains(lease("/i/f"), lease("/i/f-as-named-now"));
    }

    @Test
    void aMediumThatComesToTheEmptyDriveBeforeTheLastOneIsProvedClosedKeepsItsLease() {
        GuardBench bench = afterTheEndOf("/i/f", disk("vda", "/i/a"), floppy(""));
        bench.pass(Duration.ofSeconds(5));
        bench.images.open(PID, "/i/a", "/i/f-as-named-now");
        live.disks(disk("vda", "/i/a"), floppy("/i/f-as-named-now")).show(bench);
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.held()).contains(lease("/i/f"), lease("/i/f-as-named-now"));
    }

    /** Either of the two may be late, or libvirt may know it better. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aDriveThatOneSightAloneShowsEmptyKeepsTheLeaseThatAnEarlierAgentTook(boolean libvirt) {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), floppy("/i/f")).show(bench);
        bench = afterCrashOf(bench);
        live.disks(disk("vda", "/i/a"), floppy(libvirt ? "" : "/i/f-as-named-now"))
                .toLibvirt(bench);
        live.disks(disk("vda", "/i/a"), floppy(libvirt ? "/i/f-as-named-now" : ""))
                .toStatusFile(bench);
        bench.images.open(PID, "/i/a", "/i/f-as-named-now");
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.held()).contains(lease("/i/f"), lease("/i/f-as-named-now"));
    }

    @Test
    void aDomainThatCannotBeReadAnyMoreKeepsTheLeaseOfTheMediumThatIsNotProvedClosed() {
        GuardBench bench = afterTheEndOf("/i/f", disk("vda", "/i/a"), floppy(""));
        bench.hypervisor.activate(DEMO.uuid(), DEMO.name(), "<domain><name>demo");
        bench.pass(Duration.ofSeconds(5));
        bench.images.open(PID, "/i/a");
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.held()).contains(lease("/i/f"));
    }

    @Test
    void aDomainThatCannotBeReadForAMomentGivesTheMediumBackWhenItCan() {
        GuardBench bench = afterTheEndOf("/i/f", disk("vda", "/i/a"), floppy(""));
        bench.hypervisor.activate(DEMO.uuid(), DEMO.name(), "<domain><name>demo");
        bench.images.open(PID, "/i/a");
        bench.pass(Duration.ofSeconds(4));
        assertThat(bench.lockspace.held()).contains(lease("/i/f"));
        live.toLibvirt(bench);
        bench.pass(Duration.ofSeconds(4));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void anEmptyDriveInThePlaceOfADiskThatLeftWhileNoAgentRanIsNoDisk() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("sda", "/i/b")).show(bench);
        live.disks(disk("vda", "/i/a"), emptyCdrom("sda"));
        bench = afterCrashOf(bench);
        live.show(bench);
        bench.pass(Duration.ofSeconds(4));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    // ---- what leaves its QEMU alive

    @ParameterizedTest
    @EnumSource(DomainEvent.Kind.class)
    void noEventFreesALeaseWhileItsQemuLives(DomainEvent.Kind kind) {
        GuardBench bench = running();
        bench.event(DEMO, kind); // a crash with on_crash=preserve, a pause, an undefine, a rename, a lie
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
        assertThat(bench.view(DEMO).orElseThrow().state()).isEqualTo("running");
        bench.processes.end(DEMO.uuid());
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void aNamesakeIsAnotherDomain() {
        GuardBench bench = running();
        TestDomain namesake = new TestDomain(DEMO.name(), new UUID(7, 7), List.of("/i/z"), "");
        FakeProcess qemu = bench.run(namesake);
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrder(lease("/i/a"), lease("/i/z"));
        bench.guard.noStatus(DEMO.name());
        qemu.end();
        bench.settle();
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
        assertThat(bench.ask(new TestDomain("renamed", DEMO.uuid(), List.of("/i/y"), "")))
                .as("the same UUID while its QEMU lives")
                .isNotInstanceOf(StartAnswer.Granted.class);
    }

    // ---- conflicts

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aPluggedDiskOfAnotherHostIsSentAwayWithTheDomainPausedMeanwhile(boolean hookHoldsUpTheList) {
        GuardBench bench = running();
        bench.hypervisor.listsHang(hookHoldsUpTheList);
        bench.lockspace.answer(lease("/i/b"), FakeLockspace.heldByNodeB("far"));
        bench.images.open(PID, "/i/a", "/i/b");
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        assertThat(bench.hypervisor.changes()).containsExactly("pause", "unplug dev-vdb");
        assertThat(bench.view(DEMO).orElseThrow().problems())
                .singleElement()
                .satisfies(problem -> assertThat(problem).contains("is in use by domain far on host node-b"));

        live.disks(disk("vda", "/i/a")).show(bench);
        bench.pass(SOON);
        assertThat(bench.hypervisor.changes()).as("QEMU has it open yet").doesNotContain("resume");
        bench.images.open(PID, "/i/a");
        bench.pass(SOON);
        assertThat(bench.hypervisor.changes()).containsExactly("pause", "unplug dev-vdb", "resume");
        assertThat(bench.view(DEMO).orElseThrow().problems()).isEmpty();
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
        bench.pass(LIMIT);
        assertThat(bench.hypervisor.suspends()).isEmpty();
    }

    @Test
    void aPluggedDiskOfAnotherDomainOfThisHostIsSentAwayToo() {
        GuardBench bench = running();
        bench.run(TestDomain.of("other", "/i/b"));
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        assertThat(bench.hypervisor.changes()).containsExactly("pause", "unplug dev-vdb");
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.pass(SOON);
        assertThat(bench.hypervisor.changes()).endsWith("resume");
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrder(lease("/i/a"), lease("/i/b"));
    }

    @Test
    void aDomainThatWasPausedBeforeIsNotLetGoOn() {
        GuardBench bench = running();
        bench.hypervisor.devices(new FakeHypervisor.Obedient() {
            @Override
            public ChangeResult pause(UUID domain, Duration limit) {
                return new ChangeResult.Unneeded();
            }
        });
        bench.lockspace.answer(lease("/i/b"), FakeLockspace.heldByNodeB("far"));
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.pass(LIMIT);
        assertThat(bench.hypervisor.changes()).containsExactly("pause", "unplug dev-vdb");
    }

    @ParameterizedTest
    @EnumSource(OnUnprotected.class)
    void ifItDoesNotGoInTimeOnUnprotectedDecides(OnUnprotected policy) {
        GuardBench bench = running(policy);
        bench.hypervisor.onDestroy(uuid -> new KillResult.Destroyed());
        bench.lockspace.answer(lease("/i/b"), FakeLockspace.heldByNodeB("far"));
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.pass(Duration.ofSeconds(4));
        assertThat(bench.hypervisor.suspends()).isEmpty();
        assertThat(bench.hypervisor.destroys()).isEmpty();
        bench.pass(Duration.ofSeconds(2));
        switch (policy) {
            case REPORT -> assertThat(bench.hypervisor.changes()).containsExactly("pause", "unplug dev-vdb", "resume");
            case PAUSE, AUTO -> {
                assertThat(bench.hypervisor.suspends()).containsExactly(DEMO.uuid());
                assertThat(bench.hypervisor.changes()).doesNotContain("resume");
            }
            case DESTROY -> assertThat(bench.hypervisor.destroys()).contains(DEMO.uuid());
        }
    }

    @Test
    void modeObserveSendsNothingAway() {
        GuardBench bench = running(GuardBench.observing());
        bench.lockspace.answer(lease("/i/b"), FakeLockspace.heldByNodeB("far"));
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.pass(LIMIT);
        assertThat(bench.hypervisor.changes()).isEmpty();
        assertThat(bench.view(DEMO).orElseThrow().problems()).hasSize(1);
    }

    @Test
    void aLeaseThatTheOtherOneGivesUpMeanwhileEndsTheConflict() {
        GuardBench bench = running();
        bench.lockspace.answer(lease("/i/b"), FakeLockspace.heldByNodeB("far"));
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.lockspace.answer(lease("/i/b"), null);
        bench.pass(Duration.ofSeconds(2));
        assertThat(bench.hypervisor.changes()).endsWith("resume");
        assertThat(bench.lockspace.held()).contains(lease("/i/b"));
    }

    // ---- asked before

    private CompletableFuture<StartAnswer> ask(GuardBench bench, Duration hold, String disk) {
        DomainSpec device = new LiveXml(TestDomain.of("device")).disks(disk).spec();
        DomainSpec bare = new DomainSpec("device", null, device.disks());
        CompletableFuture<StartAnswer> answer =
                bench.guard.reserve(DEMO.name(), bare, TestDomain.BY_NAME.derive(bare), hold);
        bench.settle();
        return answer;
    }

    @Test
    void whoOnlyAsksIsToldAndNothingIsHeldAfterwards() {
        GuardBench bench = running();
        assertThat(ask(bench, Duration.ZERO, disk("vdb", "/i/b", "/i/base")))
                .isCompletedWithValueMatching(StartAnswer.Granted.class::isInstance);
        bench.settle();
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
        bench.lockspace.answer(lease("/i/base"), FakeLockspace.heldByNodeB("far"));
        StartAnswer no =
                ask(bench, Duration.ZERO, disk("vdb", "/i/b", "/i/base")).join();
        assertThat(no).isInstanceOf(StartAnswer.Refused.class);
        assertThat(no.message())
                .contains("/i/base")
                .contains("is in use by domain far on host node-b")
                .doesNotContain("started");
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
        assertThat(bench.hypervisor.changes()).isEmpty();
        assertThat(bench.view(DEMO).orElseThrow().problems()).isEmpty();
    }

    @Test
    void whatTheDomainItselfHasCannotBePluggedIntoItAgain() {
        GuardBench bench = running();
        assertThat(ask(bench, SOON, disk("vdb", "/i/a")).join()).isInstanceOf(StartAnswer.Refused.class);
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void aStartIsNotRefusedForALeaseThatIsOnlyAskedAbout() {
        GuardBench bench = running();
        TestDomain other = TestDomain.of("other", "/i/b");
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> question = ask(bench, Duration.ZERO, disk("vdb", "/i/b", "/i/base"));
        bench.lockspace.complete(lease("/i/b"));
        CompletableFuture<StartAnswer> start = bench.prepare(other);
        assertThat(question).isNotDone();
        assertThat(start).isNotDone();
        bench.lockspace.complete(lease("/i/base"));
        bench.lockspace.holdBack(false);
        bench.settle();
        assertThat(question).isCompletedWithValueMatching(StartAnswer.Granted.class::isInstance);
        assertThat(start).isCompletedWithValue(new StartAnswer.Granted(""));
    }

    @Test
    void aReservedDiskThatShowsUpKeepsItsLease() {
        GuardBench bench = running();
        assertThat(ask(bench, Duration.ofSeconds(60), disk("vdb", "/i/b")).join())
                .isInstanceOf(StartAnswer.Granted.class);
        assertThat(bench.lockspace.held()).contains(lease("/i/b"));
        bench.images.open(PID, "/i/a", "/i/b");
        live.disks(disk("vda", "/i/a"), disk("vdb", "/i/b")).show(bench);
        bench.pass(Duration.ofMinutes(2));
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrder(lease("/i/a"), lease("/i/b"));
        bench.images.open(PID, "/i/a");
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void aReservedDiskThatDoesNotShowUpIsGivenBackButNotWhileQemuHasItOpen() {
        GuardBench bench = running();
        ask(bench, Duration.ofSeconds(60), disk("vdb", "/i/b"));
        bench.images.open(PID, "/i/a", "/i/b");
        bench.pass(Duration.ofSeconds(59));
        assertThat(bench.lockspace.held()).contains(lease("/i/b"));
        bench.pass(Duration.ofSeconds(30));
        assertThat(bench.lockspace.held()).as("QEMU has it open").contains(lease("/i/b"));
        bench.images.open(PID, "/i/a");
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void anotherDiskThatGoesMeanwhileDoesNotMakeAReservedOneForgotten() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), disk("vdc", "/i/c")).show(bench);
        ask(bench, Duration.ofSeconds(5), disk("vdb", "/i/b"));
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.images.open(PID, "/i/a", "/i/b");
        bench.pass(Duration.ofSeconds(60));
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrder(lease("/i/a"), lease("/i/b"));
        bench.images.open(PID, "/i/a");
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void aReservationThatNobodyUsesEndsInTime() {
        GuardBench bench = running();
        ask(bench, Duration.ofSeconds(5), disk("vdb", "/i/b"));
        bench.pass(Duration.ofSeconds(6));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void withoutAnAnswerOfTheStorageNothingIsToldAndNothingIsKept() {
        GuardBench bench = running();
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> answer = ask(bench, Duration.ofSeconds(60), disk("vdb", "/i/b"));
        assertThat(answer).isNotDone();
        bench.pass(Duration.ofSeconds(11));
        assertThat(answer.join()).isInstanceOf(StartAnswer.CannotTell.class);
        bench.lockspace.complete(lease("/i/b"));
        bench.settle();
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void ofADomainThatDoesNotRunNothingCanBeTold() {
        GuardBench bench = GuardBench.enforcing();
        assertThat(ask(bench, SOON, disk("vdb", "/i/b")).join()).isInstanceOf(StartAnswer.CannotTell.class);
    }

    // ---- media

    @Test
    void anExchangedFloppyIsFollowedAndOneOfAnotherHostIsTakenOut() {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a"), floppy("/i/f1")).show(bench);
        assertThat(bench.lockspace.held()).contains(lease("/i/f1"));
        live.disks(disk("vda", "/i/a"), floppy("/i/f2")).show(bench);
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrder(lease("/i/a"), lease("/i/f2"));

        bench.lockspace.answer(lease("/i/f3"), FakeLockspace.heldByNodeB("far"));
        live.disks(disk("vda", "/i/a"), floppy("/i/f3")).show(bench);
        assertThat(bench.hypervisor.changes()).containsExactly("pause", "eject fda");
        live.disks(disk("vda", "/i/a"), floppy("")).show(bench);
        bench.pass(SOON);
        assertThat(bench.hypervisor.changes()).containsExactly("pause", "eject fda", "resume");
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    // ---- snapshots and block jobs

    @Test
    void afterASnapshotTheOverlayIsExclusiveAndTheFormerTopShared() {
        GuardBench bench = running();
        bench.images.open(PID, "/i/a", "/i/a.snap");
        live.disks(disk("vda", "/i/a.snap", "/i/a")).show(bench);
        assertThat(mode(bench, "/i/a.snap")).isEqualTo(LeaseMode.EXCLUSIVE);
        assertThat(mode(bench, "/i/a")).isEqualTo(LeaseMode.SHARED);
        assertThat(bench.hypervisor.changes()).isEmpty();
    }

    @Test
    void anActiveCommitHoldsItsBaseExclusiveAndLeavesTheOverlayWhenQemuHasClosedIt() {
        GuardBench bench = running();
        bench.images.open(PID, "/i/a", "/i/a.snap");
        live.disks(disk("vda", "/i/a.snap", "/i/a")).show(bench);
        live.disks(mirrored("vda", "/i/a.snap", "active-commit", "/i/a", "/i/a"))
                .show(bench);
        assertThat(mode(bench, "/i/a")).isEqualTo(LeaseMode.EXCLUSIVE);
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).contains(lease("/i/a.snap"));
        bench.images.open(PID, "/i/a");
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
        assertThat(mode(bench, "/i/a")).isEqualTo(LeaseMode.EXCLUSIVE);
    }

    @Test
    void aCommitIntoABaseThatOthersUseIsAborted() {
        GuardBench bench = running();
        bench.images.open(PID, "/i/a", "/i/a.snap");
        live.disks(disk("vda", "/i/a.snap", "/i/a")).show(bench);
        LeaseName base = lease("/i/a");
        bench.lockspace.answer(base, FakeLockspace.heldByNodeB("far"));
        live.disks(mirrored("vda", "/i/a.snap", "active-commit", "/i/a", "/i/a"))
                .show(bench);
        assertThat(bench.hypervisor.changes()).contains("abort vda").doesNotContain("pause");
        assertThat(bench.view(DEMO).orElseThrow().problems())
                .singleElement()
                .satisfies(problem -> assertThat(problem).contains("A block job writes it all the same"));
        live.disks(disk("vda", "/i/a.snap", "/i/a")).show(bench);
        assertThat(bench.view(DEMO).orElseThrow().problems()).isEmpty();
        assertThat(mode(bench, "/i/a")).isEqualTo(LeaseMode.SHARED);
    }

    private static String commit(int base) {
        return "<blockjob name='commit-vda-libvirt-2-format' type='commit' state='running'><disk dst='vda'/>"
                + "<base node='libvirt-" + base + "-format'/><top node='libvirt-2-format'/></blockjob>";
    }

    @Test
    void aCommitBetweenBackingImagesIsSeenInTheStatusFileAndItsBaseIsExclusiveAsLongAsItRuns() {
        GuardBench bench = running();
        bench.images.open(PID, "/i/top", "/i/mid", "/i/a");
        live.disks(disk("vda", "/i/top", "/i/mid", "/i/a")).show(bench);
        assertThat(mode(bench, "/i/a")).isEqualTo(LeaseMode.SHARED);
        live.jobs(commit(3)).show(bench);
        assertThat(mode(bench, "/i/a")).isEqualTo(LeaseMode.EXCLUSIVE);
        assertThat(mode(bench, "/i/mid")).isEqualTo(LeaseMode.SHARED);
        bench.images.open(PID, "/i/top", "/i/a");
        live.jobs().disks(disk("vda", "/i/top", "/i/a")).show(bench);
        bench.pass(SOON);
        assertThat(mode(bench, "/i/a")).isEqualTo(LeaseMode.SHARED);
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrder(lease("/i/top"), lease("/i/a"));
    }

    @Test
    void aCommitBetweenBackingImagesThatOthersReadIsAborted() {
        GuardBench bench = running();
        bench.run(TestDomain.of("reader", "shared:/i/base"));
        live.disks(disk("vda", "/i/a", "/i/mid", "/i/base")).show(bench);
        live.jobs(commit(3)).show(bench);
        assertThat(bench.hypervisor.changes()).containsExactly("abort vda");
        live.jobs().show(bench);
        assertThat(bench.view(DEMO).orElseThrow().problems()).isEmpty();
    }

    @Test
    void aCommitWhoseBaseCannotBeToldMayWriteAnyBackingImage() {
        GuardBench bench = running();
        bench.run(TestDomain.of("reader", "shared:/i/base"));
        live.disks(disk("vda", "/i/a", "/i/mid", "/i/base")).show(bench);
        live.jobs(
                        "<blockjob name='x' type='commit' state='running'><disk dst='vda'/><base node='of-another-kind'/></blockjob>")
                .show(bench);
        assertThat(bench.hypervisor.changes()).contains("abort vda");
        assertThat(mode(bench, "/i/mid")).isEqualTo(LeaseMode.EXCLUSIVE);
    }

    @Test
    void theOverlayOfASnapshotIsLeasedWhileItIsBeingMade() {
        GuardBench bench = running();
        live.jobs("<blockjob name='create-libvirt-5-format' type='create' state='running'><create mode='format'/>"
                + "<src type='file' format='qcow2'><source file='/i/a.snap' index='5'/></src></blockjob>");
        live.show(bench);
        assertThat(mode(bench, "/i/a.snap")).isEqualTo(LeaseMode.EXCLUSIVE);
        bench.images.open(PID, "/i/a", "/i/a.snap");
        live.jobs().disks(disk("vda", "/i/a.snap", "/i/a")).show(bench);
        assertThat(mode(bench, "/i/a.snap")).isEqualTo(LeaseMode.EXCLUSIVE);
        assertThat(mode(bench, "/i/a")).isEqualTo(LeaseMode.SHARED);
    }

    /** A backup is such a job, and shows its target no more once that is made. */
    @Test
    void anImageThatWasMadeForNoDiskIsGivenBackWhenQemuHasClosedIt() {
        GuardBench bench = running();
        live.jobs(made("<src type='file' format='raw'><source file='/i/n'/></src>"))
                .show(bench);
        bench.images.open(PID, "/i/a", "/i/n");
        live.jobs().show(bench);
        bench.pass(Duration.ofHours(1));
        assertThat(bench.lockspace.held()).contains(lease("/i/n"));
        bench.images.open(PID, "/i/a");
        bench.pass(Duration.ofSeconds(6));
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/a"));
    }

    @Test
    void anImageThatWasMadeOverTheNetworkForNoDiskIsGivenBackWhenTheDomainEnds() {
        GuardBench bench = running();
        live.jobs(made("<src type='network' format='raw'><source protocol='rbd' name='p/n'/></src>"))
                .show(bench);
        assertThat(bench.lockspace.held()).hasSize(2);
        live.jobs().show(bench);
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.held()).hasSize(2);
        bench.processes.end(DEMO.uuid());
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    private static String made(String source) {
        return "<blockjob type='create' state='running'>" + source + "</blockjob>";
    }

    @Test
    void aCommitRightAfterOneThatWasAbortedHasItsBaseExclusiveWithinASecond() {
        GuardBench bench = running();
        bench.images.open(PID, "/i/a", "/i/a.snap");
        live.disks(disk("vda", "/i/a.snap", "/i/a")).show(bench);
        bench.lockspace.answer(lease("/i/a"), FakeLockspace.heldByNodeB("far"));
        live.disks(mirrored("vda", "/i/a.snap", "active-commit", "/i/a", "/i/a"))
                .show(bench);
        live.disks(disk("vda", "/i/a.snap", "/i/a")).show(bench);
        bench.lockspace.answer(lease("/i/a"), null);
        live.disks(mirrored("vda", "/i/a.snap", "active-commit", "/i/a", "/i/a"))
                .show(bench);
        bench.pass(Duration.ofMillis(1100));
        assertThat(mode(bench, "/i/a")).isEqualTo(LeaseMode.EXCLUSIVE);
    }

    @Test
    void theTargetOfACopyIsExclusiveFromItsFirstSightAndTheSourceGoesAfterThePivot() {
        GuardBench bench = running();
        bench.images.open(PID, "/i/a", "/i/copy");
        live.disks(mirrored("vda", "/i/a", "copy", "/i/copy")).show(bench);
        assertThat(mode(bench, "/i/copy")).isEqualTo(LeaseMode.EXCLUSIVE);
        live.disks(disk("vda", "/i/copy")).show(bench);
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).contains(lease("/i/a"));
        bench.images.open(PID, "/i/copy");
        bench.pass(SOON);
        assertThat(bench.lockspace.held()).containsExactly(lease("/i/copy"));
    }

    @Test
    void aCopyOntoWhatIsSomebodyElsesIsAborted() {
        GuardBench bench = running();
        bench.lockspace.answer(lease("/i/copy"), FakeLockspace.heldByNodeB("far"));
        live.disks(mirrored("vda", "/i/a", "copy", "/i/copy")).show(bench);
        assertThat(bench.hypervisor.changes()).containsExactly("abort vda");
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.pass(SOON);
        assertThat(bench.hypervisor.changes()).containsExactly("abort vda");
        assertThat(bench.view(DEMO).orElseThrow().problems()).isEmpty();
    }

    /** Each of the two can be the first to show the copy; the other one shows the disk without it then. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aCopyOntoWhatIsSomebodyElsesIsAbortedWhoeverShowsItFirst(boolean libvirt) {
        GuardBench bench = running();
        live.disks(disk("vda", "/i/a")).show(bench);
        bench.lockspace.answer(lease("/i/copy"), FakeLockspace.heldByNodeB("far"));
        live.disks(mirrored("vda", "/i/a", "copy", "/i/copy"));
        if (libvirt) {
            live.toLibvirt(bench);
            bench.guard.changed(new DomainChange(DEMO.uuid(), DEMO.name(), DomainChange.Kind.JOB_COMPLETED, ""));
        } else {
            live.toStatusFile(bench);
        }
        bench.settle();
        assertThat(bench.hypervisor.changes()).containsExactly("abort vda");
        assertThat(bench.hypervisor.suspends()).isEmpty();
    }

    @Test
    void afterARestartOfTheAgentTheLeasesGoOnFollowing() {
        GuardBench bench = running();
        bench.images.open(PID, "/i/a", "/i/a.snap");
        live.disks(disk("vda", "/i/a.snap", "/i/a")).show(bench);
        GuardBench after = bench.afterCrash();
        after.lockspace.resume();
        live.disks(mirrored("vda", "/i/a.snap", "active-commit", "/i/a", "/i/a"))
                .show(after);
        after.pass(SOON);
        assertThat(mode(after, "/i/a")).isEqualTo(LeaseMode.EXCLUSIVE);
        after.images.open(PID, "/i/a");
        live.disks(disk("vda", "/i/a")).show(after);
        after.pass(SOON);
        assertThat(after.lockspace.held()).containsExactly(lease("/i/a"));
    }
}
