/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.deadman;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseName;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Proves that the shipped deadman kills exactly the listed processes, when their time is over and not before, and nobody for a file
 * that cannot be trusted: under each shell, reading what the agent's own writer writes, on real processes. Its time is a file.
 */
@ParameterizedClass
@EnumSource(DeadmanScriptTest.Shell.class)
@Timeout(60)
class DeadmanScriptTest {
    /** The shells that {@code /bin/sh} is. */
    enum Shell {
        DASH("dash"),
        BASH("bash", "--posix"),
        BUSYBOX("busybox", "sh");

        private final List<String> command;

        Shell(String... command) {
            this.command = List.of(command);
        }

        boolean isInstalled() {
            return isProgram(command.get(0));
        }
    }

    private static final Path SCRIPT = Path.of("../packaging/common/deadman").toAbsolutePath();
    private static final LeaseName LS = new LeaseName("LS");
    /** Its file is read after that of {@link #LS}, whose name comes first. */
    private static final LeaseName LATER = new LeaseName("ZZ");

    private static final UUID DEMO = UUID.fromString("7b1c6b1e-4a57-4a3b-9d26-1f6a0b8c2d3e");
    private static final UUID OTHER = UUID.fromString("00000000-4a57-4a3b-9d26-1f6a0b8c2d3e");
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final long WRITTEN = 1000;
    private static final long WARN = 1040;
    private static final long KILL = 1086;

    @Parameter
    private Shell shell;

    @TempDir
    private Path dir;

    private final List<Process> processes = new ArrayList<>();
    private String bootId = "";
    private Path uptime = Path.of("");

    @BeforeEach
    void needsTheShell() throws IOException {
        if (!shell.isInstalled()) {
            System.out.println("DeadmanScriptTest skipped under " + shell + ": not installed");
            Assumptions.abort(shell + " is not installed");
        }
        bootId = Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
        uptime = dir.resolve("uptime");
    }

    @AfterEach
    void endAll() {
        processes.forEach(Process::destroyForcibly);
    }

    // ---- in time or not

    @Test
    void listedProcessesDieWhenTheirTimeIsOverAndNobodyElse() throws Exception {
        Process listed = qemu(DEMO);
        Process stopped = qemu(OTHER);
        Process unlisted = qemu(DEMO);
        signal("STOP", stopped);
        try (DeadmanFile file = lockspace(LS)) {
            file.add(entry(listed, DEMO));
            file.add(entry(stopped, OTHER));
            deadman(KILL + 1);

            assertKilled(listed);
            assertKilled(stopped);
            awaitLog("<2>VG-711 SIGKILL to domain demo, pid " + listed.pid() + ": lockspace LS is not renewed");
            awaitLog("its agent, pid " + ProcessHandle.current().pid() + ", does not renew");
            awaitPasses(KILL + 2);
            assertThat(unlisted.isAlive()).isTrue();
        }
    }

    @Test
    void beforeItsTimeNobodyDiesAndPeopleAreWarnedOnce() throws Exception {
        Process listed = qemu(DEMO);
        try (DeadmanFile file = lockspace(LS)) {
            file.add(entry(listed, DEMO));
            deadman(WARN - 1);
            awaitPasses(WARN - 1);
            assertThat(log()).doesNotContain("is not renewed");
            awaitPasses(WARN + 1);
            awaitLog("its domains are killed in 45 s, unless a renewal succeeds");
            awaitPasses(KILL - 1);
            assertThat(log()).containsOnlyOnce("is not renewed");
            assertThat(listed.isAlive()).isTrue();

            at(KILL);
            assertKilled(listed);
        }
    }

    @Test
    void aDeadlineThatMovesKeepsItsDomainsAliveForHoweverLong() throws Exception {
        Process listed = qemu(DEMO);
        try (DeadmanFile file = lockspace(LS)) {
            file.add(entry(listed, DEMO));
            deadman(WRITTEN);
            for (long now = WRITTEN; now < 2 * KILL; now += 400) {
                file.deadline(deadline(now + KILL - WRITTEN, now + WARN - WRITTEN, now));
                awaitPasses(now + 20);
            }
            assertThat(listed.isAlive()).isTrue();
            assertThat(log()).doesNotContain("SIGKILL");
        }
    }

    /** Their command lines are looked at while there is time: reading them takes a shell too long for many at once. */
    @Test
    void processesThatWereListedForAWhileDieTooAndThoseThatAreNotProvedDoNot() throws Exception {
        List<Process> listed = new ArrayList<>();
        Process stranger = qemu(OTHER);
        try (DeadmanFile file = lockspace(LS)) {
            for (int i = 0; i < 9; i++) {
                listed.add(qemu(DEMO));
                file.add(entry(listed.get(i), DEMO));
            }
            file.add(entry(stranger, DEMO));
            deadman(WRITTEN);
            for (long now = WRITTEN; now < WRITTEN + 10; now++) {
                awaitPasses(now);
            }
            file.deadline(deadline(KILL + 10, WARN + 10, WRITTEN + 10));
            awaitPasses(WRITTEN + 11);
            awaitPasses(WRITTEN + 12);
            listed.remove(0).destroyForcibly().waitFor();
            assertThat(listed).allMatch(Process::isAlive);
            assertThat(log()).doesNotContain("SIGKILL", "UUID");

            at(KILL + 10);
            for (Process each : listed) {
                assertKilled(each);
                awaitLog("<2>VG-711 SIGKILL to domain demo, pid " + each.pid() + ": lockspace LS is not renewed");
            }
            awaitPasses(KILL + 12);
            assertThat(stranger.isAlive()).isTrue();
            awaitLog("pid " + stranger.pid() + ", listed as domain demo, does not have UUID " + DEMO);
        }
    }

