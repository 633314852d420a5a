/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

import java.time.Duration;
import java.util.UUID;

/**
 * Changes to domains that run: what takes a disk away from one, or keeps it on this host, without ending it. Any thread; each call comes back within its limit, as
 * everything of {@link Hypervisor} does.
 */
public interface LiveDevices {

    /**
     * Pauses a domain that runs. {@link ChangeResult.Unneeded} if it is paused already, by whomever: it is then not the caller's to let
     * go on.
     */
    ChangeResult pause(UUID domain, Duration limit);

    /** Lets a paused domain go on. */
    ChangeResult resume(UUID domain, Duration limit);

    /**
     * Orders a device to be unplugged. {@link ChangeResult.Done} means that the order was taken: a guest may have to let go of the device
     * first, and a paused one cannot. Whether it has gone the live XML says.
     *
     * @param alias the device's alias in the live XML
     */
    ChangeResult unplug(UUID domain, String alias, Duration limit);

    /**
     * Takes the medium out of a floppy drive.
     *
     * @param target the drive's target, {@code fda}
     */
    ChangeResult eject(UUID domain, String target, Duration limit);

    /**
     * Aborts the block job of a disk. What it has written into its target stays there.
     *
     * @param target the disk's target, {@code vda}
     */
    ChangeResult abortJob(UUID domain, String target, Duration limit);

    /**
     * Cancels the migration of a domain to another host. {@link ChangeResult.Done} means that the order was taken: when the domain's job is
     * over, the domain is as it was before. {@link ChangeResult.Unneeded} if it has no job.
     */
    ChangeResult cancelMigration(UUID domain, Duration limit);
}
