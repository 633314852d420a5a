/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.test.Race.Hold;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The referee of the races sees what it is there for. */
class RaceTest {
    private static Hold exclusive(String host, long from, long until) {
        return new Hold(host, false, from, until);
    }

    private static Hold shared(String host, long from, long until) {
        return new Hold(host, true, from, until);
    }

    @Test
    void holdsOneAfterTheOtherAreFine() {
        assertThat(Race.violations(List.of(exclusive("b", 20, 30), exclusive("a", 10, 20), shared("c", 30, 40))))
                .isEmpty();
    }

    @Test
    void sharedHoldsMayMeet() {
        assertThat(Race.violations(List.of(shared("a", 10, 40), shared("b", 20, 30), shared("c", 35, 50))))
                .isEmpty();
    }

    @Test
    void anExclusiveHoldMustMeetNoneOfEitherKind() {
        assertThat(Race.violations(List.of(exclusive("a", 10, 40), exclusive("b", 20, 30))))
                .hasSize(1);
        assertThat(Race.violations(List.of(exclusive("a", 10, 40), shared("b", 39, 50))))
                .hasSize(1);
        assertThat(Race.violations(List.of(shared("a", 10, 40), exclusive("b", 39, 50))))
                .hasSize(1);
    }

    @Test
    void aLongHoldIsRememberedPastShorterOnes() {
        assertThat(Race.violations(List.of(shared("a", 10, 100), shared("b", 20, 30), exclusive("c", 50, 60))))
                .hasSize(1);
    }
}
