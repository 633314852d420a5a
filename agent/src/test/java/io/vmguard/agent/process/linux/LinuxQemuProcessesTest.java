/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.KillSignal;
import io.vmguard.agent.process.Lookup;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Real processes of this machine that look like a domain's QEMU, found, held, watched and killed through the kernel. */
@Timeout(60)
class LinuxQemuProcessesTest {

    private static final String NAME = "demo1";
    private static final Duration LIMIT = Duration.ofSeconds(20);

    @TempDir
    private Path pidDirectory;

    private final UUID uuid = UUID.randomUUID();
    private final List<Process> children = new ArrayList<>();
    private LinuxQemuProcesses processes;

    @BeforeEach
    void start() throws IOException {
        processes = LinuxQemuProcesses.start(pidDirectory);
    }

    @AfterEach
    void end() {
        processes.close();
        children.forEach(Process::destroyForcibly);
    }

    @Test
    void processIsFoundByItsPidFile() throws IOException {
        Process child = qemu(NAME, uuid);
        record(NAME, child.pid());
        GuardedProcess found = found(processes.find(NAME, uuid));
        assertThat(found.pid()).isEqualTo((int) child.pid());
        assertThat(found.isGone()).isFalse();
    }

    @Test
    void processIsFoundByScanWithoutPidFileAndWithAWrongOne() throws IOException {
        Process child = qemu(NAME, uuid);
        assertThat(found(processes.find(NAME, uuid)).pid()).isEqualTo((int) child.pid());

        Process other = qemu("demo2", UUID.randomUUID());
        record(NAME, other.pid());
        assertThat(found(processes.find(NAME, uuid)).pid()).isEqualTo((int) child.pid());
        for (String text : List.of("", "x", "-1", "99999999999", "0")) {
            Files.writeString(pidDirectory.resolve(NAME + ".pid"), text);
            assertThat(found(processes.find(NAME, uuid)).pid()).isEqualTo((int) child.pid());
        }
    }

