/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.identity.StorageFacts.Bytes;
import io.vmguard.agent.identity.StorageFacts.Head;
import io.vmguard.agent.identity.StorageFacts.Unreadable;
import org.junit.jupiter.api.Test;

/** What becomes of a look that root was refused. A server that refuses root is in the integration tests. */
class AsOwnerTest {
    private static final Unreadable ROOT = new Unreadable("reading it is not permitted", true);
    private static final FileOwner OWNER = new FileOwner(64055, 109);

    @Test
    void whatTheOwnerReadsCounts() {
        Head read = new Bytes(new byte[] {1});
        assertThat(LinuxStorage.asOwner(ROOT, OWNER, read)).isEqualTo(read);
    }

    @Test
    void anotherTroubleOfTheOwnersIsTold() {
        Head gone = new Unreadable("there is no such file", false);
        assertThat(LinuxStorage.asOwner(ROOT, OWNER, gone)).isEqualTo(gone);
    }

    @Test
    void ifBothAreRefusedBothAreNamedAndTheWayOut() {
        Unreadable refused = (Unreadable) LinuxStorage.asOwner(ROOT, OWNER, ROOT);
        assertThat(refused.denied()).isTrue();
        assertThat(refused.reason())
                .startsWith("reading it is not permitted, neither to root nor to the owner, user 64055 ")
                .contains("root_squash", "give it to the user that QEMU runs as");
    }

    @Test
    void anOwnerThatTheClientCannotMapHasTheNumberThatOtherProgramsShow() {
        Unreadable refused = (Unreadable) LinuxStorage.asOwner(ROOT, new FileOwner(-2, -2), ROOT);
        assertThat(refused.reason()).contains("user 4294967294 ");
    }
}
