/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.time.LeaseClock;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.Function;

/**
 * What the lease commands work with.
 *
 * @param inspectors of lease directories
 * @param pause between two looks
 */
public record LeaseTools(Function<Path, LeaseInspector> inspectors, LeaseClock clock, Pause pause) {
    /** Lets time pass. */
    public interface Pause {
        void of(Duration duration) throws InterruptedException;
    }
}
