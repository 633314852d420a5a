/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.hooks;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** The hook has no finding of shellcheck, at its strictest default level. */
class ShellcheckTest {

    @Test
    void hookIsCleanForShellcheck() throws Exception {
        if (Shell.find("shellcheck").isEmpty()) {
            System.out.println("ShellcheckTest skipped: shellcheck is not installed");
            Assumptions.abort("shellcheck is not installed");
        }
        Process shellcheck = new ProcessBuilder("shellcheck", "--shell=sh", "--severity=style", "qemu")
                .redirectErrorStream(true)
                .start();
        String findings = new String(shellcheck.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(findings).isEmpty();
        assertThat(shellcheck.waitFor()).isZero();
    }
}
