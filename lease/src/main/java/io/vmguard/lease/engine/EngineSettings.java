/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.LockspaceRules;
import java.nio.file.Path;
import java.util.OptionalInt;

/**
 * What an engine is told.
 *
 * @param hostId forced host id; empty: found automatically
 * @param runtimeDir local directory that does not outlive the boot
 * @param stateDir local directory that does
 * @param layout of a lockspace that this engine makes; of one that is there already its own holds
 * @param maxHosts for how many hosts resources are made in such a lockspace
 */
public record EngineSettings(
        LeaseName lockspace,
        Timeouts timeouts,
        OptionalInt hostId,
        HostIdentity identity,
        Path runtimeDir,
        Path stateDir,
        LeaseLayout layout,
        int maxHosts) {

    /** With the usual geometry and number of hosts. */
    public EngineSettings(
            LeaseName lockspace,
            Timeouts timeouts,
            OptionalInt hostId,
            HostIdentity identity,
            Path runtimeDir,
            Path stateDir) {
        this(
                lockspace,
                timeouts,
                hostId,
                identity,
                runtimeDir,
                stateDir,
                LeaseLayout.SECTOR_512,
                LockspaceRules.USUAL_MAX_HOSTS);
    }

    /** What a lockspace made by this engine is made for. */
    LockspaceRules rules() {
        return new LockspaceRules(timeouts.watchdog(), Math.min(maxHosts, layout.maxHosts()));
    }
}
