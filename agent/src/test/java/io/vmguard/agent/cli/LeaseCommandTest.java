/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.agent.testing.FakeClock;
import io.vmguard.agent.testing.SampleReport;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.inspect.LeaseInspector.Depth;
import io.vmguard.lease.inspect.LockspaceInspection;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.BuiltDirectory;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What {@code vmguard hosts} and {@code vmguard lease list, show, dump} print and return, on real files and against a canned agent. */
@Timeout(60)
class LeaseCommandTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final String NODE_A = "0123abcd-4567cdef.node-a";
    private static final String NODE_B = "89abcdef-01234567.node-b";
    private static final LeaseNote NOTE = new LeaseNote(
            "demo1", "11111111-1111-1111-1111-111111111111", "vda (rbd:rbd/vm1)", "node-b", 1_767_225_600);

    @TempDir(factory = UnderTarget.class)
    private Path dir;

    @TempDir
    private Path run;

    private final FakeClock clock = new FakeClock();
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();
    private final List<Runnable> duringPauses = new ArrayList<>();
    private BuiltDirectory built;
    private Path socket;

    @BeforeEach
    void twoHosts() {
        socket = run.resolve("agent.sock");
        built = new BuiltDirectory(dir, LAYOUT)
                .lockspace(10)
                .host(1, 7, NODE_A, 1000)
                .host(2, 1, NODE_B, 2000);
    }

    private int run(String... arguments) throws IOException {
        return TestTools.run(dir, socket, clock, this::pause, out, err, arguments);
    }

    private void pause(Duration duration) {
        duringPauses.forEach(Runnable::run);
        clock.advance(duration);
    }

    private int runBesideAgent(StatusReport report, String... arguments) throws IOException {
        String body = new ObjectMapper().writeValueAsString(report);
        try (CannedServer server = new CannedServer(socket, CannedServer.http(200, body))) {
            int code = run(arguments);
            assertThat(server.request()).startsWith("GET /v1/status HTTP/1.0\r\n");
            return code;
        }
    }

    /** Its host 2 has been silent for 91 s. */
    private StatusReport agent() {
        return SampleReport.in(dir.toString());
    }

    private JsonNode json() {
        assertThat(out.toString().lines()).hasSize(1);
        assertThat(out.toString().chars()).allMatch(c -> c == '\n' || c >= ' ' && c < 127);
        try {
            return new ObjectMapper().readTree(out.toString());
        } catch (JsonProcessingException e) {
            throw new AssertionError(out.toString(), e);
        }
    }

    // ---- hosts

    @Test
    void hostsWithoutAnAgentAreSeenOnceAndNobodyIsSaidToLive() throws IOException {
        built.host(3, 4, "0123abcd-4567cdef.node-c", 0);
        assertThat(run("hosts")).isZero();
        assertThat(out.toString())
                .isEqualTo("hosts of lockspace __LIBVIRT__DISKS__ in " + dir + ", seen once: who lives cannot be told\n"
                        + "  ID  GENERATION  HOST    STATUS   LAST SEEN  LEASES CAN BE TAKEN\n"
                        + "  1   7           node-a  unknown  0 s ago    in 141 s if it stays silent\n"
                        + "  2   1           node-b  unknown  0 s ago    in 141 s if it stays silent\n"
                        + "  3   4           node-c  free     -          now\n");
    }

    @Test
    void hostsAreWatchedForAsLongAsAsked() throws IOException {
        duringPauses.add(() -> built.host(1, 7, NODE_A, 1000 + clock.bootNanos()));
        assertThat(run("hosts", "--watch", "30s", "--json")).isZero();
        JsonNode report = json();
        assertThat(report.get("hosts_seen").asText()).isEqualTo("twice");
        assertThat(report.get("hosts").get(0).get("status").asText()).isEqualTo("live");
        assertThat(report.get("hosts").get(1).get("status").asText()).isEqualTo("unknown");
        assertThat(report.get("hosts").get(1).get("silent_seconds").asDouble()).isEqualTo(30.0);
    }

    @Test
    void hostsOfARunningAgentAreAsItSeesThem() throws IOException {
        assertThat(runBesideAgent(agent(), "hosts")).isZero();
        assertThat(out.toString())
                .contains("as the agent has seen them")
                .contains("1   7           node-a (this host)  live    3 s ago")
                .contains("2   1           node-b              fail    91 s ago   in 50 s if it stays silent");
    }

    @Test
    void anAgentOfAnotherDirectoryIsNotBelieved() throws IOException {
        assertThat(runBesideAgent(SampleReport.of(true), "hosts")).isZero();
        assertThat(out.toString()).contains("seen once");
    }

    @Test
    void aDamagedLockspaceIsShownAndIsOne() throws IOException {
        built.write("__LIBVIRT__DISKS__", LAYOUT.deltaOffset(2) + 40, new byte[] {9});
        assertThat(run("hosts")).isEqualTo(1);
        assertThat(out.toString())
                .contains("PROBLEM: " + dir
                        + "/__LIBVIRT__DISKS__ at offset 512: the delta lease of host id 2 is not sound")
                .contains("(-229)");
    }

    @Test
    void noLockspaceIsTwo() throws IOException {
        assertThat(run("hosts", "--lockspace", "other")).isEqualTo(2);
        assertThat(err.toString()).contains(dir + ": there is no lockspace other");
    }

    // ---- list and show

    @Test
    void listShowsEveryLeaseInALine() throws IOException {
        built.resource("free").resource("held").held("held", new Owner(2, 1), 42, NOTE);
        built.resource("left").held("left", new Owner(1, 6), 42, NOTE);
        assertThat(runBesideAgent(agent(), "lease", "list")).isZero();
        assertThat(out.toString())
                .isEqualTo("leases in " + dir + ", hosts as the agent has seen them\n"
                        + "lockspace __LIBVIRT__DISKS__: 512-byte sectors in areas of 1 MiB, 2 of 2000 host ids ever taken\n"
                        + "  LEASE  STATE  HOST    HOST IS  SINCE                 USED BY\n"
                        + "  free   free   -       -        -                     -\n"
                        + "  held   held   node-b  fail     2026-01-01T00:00:00Z  demo1: vda (rbd:rbd/vm1)\n"
                        + "  left   held   node-a  reborn   2026-01-01T00:00:00Z  demo1: vda (rbd:rbd/vm1)\n"
                        + "3 leases: 1 free, 2 held; of those held, 1 can be taken: their holders are gone\n");
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void listIsOneDocumentForPrograms() throws IOException {
        built.resource("held").held("held", new Owner(2, 1), 42, NOTE);
        built.resource("r").leader("r", edit -> edit.owner(new Owner(1, 7)).lver(5));
        built.block("r", 1, new DiskBlock(1, 1, 1, 7, 9, 4, true, true, 7));
        assertThat(runBesideAgent(agent(), "lease", "list", "--format", "json")).isZero();
        JsonNode held = json().get("leases").get(0);
        assertThat(held.get("state").asText()).isEqualTo("exclusive");
        assertThat(held.get("owner").get("host_id").asLong()).isEqualTo(2);
        assertThat(held.get("owner").get("dead_in_seconds").asDouble()).isEqualTo(49.5);
        assertThat(held.get("user").get("domain").asText()).isEqualTo("demo1");
        assertThat(held.get("problems").isEmpty()).isTrue();
        JsonNode shared = json().get("leases").get(1);
        assertThat(shared.get("state").asText()).isEqualTo("shared");
        assertThat(shared.get("sharers").get(0).get("status").asText()).isEqualTo("live");
    }

    @Test
    void aDamagedLeaseIsOneAndAFileThatIsNoneIsNot() throws IOException {
        built.file("readme", new byte[] {1, 2, 3});
        assertThat(run("lease", "list")).isZero();
        built.resource("r").leader("r", edit -> edit.lver(1)).write("r", LAYOUT.diskBlockOffset(1999), new byte[] {1});
        assertThat(run("lease", "list")).isZero();
        assertThat(run("lease", "list", "--verify")).isEqualTo(1);
        assertThat(out.toString())
                .contains("the disk block of host id 1999 has a wrong checksum (-214). Nobody can take this lease");
    }

    @Test
    void showSaysWhoAndWhen() throws IOException {
        built.resource("r").held("r", new Owner(2, 1), 42, NOTE);
        assertThat(runBesideAgent(agent(), "lease", "show", "r")).isZero();
        assertThat(out.toString())
                .startsWith("lease r in " + dir + ", lockspace __LIBVIRT__DISKS__\n"
                        + "  held, lease version 42\n"
                        + "  held by node-b (host id 2, generation 1)\n"
                        + "  used by demo1: vda (rbd:rbd/vm1), domain UUID 11111111-1111-1111-1111-111111111111, on node-b since "
                        + "2026-01-01T00:00:00Z\n"
                        + "  node-b has been silent for 91 s: if it stays silent, the lease can be taken in 50 s\n"
                        + "  made for 2000 hosts; leader written by host 2/1; file last written ");
    }

    @Test
    void showTellsAMissingLeaseFromALockspace() throws IOException {
        assertThat(run("lease", "show", "nothing")).isEqualTo(2);
        assertThat(run("lease", "show", "__LIBVIRT__DISKS__")).isEqualTo(2);
        assertThat(run("lease", "show", "a/b")).isEqualTo(2);
        assertThat(err.toString().lines())
                .containsExactly(
                        "vmguard: " + dir + "/nothing: no such file. A lease that was never taken has none",
                        "vmguard: " + dir + "/__LIBVIRT__DISKS__ is a lockspace. See: vmguard hosts",
                        "vmguard: 'a/b' cannot be the name of a lease");
    }

    @Test
    void namesFromDiskDoNotSteerTheTerminal() throws IOException {
        built.host(1, 7, "\u001b[2Jevil\nhost", 1000).resource("r").held("r", new Owner(1, 7), 1, NOTE);
        run("hosts");
        run("lease", "list");
        run("lease", "show", "r");
        run("lease", "dump");
        assertThat(out.toString()).contains("\\u001b[2Jevil\\nhost").doesNotContain("\u001b");
    }

    // ---- dump

    @Test
    void dumpExplainsEveryFieldInUse() throws IOException {
        built.resource("r").held("r", new Owner(2, 1), 42, NOTE);
        assertThat(run("lease", "dump", "r")).isZero();
        assertThat(out.toString())
                .contains("leader record, at offset 0\n")
                .contains(
                        "48      8      lver              42                    lease version: grows with each acquire\n")
                .contains("note of vmguard, at offset 1048064\n");
        assertThat(run("lease", "dump")).isZero();
        assertThat(out.toString())
                .contains("delta lease of host id 2, at offset 512\n")
                .contains("1998 delta leases were never taken and are left out\n");
    }

    @Test
    void dumpForProgramsHasTheSameFields() throws IOException {
        built.resource("r");
        assertThat(run("lease", "dump", "r", "--json")).isZero();
        JsonNode field = json().get("sectors").get(0).get("fields").get(0);
        assertThat(field.get("name").asText()).isEqualTo("magic");
        assertThat(field.get("value").asText()).isEqualTo("0x06152010");
    }

    @Test
    void aFileThatIsNotThereIsTwo() throws IOException {
        assertThat(run("lease", "dump", "nothing")).isEqualTo(2);
        assertThat(err).hasToString("vmguard: " + dir + "/nothing: no such file\n");
    }

    // ---- init

    @ParameterizedTest
    @CsvSource({"512, 1M, 2000", "4096, 1M, 250", "4096, 2M, 500", "4096, 4M, 1000", "4096, 8M, 2000"})
    void initMakesALockspaceOfEveryGeometry(String sector, String area, int hosts) throws IOException {
        Files.delete(dir.resolve("__LIBVIRT__DISKS__"));
        assertThat(run(
                        "lease",
                        "init",
                        "--sector",
                        sector,
                        "--area",
                        area,
                        "--io-timeout",
                        "2s",
                        "--watchdog-timeout",
                        "10s"))
                .isZero();
        assertThat(out)
                .hasToString(
                        "made lockspace __LIBVIRT__DISKS__ in " + dir + ": " + sector + "-byte sectors in areas of "
                                + area.charAt(0) + " MiB for " + hosts + " hosts, leases for " + Math.min(254, hosts)
                                + " hosts; a silent host is dead after 26 s\n");
        LockspaceInspection made = TestTools.inspector(dir)
                .inspect(Depth.HOLDERS)
                .lockspace("__LIBVIRT__DISKS__")
                .orElseThrow();
        assertThat(made.findings()).isEmpty();
        assertThat(made.geometry().maxHosts()).isEqualTo(hosts);
        assertThat(made.ioTimeoutSeconds()).isEqualTo(2);
        assertThat(made.watchdog()).contains(Duration.ofSeconds(10));
        assertThat(made.resourceHosts()).contains(Math.min(254, hosts));
    }

    @Test
    void initOverwritesNothing() throws IOException {
        byte[] before = Files.readAllBytes(dir.resolve("__LIBVIRT__DISKS__"));
        assertThat(run("lease", "init")).isEqualTo(1);
        assertThat(err.toString()).startsWith("vmguard: not made: " + dir + "/__LIBVIRT__DISKS__ exists.");
        assertThat(dir.resolve("__LIBVIRT__DISKS__")).hasBinaryContent(before);
    }

    @Test
    void initDoesNotPutALockspaceBesideLeasesOfAnEarlierOne() throws IOException {
        Files.delete(dir.resolve("__LIBVIRT__DISKS__"));
        built.resource("untouched")
                .resource("used")
                .leader("used", edit -> edit.owner(new Owner(3, 9)).lver(2));
        assertThat(run("lease", "init")).isEqualTo(1);
        assertThat(err.toString())
                .startsWith(
                        "vmguard: not made: " + dir
                                + " holds leases (1) of an earlier lockspace __LIBVIRT__DISKS__, the first of "
                                + "them used, last held by host id 3 in generation 9. In a new lockspace host ids begin at generation 1")
                .contains("bring it back");
        assertThat(dir.resolve("__LIBVIRT__DISKS__")).doesNotExist();
        Files.delete(dir.resolve("used"));
        built.resource("half").block("half", 1000, DiskBlock.entering(1000, 1));
        assertThat(run("lease", "init")).as("a ballot that came to nothing").isEqualTo(1);
        Files.delete(dir.resolve("half"));
        assertThat(run("lease", "init", "--sector", "4096"))
                .as("leases of another geometry")
                .isEqualTo(1);
        assertThat(run("lease", "init", "--json")).isZero();
        assertThat(json().get("made").asText()).isEqualTo(dir + "/__LIBVIRT__DISKS__");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--sector 1024",
                "--area 2M",
                "--area 3M --sector 4096",
                "--io-timeout 0s",
                "--io-timeout 300s",
                "--watchdog-timeout 5s"
            })
    void initKnowsTheLimits(String options) throws IOException {
        Files.delete(dir.resolve("__LIBVIRT__DISKS__"));
        assertThat(run(("lease init " + options).split(" "))).isEqualTo(2);
        assertThat(err.toString().lines()).hasSize(1);
        assertThat(dir.resolve("__LIBVIRT__DISKS__")).doesNotExist();
    }

    @Test
    void initMakesNoLeasesForMoreHostsThanFit() throws IOException {
        Files.delete(dir.resolve("__LIBVIRT__DISKS__"));
        assertThat(run("lease", "init", "--sector", "4096", "--max-hosts", "300"))
                .isEqualTo(1);
        assertThat(err).hasToString("vmguard: not made: 300 hosts do not fit: there is room for 1 to 250\n");
    }

    // ---- wrong usage

    @ParameterizedTest
    @ValueSource(
            strings = {
                "hosts --watch soon",
                "lease list --format yaml",
                "lease show",
                "lease frobnicate",
                "hosts --lockspace /"
            })
    void wrongUsageIsTwo(String arguments) throws IOException {
        assertThat(run(arguments.split(" "))).isEqualTo(2);
        assertThat(err.toString()).isNotEmpty();
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void aDirectoryThatIsNotThereIsTwo() throws IOException {
        assertThat(run("lease", "list", "--dir", dir.resolve("missing").toString()))
                .isEqualTo(2);
        assertThat(err)
                .hasToString("vmguard: " + dir.resolve("missing")
                        + ": the lease directory does not exist or is no directory\n");
        assertThat(out.toString()).isEmpty();
    }
}
