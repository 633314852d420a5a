/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process;

import java.util.UUID;

/** Finds the process of a domain without asking the hypervisor. Any thread may call. */
public interface QemuProcesses extends AutoCloseable {

    /**
     * Finds the process that runs a domain and takes hold of it. To be called early, while the domain is known to run: a
     * process in hand needs no further lookup to be watched or killed.
     *
     * <p>Answers within a few seconds even if the system's process table hangs. While a start of the domain is in
     * progress, {@link Lookup.NotFound} says nothing about what comes next.
     *
     * @param domainName the domain's name, as it came from outside; never trusted to be a file name
     * @param uuid the domain's UUID
     */
    Lookup find(String domainName, UUID uuid);

    /**
     * Whether it is proved that at one moment of the call no daemon was there that makes such processes: whatever it had in the making is
     * found by {@link #find} from then on, or never comes. What comes later asks first. False if that cannot be told. Answers within a
     * few seconds.
     */
    boolean daemonGone();

    /** Lets go of all processes, which go on running, and ends the thread that watches them. */
    @Override
    void close();
}
