/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.ondisk.RequestRecord;
import io.vmguard.lease.paxos.PaxosRequest.Result;
import io.vmguard.lease.step.Step;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Host 1 asks for what host 2 holds as version 4. A request that should not be there kills a stock daemon, so it is written under
 * exactly the conditions under which it cannot, and in every other case nothing is.
 */
class PaxosRequestTest {
    private static final Owner OTHER = new Owner(2, 3);

    private final LeaseBench bench = new LeaseBench();
    private final HeldRecord theirs = bench.held(OTHER, 4, 500);

    private Result ask(RequestMode mode) {
        return bench.disk.run(new PaxosRequest(bench.host(1), mode).start());
    }

    private void refused(LeaseFault fault, String why) {
        Result result = ask(RequestMode.GRACEFUL);
        assertThat(result).isInstanceOf(Result.Refused.class);
        assertThat(((Result.Refused) result).fault()).isEqualTo(fault);
        assertThat(((Result.Refused) result).why()).contains(why);
        assertThat(bench.disk.writes()).isEmpty();
    }

    private void standing(long lver, int mode) {
        bench.disk.put(
                Step.Area.RESOURCE, bench.layout.requestOffset(), new RequestRecord(lver, mode).sector(bench.layout));
    }

    @ParameterizedTest
    @EnumSource(RequestMode.class)
    void anExclusiveHolderIsAskedForTheNextVersion(RequestMode mode) {
        assertThat(ask(mode)).isEqualTo(new Result.Asked(OTHER, 5));
        assertThat(bench.disk.writes()).singleElement().satisfies(write -> {
            assertThat(write.area()).isEqualTo(Step.Area.RESOURCE);
            assertThat(write.offset()).isEqualTo(512);
            assertThat(write.sector()).isEqualTo(new RequestRecord(5, mode.code()).sector(bench.layout));
        });
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 4, 5})
    void anOlderRequestOrTheSameIsReplaced(long standing) {
        standing(standing, 1);
        assertThat(ask(RequestMode.GRACEFUL)).isEqualTo(new Result.Asked(OTHER, 5));
    }

    @Test
    void aRequestForALaterVersionStands() {
        standing(6, 1);
        refused(LeaseFault.REQUEST_LVER, "version 6 is asked for already");
    }

    @Test
    void whatIsFreeNeedsNoRequest() {
        bench.leader(edit -> edit.timestamp(0));
        assertThat(ask(RequestMode.FORCE)).isEqualTo(new Result.Free());
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void whatThisHostHoldsIsNotAskedFor() {
        bench.held(new Owner(1, 1), 4, 500);
        refused(LeaseFault.NOT_OWNER, "this host holds it itself");
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, 0, 7, 2001})
    void anOwnerWithoutABlockIsNotAsked(long id) {
        bench.leader(edit -> edit.owner(new Owner(id, 1)));
        refused(LeaseFault.NUM_HOSTS, "impossible host id " + id);
    }

    @Test
    void theHostOfTheLastBlockIsAsked() {
        bench.held(new Owner(6, 1), 4, 500);
        assertThat(ask(RequestMode.FORCE)).isEqualTo(new Result.Asked(new Owner(6, 1), 5));
        bench.held(new Owner(1, 1), 5, 500);
        assertThat(bench.disk.run(new PaxosRequest(bench.host(6), RequestMode.FORCE).start()))
                .isEqualTo(new Result.Asked(new Owner(1, 1), 6));
    }

    @Test
    void aHostThatAlsoHoldsItSharedIsNeverAsked() {
        bench.block(2, theirs.block().asShared(3));
        refused(LeaseFault.NOT_OWNER, "host id 2 holds it shared");
    }

    @Test
    void aRequestRecordThatIsNoneIsLeftAlone() {
        bench.corrupt(bench.layout.requestOffset());
        refused(LeaseFault.REQUEST_MAGIC, "is not a request record");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4})
    void storageThatFailsFailsTheRequest(int io) {
        bench.disk.failing(io);
        assertThat(ask(RequestMode.FORCE)).isEqualTo(new Result.Failed(LeaseFault.IO, "I/O " + io + " fails"));
    }

    @Test
    void nothingIsWrittenUnderALostMembership() {
        bench.lose(1);
        assertThat(ask(RequestMode.FORCE)).isInstanceOf(Result.Failed.class);
        assertThat(bench.disk.writes()).isEmpty();
    }

    // ---- the holder's side

    private int asked(long lver) {
        return bench.disk.run(PaxosRequest.asked(bench.host(OTHER), lver));
    }

    @ParameterizedTest
    @CsvSource({"5, 1, 1", "5, 2, 2", "5, 0, 0", "4, 1, 0", "3, 1, 0", "9, 2, 2"})
    void aHolderIsAskedByAVersionAboveItsOwn(long lver, int mode, int asked) {
        standing(lver, mode);
        assertThat(asked(4)).isEqualTo(asked);
        assertThat(bench.disk.reads()).singleElement().satisfies(read -> {
            assertThat(read.offset()).isEqualTo(512);
            assertThat(read.length()).isEqualTo(512);
        });
    }

    @Test
    void whatCannotBeReadAsksForNothing() {
        standing(5, 1);
        bench.disk.failing(1);
        assertThat(asked(4)).isZero();
        bench.corrupt(bench.layout.requestOffset());
        assertThat(asked(4)).isZero();
        assertThat(bench.disk.writes()).isEmpty();
    }
}
