/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.paxos.PaxosName.Result;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Host 1 gives an area, whose stand-in is the bench's resource, to another resource. */
class PaxosNameTest {
    private static final LeaseName SPACE = new LeaseName("space");
    private static final LeaseName RESOURCE = new LeaseName("disk");

    private final LeaseBench bench = new LeaseBench();

    @BeforeEach
    void noVersionYet() {
        bench.leader(edit -> edit.lver(0).owner(new Owner(0, 0)).timestamp(0));
    }

    private Result name() {
        return bench.disk.run(new PaxosName(bench.host(1), RESOURCE).start());
    }

    private LeaderRecord named() {
        return LeaderRecord.freeResource(bench.layout, SPACE, RESOURCE, LeaseBench.HOSTS);
    }

    private static Result.Failed failed(LeaseFault fault, String why, boolean unknown) {
        return new Result.Failed(fault, why, unknown);
    }

    @Test
    void onlyTheLeaderIsWrittenAndForAsManyHosts() {
        assertThat(name()).isEqualTo(new Result.Named());
        assertThat(bench.written()).containsExactly(bench.leaderWritten(named()));
        assertThat(bench.leader()).isEqualTo(named());
    }

    @Test
    void anAreaThatSomebodyHoldsIsLeftAlone() {
        bench.leader(edit -> edit.owner(new Owner(2, 1)).timestamp(500));
        assertThat(name()).isEqualTo(failed(LeaseFault.NOT_OWNER, "somebody uses an area without a name", false));
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void anAreaThatSomebodyHasHeldIsLeftAlone() {
        bench.leader(edit -> edit.lver(1));
        assertThat(name()).isEqualTo(failed(LeaseFault.NOT_OWNER, "somebody uses an area without a name", false));
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void anotherNameIsNeverWrittenOver() {
        bench.leader(named());
        assertThat(name()).isInstanceOfSatisfying(Result.Failed.class, result -> {
            assertThat(result.fault()).isEqualTo(LeaseFault.RESOURCE);
            assertThat(result.unknown()).isFalse();
        });
        assertThat(bench.disk.writes()).isEmpty();
    }

    /** A read changes nothing; a write that failed may have landed, or land yet. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void whatTheStorageDidNotSayIsKnownOnlyBeforeTheWrite(int io) {
        bench.disk.failing(io);
        assertThat(name()).isEqualTo(failed(LeaseFault.IO, "I/O " + io + " fails", io == 2));
    }

    @Test
    void nothingIsWrittenUnderALostMembership() {
        bench.lose(1);
        assertThat(name()).isEqualTo(failed(LeaseFault.NO_MEMBERSHIP, "the membership was lost meanwhile", false));
        assertThat(bench.disk.writes()).isEmpty();
    }
}
