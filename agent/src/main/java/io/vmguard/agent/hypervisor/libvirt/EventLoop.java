/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import com.sun.jna.Pointer;
import java.time.Duration;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;
import org.libvirt.jna.Libvirt;

/**
 * The thread that pumps libvirt's event loop: it delivers events and answers keepalives of every connection of this
 * process. A process has one loop, so at most one of these may run at a time.
 */
final class EventLoop {

    private static final Logger LOG = LogManager.getLogger(EventLoop.class);

    /** The loop turns at least this often, so that a missed wake-up costs a second and not the stop. */
    private static final int TICK_MILLIS = 1_000;

    /** How long to wait after a turn that failed, so that a broken loop does not burn a core. */
    private static final long PAUSE_AFTER_FAILURE_MILLIS = 200;

    private final Object monitor = new Object();
    private final Libvirt.VirEventTimeoutCallback tick = EventLoop::nothing;
    private @Nullable Thread thread;
    private @Nullable LibvirtCalls calls;
    private int timer = -1;
    private boolean stopping;

    /** Starts the thread unless it runs or was stopped. */
    void start(LibvirtCalls libvirt) throws LibvirtFailure {
        synchronized (monitor) {
            if (thread != null || stopping) {
                return;
            }
            timer = libvirt.virEventAddTimeout(TICK_MILLIS, tick, null, null);
            if (timer < 0) {
                throw LibvirtFailure.last(libvirt, "virEventAddTimeout");
            }
            calls = libvirt;
            Thread pump = new Thread(() -> pump(libvirt), "libvirt-event-loop");
            pump.setDaemon(true);
            pump.start();
            thread = pump;
        }
    }

    /** Ends the thread; waits for it up to the limit. No callback runs after a return of true. */
    boolean stop(Duration limit) throws InterruptedException {
        Thread pump;
        LibvirtCalls libvirt;
        synchronized (monitor) {
            stopping = true;
            monitor.notifyAll();
            pump = thread;
            libvirt = calls;
        }
        if (pump == null || libvirt == null) {
            return true;
        }
        libvirt.virEventUpdateTimeout(timer, 0);
        pump.join(limit.toMillis());
        if (pump.isAlive()) {
            return false;
        }
        libvirt.virEventRemoveTimeout(timer);
        return true;
    }

    private void pump(LibvirtCalls libvirt) {
        boolean failing = false;
        while (!isStopping()) {
            boolean failed = libvirt.virEventRunDefaultImpl() < 0;
            if (failed != failing) {
                failing = failed;
                if (failed) {
                    LOG.warn("VG-506 libvirt's event loop fails: {}", libvirt.virGetLastErrorMessage());
                } else {
                    LOG.warn("VG-507 libvirt's event loop works again");
                }
            }
            if (failed) {
                pause();
            }
        }
    }

    private boolean isStopping() {
        synchronized (monitor) {
            return stopping;
        }
    }

    private void pause() {
        synchronized (monitor) {
            if (!stopping) {
                try {
                    monitor.wait(PAUSE_AFTER_FAILURE_MILLIS);
                } catch (InterruptedException e) {
                    stopping = true;
                }
            }
        }
    }

    private static void nothing(int timer, Pointer opaque) {
        // The turn of the loop is all that is wanted.
    }
}
