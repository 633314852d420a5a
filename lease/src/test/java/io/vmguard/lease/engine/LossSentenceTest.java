/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.delta.DeltaRenewal;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Who loses a membership is told the file, the offset, the host, what was found and what to do. */
class LossSentenceTest {
    @ParameterizedTest
    @CsvSource({
        "RENEW_OWNER, (-260), look for a clone",
        "RENEW_DIFF, (-261), find out who else writes",
        "TIMED_OUT, (-202), Check the path to the storage",
        "CHECKSUM, (-229), The record was overwritten: check the storage",
        "MAGIC, (-223), The record was overwritten: check the storage",
        "LOCKSPACE, (-226), The record was overwritten: check the storage",
        "VERSION, (-224), The record was overwritten: check the storage",
    })
    void eachWayToLoseAMembershipHasItsOwn(LeaseFault fault, String code, String remedy) {
        DeltaRenewal.Result.Lost lost = new DeltaRenewal.Result.Lost(fault, "what was found", Optional.empty());
        assertThat(LossSentence.of("/mnt/leases/LS", LeaseLayout.SECTOR_512, new Owner(3, 7), lost))
                .startsWith("/mnt/leases/LS at offset 1024, delta lease of host id 3: what was found " + code + ". ")
                .contains(remedy);
    }
}