    @Test
    void anAgentThatIsGoneIsNamedAsTheReason() throws Exception {
        Process listed = qemu(DEMO);
        Process agent = qemu(OTHER);
        agent.destroyForcibly().waitFor();
        try (DeadmanFile file = DeadmanFile.open(dir, LS, bootId, agent.pid(), DeadmanFile.NO_DEADLINE)) {
            file.deadline(deadline(KILL, WARN, WRITTEN));
            file.add(entry(listed, DEMO));
            deadman(KILL);
            awaitLog("its agent, pid " + agent.pid() + ", is gone");
            assertKilled(listed);
        }
    }

    @Test
    void aLateEntryOfALongListIsKilledToo() throws Exception {
        Process listed = qemu(DEMO);
        try (DeadmanFile file = lockspace(LS)) {
            for (int i = 0; i < 300; i++) {
                file.add(new ListedProcess(4_000_000 + i, 1, OTHER, "gone"));
            }
            file.add(entry(listed, DEMO));
            deadman(KILL);
            assertKilled(listed);
        }
    }

    // ---- no proof, no kill

    @Test
    void aPidThatIsAnotherProcessByNowIsLeftAlone() throws Exception {
        Process stranger = qemu(DEMO);
        ListedProcess then = new ListedProcess((int) stranger.pid(), startTicks(stranger) - 1, DEMO, "demo");
        assertSpared(stranger, file -> file.add(then));
    }

    @Test
    void aProcessWithoutTheUuidOnItsCommandLineIsLeftAloneAndSaidSo() throws Exception {
        Process stranger = qemu(OTHER);
        assertSpared(stranger, file -> file.add(entry(stranger, DEMO)));
        assertThat(log()).contains("does not have UUID " + DEMO + " on its command line: left alone");
    }

    @Test
    void theFileOfAnotherBootKillsNobody() throws Exception {
        String ours = bootId;
        bootId = "00000000-0000-0000-0000-000000000000";
        Process listed = qemu(DEMO);
        lockspace(LS).add(entry(listed, DEMO));
        bootId = ours;
        assertSpared(listed, file -> {});
    }

    @Test
    void beforeTheFirstRenewalNobodyDies() throws Exception {
        Process listed = qemu(DEMO);
        DeadmanFile.open(dir, LS, bootId, 1, DeadmanFile.NO_DEADLINE).add(entry(listed, DEMO));
        assertSpared(listed, file -> {});
    }

    @Test
    void aClockThatIsBehindTheAgentsKillsNobodyAndIsSaid() throws Exception {
        Process listed = qemu(DEMO);
        try (DeadmanFile file = DeadmanFile.open(dir, LS, bootId, 1, DeadmanFile.NO_DEADLINE)) {
            file.add(entry(listed, DEMO));
            // As if the time of a container were read, and not the machine's.
            file.deadline(deadline(KILL, WARN, KILL + 1000));
            assertSpared(listed, ignored -> {});
            assertThat(log()).contains("the agent's clock differ");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "s/deadline 108600/deadline 8600/", // somebody wants it earlier
                "s/deadline [0-9]*/deadline 1e2/",
                "s/deadline [0-9]* /deadline  /",
                "s/vmguard-deadman 1/vmguard-deadman 2/",
                "2q", // the list is cut off
                "1q",
                "d",
                "2d",
                "s/^process \\([0-9]*\\)/process 1\\1/",
                "s/^process \\([0-9]* [0-9]*\\)/process \\11/",
                "s/^process [0-9]*/process -1/",
                "s/^process [0-9]*/process $(touch pwned)/",
                "s/-4a57-/-4a58-/",
            })
    void whatWasEditedByHandKillsNobody(String edit) throws Exception {
        Process listed = qemu(DEMO);
        lockspace(LS).add(entry(listed, DEMO));
        Process sed =
                new ProcessBuilder("sed", "-i", edit, dir.resolve("LS.deadman").toString()).start();
        assertThat(sed.waitFor()).isZero();
        assertSpared(listed, file -> {});
        assertThat(dir.resolve("pwned")).doesNotExist();
    }

    @Test
    void aFileOfArbitraryBytesKillsNobody() throws Exception {
        Process listed = qemu(DEMO);
        byte[] bytes = new byte[5000];
        new java.util.SplittableRandom(7).nextBytes(bytes);
        Files.write(dir.resolve("LS.deadman"), bytes);
        assertSpared(listed, file -> {});
    }

    private interface Change {
        void of(DeadmanFile file) throws IOException;
    }

