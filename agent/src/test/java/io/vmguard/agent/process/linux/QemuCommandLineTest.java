/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.UUID;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which command lines are those of domain {@code a,b} (a name with the one character that QEMU needs doubled). */
class QemuCommandLineTest {

    private static final UUID UUID_1 = UUID.fromString("11111111-2222-3333-4444-55555555aaaa");

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "-name guest=a,,b -uuid 11111111-2222-3333-4444-55555555aaaa|OF_DOMAIN",
                "-name guest=a,,b,debug-threads=on -S -uuid 11111111-2222-3333-4444-55555555AAAA -x|OF_DOMAIN",
                "-name guest=a,b,debug-threads=on -uuid 11111111-2222-3333-4444-55555555aaaa|OF_UUID_ONLY",
                "-name guest=a,,b,,c -uuid 11111111-2222-3333-4444-55555555aaaa|OF_UUID_ONLY",
                "-name guest=a,,bc -uuid 11111111-2222-3333-4444-55555555aaaa|OF_UUID_ONLY",
                "-name a,,b -uuid 11111111-2222-3333-4444-55555555aaaa|OF_UUID_ONLY",
                "-uuid 11111111-2222-3333-4444-55555555aaaa -name|OF_UUID_ONLY",
                "-name guest=a,,b -uuid 11111111-2222-3333-4444-55555555aaab|OTHER",
                "-name guest=a,,b -uuid|OTHER",
                "-name guest=a,,b 11111111-2222-3333-4444-55555555aaaa|OTHER",
                "/usr/sbin/libvirtd --timeout 120|OTHER",
            })
    void lineIsJudged(String line, QemuCommandLine expected) {
        assertThat(QemuCommandLine.judge(List.of(line.split(" ")), "a,b", UUID_1))
                .isEqualTo(expected);
    }
}
