/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.upkeep;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.testing.FakeClock;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeUpkeep;
import io.vmguard.agent.upkeep.UpkeepAnswer.Outcome;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.RemoveResult;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.ReadOnlyDirectory;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.BuiltDirectory;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Nothing is freed without proof and nothing removed that is in use; and what is done is written down, before and after. */
class UpkeepTest {
    private static final LeaseName LEASE = new LeaseName("r");
    private static final Operator ROOT = new Operator("root", "alice");
    private static final String NODE_B = "89abcdef-01234567.node-b";
    private static final LeaseNote NOTE = new LeaseNote("demo1", "u", "vda (rbd:rbd/vm1)", "node-b", 1_767_225_600);

    @TempDir(factory = UnderTarget.class)
    private Path dir;

    @TempDir
    private Path state;

    private final FakeClock clock = new FakeClock();
    private final FakeLockspace lockspace = new FakeLockspace();
    private final FakeUpkeep files = new FakeUpkeep();
    private BuiltDirectory built;
    private Upkeep upkeep;

    @BeforeEach
    void hostTwoHoldsIt() {
        lockspace.becomeMember(); // as host id 1
        built = new BuiltDirectory(dir, LeaseLayout.SECTOR_512)
                .lockspace(10)
                .host(1, 1, "11111111-22222222.node-a", 1000)
                .host(2, 5, NODE_B, 2000)
                .resource("r")
                .held("r", new Owner(2, 5), 42, NOTE);
        upkeep = new Upkeep(
                lockspace,
                files,
                new LeaseInspector(new ReadOnlyDirectory(dir, new LinuxClock())),
                new AuditLog(state.resolve("audit.log"), clock),
                clock,
                "node-a");
    }

    private void hostTwoIs(HostStatus status, long generation, long silentSeconds, long deadInSeconds) {
        lockspace.sees(new HostView(
                new Owner(2, generation),
                NODE_B,
                status,
                Optional.of(Duration.ofSeconds(silentSeconds)),
                Optional.of(Duration.ofSeconds(deadInSeconds)),
                false));
    }

    private UpkeepAnswer release() {
        return upkeep.release(ROOT, LEASE, Optional.empty());
    }

    private UpkeepAnswer releaseOf(String host) {
        return upkeep.release(ROOT, LEASE, Optional.of(host));
    }

    private List<JsonNode> audit() throws IOException {
        Path log = state.resolve("audit.log");
        ObjectMapper json = new ObjectMapper();
        return Files.exists(log)
                ? Files.readAllLines(log).stream()
                        .map(line -> {
                            try {
                                return json.readTree(line);
                            } catch (IOException e) {
                                throw new AssertionError(line, e);
                            }
                        })
                        .toList()
                : List.of();
    }

    private void assertUntouched() throws IOException {
        assertThat(lockspace.releases()).isEmpty();
        assertThat(files.removed()).isEmpty();
        assertThat(audit()).isEmpty();
    }

    // ---- release

