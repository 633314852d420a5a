/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.UUID;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The numbers are libvirt's (virDomainEventType), and one that is not known yet is kept as it came. */
class DomainEventTest {

    @ParameterizedTest
    @CsvSource({
        "0,DEFINED",
        "1,UNDEFINED",
        "2,STARTED",
        "3,SUSPENDED",
        "4,RESUMED",
        "5,STOPPED",
        "6,SHUTDOWN",
        "7,PMSUSPENDED",
        "8,CRASHED",
        "9,OTHER",
        "-1,OTHER",
        "2147483647,OTHER"
    })
    void kindFollowsTheNumber(int number, DomainEvent.Kind kind) {
        DomainEvent event = DomainEvent.of(new UUID(1, 2), "demo1", number, 7);
        assertThat(event).isEqualTo(new DomainEvent(new UUID(1, 2), "demo1", kind, number, 7));
    }
}
