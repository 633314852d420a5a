/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeout;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.derive.LeaseDeriver;
import io.vmguard.agent.derive.VolumeResolver;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** What {@code vmguard explain} prints and returns, run as the top-level command runs it, without libvirt or an agent. */
class ExplainCommandTest {
    private static final VolumeResolver NO_LIBVIRT = (pool, volume, mode) ->
            new VolumeResolver.CannotTell("can only be resolved on a host that has the pool, needs libvirt");

    private static final String ONE_RBD_DISK =
            "<domain><name>demo1</name><uuid>6f1c1c1e-0f0e-4a54-9c55-0d6a4f0f9a01</uuid>"
                    + "<devices><disk type='network'><source protocol='rbd' name='rbd/vm1'/><target dev='vda'/></disk>"
                    + "<disk device='cdrom'><source file='/a.iso'/><target dev='hdc'/><readonly/></disk></devices></domain>";

    private static final String ONE_RBD_DISK_JSON =
            "\"domain\":{\"name\":\"demo1\",\"uuid\":\"6f1c1c1e-0f0e-4a54-9c55-0d6a4f0f9a01\"},"
                    + "\"leases\":[{\"target\":\"vda\",\"mode\":\"exclusive\",\"identity\":\"rbd:rbd/vm1\","
                    + "\"resource\":\"rbd-746858f073523546f745135cf50b4e21edac40f0\",\"role\":\"disk\"}],"
                    + "\"unprotected\":[{\"target\":\"hdc\",\"reason\":\"read-only\"}]}\n";

