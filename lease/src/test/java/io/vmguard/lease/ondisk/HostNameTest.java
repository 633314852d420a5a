/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.Timeouts;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a host says by its name, and what may not be read into a name that only looks like one of ours. */
class HostNameTest {
    private static final String HEAD = "0a1b2c3d-4e5f6071";

    @ParameterizedTest
    @CsvSource({"60, .", "10, +10.", "59, +59."})
    void aNameSaysTheWatchdogUnlessItIsTheStockOne(long watchdog, String mark) {
        String name = HostName.of("0a1b2c3d", "4e5f6071", Duration.ofSeconds(watchdog), "node-a");
        assertThat(name).isEqualTo(HEAD + mark + "node-a");
        assertThat(HostName.isOurs(name)).isTrue();
        assertThat(HostName.node(name)).isEqualTo("node-a");
        assertThat(HostName.watchdog(name)).isEqualTo(Duration.ofSeconds(watchdog));
    }

    @ParameterizedTest
    @CsvSource({
        HEAD + "+09.n",
        HEAD + "+60.n",
        HEAD + "+9.n",
        HEAD + "+100.n",
        HEAD + ".",
        HEAD + "+20",
        "0A1B2C3D-4e5f6071+20.n",
        "0a1b2c3-4e5f6071+20.n",
        "x" + HEAD + "+20.n",
        "e4f2d5a0-9b1c-4d5e-8f60-718293a4b5c6.node+20.n",
        "''",
    })
    void anyOtherNameIsAStockHostsAsItStands(String name) {
        assertThat(HostName.isOurs(name)).isFalse();
        assertThat(HostName.node(name)).isEqualTo(name);
        assertThat(HostName.watchdog(name)).isEqualTo(Timeouts.STOCK_WATCHDOG);
    }

    /** Records give a name one char per byte, and a byte of an Å reads as the end of a line there. */
    @Test
    void aNodeNameOfAnyCharactersIsKnownAgain() {
        for (String node : new String[] {"Ångström", "two\nlines", "\u2028"}) {
            String given = HostName.of("0a1b2c3d", "4e5f6071", Duration.ofSeconds(10), node);
            String onDisk = new String(given.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
            assertThat(HostName.isOurs(onDisk)).as(node).isTrue();
            assertThat(HostName.watchdog(onDisk)).isEqualTo(Duration.ofSeconds(10));
        }
    }

    @Test
    void aLongNodeNameIsCutAtTheFieldsEnd() {
        String name = HostName.of("0a1b2c3d", "4e5f6071", Timeouts.STOCK_WATCHDOG, "n".repeat(60));
        assertThat(name).isEqualTo(HEAD + "." + "n".repeat(29)).hasSize(47);
        String fast = HostName.of("0a1b2c3d", "4e5f6071", Duration.ofSeconds(26), "n".repeat(60));
        assertThat(fast).isEqualTo(HEAD + "+26." + "n".repeat(26)).hasSize(47);
    }

    @Test
    void aCharacterIsNeverCutInTwo() {
        String name = HostName.of("0a1b2c3d", "4e5f6071", Timeouts.STOCK_WATCHDOG, "ü".repeat(20));
        assertThat(name).isEqualTo(HEAD + "." + "ü".repeat(14));
        assertThat(name.getBytes(StandardCharsets.UTF_8)).hasSize(46);
    }
}
