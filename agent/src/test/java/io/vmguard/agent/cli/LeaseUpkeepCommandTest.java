/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.guard.DomainGuard;
import io.vmguard.agent.hook.HookCalls;
import io.vmguard.agent.hook.HookHandler;
import io.vmguard.agent.hook.HookServer;
import io.vmguard.agent.hook.UpkeepHandler;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.agent.testing.FakeClock;
import io.vmguard.agent.testing.FakeHypervisor;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeUpkeep;
import io.vmguard.agent.testing.GuardOfFakes;
import io.vmguard.agent.testing.SampleReport;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.agent.upkeep.AuditLog;
import io.vmguard.agent.upkeep.Upkeep;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.RemoveResult;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.BuiltDirectory;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code vmguard lease gc} and {@code release}, said to a real server on a real socket. */
@Timeout(60)
class LeaseUpkeepCommandTest {
    private static final String NODE_B = "89abcdef-01234567.node-b";
    private static final LeaseNote NOTE = new LeaseNote("demo1", "u", "vda (rbd:rbd/vm1)", "node-b", 1_767_225_600);
    private static final Duration LIMIT = Duration.ofSeconds(30);

    @TempDir(factory = UnderTarget.class)
    private Path dir;

    @TempDir
    private Path run;

    private final FakeClock clock = new FakeClock();
    private final FakeLockspace lockspace = new FakeLockspace();
    private final FakeUpkeep files = new FakeUpkeep();
    private final FakeHypervisor hypervisor = new FakeHypervisor();
    private final ExecutorService slowCalls = Executors.newCachedThreadPool();
    private final List<AutoCloseable> open = new ArrayList<>();
    private final List<Runnable> duringPauses = new ArrayList<>();
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();
    private BuiltDirectory built;
    private Path socket;

    @BeforeEach
    void leases() {
        socket = run.resolve("agent.sock");
        lockspace.becomeMember();
        built = new BuiltDirectory(dir, LeaseLayout.SECTOR_512)
                .lockspace(10)
                .host(1, 1, "11111111-22222222.node-a", 1000)
                .host(2, 5, NODE_B, 2000)
                .resource("held")
                .held("held", new Owner(2, 5), 42, NOTE)
                .resource("old")
                .resource("young");
        age("held", 100);
        age("old", 31);
        age("young", 29);
    }

    private void age(String file, long days) {
        try {
            Files.setLastModifiedTime(
                    dir.resolve(file), FileTime.fromMillis((FakeClock.WALL_SECONDS - days * 86_400) * 1000));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable closeable : open) {
            closeable.close();
        }
        slowCalls.shutdownNow();
    }

    private void agent() throws IOException {
        DomainGuard guard = GuardOfFakes.of(false, LIMIT, lockspace, hypervisor, clock, slowCalls);
        Upkeep upkeep = new Upkeep(
                lockspace,
                files,
                TestTools.inspector(dir),
                new AuditLog(run.resolve("audit.log"), clock),
                clock,
                "node-a");
        StatusReport status = SampleReport.in(dir.toString());
        HookServer server = new HookServer(
                socket,
                Optional.empty(),
                List.of(new UpkeepHandler(upkeep)),
                new HookHandler(guard, TestDomain.BY_NAME, () -> status, new HookCalls(new FakeClock()), false, LIMIT));
        server.start();
        open.add(server);
        open.add(guard);
    }

    private int run(String... arguments) throws IOException {
        return TestTools.run(dir, socket, clock, this::pause, out, err, arguments);
    }

    private void pause(Duration duration) {
        duringPauses.forEach(Runnable::run);
        clock.advance(duration);
    }

    private void hostTwoIs(HostStatus status) {
        lockspace.sees(new HostView(
                new Owner(2, 5),
                NODE_B,
                status,
                Optional.of(Duration.ofSeconds(91)),
                Optional.of(Duration.ofSeconds(50)),
                false));
    }

    private JsonNode audit(int line) throws IOException {
        return new ObjectMapper()
                .readTree(Files.readAllLines(run.resolve("audit.log")).get(line));
    }

    // ---- gc

    @Test
    void gcWithoutYesOnlyShowsAndNeedsNoAgent() throws IOException {
        assertThat(run("lease", "gc")).isZero();
        assertThat(out)
                .hasToString("old, not used for 31 days\n1 lease in " + dir
                        + " could be removed; nothing was: again with --yes\n");
        assertThat(run("lease", "gc", "--yes", "--dry-run")).isZero();
        assertThat(files.removed()).isEmpty();
    }