    @Test
    void aDeadHostsLeaseIsTakenAndGivenBackAndBothIsWrittenDown() throws IOException {
        hostTwoIs(HostStatus.DEAD, 5, 150, 0);
        UpkeepAnswer answer = release();
        assertThat(answer.outcome()).isEqualTo(Outcome.DONE);
        assertThat(answer.message()).isEqualTo("r is free: host node-b is dead: silent for 150 s");
        assertThat(lockspace.releases()).containsExactly(LEASE);
        assertThat(lockspace.held()).isEmpty();
        assertThat(audit()).extracting(line -> line.get("outcome").asText()).containsExactly("begun", "done");
        assertThat(audit().get(0).toString())
                .isEqualTo(
                        "{\"time\":\"2026-01-01T00:00:00Z\",\"deed\":\"release\",\"lease\":\"r\",\"operator\":\"root\","
                                + "\"on_behalf_of\":\"alice\",\"host\":\"node-a\",\"owner\":\"2/5 " + NODE_B
                                + "\",\"user\":\"demo1 vda (rbd:rbd/vm1)\",\"proof\":\"host node-b is dead: silent for 150 s\","
                                + "\"outcome\":\"begun\"}");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(state.resolve("audit.log"))))
                .isEqualTo("rw-------");
    }

    @Test
    void aLiveHostKeepsItWhateverTheOperatorSays() throws IOException {
        hostTwoIs(HostStatus.LIVE, 5, 3, 138);
        assertThat(release().outcome()).isEqualTo(Outcome.REFUSED);
        assertThat(releaseOf("node-b").outcome()).isEqualTo(Outcome.REFUSED);
        assertThat(releaseOf("node-b").message())
                .isEqualTo(
                        "r: host node-b is alive, renewed 3 s ago. Stop its domain there: the lease of a live host is never "
                                + "taken away");
        assertUntouched();
    }

    @ParameterizedTest
    @EnumSource(
            value = HostStatus.class,
            names = {"UNKNOWN", "FAIL"})
    void aSilentHostIsWaitedForUntilItIsProvedDead(HostStatus status) throws IOException {
        hostTwoIs(status, 5, 91, 50);
        UpkeepAnswer answer = release();
        assertThat(answer.outcome()).isEqualTo(Outcome.WAIT);
        assertThat(answer.provedIn()).contains(Duration.ofSeconds(50));
        assertThat(answer.message())
                .isEqualTo(
                        "r: host node-b has been silent for 91 s. If it stays silent, it is proved dead in 50 s: run this again "
                                + "then. If you know that it is off, --host-is-off node-b waits for the proof and frees the lease at once; "
                                + "nothing shortens that wait");
        assertThat(releaseOf("node-b").outcome()).as("a word is no proof").isEqualTo(Outcome.WAIT);
        assertThat(releaseOf("node-c").message()).isEqualTo("r is held by node-b, not by node-c");
        assertUntouched();
    }

    @Test
    void aHostThatLeftOrCameBackHasLostIt() throws IOException {
        built.host(2, 5, NODE_B, 0);
        assertThat(release().message()).isEqualTo("r is free: host node-b has left the lockspace");
        built.host(2, 6, NODE_B, 2000);
        assertThat(release().message()).isEqualTo("r is free: host id 2 was taken again since, by host node-b");
        assertThat(audit()).hasSize(4);
    }

    @Test
    void aHostThatTheTableIsBehindOnIsNotGone() throws IOException {
        hostTwoIs(HostStatus.DEAD, 4, 1000, 0);
        assertThat(release().outcome()).isEqualTo(Outcome.WAIT);
        hostTwoIs(HostStatus.FREE, 5, 1000, 0);
        assertThat(release().outcome()).isEqualTo(Outcome.WAIT);
        assertThat(release().provedIn()).contains(Duration.ofSeconds(20));
        assertUntouched();
    }

    @Test
    void aBrokenDeltaLeaseGivesNoProofAndNobodyRepairsIt() throws IOException {
        hostTwoIs(HostStatus.UNKNOWN, 5, 1000, 0);
        built.write(BuiltDirectory.SPACE.value(), 512 + 160, new byte[] {1});
        UpkeepAnswer answer = releaseOf("node-b");
        assertThat(answer.outcome()).isEqualTo(Outcome.REFUSED);
        assertThat(answer.message())
                .contains("the delta lease of host id 2 is not sound")
                .contains("no safe way");
        assertUntouched();
    }

    @Test
    void aLeaseOfAnEarlierLockspaceIsFreedOnlyWhileItsHostIdIsNotTaken() throws IOException {
        built.held("r", new Owner(2, 9), 42, NOTE);
        hostTwoIs(HostStatus.LIVE, 5, 3, 138);
        assertThat(release().message()).contains("the lockspace was made anew").contains("Stop vmguard on host node-b");
        assertUntouched();
        built.host(2, 5, NODE_B, 0);
        assertThat(release().outcome()).isEqualTo(Outcome.DONE);
    }

    @Test
    void sharersMustAllBeDead() throws IOException {
        built.leader("r", edit -> edit.timestamp(0))
                .block("r", 2, new DiskBlock(1, 1, 2, 5, 9, 4, true, true, 5))
                .host(3, 1, "89abcdef-01234567.node-c", 3000)
                .block("r", 3, new DiskBlock(1, 1, 3, 1, 9, 4, true, true, 1));
        hostTwoIs(HostStatus.DEAD, 5, 150, 0);
        lockspace.sees(new HostView(
                new Owner(3, 1),
                "89abcdef-01234567.node-c",
                HostStatus.LIVE,
                Optional.of(Duration.ofSeconds(1)),
                Optional.of(Duration.ofSeconds(140)),
                false));
        assertThat(release().message()).contains("node-c is alive");
        assertUntouched();
        built.host(3, 1, "89abcdef-01234567.node-c", 0);
        assertThat(release().outcome()).isEqualTo(Outcome.DONE);
    }

    @Test
    void ourOwnLeaseIsNotGivenBackBehindTheBackOfItsDomain() throws IOException {
        built.held("r", new Owner(1, 1), 42, NOTE);
        assertThat(release().outcome()).isEqualTo(Outcome.REFUSED);
        assertThat(release().message()).contains("held by this host, for domain demo1");
        assertUntouched();
    }

    @Test
    void whatIsFreeOrNotThereNeedsNothing() throws IOException {
        built.leader("r", edit -> edit.timestamp(0));
        assertThat(release().outcome()).isEqualTo(Outcome.NOTHING_TO_DO);
        assertThat(upkeep.release(ROOT, new LeaseName("other"), Optional.empty())
                        .outcome())
                .isEqualTo(Outcome.NOTHING_TO_DO);
        assertThat(upkeep.release(ROOT, BuiltDirectory.SPACE, Optional.empty()).outcome())
                .isEqualTo(Outcome.REFUSED);
        assertUntouched();
    }

    @Test
    void aDamagedLeaseIsNotTouched() throws IOException {
        hostTwoIs(HostStatus.DEAD, 5, 150, 0);
        built.write("r", LeaseLayout.SECTOR_512.diskBlockOffset(7), new byte[] {1});
        assertThat(release().outcome()).isEqualTo(Outcome.REFUSED);
        assertThat(release().message()).contains("the disk block of host id 7 has a wrong checksum (-214)");
        assertUntouched();
    }

    @Test
    void theProtocolHasTheLastWord() throws IOException {
        hostTwoIs(HostStatus.DEAD, 5, 150, 0);
        lockspace.answer(LEASE, FakeLockspace.heldByNodeB("demo1"));
        assertThat(release().outcome()).isIn(Outcome.REFUSED, Outcome.WAIT);
        lockspace.answer(LEASE, new AcquireResult.CannotTell(LeaseFault.IO, "input/output error", true));
        assertThat(release().outcome()).isEqualTo(Outcome.CANNOT_TELL);
        assertThat(lockspace.releases()).isEmpty();
        assertThat(audit())
                .extracting(line -> line.get("outcome").asText())
                .hasSize(4)
                .endsWith("cannot_tell");
    }

    @Test
    void withoutAMembershipNothingIsDone() throws IOException {
        lockspace.lose();
        assertThat(release().outcome()).isEqualTo(Outcome.CANNOT_TELL);
        assertThat(release().message()).startsWith("this host is not a member of the lockspace now: ");
        assertUntouched();
    }

    @Test
    void whatCannotBeWrittenDownIsNotDone() throws IOException {
        hostTwoIs(HostStatus.DEAD, 5, 150, 0);
        Files.createDirectory(state.resolve("audit.log"));
        UpkeepAnswer answer = release();
        assertThat(answer.outcome()).isEqualTo(Outcome.CANNOT_TELL);
        assertThat(answer.message()).startsWith("cannot write the audit log " + state.resolve("audit.log"));
        assertThat(lockspace.releases()).isEmpty();
    }

    // ---- remove

    private void freeSinceDays(long days) throws IOException {
        built.leader("r", edit -> edit.timestamp(0));
        Files.setLastModifiedTime(
                dir.resolve("r"), FileTime.fromMillis((FakeClock.WALL_SECONDS - days * 86_400) * 1000));
    }

    @Test
    void aLeaseThatNobodyUsesIsRemovedAndWrittenDown() throws IOException {
        freeSinceDays(31);
        assertThat(upkeep.remove(ROOT, LEASE, Duration.ofDays(30)).message()).isEqualTo("r is removed");
        assertThat(files.removed()).containsExactly(LEASE);
        assertThat(audit()).extracting(line -> line.get("deed").asText()).containsExactly("remove", "remove");
    }

    @Test
    void aLeaseThatWasUsedLatelyOrIsInUseStays() throws IOException {
        freeSinceDays(29);
        assertThat(upkeep.remove(ROOT, LEASE, Duration.ofDays(30)).outcome()).isEqualTo(Outcome.REFUSED);
        built.held("r", new Owner(2, 5), 42, NOTE);
        assertThat(upkeep.remove(ROOT, LEASE, Duration.ZERO).message())
                .isEqualTo("r is in use: for domain demo1, vda (rbd:rbd/vm1)");
        assertUntouched();
    }

    @Test
    void whatTheEngineRefusesIsSaid() throws IOException {
        freeSinceDays(31);
        files.answer(LEASE, new RemoveResult.Refused(LeaseFault.NOT_OWNER, "it is held by host id 2"));
        UpkeepAnswer answer = upkeep.remove(ROOT, LEASE, Duration.ofDays(30));
        assertThat(answer.outcome()).isEqualTo(Outcome.REFUSED);
        assertThat(answer.message()).isEqualTo("r is left as it is: it is held by host id 2");
        assertThat(audit()).extracting(line -> line.get("outcome").asText()).containsExactly("begun", "refused");
    }
}
