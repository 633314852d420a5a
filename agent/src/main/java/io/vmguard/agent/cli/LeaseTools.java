/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LockspaceMaker;
import io.vmguard.lease.time.LeaseClock;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.Function;

/**
 * What the lease commands work with.
 *
 * @param inspectors of lease directories
 * @param makers of lockspaces in a directory
 * @param pause between two looks
 * @param sudoUser who became root with sudo to run the command; may be empty
 */
public record LeaseTools(
        Function<Path, LeaseInspector> inspectors,
        Function<Path, LockspaceMaker> makers,
        LeaseClock clock,
        Pause pause,
        String sudoUser) {
    /** Lets time pass. */
    public interface Pause {
        void of(Duration duration) throws InterruptedException;
    }
}
