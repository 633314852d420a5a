/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.doctor.Checkup;
import io.vmguard.agent.doctor.Commands;
import io.vmguard.agent.testing.RecordedHost;
import io.vmguard.agent.testing.SampleReport;
import io.vmguard.lease.testing.UnderTarget;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.function.Supplier;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** init, import-sanlock, mode and report, with programs that are only written down and an agent that is started by one of them. */
@Timeout(120)
class SetupCommandsTest {
    @TempDir(factory = UnderTarget.class)
    private Path dir;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();
    private final List<String> ran = new ArrayList<>();
    private Path config = Path.of("");
    private Path socket = Path.of("");
    private Path leases = Path.of("");
    private String fileSystem = "nfs4";
    private String mode = "enforce";
    private boolean domains;
    private int exit;
    private StandingServer server;

    @BeforeEach
    void nameFiles() throws IOException {
        socket = dir.resolve("agent.sock");
        leases = Files.createDirectory(dir.resolve("leases")).toRealPath();
        config = Files.writeString(
                dir.resolve("vmguard.yaml"), "socket: " + socket + "\nstate_dir: " + dir + "\n#lease_dir: /x\n");
    }

    @AfterEach
    void stop() throws IOException {
        if (server != null) {
            server.close();
        }
    }

    private void agentRuns(Path where) {
        try {
            server = new StandingServer(socket, path -> path.startsWith("/v1/events") ? events() : status(where));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private String status(Path where) {
        try {
            ObjectNode status = new ObjectMapper().valueToTree(SampleReport.in(where.toString()));
            ((ObjectNode) status.path("agent")).put("mode", mode);
            ((ObjectNode) status.path("hosts").path(1)).put("status", "live");
            if (!domains) {
                status.putArray("domains");
            }
            return new ObjectMapper().writeValueAsString(status);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String events() {
        return "{\"format\":1,\"instance\":\"i\",\"events\":[{\"seq\":1,\"time\":1,\"level\":\"warn\",\"code\":\"VG-204\",\"message\":\"mode observe, vm7 is let through\"},"
                + "{\"seq\":2,\"time\":1,\"level\":\"info\",\"code\":\"VG-100\",\"message\":\"listens\"}]}";
    }

    private Commands.Result command(List<String> command) {
        ran.add(String.join(" ", command));
        if (command.contains("systemctl") && server == null && exit == 0) {
            agentRuns(leases);
        }
        if (command.contains("virtqemud.service")) {
            return new Commands.Result(1, "No files found for virtqemud.service.\n");
        }
        return new Commands.Result(exit, exit == 0 ? "" : "Failed to do it\n");
    }

    private int run(String input, String... arguments) {
        Commands commands = (limit, command) -> command(command);
        LeaseTools tools = TestTools.tools();
        DoctorCommand.Kit kit = new DoctorCommand.Kit(
                new RecordedHost().and("== /proc/self/mountinfo\n1 0 0:9 / / rw - " + fileSystem + " server:/x rw\n"),
                commands,
                (where, sector, howLong) -> new Checkup.Trial(true, List.of(1.0), ""),
                unused -> domain -> new Derivation(List.of(), List.of(), List.of()),
                new Random(1));
        ByteArrayInputStream in = new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8));
        CommandLine line =
                new CommandLine(CommandLine.Model.CommandSpec.create().name("vmguard"));
        line.addSubcommand(new InitCommand(tools, kit, in));
        line.addSubcommand(new ImportSanlockCommand(tools, commands, in));
        line.addSubcommand(new ModeCommand(tools, commands, in));
        line.addSubcommand(new ReportCommand(tools, commands, SetupCommandsTest::self));
        line.addSubcommand(new DoctorCommand(tools, kit));
        List<String> all = new ArrayList<>(List.of(arguments));
        all.addAll(List.of("--config", config.toString()));
        return line.setOut(new PrintWriter(out, true))
                .setErr(new PrintWriter(err, true))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .execute(all.toArray(String[]::new));
    }

    private static CommandLine self() {
        CommandLine line =
                new CommandLine(CommandLine.Model.CommandSpec.create().name("vmguard"));
        line.addSubcommand(new StatusCommand());
        line.addSubcommand(new HostsCommand(TestTools.tools()));
        return line;
    }

    @Test
    void initTakesNoFileForALeaseDirectory() throws IOException {
        Path file = Files.writeString(leases.resolve("__LIBVIRT__DISKS__"), "");
        assertThat(run("y\n", "init", "--lease-dir", file.toString())).isEqualTo(1);
        assertThat(err.toString())
                .contains(
                        file + " is a file, and neither a directory nor a block device. The directory that it is in is "
                                + leases);
        assertThat(ran).isEmpty();
    }

    @Test
    void initSaysWhatItWillDoAndDoesItAndThenHasNothingToDo() throws IOException {
        assertThat(run("y\n", "init", "--lease-dir", leases.toString()))
                .as(err.toString())
                .isZero();
        assertThat(out.toString())
                .contains(
                        "This will be done:",
                        "1. write {lease_dir=" + leases + "}",
                        "Do it? [y/N]",
                        "host id 1 of lockspace",
                        "sees host id 2: node-b, live",
                        "next: vmguard doctor");
        assertThat(config).content().contains("\nlease_dir: " + leases + "\n").doesNotContain("#lease_dir");
        assertThat(ran).containsExactly("systemctl enable --now vmguard-deadman.service vmguard.service");
        ran.clear();
        assertThat(run("", "init", "--lease-dir", leases.toString(), "--peers", "node-b"))
                .isZero();
        assertThat(out.toString()).contains("nothing to do");
        assertThat(ran).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "n\n", "\n", "perhaps\n"})
    void withoutAYesNothingIsDone(String answer) throws IOException {
        String before = Files.readString(config);
        assertThat(run(answer, "init", "--lease-dir", leases.toString())).isEqualTo(1);
        assertThat(err.toString()).isEqualTo("vmguard: nothing was done. Say --yes to do it\n");
        assertThat(config).hasContent(before);
        assertThat(ran).isEmpty();
    }

    @Test
    void initRefusesADirectoryThatOnlyThisHostCanSeeUnlessThatIsMeant() {
        fileSystem = "xfs";
        assertThat(run("y\n", "init", "--lease-dir", leases.toString())).isEqualTo(1);
        assertThat(err.toString()).contains("xfs, a file system of one host", "--alone");
        assertThat(run("", "init", "--yes", "--alone", "--lease-dir", leases.toString()))
                .isZero();
        fileSystem = "tmpfs";
        assertThat(run("", "init", "--yes", "--alone", "--lease-dir", leases.toString()))
                .isEqualTo(1);
        assertThat(err.toString()).contains("in this host's memory");
        assertThat(run("", "init", "--yes", "--lease-dir", dir + "/none")).isEqualTo(1);
        assertThat(err.toString()).contains("/none does not exist");
    }

    @Test
    void initDoesNotTakeTheLeasesAwayFromDomainsThatRun() throws IOException {
        domains = true;
        agentRuns(dir.resolve("elsewhere"));
        String before = Files.readString(config);
        assertThat(run("", "init", "--yes", "--lease-dir", leases.toString())).isEqualTo(1);
        assertThat(err.toString()).contains("domains run under leases in " + dir.resolve("elsewhere"));
        assertThat(config).hasContent(before);
    }

    @Test
    void aPeerThatIsNotSeenIsSaidAndIsOne() {
        assertThat(run("", "init", "--yes", "--lease-dir", leases.toString(), "--peers", "node-b,node-z"))
                .isEqualTo(1);
        assertThat(err.toString()).contains("node-z is not seen").doesNotContain("node-b is not");
    }

    @Test
    void aStepThatFailsEndsTheRestAndSaysWhere() {
        exit = 1;
        assertThat(run("", "init", "--yes", "--lease-dir", leases.toString())).isEqualTo(1);
        assertThat(err.toString())
                .contains("step 2 of 3 failed, and nothing after it was done: systemctl enable", "Failed to do it");
    }

    private Path libvirt(String qemu, String sanlock) throws IOException {
        Path conf = Files.createDirectories(dir.resolve("libvirt"));
        Files.createDirectories(dir.resolve("run"));
        Files.writeString(conf.resolve("qemu.conf"), qemu);
        Files.writeString(conf.resolve("qemu-sanlock.conf"), sanlock);
        return conf;
    }

    private int runImport(String... more) {
        List<String> all = new ArrayList<>(
                List.of("import-sanlock", "--libvirt-conf", dir + "/libvirt", "--libvirt-run", dir + "/run"));
        all.addAll(List.of(more));
        return run("", all.toArray(String[]::new));
    }

    @Test
    void importProposesAndExplainsAndChangesNothing() throws IOException {
        libvirt(
                "lock_manager = \"sanlock\"\n",
                "auto_disk_leases = 1\ndisk_lease_dir = \"" + leases + "\"\nhost_id = 5\n");
        String before = Files.readString(config);
        assertThat(runImport()).as(err.toString()).isZero();
        assertThat(out.toString())
                .contains("host_id: 5", "lease_dir: " + leases, "Host by host", "vmguard import-sanlock --apply");
        assertThat(config).hasContent(before);
        assertThat(ran).isEmpty();
    }

    @Test
    void importAppliesInAnOrderThatNeverLeavesAHostThatStartsUnguarded() throws IOException {
        Path conf = libvirt(
                "lock_manager = \"sanlock\"\n",
                "auto_disk_leases = 1\ndisk_lease_dir = \"" + leases + "\"\nhost_id = 5\n");
        assertThat(runImport("--apply", "--yes")).as(err.toString()).isZero();
        assertThat(ran)
                .containsExactly(
                        "sanlock client rem_lockspace -s __LIBVIRT__DISKS__:5:" + leases + "/__LIBVIRT__DISKS__:0",
                        "systemctl enable vmguard-deadman.service vmguard.service",
                        "systemctl restart vmguard-deadman.service vmguard.service",
                        "systemctl cat libvirtd.service",
                        "systemctl try-restart libvirtd.service",
                        "systemctl cat virtqemud.service");
        assertThat(conf.resolve("qemu.conf")).hasContent("# by vmguard import-sanlock: lock_manager = \"sanlock\"\n");
        assertThat(conf.resolve("qemu.conf.before-vmguard")).hasContent("lock_manager = \"sanlock\"\n");
        assertThat(config).content().contains("host_id: 5", "max_hosts: 2000", "compat: libvirt-sanlock");
    }

    @Test
    void importDoesNotMoveAHostWithDomains() throws IOException {
        libvirt("lock_manager = \"sanlock\"\n", "auto_disk_leases = 1\n");
        Files.writeString(dir.resolve("run/vm1.xml"), "");
        assertThat(runImport("--apply", "--yes")).isEqualTo(1);
        assertThat(err.toString()).contains("They are: vm1");
        assertThat(ran).isEmpty();
    }

    @Test
    void importWithoutThePluginSaysSo() {
        assertThat(runImport()).isEqualTo(1);
        assertThat(err.toString()).contains("not set up here. See: vmguard init");
    }

    @Test
    void modeShowsWhatWouldHaveBeenRefusedAndSwitches() throws IOException {
        Files.writeString(config, "mode: observe\n", java.nio.file.StandardOpenOption.APPEND);
        mode = "observe";
        domains = true;
        agentRuns(leases);
        assertThat(run("", "mode")).isEqualTo(1);
        assertThat(out.toString())
                .contains(
                        "mode observe",
                        "3 starts would have been refused",
                        "  mode observe, vm7 is let through",
                        "demo1: vdb is in use elsewhere")
                .doesNotContain("listens");
        assertThat(run("", "mode", "enforce")).isEqualTo(1);
        assertThat(config).content().contains("mode: observe");
        assertThat(run("y\n", "mode", "enforce")).as(err.toString()).isZero();
        assertThat(config).content().contains("mode: enforce").doesNotContain("observe");
        assertThat(ran).containsExactly("systemctl restart vmguard.service");
    }

    @Test
    void modeAsJsonHasItsFormat() throws IOException {
        agentRuns(leases);
        assertThat(run("", "mode", "--json")).isZero();
        assertThat(new ObjectMapper().readTree(out.toString()).fieldNames())
                .toIterable()
                .containsExactly("format", "mode", "configured", "would_have_been_refused", "refusals", "unprotected");
    }

    @Test
    void reportIsOneFileForItsOwnerWithoutSecrets() throws IOException {
        agentRuns(leases);
        Files.writeString(config, "# password: hunter2hunter2\n", java.nio.file.StandardOpenOption.APPEND);
        Path file = dir.resolve("r.zip");
        assertThat(run("", "report", "--output", file.toString()))
                .as(err.toString())
                .isZero();
        assertThat(java.nio.file.attribute.PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-------");
        try (ZipFile zip = new ZipFile(file.toFile())) {
            List<String> names = zip.stream()
                    .map(entry -> entry.getName().replace("vmguard-report/", ""))
                    .toList();
            assertThat(names)
                    .contains(
                            "status.json", "leases.txt", "doctor.txt", "journal.txt", "vmguard.yaml", "lockspace.txt");
            String yaml = new String(
                    zip.getInputStream(zip.getEntry("vmguard-report/vmguard.yaml"))
                            .readAllBytes(),
                    StandardCharsets.UTF_8);
            assertThat(yaml).contains("socket: ", "[redacted]").doesNotContain("hunter2");
            String status = new String(
                    zip.getInputStream(zip.getEntry("vmguard-report/status.json"))
                            .readAllBytes(),
                    StandardCharsets.UTF_8);
            assertThat(status).contains("\"node\":\"node-a\"");
        }
        assertThat(run("", "report", "--output", file.toString())).isEqualTo(1);
        assertThat(err.toString()).contains("is there already");
        assertThat(run("", "report", "--output", dir + "/no/such/r.zip")).isEqualTo(1);
        assertThat(err.toString()).contains("cannot be written");
    }

    /** What a lease directory that hangs does to whoever reads it. */
    @CommandLine.Command(name = "hosts")
    static final class Hangs implements Callable<Integer> {
        @CommandLine.Option(
                names = {"--json", "--config"},
                arity = "0..1")
        private List<String> any = List.of();

        @Override
        public Integer call() throws InterruptedException {
            new CountDownLatch(1).await();
            return 0;
        }
    }

    @Test
    void aReportIsWholeAlsoWhileTheLeaseDirectoryHangs() throws IOException {
        agentRuns(leases);
        Supplier<CommandLine> self =
                () -> new CommandLine(CommandLine.Model.CommandSpec.create().name("vmguard"))
                        .addSubcommand(new StatusCommand())
                        .addSubcommand(new Hangs());
        CommandLine line = new CommandLine(new ReportCommand(
                TestTools.tools(), (limit, command) -> command(command), self, Duration.ofMillis(500)));
        Path file = dir.resolve("r.zip");
        assertThat(line.setOut(new PrintWriter(out, true))
                        .setErr(new PrintWriter(err, true))
                        .execute("--config", config.toString(), "--lease", "x", "--output", file.toString()))
                .as(err.toString())
                .isZero();
        assertThat(parts(file))
                .hasEntrySatisfying(
                        "hosts.json", text -> assertThat(text).contains("could not be had: no answer within"))
                .hasEntrySatisfying(
                        "leases.txt", text -> assertThat(text).contains("left out: the lease directory has not"))
                .hasEntrySatisfying("lease-x.txt", text -> assertThat(text).contains("left out"))
                .hasEntrySatisfying("status.json", text -> assertThat(text).contains("\"node\":\"node-a\""))
                .containsKeys("journal.txt", "processes.txt");
    }

    @Test
    void aReportHasEverySectorOfWhatIsDamaged() throws IOException {
        Files.writeString(config, "lease_dir: " + leases + "\n", java.nio.file.StandardOpenOption.APPEND);
        Files.write(leases.resolve("torn"), new byte[1 << 20]);
        Path file = dir.resolve("r.zip");
        assertThat(run("", "report", "--output", file.toString()))
                .as(err.toString())
                .isZero();
        assertThat(parts(file)).containsKey("lease-torn.txt");
    }

    private static Map<String, String> parts(Path file) throws IOException {
        Map<String, String> parts = new TreeMap<>();
        try (ZipFile zip = new ZipFile(file.toFile())) {
            for (ZipEntry entry : zip.stream().toList()) {
                parts.put(
                        entry.getName().replace("vmguard-report/", ""),
                        new String(zip.getInputStream(entry).readAllBytes(), StandardCharsets.UTF_8));
            }
        }
        return parts;
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "password=SECRET1234",
                "passwd='SECRET1234'",
                "rbd_secret: SECRET1234",
                "\"token\": \"SECRET1234\"",
                "[client.x]\n\tkey = AQBSECRETSECRETSECRETSECRETSECRETSECRET==",
                "iscsi://user:SECRET1234@host/x",
                "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----",
                "mount -o name=x,secret=SECRET1234,rw"
            })
    void whatLooksLikeASecretIsTakenOut(String text) {
        assertThat(Redaction.of("before\n" + text + "\nafter"))
                .doesNotContain("SECRET1234", "SECRETSECRET", "\nSECRET\n")
                .contains("[redacted]", "before", "after");
    }

    @Test
    void whatIsNoSecretStays() {
        String text =
                "vda (rbd:rbd/vm1) is in use by domain demo1, lease rbd-746858f073523546f745135cf50b4e21edac40f0, key: value\n";
        assertThat(Redaction.of(text)).isEqualTo(text);
    }
}
