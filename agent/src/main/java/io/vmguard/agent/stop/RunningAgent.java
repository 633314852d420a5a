/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.stop;

import io.vmguard.agent.guard.DomainView;
import io.vmguard.lease.LockspaceView;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** What ending the agent needs of its parts. */
public interface RunningAgent {
    /** The domains that the guard knew a moment ago. */
    List<DomainView> domains();

    /** From now on no domain is started. Completes, soon, with the domains that are there then. */
    CompletableFuture<List<DomainView>> shut();

    /** Domains are started again, for the agent does not end after all. */
    void reopen();

    /** Does not block. */
    LockspaceView lockspace();

    /** No machine is reset for what runs on. Completes with the reason if it cannot be had, or that is not known in time. */
    CompletableFuture<Optional<String>> disarm();

    /**
     * Leaves word for the next agent that the domains were left running on purpose.
     *
     * @throws IOException if that cannot be written
     */
    void keepUsers() throws IOException;

    /** The deadman does nothing from now on. */
    void standDown();
}