    @Test
    void gcWithYesHasTheAgentRemoveWhatIsOldAndFree() throws IOException {
        agent();
        assertThat(run("lease", "gc", "--yes", "--json")).isZero();
        assertThat(files.removed()).containsExactly(new LeaseName("old"));
        assertThat(out)
                .hasToString("{\"format\":1,\"dir\":\"" + dir + "\",\"dry_run\":false,\"leases\":[{\"name\":\"old\","
                        + "\"unused_seconds\":2678400,\"outcome\":\"done\",\"message\":\"old is removed\"}]}\n");
        assertThat(audit(0).get("operator").asText()).isEqualTo(System.getProperty("user.name"));
        assertThat(audit(0).get("on_behalf_of").asText()).isEqualTo("alice");
    }

    @Test
    void gcSaysWhatCouldNotBeRemoved() throws IOException {
        agent();
        files.answer(new LeaseName("old"), new RemoveResult.Refused(LeaseFault.NOT_OWNER, "it is held by host id 2"));
        assertThat(run("lease", "gc", "--yes", "--older-than", "20d")).isEqualTo(1);
        assertThat(out)
                .hasToString(
                        "old is left as it is: it is held by host id 2\nyoung is removed\n1 of 2 leases removed from "
                                + dir + "\n");
    }

    @Test
    void gcWithoutAnAgentOfThisDirectoryRemovesNothing() throws IOException {
        assertThat(run("lease", "gc", "--yes")).isEqualTo(3);
        assertThat(err.toString())
                .startsWith("vmguard: nothing was removed: no agent on " + socket + " is a member of lockspace ");
        agent();
        assertThat(run("lease", "gc", "--yes", "--lockspace", "other")).isEqualTo(3);
        assertThat(files.removed()).isEmpty();
    }

    // ---- release

    @Test
    void releaseOfADeadHostsLeaseIsZero() throws IOException {
        agent();
        hostTwoIs(HostStatus.DEAD);
        assertThat(run("lease", "release", "--confirm-dead", "held")).isZero();
        assertThat(out).hasToString("held is free: host node-b is dead: silent for 91 s\n");
        assertThat(lockspace.releases()).containsExactly(new LeaseName("held"));
    }

    @Test
    void releaseWithoutProofIsOneAndSaysWhenToTryAgain() throws IOException {
        agent();
        hostTwoIs(HostStatus.FAIL);
        assertThat(run("lease", "release", "--confirm-dead", "held", "--json")).isEqualTo(1);
        JsonNode answer = new ObjectMapper().readTree(out.toString());
        assertThat(answer.get("outcome").asText()).isEqualTo("wait");
        assertThat(answer.get("proved_in_seconds").asDouble()).isEqualTo(50.0);
        assertThat(lockspace.releases()).isEmpty();
    }

    @Test
    void releaseWithTheNameOfTheHostWaitsForTheProof() throws IOException {
        agent();
        hostTwoIs(HostStatus.FAIL);
        duringPauses.add(() -> hostTwoIs(HostStatus.DEAD));
        assertThat(run("lease", "release", "--confirm-dead", "held", "--host-is-off", "node-b"))
                .isZero();
        assertThat(err)
                .hasToString(
                        "vmguard: held: host node-b has been silent for 91 s. If it stays silent, it is proved dead in 50 s\n");
        assertThat(audit(0).get("host_is_off").asText()).isEqualTo("node-b");
    }

    @Test
    void releaseOfAHostThatComesBackWhileItIsWaitedForIsRefused() throws IOException {
        agent();
        hostTwoIs(HostStatus.FAIL);
        duringPauses.add(() -> hostTwoIs(HostStatus.LIVE));
        assertThat(run("lease", "release", "--confirm-dead", "held", "--host-is-off", "node-b"))
                .isEqualTo(1);
        assertThat(err.toString()).contains("not freed: held: host node-b is alive");
        assertThat(lockspace.releases()).isEmpty();
    }

    @Test
    void releaseDoesNotWaitForEver() throws IOException {
        agent();
        hostTwoIs(HostStatus.UNKNOWN);
        assertThat(run("lease", "release", "--confirm-dead", "held", "--host-is-off", "node-b"))
                .isEqualTo(1);
        assertThat(err.toString().lines()).hasSize(121);
    }

    @Test
    void releaseNeedsTheWordTheNameAndAnAgent() throws IOException {
        assertThat(run("lease", "release", "held")).isEqualTo(2);
        assertThat(run("lease", "release", "--confirm-dead")).isEqualTo(2);
        assertThat(run("lease", "release", "--confirm-dead", "a/b")).isEqualTo(2);
        assertThat(run("lease", "release", "--confirm-dead", "held")).isEqualTo(3);
        assertThat(err.toString()).contains("--confirm-dead").contains("NAME").contains("not freed: no agent on ");
    }
}
