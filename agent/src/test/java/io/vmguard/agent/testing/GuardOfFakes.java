/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.agent.fence.FenceTimes;
import io.vmguard.agent.guard.ActiveDomains;
import io.vmguard.agent.guard.DomainGuard;
import io.vmguard.agent.guard.GuardSettings;
import io.vmguard.agent.watchdog.Watchdog;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import java.time.Duration;
import java.util.concurrent.Executor;

/** A guard as the agent runs it by default, over fakes, for tests of what is in front of it. */
public final class GuardOfFakes {
    private GuardOfFakes() {}

    /**
     * Host id 1 of node-a; what is unprotected is reported. It gets the lockspace's news, and is not started.
     *
     * @param answerLimit for starts
     * @param slowCalls for the hypervisor, the storage and searches for processes
     */
    public static DomainGuard of(
            boolean observe,
            Duration answerLimit,
            FakeLockspace lockspace,
            FakeHypervisor hypervisor,
            FakeClock clock,
            Executor slowCalls) {
        DomainGuard guard = new DomainGuard(
                new GuardSettings(
                        observe,
                        GuardSettings.OnUnprotected.REPORT,
                        Long.MIN_VALUE,
                        false,
                        true,
                        false,
                        answerLimit,
                        new FenceTimes(Timeouts.ofSeconds(10), Duration.ofSeconds(5)),
                        "node-a"),
                lockspace,
                new FakeTransfer(new Owner(1, 1)),
                hypervisor,
                new FakeProcesses(),
                new ActiveDomains(hypervisor, TestDomain.BY_NAME, clock, new FakeImages(), slowCalls),
                Watchdog.none(),
                clock,
                slowCalls,
                slowCalls);
        lockspace.listener(guard);
        return guard;
    }
}
