/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.agent.process.Lookup;
import io.vmguard.agent.process.QemuProcesses;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** The process table. Any thread. */
public final class FakeProcesses implements QemuProcesses {
    private final Map<UUID, FakeProcess> processes = new HashMap<>();
    private int nextPid = 1000;
    private int lookups;
    private long startTicks = 1_000_000;
    private boolean silent;
    private boolean daemonGone;

    @Nullable
    private RuntimeException bug;

    @Nullable
    private Runnable during;

    /** A QEMU of this domain comes into being. */
    public synchronized FakeProcess launch(UUID domain) {
        FakeProcess process = new FakeProcess(nextPid++, startTicks);
        processes.put(domain, process);
        return process;
    }

    /** In which tick after boot what is launched from now on begins. */
    public synchronized void startTicks(long ticks) {
        startTicks = ticks;
    }

    /** The QEMU of this domain ends. */
    public void end(UUID domain) {
        FakeProcess process;
        synchronized (this) {
            process = processes.get(domain);
        }
        if (process != null) {
            process.end();
        }
    }

    /** The pid of what is launched next. */
    public synchronized void nextPid(int pid) {
        nextPid = pid;
    }

    /** From now on lookups cannot tell, or can again. */
    public synchronized void silent(boolean nowSilent) {
        silent = nowSilent;
    }

    /** From now on there is no daemon of libvirt's, or there is one again. */
    public synchronized void daemonGone(boolean nowGone) {
        daemonGone = nowGone;
    }

    /** The next lookup throws this. */
    public synchronized void failOnce(RuntimeException exception) {
        bug = exception;
    }

    /** Happens between the next look at the process table and its answer. */
    public synchronized void duringNextFind(Runnable event) {
        during = event;
    }

    /** Lookups so far. */
    public synchronized int lookups() {
        return lookups;
    }

    @Override
    public synchronized Lookup find(String domainName, UUID uuid) {
        lookups++;
        RuntimeException exception = bug;
        if (exception != null) {
            bug = null;
            throw exception;
        }
        if (silent) {
            return new Lookup.CannotTell("the process table hangs");
        }
        FakeProcess process = processes.get(uuid);
        Runnable event = during;
        during = null;
        if (event != null) {
            event.run();
        }
        return process != null && process.alive() ? new Lookup.Found(process.hold()) : new Lookup.NotFound();
    }

    @Override
    public synchronized boolean daemonGone() {
        return daemonGone && !silent;
    }

    @Override
    public void close() {}
}
