/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.derive.BoundedLeases;
import io.vmguard.agent.derive.DeriverSettings;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.LeaseDeriver;
import io.vmguard.agent.derive.VolumeResolver;
import io.vmguard.agent.identity.linux.LinuxStorage;
import java.time.Duration;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** What leases a domain needs, found out by looks at storage that may hang. Apart from the daemon, without which the CLI can do it. */
final class StorageLooks {
    /** Of a start, with the pools of its volumes asked, before its leases are asked for; less than what the hook waits longer than hook_timeout. */
    private static final Duration LIMIT = Duration.ofSeconds(4);

    /** Each can be lost to storage that hangs. */
    private static final int THREADS = 16;

    private StorageLooks() {}

    /** @param looks of {@link #threads} */
    static DomainLeases leases(AgentConfig config, VolumeResolver volumes, ThreadPoolExecutor looks) {
        DeriverSettings settings = new DeriverSettings(
                config.storage().identity(),
                config.storage().domainLease(),
                config.lockspace(),
                config.leaseDir().toString());
        return new BoundedLeases(LeaseDeriver.onHost(volumes, settings, LinuxStorage::new), looks, LIMIT);
    }

    /** Threads that look: one too many is refused, for those before it hang. */
    static ThreadPoolExecutor threads() {
        return new ThreadPoolExecutor(0, THREADS, 30, TimeUnit.SECONDS, new SynchronousQueue<>(), task -> {
            Thread thread = new Thread(task, "vmguard-storage");
            thread.setDaemon(true);
            return thread;
        });
    }
}
