/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.hypervisor.ChangeResult;
import io.vmguard.agent.hypervisor.LiveDevices;
import java.time.Duration;
import java.util.function.Predicate;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Keeps domains on this host that have lost their leases while they are being migrated: there is nothing to hand over any more, so the
 * target would have to end what arrives. Also, libvirt lets a guest go on where it arrives, and where its migration has failed,
 * whoever has paused it meanwhile.
 */
final class Cancellations {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    private final GuardState state;
    private final LiveDevices devices;
    private final Predicate<Run> isLeaving;

    /** @param isLeaving whether a run is on its way to another host, or has gone there */
    Cancellations(GuardState state, LiveDevices devices, Predicate<Run> isLeaving) {
        this.state = state;
        this.devices = devices;
        this.isLeaving = isLeaving;
    }

    /**
     * Has the migration of a run cancelled if there is one; to be called again and again.
     *
     * @param byNanos boot clock: when it must be over
     * @return whether there is none (any more)
     */
    boolean stays(Run run, long byNanos) {
        if (!isLeaving.test(run)) {
            run.cancelAsked = false;
            return true;
        }
        if (run.cancelAsked) {
            return false;
        }
        run.cancelAsked = true;
        LOG.warn(
                "VG-303 {} has lost its leases on its way to another host; libvirt is asked to cancel the migration",
                run);
        state.loop.askHypervisor(
                () -> {
                    long leftNanos = byNanos - state.clock.bootNanos();
                    ChangeResult result = leftNanos <= 0
                            ? new ChangeResult.Failed("earlier calls took all the time")
                            : devices.cancelMigration(run.uuid, Duration.ofNanos(leftNanos));
                    state.loop.tell(() -> onCancelled(run, result));
                },
                () -> onCancelled(run, new ChangeResult.Failed("internal error")));
        return false;
    }

    private static void onCancelled(Run run, ChangeResult result) {
        if (result instanceof ChangeResult.Failed failed) {
            LOG.error("VG-304 the migration of {} was not cancelled: {}", run, failed.reason());
        }
    }
}
