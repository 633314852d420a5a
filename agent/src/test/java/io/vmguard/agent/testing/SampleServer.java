/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.agent.hook.HookCalls;
import io.vmguard.agent.hook.HookHandler;
import io.vmguard.agent.hook.HookServer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.eclipse.jetty.server.Handler;

/** The API's server with a sample status and what else a test needs; hooks are not to be sent to it. */
public final class SampleServer {
    private SampleServer() {}

    /** Not started. */
    public static HookServer with(Path socket, Handler handler) {
        HookHandler noHooks = new HookHandler(
                null,
                TestDomain.BY_NAME,
                () -> SampleReport.of(true),
                new HookCalls(new FakeClock()),
                false,
                Duration.ofSeconds(1));
        return new HookServer(socket, Optional.empty(), List.of(handler), noHooks);
    }
}
