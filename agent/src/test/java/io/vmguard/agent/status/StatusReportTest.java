/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.status;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vmguard.agent.testing.SampleReport;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The shape that other programs read, laid down in {@code status/report.json}, and its form for people. */
class StatusReportTest {
    private final ObjectMapper json = new ObjectMapper();

    @Test
    void jsonHasTheShapeThatWasLaidDown() throws IOException {
        assertThat(json.valueToTree(SampleReport.of(true)).toPrettyString()).isEqualTo(golden().toPrettyString());
    }

    @Test
    void laidDownShapeIsReadBackAndKeysOfALaterVersionDoNotMatter() throws IOException {
        ObjectNode later = golden();
        later.put("new_key", "x");
        ((ObjectNode) later.get("agent")).put("new_key", "x");
        ((ObjectNode) later.get("agent")).putArray("new_list").addObject().put("x", 1);
        assertThat(StatusReport.parse(later.toString())).isEqualTo(SampleReport.of(true));
    }

    @Test
    void whatIsNotThereIsReadAsThat() throws IOException {
        assertThat(StatusReport.parse(json.valueToTree(SampleReport.of(false)).toString()))
                .isEqualTo(SampleReport.of(false));
        ObjectNode earlier = golden();
        earlier.remove(List.of("hosts", "worst_case"));
        ((ObjectNode) earlier.get("agent")).remove(List.of("granted", "node"));
        StatusReport read = StatusReport.parse(earlier.toString());
        assertThat(read.hosts()).isEmpty();
        assertThat(read.agent().granted()).isZero();
        assertThat(read.agent().node()).isNull();
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '`',
            value = {
                "/, format, `\"1\"`",
                "/, ready, 1",
                "/, hosts, {}",
                "/, hosts, `[null]`",
                "/, warnings, `[1]`",
                "/, warnings, `\"x\"`",
                "/, agent, `[]`",
                "/agent, version, 1",
                "/agent, version, `[]`",
                "/agent, pid, `\"x\"`",
                "/agent, pid, 99999999999999999999",
                "/lockspace, renewed_seconds_ago, true"
            })
    void valueOfAnotherKindMakesItNoStatus(String where, String key, String value) throws IOException {
        ObjectNode report = golden();
        ((ObjectNode) (where.equals("/") ? report : report.at(where))).set(key, json.readTree(value));
        assertThatThrownBy(() -> StatusReport.parse(report.toString()))
                .isInstanceOf(IOException.class)
                .hasMessage("the answer is not a status");
    }

    @Test
    void whatIsCutOffIsNoStatus() throws IOException {
        String whole = golden().toString();
        for (int length = 0; length < whole.length(); length++) {
            String part = whole.substring(0, length);
            assertThatThrownBy(() -> StatusReport.parse(part)).isInstanceOf(IOException.class);
        }
    }

    @Test
    void absentValuesAreLeftOut() {
        assertThat(json.valueToTree(SampleReport.of(false)).get("lockspace").fieldNames())
                .toIterable()
                .doesNotContain("host_id", "generation", "renewed_seconds_ago", "lost_in_seconds");
    }

    @Test
    void textOfAMemberSaysWhatThePeopleNeed() {
        assertThat(text(SampleReport.of(true))).isEqualTo("""
                vmguard 0.1.0 on node-a, mode enforce, ready
                lockspace __LIBVIRT__DISKS__ in /var/lib/vmguard/leases: member
                  host id 1, generation 7, renewed 3 s ago; domains are stopped in 77 s unless a renewal succeeds
                  io_timeout 10 s; others may take our leases after 140 s of silence
                  worst case now, if no renewal succeeds any more: a warning in 37 s; SIGKILL in 82 s
                watchdog wdmd: armed, resets this machine 60 s after it was fed last; fed 3 s ago
                libvirt qemu:///system: NOT CONNECTED, cannot connect
                hosts:
                  ID   HOST                         STATUS   LAST SEEN    LEASES CAN BE TAKEN
                  1    node-a (this host)           live     3 s ago      -
                  2    node-b                       fail     91 s ago     in 50 s if it stays silent
                domains:
                  demo1 (6f1c1c1e-0f0e-4a54-9c55-0d6a4f0f9a01) running, pid 1234, on_lockfailure pause
                    vda (rbd:rbd/vm1)                            held for 42 s, lease rbd-746858f073523546f745135cf50b4e21edac40f0
                    vdb (file:/b)                                NOT HELD
                    PROBLEM: vdb is in use elsewhere
                WARNING: domain demo1 is not fully protected
                """);
    }

    @Test
    void textOfAHostThatIsNotReadySaysSoFirst() {
        assertThat(text(SampleReport.of(false)).lines())
                .startsWith(
                        "vmguard 0.1.0 on node-a, mode enforce, NOT READY: starts are refused",
                        "lockspace __LIBVIRT__DISKS__ in /var/lib/vmguard/leases: joining, no such directory:"
                                + " /var/lib/vmguard/leases");
    }

    @Test
    void namesFromElsewhereCannotSteerTheTerminal() {
        StatusReport good = SampleReport.of(true);
        String evil = "x\n\u001b[2J\u009b\u202e";
        StatusReport report = new StatusReport(
                1,
                good.agent(),
                true,
                good.lockspace(),
                new StatusReport.Watchdog(evil, evil, true, 60L, 3.1, ""),
                good.libvirt(),
                good.hook(),
                List.of(new StatusReport.Host(1, 7, evil, evil, evil, true, 3.2, null)),
                List.of(new StatusReport.Domain(
                        evil,
                        evil,
                        evil,
                        1,
                        List.of(new StatusReport.Lease(evil, evil, evil, true, 0, 0)),
                        evil,
                        List.of(evil))),
                List.of(new StatusReport.Deadline(evil, 1, 1.0)),
                List.of(evil));
        assertThat(text(report).codePoints()).allMatch(c -> c == '\n' || c >= ' ' && c < 127);
        assertThat(text(report).lines()).hasSize(text(good).lines().toList().size() - 2);
    }

    @Test
    void coloursAreForTerminalsAndChangeNoWord() {
        StringWriter out = new StringWriter();
        PrintWriter printer = new PrintWriter(out);
        new StatusText(printer, true).print(SampleReport.of(false));
        printer.flush();
        assertThat(out.toString())
                .contains("\u001b[1;31mNOT READY\u001b[0m: starts are refused", "\u001b[1;31mWARNING:\u001b[0m");
        assertThat(out.toString().replaceAll("\u001b\\[[0-9;]*m", "")).isEqualTo(text(SampleReport.of(false)));
    }

    private static String text(StatusReport report) {
        StringWriter out = new StringWriter();
        PrintWriter printer = new PrintWriter(out);
        new StatusText(printer).print(report);
        printer.flush();
        return out.toString();
    }

    private ObjectNode golden() throws IOException {
        try (InputStream in =
                Objects.requireNonNull(StatusReportTest.class.getResourceAsStream("/status/report.json"))) {
            return (ObjectNode) json.readTree(in);
        }
    }
}
