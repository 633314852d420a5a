/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Somebody who waits is told for what, once; who does not wait is told nothing. */
@Timeout(60)
class PatienceTest {
    private final StringWriter err = new StringWriter();

    @Test
    void whoHasWaitedForSoLongIsTold() throws InterruptedException {
        Patience patience = Patience.begin(Duration.ofMillis(1), new PrintWriter(err), "vmguard: waiting");
        patience.join();
        assertThat(err.toString()).isEqualTo("vmguard: waiting\n");
    }

    @Test
    void whoIsReadyBeforeIsToldNothing() throws InterruptedException {
        Patience patience = DirectoryCommand.patience(Path.of("/leases"), Duration.ofHours(1), new PrintWriter(err));
        patience.over();
        patience.join();
        assertThat(err.toString()).isEmpty();
    }
}
