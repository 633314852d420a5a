/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The words that operators see: disk, holder, since when, alive or not, when it can become free, and the next command. */
class SentencesTest {
    private static final String LABEL = "vda (rbd:rbd/vm1)";
    private static final Owner NODE_A = new Owner(3, 12);
    private static final Optional<Owner> NOBODY = Optional.empty();
    private static final LeaseNote NOTE = new LeaseNote("demo1", "u", LABEL, "node-a", 1_767_225_600L);

    private static AcquireResult.HeldBy held(HostStatus status, long silentMillis, long freeInSeconds, LeaseNote note) {
        return new AcquireResult.HeldBy(
                NODE_A,
                "0123abcd-4567cdef.node-a",
                status,
                silentMillis < 0 ? Optional.empty() : Optional.of(Duration.ofMillis(silentMillis)),
                freeInSeconds < 0 ? Optional.empty() : Optional.of(Duration.ofSeconds(freeInSeconds)),
                Optional.ofNullable(note),
                false);
    }

    // ---- held by somebody

    @Test
    void livingHolderIsNamedWithDomainHostTimeAndNextCommand() {
        assertThat(Sentences.heldBy(LABEL, held(HostStatus.LIVE, 2600, -1, NOTE), NOBODY))
                .isEqualTo("vmguard: vda (rbd:rbd/vm1) is in use by domain demo1 on host node-a,"
                        + " since 2026-01-01T00:00:00Z (alive, renewed 3 s ago; free when it lets go)."
                        + " Not started. See: vmguard status");
    }

    @Test
    void silentHolderComesWithTheTimeLeft() {
        assertThat(Sentences.heldBy(LABEL, held(HostStatus.FAIL, 95_000, 46, NOTE), NOBODY))
                .isEqualTo("vmguard: vda (rbd:rbd/vm1) is in use by domain demo1 on host node-a,"
                        + " since 2026-01-01T00:00:00Z (silent for 95 s; if it stays silent its lease can be taken in 46 s:"
                        + " try again then). Not started. See: vmguard status");
    }

    @Test
    void holderThatWasNeverSeenAliveComesWithTheTimeLeft() {
        assertThat(Sentences.heldBy(LABEL, held(HostStatus.UNKNOWN, 4_000, 137, NOTE), NOBODY))
                .contains(
                        "(seen 4 s ago for the first time, not seen to renew yet; if it does not, its lease can be taken in"
                                + " 137 s: try again then)");
    }

    @Test
    void holderOfWhomNothingIsKnownIsToBeAskedForLater() {
        assertThat(Sentences.heldBy(LABEL, held(HostStatus.UNKNOWN, -1, -1, null), NOBODY))
                .isEqualTo("vmguard: vda (rbd:rbd/vm1) is in use by host node-a, host id 3"
                        + " (not seen alive yet; ask again in a minute). Not started. See: vmguard status");
    }

    @Test
    void holderWithoutAnyNameIsNamedByItsId() {
        AcquireResult.HeldBy nameless = new AcquireResult.HeldBy(
                NODE_A, "", HostStatus.LIVE, Optional.empty(), Optional.empty(), Optional.empty(), false);
        assertThat(Sentences.heldBy(LABEL, nameless, NOBODY))
                .contains("in use by host id 3 (alive, renewed an unknown time ago");
    }

    @Test
    void hostOfAnotherLockManagerIsNamedAsItCallsItself() {
        AcquireResult.HeldBy sanlock = new AcquireResult.HeldBy(
                NODE_A,
                "8f1c1c1e-0f0e-4a54-9c55-0d6a4f0f9a01.stock-host",
                HostStatus.LIVE,
                Optional.of(Duration.ofSeconds(1)),
                Optional.empty(),
                Optional.empty(),
                true);
        assertThat(Sentences.heldBy(LABEL, sanlock, NOBODY))
                .contains("host 8f1c1c1e-0f0e-4a54-9c55-0d6a4f0f9a01.stock-host, host id 3, in shared mode (alive");
    }

