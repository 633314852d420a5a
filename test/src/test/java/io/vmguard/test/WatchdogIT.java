/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;

/**
 * The built package on a real kernel with a real watchdog, softdog, in emulated machines ({@code test/infra/image/watchdog-vm}). They
 * mostly wait, so they run at once; but only so many boot at a time as there is room for. Times are those of the machine.
 * First of all classes, and so never beside {@link SanlockMatrixIT}: together they are more than two processors can do in time.
 */
@NeedsTestImage
@Order(1)
class WatchdogIT {
    /** For a machine on a host that has other things to do as well. */
    private static final int MACHINE_SECONDS = 600;

    private static final Duration LIMIT = Duration.ofSeconds(MACHINE_SECONDS + 60);
    /** Those that take longest come first. */
    private static final List<String> CASES = List.of(
            "wdmd-clean-stop",
            "wdmd-lease-killed",
            "restarted",
            "suspended",
            "clean-stop",
            "lease-killed",
            "no-lease-killed");

    private static final int BOOTING = 2;

    private static MachineHost host;
    private static final Map<String, Running> MACHINES = new LinkedHashMap<>();

    @BeforeAll
    static void boot() {
        Optional<Path> deb = BuiltPackage.find();
        String missing = deb.isEmpty() ? "run make deb first" : MachineHost.missing();
        if (!missing.isEmpty()) {
            System.err.println("SKIPPED WatchdogIT: " + missing);
        }
        Assumptions.assumeTrue(missing.isEmpty(), missing);
        Path built = deb.orElseThrow();
        host = MachineHost.apart("watchdog-vms", built.getParent());
        host.boot();
        host.run(LIMIT, "watchdog-vm", "make", "/packages/" + built.getFileName(), "/vm")
                .mustSucceed();
        for (String name : CASES) {
            Eventually.await("room for " + name, LIMIT, () -> booting() < BOOTING);
            MACHINES.put(name, host.spawn("watchdog-vm", "run", "/vm", name, Integer.toString(MACHINE_SECONDS)));
        }
    }

    private static long booting() {
        return MACHINES.values().stream()
                .filter(machine -> !machine.stdout().contains(" alive")
                        && !machine.stdout().contains("watchdog-vm: "))
                .count();
    }

    @AfterAll
    static void shutDown() {
        if (host != null) {
            host.close();
        }
    }

    /** What a machine said until its end. */
    private static String console(String name) {
        return MACHINES.get(name).awaitEnd(LIMIT).mustSucceed().stdout();
    }

    /** When it said so last, in seconds since its boot. */
    private static double when(String console, String text) {
        return console.lines()
                .map(String::strip)
                .filter(line -> line.startsWith("case: ") && line.endsWith(text))
                .reduce((one, other) -> other)
                .map(line -> Double.parseDouble(line.split(" ")[1]))
                .orElseThrow(() -> new AssertionError("never said \"" + text + "\":\n" + console));
    }

    @Test
    void aKilledAgentThatHeldALeaseTakesTheMachineWithItWithinTheWatchdogTimeout() {
        String console = console("lease-killed");
        assertThat(console).contains("lease is held, watchdog active").contains("watchdog-vm: reset");
        // Fed for the last time before the kill; half a second from one sign of life to the next.
        assertThat(when(console, " alive") - when(console, " killed")).isBetween(10.0, 20.5);
    }

    @Test
    void aKilledAgentThatHeldNoLeaseDoesNot() {
        String console = console("no-lease-killed");
        assertThat(console).contains("agent is a member, watchdog inactive").contains("watchdog-vm: off");
        assertThat(console).doesNotContain("FAILED");
        assertThat(when(console, " alive") - when(console, " killed")).isGreaterThan(20.5);
    }

    @Test
    void onceTheLastDomainIsGoneItIsDisarmedAndAStopOfTheAgentResetsNothing() {
        String console = console("clean-stop");
        assertThat(console).doesNotContain("FAILED").contains("lease is held, watchdog active", "watchdog-vm: off");
        assertThat(when(console, " alive") - when(console, " disarmed")).isGreaterThan(20.5);
        assertThat(when(console, " alive") - when(console, " stopped")).isGreaterThan(20.5);
    }

    @Test
    void withWdmdAStopAfterTheLastDomainResetsNothingEither() {
        String console = console("wdmd-clean-stop");
        assertThat(console).doesNotContain("FAILED").contains("watchdog-vm: off");
        // What it was told last would have it leave the device alone 14 s later, which fires after another 60 s.
        assertThat(when(console, " alive") - when(console, " stopped")).isGreaterThan(74.5);
    }

    @Test
    void withWdmdTheMachineOfAKilledAgentIsResetByTheTimeThatOthersWaitFor() {
        String console = console("wdmd-lease-killed");
        assertThat(console).contains("lease is held, watchdog active").contains("watchdog-vm: reset");
        // io_timeout 3 s: 8 x 3 + 60 s after the last renewal, which was before the kill.
        assertThat(when(console, " alive") - when(console, " killed")).isBetween(60.0, 84.5);
    }

    /** Without systemd, so without its store of descriptors: the device was closed, and runs on. */
    @Test
    void anAgentThatIsBackInTimeFeedsTheDeviceThatItsPredecessorHasArmed() {
        String console = console("restarted");
        assertThat(console).doesNotContain("FAILED").contains("watchdog-vm: off");
        assertThat(when(console, " alive") - when(console, " killed")).isGreaterThan(65);
        assertThat(when(console, " lease is held, watchdog active")).isGreaterThan(when(console, " alive"));
    }

    @Test
    void onAMachineThatSleptTooLongTheDomainGoesBeforeAnythingElse() {
        String console = console("suspended");
        assertThat(console).doesNotContain("FAILED").contains("lease is held", "watchdog-vm: off");
        assertThat(when(console, " wakes") - when(console, " sleeps")).isGreaterThan(37);
        assertThat(when(console, " domain gone") - when(console, " wakes")).isLessThan(6);
    }
}
