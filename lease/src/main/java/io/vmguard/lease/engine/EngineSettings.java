/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import java.nio.file.Path;
import java.util.OptionalInt;

/**
 * What an engine is told.
 *
 * @param hostId forced host id; empty: found automatically
 * @param runtimeDir local directory that does not outlive the boot
 * @param stateDir local directory that does
 */
public record EngineSettings(
        LeaseName lockspace,
        Timeouts timeouts,
        OptionalInt hostId,
        HostIdentity identity,
        Path runtimeDir,
        Path stateDir) {}