    /** Another lockspace, which comes after this one in each pass, has its process killed; this one has not. */
    private void assertSpared(Process spared, Change change) throws Exception {
        if (!Files.exists(dir.resolve("LS.deadman"))) {
            change.of(lockspace(LS));
        }
        Process doomed = qemu(OTHER);
        try (DeadmanFile file = lockspace(LATER)) {
            file.add(entry(doomed, OTHER));
            deadman(KILL + 10);
            assertKilled(doomed);
            awaitPasses(KILL + 20);
            assertThat(spared.isAlive()).as("spared").isTrue();
        }
    }

    // ---- the rest

    @Test
    void whatItDoesIsCleanForShellcheck() throws Exception {
        if (!isProgram("shellcheck")) {
            System.out.println("DeadmanScriptTest.whatItDoesIsCleanForShellcheck skipped: shellcheck is not installed");
            Assumptions.abort("shellcheck is not installed");
        }
        Process shellcheck = new ProcessBuilder("shellcheck", "--shell=sh", "--severity=style", SCRIPT.toString())
                .redirectErrorStream(true)
                .start();
        assertThat(new String(shellcheck.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                .isEmpty();
    }

    private static boolean isProgram(String name) {
        return Stream.of(System.getenv("PATH").split(":"))
                .anyMatch(directory -> Files.isExecutable(Path.of(directory, name)));
    }

    /** Something that looks like a QEMU of this domain and waits until it is killed. */
    private Process qemu(UUID uuid) throws IOException {
        Process process = new ProcessBuilder(
                        "dash", "-c", "read -r line", "qemu-system-x86_64", "-uuid", uuid.toString())
                .start();
        processes.add(process);
        // Until the exec it has our own command line.
        await("the exec", () -> commandLine(process).contains(uuid.toString()));
        return process;
    }

    private static String commandLine(Process process) {
        try {
            return Files.readString(Path.of("/proc/" + process.pid() + "/cmdline"));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static long startTicks(Process process) {
        try {
            String stat = Files.readString(Path.of("/proc/" + process.pid() + "/stat"));
            return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[19]);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static ListedProcess entry(Process process, UUID uuid) {
        return new ListedProcess((int) process.pid(), startTicks(process), uuid, "demo");
    }

    private static String deadline(long kill, long warn, long written) {
        // A tick is added to each, as never to be too early.
        return DeadmanFile.deadlineLine(nanos(kill) - 1, nanos(warn) - 1, nanos(written));
    }

    private static long nanos(long seconds) {
        return Duration.ofSeconds(seconds).toNanos();
    }

    private DeadmanFile lockspace(LeaseName name) throws IOException {
        DeadmanFile file =
                DeadmanFile.open(dir, name, bootId, ProcessHandle.current().pid(), DeadmanFile.NO_DEADLINE);
        file.deadline(deadline(KILL, WARN, WRITTEN));
        return file;
    }

    private void signal(String name, Process process) throws Exception {
        assertThat(new ProcessBuilder("kill", "-" + name, Long.toString(process.pid()))
                        .start()
                        .waitFor())
                .isZero();
    }

    private void deadman(long now) throws IOException {
        at(now);
        List<String> command = new ArrayList<>(shell.command);
        command.addAll(List.of(SCRIPT.toString(), dir.toString()));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().put("VMGUARD_UPTIME", uptime.toString());
        builder.environment().put("VMGUARD_PAUSE", "0.05");
        processes.add(builder.redirectErrorStream(true)
                .redirectOutput(dir.resolve("log").toFile())
                .start());
    }

    private void at(long seconds) throws IOException {
        Path next = dir.resolve("uptime.new");
        Files.writeString(next, seconds + ".00 1234.56\n");
        Files.move(next, uptime, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    /** Lets it look at everything at least once from now on, and see to what it found before. */
    private void awaitPasses(long seconds) throws IOException {
        for (int tenths = 0; tenths < 2; tenths++) {
            String now = seconds + "." + tenths + "0";
            Files.writeString(dir.resolve("uptime.new"), now + " 1234.56\n");
            Files.move(dir.resolve("uptime.new"), uptime, StandardCopyOption.REPLACE_EXISTING);
            await("a look at " + now, () -> sign().startsWith(now.replace(".", "")));
        }
    }

    private String sign() {
        try {
            return Files.readString(dir.resolve("deadman.alive"));
        } catch (IOException e) {
            return "";
        }
    }

    private String log() throws IOException {
        return Files.readString(dir.resolve("log"));
    }

    private void awaitLog(String text) {
        await("the line " + text, () -> {
            try {
                return log().contains(text);
            } catch (IOException e) {
                return false;
            }
        });
    }

    private static void assertKilled(Process process) throws Exception {
        assertThat(process.waitFor(SOON.toSeconds(), TimeUnit.SECONDS))
                .as("killed")
                .isTrue();
        assertThat(process.exitValue()).isEqualTo(128 + 9);
    }

    private static void await(String what, BooleanSupplier condition) {
        io.vmguard.lease.testing.Await.until(what, SOON, condition);
    }
}