    @TempDir
    private Path dir;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @Test
    void jsonOfStandardInputIsOneLineOfTheDocumentedShape() {
        assertThat(run(ONE_RBD_DISK, "--format", "json")).isZero();
        assertThat(out).hasToString("{\"format\":1,\"file\":\"-\"," + ONE_RBD_DISK_JSON);
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void severalFilesGiveOneDocumentPerLineInTheirOrder() throws Exception {
        Path one = Files.writeString(dir.resolve("one.xml"), ONE_RBD_DISK);
        assertThat(run(ONE_RBD_DISK, "--format=json", one.toString(), "-", resource("demo1.xml")))
                .isZero();
        assertThat(out.toString().lines().map(line -> json(line).get("file").asText()))
                .containsExactly(one.toString(), "-", resource("demo1.xml"));
        assertThat(out.toString()).startsWith("{\"format\":1,\"file\":\"" + one + "\"," + ONE_RBD_DISK_JSON);
    }

    @Test
    void refusedDisksAreListedOnlyIfThereAreAny() throws Exception {
        assertThat(run("", "--format", "json", resource("unusual.xml"))).isZero();
        JsonNode refused = json(out.toString()).get("refused");
        assertThat(refused.get(0).toString())
                .isEqualTo("{\"target\":\"vdd\",\"reason\":\"volume fast/v1: can only be resolved on a host that has"
                        + " the pool, needs libvirt\"}");
        assertThat(refused).hasSize(4);
        assertThat(ONE_RBD_DISK_JSON).doesNotContain("refused");
    }

    @Test
    void aMissingUuidIsNullAndOddNamesAreEscaped() {
        String xml = "<domain><name>d\u00e9mo</name><devices><disk><source file='/a&#10;\"\u2028'/>"
                + "<target dev='vda'/></disk></devices></domain>";
        assertThat(run(xml, "--format", "json")).isZero();
        assertThat(out.toString().chars()).allMatch(c -> c == '\n' || c >= ' ' && c < 127);
        assertThat(out.toString().lines()).hasSize(1);
        JsonNode document = json(out.toString());
        assertThat(document.get("domain").get("uuid").isNull()).isTrue();
        assertThat(document.get("leases").get(0).get("identity").asText()).isEqualTo("file:/a\n\"\u2028");
    }

    @Test
    void textIsATableWithOneLinePerDisk() {
        assertThat(run(ONE_RBD_DISK)).isZero();
        assertThat(out).hasToString("""
                -: domain demo1 (6f1c1c1e-0f0e-4a54-9c55-0d6a4f0f9a01)
                  TARGET  LEASE      FOR   ON DISK                                       WHAT
                  vda     exclusive  disk  rbd-746858f073523546f745135cf50b4e21edac40f0  rbd:rbd/vm1
                  hdc     none       -     -                                             read-only
                """);
    }

    @Test
    void textSaysThatAStartWouldBeRefusedAndStaysOnItsLines() {
        String xml =
                "<domain><name>a\u009b</name><devices><disk><source file='/a&#10;b'/><target dev='v&#10;a'/></disk>"
                        + "<disk type='network'><source protocol='rbd' name='b'/><target dev='vdb'/></disk></devices></domain>";
        assertThat(run(xml)).isZero();
        assertThat(out.toString().lines()).hasSize(5);
        assertThat(out.toString())
                .contains(
                        "a\\u009b",
                        "v\\na",
                        "file:/a\\nb",
                        "REFUSED",
                        "  A disk that is REFUSED on its host too stops the start.\n");
    }

    @Test
    void aDomainWithoutDisksSaysSo() {
        assertThat(run("<domain><name>a</name></domain>")).isZero();
        assertThat(out).hasToString("-: domain a\n  no disks\n");
    }

    @Test
    void invalidXmlIsExitCodeTwoAndALineThatSaysWhere() {
        assertThat(run("<domain>\n  <name>a</nam>\n</domain>", "-")).isEqualTo(2);
        assertThat(err.toString()).matches("vmguard: -:2:[0-9]+: not well-formed XML: [^\n]+\n");
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void oneBadFileDoesNotHideTheOthers() throws Exception {
        Path good = Files.writeString(dir.resolve("good.xml"), ONE_RBD_DISK);
        Path bad = Files.writeString(dir.resolve("bad\n.xml"), "<domain/>");
        Path missing = dir.resolve("missing.xml");
        assertThat(run("", "--format", "json", bad.toString(), missing.toString(), dir.toString(), good.toString()))
                .isEqualTo(2);
        assertThat(out.toString())
                .startsWith("{\"format\":1,\"file\":\"" + good + "\",")
                .endsWith("}\n");
        assertThat(err.toString().lines())
                .satisfiesExactly(
                        line -> assertThat(line).matches("vmguard: .*/bad\\\\n.xml:1:[0-9]+: the domain has no name"),
                        line -> assertThat(line).isEqualTo("vmguard: " + missing + ": no such file"),
                        line -> assertThat(line).startsWith("vmguard: " + dir + ": cannot be read"));
    }

    @Test
    void aHugeInputIsRefusedQuickly() {
        assertThat(run(" ".repeat(5 * 1024 * 1024))).isEqualTo(2);
        assertThat(err.toString()).isEqualTo("vmguard: -:1:4194305: it is larger than 4 MiB\n");
    }

    @Test
    void aThousandFilesAreExplainedInOneCallInFiveSeconds() throws Exception {
        List<String> arguments = new ArrayList<>(List.of("--format=json"));
        for (int i = 0; i < 1000; i++) {
            arguments.add(Files.writeString(dir.resolve(i + ".xml"), ONE_RBD_DISK.replace("vm1", "vm" + i))
                    .toString());
        }
        assertTimeout(
                Duration.ofSeconds(5),
                () -> assertThat(run("", arguments.toArray(String[]::new))).isZero());
        assertThat(out.toString().lines()).hasSize(1000);
    }

    @Test
    void aWrongFormatIsAUsageError() {
        assertThat(run("", "--format", "xml")).isEqualTo(2);
        assertThat(err.toString()).contains("--format");
    }

    private int run(String stdin, String... arguments) {
        InputStream in = new ByteArrayInputStream(stdin.getBytes(StandardCharsets.UTF_8));
        return new CommandLine(
                        new ExplainCommand(in, config -> LeaseDeriver.byName(NO_LIBVIRT), TestTools.tools(), dir))
                .setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err))
                .execute(arguments);
    }

    private static JsonNode json(String line) {
        try {
            return new ObjectMapper().readTree(line);
        } catch (JsonProcessingException e) {
            throw new AssertionError(line, e);
        }
    }

    private static String resource(String name) throws URISyntaxException {
        return Path.of(ExplainCommandTest.class.getResource("/domains/" + name).toURI())
                .toString();
    }
}
