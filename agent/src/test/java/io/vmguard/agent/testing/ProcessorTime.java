/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import org.junit.jupiter.api.function.Executable;

/** How long work takes where it has the processors for itself: other work makes it wait for them, and hardly any longer at work. */
public final class ProcessorTime {
    private ProcessorTime() {}

    /** Of all threads of this process; more than what a clock shows, if several of them work at a time. Not what is waited for. */
    public static Duration of(Executable work) throws Throwable {
        OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
        long begun = system.getProcessCpuTime();
        work.execute();
        return Duration.ofNanos(system.getProcessCpuTime() - begun);
    }
}