    @Test
    void thisHostIsPointedOut() {
        assertThat(Sentences.heldBy(LABEL, held(HostStatus.LIVE, 1000, -1, NOTE), Optional.of(NODE_A)))
                .contains("domain demo1 on host node-a (this host), since");
        assertThat(Sentences.heldBy(LABEL, held(HostStatus.LIVE, 1000, -1, NOTE), Optional.of(new Owner(3, 11))))
                .as("an earlier life of this id is not this host")
                .doesNotContain("this host");
    }

    @ParameterizedTest
    @ValueSource(longs = {Long.MIN_VALUE, -1, 0, 253_402_300_800L, Long.MAX_VALUE})
    void nonsenseTimeOnDiskIsLeftOut(long since) {
        LeaseNote odd = new LeaseNote("demo1", "u", LABEL, "node-a", since);
        assertThat(Sentences.heldBy(LABEL, held(HostStatus.LIVE, 1000, -1, odd), NOBODY))
                .contains("domain demo1 on host node-a (alive");
    }

    // ---- the others

    @Test
    void eachOtherNoSaysWhyAndWhatToDo() {
        assertThat(Sentences.cannotTell(LABEL, "storage did not answer in time"))
                .isEqualTo("vmguard: vda (rbd:rbd/vm1): cannot tell whether it is free: storage did not answer in time."
                        + " Not started. See: vmguard status");
        assertThat(Sentences.notReady("demo1", "no such directory: /leases"))
                .isEqualTo("vmguard: demo1: this host is not a member of the lease directory now:"
                        + " no such directory: /leases. Not started. See: vmguard status");
        assertThat(Sentences.notReady("demo1", "")).contains("now: joining. Not started.");
        assertThat(Sentences.cannotProtect("vdb", "it is shareable"))
                .isEqualTo("vmguard: vdb cannot be protected: it is shareable. Not started. See: vmguard explain");
        assertThat(Sentences.previousAlive("demo1", 4711))
                .isEqualTo("vmguard: demo1: the QEMU of its previous run, pid 4711, has not ended and may still write."
                        + " Not started. See: vmguard status");
        assertThat(Sentences.previousUnknown("demo1")).contains("cannot tell whether its previous run has ended");
        assertThat(Sentences.busy("demo1")).contains("another start of it waits for its leases");
        assertThat(Sentences.stopping("demo1")).contains("the lease agent is stopping");
        assertThat(Sentences.overload("demo1")).contains("too much to do");
        assertThat(Sentences.internalError("demo1")).contains("what its log says (vmguard report)");
    }

    @Test
    void runningDomainIsNotSaidToBeNotStarted() {
        String sentence = Sentences.heldBy(LABEL, held(HostStatus.LIVE, 1000, -1, NOTE), NOBODY);
        assertThat(Sentences.runsAllTheSame(sentence))
                .startsWith("vda (rbd:rbd/vm1) is in use by")
                .doesNotContain("Not started")
                .endsWith("It runs all the same. See: vmguard status");
    }

    @Test
    void everySentenceIsOneLineWithoutControlCharactersWhateverItIsMadeOf() {
        String evil = "a\nb\r\t\u0000\u001b[31m\u007f\u009b2J\u2028\u2029\u202e\u200b\ud800z";
        LeaseNote note = new LeaseNote(evil, evil, evil, evil, 5);
        AcquireResult.HeldBy withNote = held(HostStatus.LIVE, 1000, -1, note);
        AcquireResult.HeldBy without = new AcquireResult.HeldBy(
                NODE_A, evil, HostStatus.DEAD, Optional.empty(), Optional.of(Duration.ZERO), Optional.empty(), false);
        List<String> all = List.of(
                Sentences.heldBy(evil, withNote, NOBODY),
                Sentences.heldBy(evil, without, NOBODY),
                Sentences.cannotTell(evil, evil),
                Sentences.notReady(evil, evil),
                Sentences.cannotProtect(evil, evil),
                Sentences.previousAlive(evil, 1),
                Sentences.previousUnknown(evil),
                Sentences.busy(evil),
                Sentences.stopping(evil),
                Sentences.overload(evil),
                Sentences.internalError(evil));
        assertThat(all).allSatisfy(sentence -> {
            assertThat(sentence).startsWith("vmguard: ").contains("a\\nb");
            assertThat(sentence.codePoints())
                    .allMatch(c -> c >= ' ' && c < 127, "printable ASCII, for nothing else was put in");
        });
    }
}
