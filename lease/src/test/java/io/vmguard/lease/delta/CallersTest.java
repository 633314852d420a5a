/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import static io.vmguard.lease.delta.DeltaBench.LAYOUT;
import static io.vmguard.lease.delta.DeltaBench.SPACE;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.ondisk.HostBitmap;
import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** A bit for us in another host's sector is news when that host has just renewed, and then not for 6 T. */
class CallersTest {
    private static final long SELF = 9;
    private static final long SECOND = Duration.ofSeconds(1).toNanos();

    /** 6 x 10 s. */
    private static final long QUIET = 60;

    private final DeltaBench bench = new DeltaBench();
    private final HostTable hosts = new HostTable(SPACE, LAYOUT, DeltaBench.TIMEOUTS);
    private final Callers callers = new Callers(LAYOUT, DeltaBench.TIMEOUTS, SELF);

    /** A host renews with bits for these hosts; then we look. */
    private boolean renews(long id, long second, Long... marked) {
        bench.put(id, 1, "host-" + id, second);
        mark(id, marked);
        return look(second);
    }

    private void mark(long id, Long... marked) {
        byte[] sector = bench.record(id).sector(LAYOUT);
        HostBitmap.mark(sector, Set.of(marked));
        bench.put(id, sector);
    }

    private boolean look(long second) {
        hosts.update(bench.area(), second * SECOND, second * SECOND);
        return callers.call(bench.area(), hosts, second * SECOND);
    }

    @Test
    void aBitForUsIsHeard() {
        assertThat(renews(3, 100, SELF)).isTrue();
    }

    @Test
    void aBitForAnotherIsNot() {
        assertThat(renews(3, 100, SELF - 1, SELF + 1)).isFalse();
    }

    @Test
    void aBitThatHasNotBeenRenewedIsOld() {
        renews(3, 100);
        mark(3, SELF);
        assertThat(look(120)).as("the bit without a new timestamp").isFalse();
        assertThat(renews(3, 140, SELF)).isTrue();
    }

    @Test
    void whoWasHeardIsLeftAloneForAWhile() {
        assertThat(renews(3, 100, SELF)).isTrue();
        assertThat(renews(3, 120, SELF)).isFalse();
        assertThat(renews(3, 100 + QUIET - 1, SELF)).isFalse();
        assertThat(renews(3, 100 + QUIET, SELF)).isTrue();
    }

    @Test
    void oneCallerDoesNotSilenceAnother() {
        assertThat(renews(3, 100, SELF)).isTrue();
        assertThat(renews(4, 101, SELF)).isTrue();
    }

    @Test
    void ourOwnBitIsNobodysCall() {
        assertThat(renews(SELF, 100, SELF)).isFalse();
    }

    @Test
    void aRecordThatIsNotSoundCallsNobody() {
        renews(3, 100);
        bench.ruin(3);
        assertThat(look(120)).isFalse();
    }
}