    @Test
    void pidOfAnotherOrNoProcessIsNotFound() throws Exception {
        assertThat(processes.find(NAME, uuid)).isEqualTo(new Lookup.NotFound());

        Process other = qemu("demo2", UUID.randomUUID());
        record(NAME, other.pid());
        assertThat(processes.find(NAME, uuid)).as("somebody else's").isEqualTo(new Lookup.NotFound());

        other.destroyForcibly();
        assertThat(other.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(processes.find(NAME, uuid)).as("nobody's").isEqualTo(new Lookup.NotFound());
    }

    @Test
    void partOfAnArgumentIsNoMatch() throws IOException {
        child("-name", "guest=" + NAME, "-uuid", uuid + "0");
        child("-name", "guest=" + NAME, "-uuid=" + uuid);
        assertThat(processes.find(NAME, uuid)).isEqualTo(new Lookup.NotFound());
    }

    @Test
    void domainNameThatIsAPathReadsNoFile() throws IOException {
        Path outside = pidDirectory.resolve("outside");
        Files.createDirectory(outside);
        LinuxQemuProcesses below = LinuxQemuProcesses.start(outside);
        try {
            record(NAME, qemu("../" + NAME, uuid).pid());
            // Found by the scan, so the name is taken as a name.
            assertThat(found(below.find("../" + NAME, uuid)).isGone()).isFalse();
            assertThat(below.find("", uuid)).isInstanceOf(Lookup.CannotTell.class);
            assertThat(below.find("a\0b", UUID.randomUUID())).isEqualTo(new Lookup.NotFound());
        } finally {
            below.close();
        }
    }

    @Test
    void uuidUnderAnotherNameAndTwoOfAKindAreNotDecided() throws IOException {
        Process child = qemu("demo2", uuid);
        record(NAME, child.pid());
        assertThat(processes.find(NAME, uuid)).isInstanceOf(Lookup.CannotTell.class);

        qemu("demo2", uuid);
        assertThat(processes.find("demo2", uuid))
                .isInstanceOfSatisfying(
                        Lookup.CannotTell.class,
                        result -> assertThat(result.reason()).startsWith("2 processes claim"));
    }

    @Test
    void daemonThatHasNotYetBecomeQemuIsNotDecided() throws IOException {
        Path daemon = pidDirectory.resolve("libvirtd");
        Files.copy(Path.of("/bin/sleep"), daemon);
        assumeTrue(
                daemon.toFile().setExecutable(true) && Files.isExecutable(daemon),
                "temporary files are not executable");
        Process child = new ProcessBuilder(daemon.toString(), "100").start();
        children.add(child);
        record(NAME, child.pid());
        assertThat(processes.find(NAME, uuid))
                .isEqualTo(new Lookup.CannotTell("process " + child.pid() + " is not yet QEMU"));
    }

    @Test
    void killEndsTheProcessAndEverybodyIsTold() throws Exception {
        GuardedProcess process = found(processes.find(NAME, qemuUuid()));
        CountDownLatch told = new CountDownLatch(2);
        process.onGone(() -> {
            told.countDown();
            throw new IllegalStateException("a listener with a bug; the next one is told all the same");
        });
        process.onGone(told::countDown);
        assertThat(process.isGone()).isFalse();

        assertThat(process.kill()).isEqualTo(new KillSignal.Sent());

        assertThat(isToldGone(process, LIMIT)).isTrue();
        assertThat(process.isGone()).isTrue();
        assertThat(told.await(20, TimeUnit.SECONDS)).isTrue();
        assertThat(process.kill()).isEqualTo(new KillSignal.AlreadyGone());
        CountDownLatch late = new CountDownLatch(1);
        process.onGone(late::countDown);
        assertThat(late.getCount()).as("told at once").isZero();
        assertThat(processes.find(NAME, uuid)).isEqualTo(new Lookup.NotFound());
    }

    @Test
    void endOfEachOfManyProcessesIsTold() throws Exception {
        List<GuardedProcess> held = new ArrayList<>();
        CountDownLatch told = new CountDownLatch(20);
        for (int i = 0; i < 20; i++) {
            UUID each = UUID.randomUUID();
            record("many" + i, qemu("many" + i, each).pid());
            GuardedProcess process = found(processes.find("many" + i, each));
            process.onGone(told::countDown);
            held.add(process);
        }
        held.forEach(GuardedProcess::kill);
        assertThat(told.await(20, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void closedProcessRunsOnAndNobodyIsTold() throws Exception {
        Process child = qemu(NAME, uuid);
        GuardedProcess process = found(processes.find(NAME, uuid));
        CountDownLatch told = new CountDownLatch(1);
        process.onGone(told::countDown);
        process.close();
        process.close();

        GuardedProcess again = found(processes.find(NAME, uuid));
        assertThat(again.kill()).isEqualTo(new KillSignal.Sent());
        assertThat(isToldGone(again, LIMIT)).isTrue();
        assertThat(child.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(told.getCount()).isOne();
        assertThat(process.kill()).isInstanceOf(KillSignal.Failed.class);
    }

    @Test
    void nothingIsHeldAfterTheEnd() throws IOException {
        Process child = qemu(NAME, uuid);
        GuardedProcess process = found(processes.find(NAME, uuid));
        processes.close();
        assertThat(processes.find(NAME, uuid)).isInstanceOf(Lookup.CannotTell.class);
        assertThat(process.isGone()).isFalse();
        assertThat(child.isAlive()).isTrue();
        processes.close();
    }

    /** As with a QEMU whose worker waits for storage: the first thread is a zombie, the process can still write. */
    @Test
    void processWithoutItsFirstThreadIsFoundAndNotGone() throws Exception {
        Path python = Path.of("/usr/bin/python3");
        assumeTrue(Files.isExecutable(python), "no /usr/bin/python3 to end the first thread of a process with");
        Process child = new ProcessBuilder(
                        python.toString(),
                        "-c",
                        """
                        import ctypes, threading, time
                        threading.Thread(target=lambda: time.sleep(100)).start()
                        print("up", flush=True)
                        ctypes.CDLL(None).syscall(%d, 0)  # exit of this thread only
                        """.formatted(exitSyscall()),
                        "-name",
                        "guest=" + NAME + ",debug-threads=on",
                        "-uuid",
                        uuid.toString())
                .start();
        children.add(child);
        assertThat(child.getInputStream().read()).isEqualTo('u');
        ProcFs proc = new ProcFs(Path.of("/proc"));
        while (!proc.status((int) child.pid()).orElseThrow().isZombie()) {
            Thread.onSpinWait(); // the test's time limit ends this
        }

        GuardedProcess process = found(processes.find(NAME, uuid));
        assertThat(process.isGone()).isFalse();
        assertThat(isToldGone(process, Duration.ofMillis(50))).isFalse();
        assertThat(process.kill()).isEqualTo(new KillSignal.Sent());
        assertThat(isToldGone(process, LIMIT)).isTrue();
    }

    /** A process table that shows a living process of ours as a QEMU zombie which has no memory left to read. */
    @Test
    void qemuZombieThatDoesNotTellItsDomainIsNotDecided(@TempDir Path proc) throws IOException {
        Process child = qemu("demo2", UUID.randomUUID());
        Path entry = Files.createDirectories(proc.resolve(Long.toString(child.pid())));
        Files.createDirectories(entry.resolve("task"));
        Files.writeString(entry.resolve("cmdline"), "");
        Files.writeString(
                entry.resolve("stat"),
                child.pid() + " (qemu-system-x86) Z 1 526 526 0 -1 4228364 3311 0 0 0 42 17 0 0 20 0 2 0 90210 0 0");
        LinuxQemuProcesses shown = LinuxQemuProcesses.start(pidDirectory, proc);
        try {
            assertThat(shown.find(NAME, uuid)).as("by scan").isInstanceOf(Lookup.CannotTell.class);
            record(NAME, child.pid());
            assertThat(shown.find(NAME, uuid)).as("by pid file").isInstanceOf(Lookup.CannotTell.class);
        } finally {
            shown.close();
        }
    }

    /** The daemon, a child of it that is not yet QEMU, one that cannot be looked at; a QEMU and others prove nothing of it. */
    @Test
    void libvirtsDaemonIsGoneOnlyWhenNoProcessMayBeIt(@TempDir Path proc) throws IOException {
        LinuxQemuProcesses shown = LinuxQemuProcesses.start(pidDirectory, proc);
        try {
            assertThat(shown.daemonGone()).as("no process at all").isTrue();
            show(proc, 1, "(systemd) S", "systemd");
            show(proc, 2, "(kthreadd) S 0 0 0 0 -1 2129984", "");
            show(proc, 30, "(virtlogd) S", "virtlogd");
            show(proc, 31, "(qemu-system-x86) S", "qemu-system-x86_64");
            show(proc, 32, "(true) Z", "");
            Files.createDirectories(proc.resolve("33")); // ended between listing and reading
            assertThat(shown.daemonGone()).as("others").isTrue();
            for (List<String> daemon : List.of(
                    List.of("(libvirtd) S", "libvirtd"),
                    List.of("(virtqemud) T", "virtqemud"),
                    List.of("(rpc-virtqemud) S", "virtqemud"),
                    List.of("(libvirtd) S", "libvirtd (deleted)"),
                    List.of("(libvirtd) Z", ""),
                    List.of("(secret) S", ""),
                    List.of("", "secret"))) {
                show(proc, 40, daemon.get(0), daemon.get(1));
                assertThat(shown.daemonGone()).as("%s", daemon).isFalse();
            }
        } finally {
            shown.close();
        }
    }

    private static void show(Path proc, int pid, String commandAndState, String program) throws IOException {
        Path entry = Files.createDirectories(proc.resolve(Integer.toString(pid)));
        String rest = commandAndState.indexOf("-1") > 0 ? "" : " 1 1 1 0 -1 4194560";
        Files.writeString(entry.resolve("stat"), pid + " " + commandAndState + rest + " 0 0");
        Files.deleteIfExists(entry.resolve("exe"));
        if (!program.isEmpty()) {
            Files.createSymbolicLink(entry.resolve("exe"), Path.of(program));
        }
    }

    @Test
    void aStoppedProcessIsSeenToBeStoppedUntilItGoesOn() throws IOException {
        GuardedProcess process = found(processes.find(NAME, qemuUuid()));
        assertThat(process.isStopped()).isFalse();
        assertThat(process.stop()).isEqualTo(new KillSignal.Sent());
        await(process::isStopped);
        assertThat(process.isGone()).isFalse();
        assertThat(process.proceed()).isEqualTo(new KillSignal.Sent());
        await(() -> !process.isStopped());
    }

    @Test
    void aStoppedProcessCanBeKilledAndIsThenNotStopped() throws Exception {
        GuardedProcess process = found(processes.find(NAME, qemuUuid()));
        process.stop();
        await(process::isStopped);
        assertThat(process.kill()).isEqualTo(new KillSignal.Sent());
        assertThat(isToldGone(process, LIMIT)).isTrue();
        assertThat(process.isStopped()).isFalse();
        assertThat(process.stop()).isEqualTo(new KillSignal.AlreadyGone());
    }

    @Test
    void pidAndStartTimeNameTheProcess() throws IOException {
        GuardedProcess process = found(processes.find(NAME, qemuUuid()));
        ProcFs.Status status =
                new ProcFs(Path.of("/proc")).status(process.pid()).orElseThrow();
        assertThat(process.startTicks()).isPositive().isEqualTo(status.startTicks());
        long upNanos = new io.vmguard.lease.device.linux.LinuxClock().bootNanos();
        assertThat(upNanos - process.startedNanos()).isBetween(-20_000_000L, LIMIT.toNanos());
    }

    /** The test's time limit ends a wait that has no end. */
    private static boolean isToldGone(GuardedProcess process, Duration limit) throws InterruptedException {
        CountDownLatch told = new CountDownLatch(1);
        process.onGone(told::countDown);
        return told.await(limit.toNanos(), TimeUnit.NANOSECONDS);
    }

    private static void await(java.util.function.BooleanSupplier condition) {
        while (!condition.getAsBoolean()) {
            Thread.onSpinWait();
        }
    }

    private static int exitSyscall() {
        return System.getProperty("os.arch").equals("amd64") ? 60 : 93;
    }

    private static GuardedProcess found(Lookup lookup) {
        assertThat(lookup).isInstanceOf(Lookup.Found.class);
        return ((Lookup.Found) lookup).process();
    }

    private UUID qemuUuid() throws IOException {
        qemu(NAME, uuid);
        return uuid;
    }

    private Process qemu(String name, UUID id) throws IOException {
        return child("-S", "-name", "guest=" + name + ",debug-threads=on", "-uuid", id.toString(), "-no-user-config");
    }

    /** A shell that waits for its input, with these arguments behind its own. */
    private Process child(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of("/bin/sh", "-c", "echo up; read line", "qemu-system-x86_64"));
        command.addAll(List.of(arguments));
        Process child = new ProcessBuilder(command).start();
        children.add(child);
        assertThat(child.getInputStream().read()).as("the child runs").isEqualTo('u');
        return child;
    }

    private void record(String name, long pid) throws IOException {
        Files.writeString(pidDirectory.resolve(name + ".pid"), Long.toString(pid));
    }
}
