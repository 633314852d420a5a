/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Under the distribution's AppArmor profiles of libvirtd and of QEMU, in force in an emulated machine ({@code test/infra/apparmor}): the hook
 * asks the agent, and what guards a domain can look at it and kill it. {@code make test-apparmor}; {@code make test} only reads the profile.
 */
@NeedsTestImage
class AppArmorIT {
    /** Five times what it takes on two quiet cores. */
    private static final int SECONDS = 1200;

    private static final Map<String, List<String>> SEEN = new TreeMap<>();

    @BeforeAll
    static void boot() {
        String missing = !Boolean.getBoolean("apparmor")
                ? "it boots a machine, which takes minutes: make test-apparmor"
                : MachineHost.missing();
        if (!missing.isEmpty()) {
            System.err.println("SKIPPED AppArmorIT: " + missing);
        }
        Assumptions.assumeTrue(missing.isEmpty(), missing);
        Path deb = BuiltPackage.find().orElseThrow(() -> new AssertionError("run make deb first"));
        try (MachineHost host = MachineHost.apart("apparmor", deb.getParent())) {
            host.boot();
            String console = host.run(
                            Duration.ofSeconds(SECONDS + 120),
                            "apparmor-vm",
                            "/packages/" + deb.getFileName(),
                            Integer.toString(SECONDS))
                    .mustSucceed()
                    .stdout();
            System.out.println(console);
            assertThat(console).contains("CASE ENDS").doesNotContain("FAILED");
            console.lines()
                    .map(String::strip)
                    .filter(line -> line.startsWith("seen: "))
                    .map(line -> line.substring("seen: ".length()).split(" ", 2))
                    .forEach(words -> SEEN.computeIfAbsent(words[0], word -> new ArrayList<>())
                            .add(words.length > 1 ? words[1] : ""));
        }
    }

    private static List<String> seen(String word) {
        return SEEN.getOrDefault(word, List.of());
    }

    @Test
    void theHookAsksTheAgentFromWithinLibvirtsProfile() {
        assertThat(seen("libvirtd")).containsExactly("libvirtd (enforce)");
        assertThat(seen("granted")).containsExactly("one", "two");
        assertThat(seen("refused"))
                .singleElement()
                .asString()
                .contains("vmguard: vda (", "is in use by domain one on host guarded (this host)");
    }

    @Test
    void agentAndDeadmanFindAndKillADomainInItsProfile() {
        assertThat(seen("qemu")).containsExactly("libvirt-UUID (enforce)", "libvirt-UUID (enforce)");
        assertThat(seen("killed")).containsExactly("by the agent", "by the deadman");
    }

    @Test
    void nothingOfAllThatIsDenied() {
        assertThat(seen("granted")).isNotEmpty();
        assertThat(seen("denied")).isEmpty();
    }

    /** So that what is above shows something: a link to where the package keeps its hook is refused, and the doctor says so. */
    @Test
    void aHookThatIsALinkIsDeniedAndTheDoctorIsRed() {
        assertThat(seen("link")).singleElement().asString().contains("Permission denied");
        assertThat(seen("doctor"))
                .singleElement()
                .asString()
                .contains("RED", "denials", "profile=\"libvirtd\"", "/usr/share/vmguard/qemu-hook");
    }
}
