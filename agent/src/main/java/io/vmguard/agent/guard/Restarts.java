/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.OnLockFailure.Action;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.StartResult;
import java.time.Duration;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Starts domains again that were ended for a lost lease and say {@code restart}. It is a start like any other: its hook asks the guard,
 * which grants it when it has the leases, and refuses it while somebody else does.
 */
final class Restarts {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final int ATTEMPTS = 6;
    private static final long FIRST_PAUSE_NANOS = Duration.ofSeconds(5).toNanos();
    /** A hook may take its answer limit, and QEMU a while. */
    private static final Duration SLACK = Duration.ofSeconds(30);

    private static final class Wanted {
        final String name;
        final Optional<byte[]> xml;
        int attempts;
        boolean underWay;
        long nextNanos;

        Wanted(String name, Optional<byte[]> xml) {
            this.name = name;
            this.xml = xml;
        }
    }

    private final GuardState state;
    private final Hypervisor hypervisor;
    private final Map<UUID, Wanted> wanted = new LinkedHashMap<>();

    Restarts(GuardState state, Hypervisor hypervisor) {
        this.state = state;
        this.hypervisor = hypervisor;
    }

    /** A run has ended. */
    void ended(Run run) {
        // What has not come from another host is not started anew here: it runs there.
        if (run.leasesLost && !run.halted && !run.lostElsewhere && run.onLockFailure.action() == Action.RESTART) {
            wanted.put(run.uuid, new Wanted(run.name, Optional.ofNullable(run.xml)));
            LOG.warn("VG-330 {} is started again when this host can have leases again", run);
        }
    }

    /** Starts what is due, one after the other. */
    void startWhenDue(long nowNanos) {
        if (wanted.isEmpty() || !state.member() || state.loop.closing() || state.shut) {
            return;
        }
        boolean busy = wanted.values().stream().anyMatch(restart -> restart.underWay);
        for (Iterator<Map.Entry<UUID, Wanted>> all = wanted.entrySet().iterator(); all.hasNext() && !busy; ) {
            Map.Entry<UUID, Wanted> entry = all.next();
            if (state.runs.containsKey(entry.getKey())) {
                all.remove(); // it runs, or somebody starts it
            } else if (nowNanos >= entry.getValue().nextNanos) {
                start(entry.getKey(), entry.getValue());
                busy = true;
            }
        }
    }

    private void start(UUID uuid, Wanted restart) {
        restart.underWay = true;
        restart.attempts++;
        LOG.info(
                "VG-331 starting domain {} ({}) again, attempt {} of {}",
                restart.name,
                uuid,
                restart.attempts,
                ATTEMPTS);
        Duration limit = state.settings.answerLimit().plus(SLACK);
        state.loop.askHypervisor(
                () -> {
                    StartResult result = hypervisor.start(uuid, restart.xml, limit);
                    state.loop.tell(() -> onStarted(uuid, restart, result));
                },
                () -> onStarted(uuid, restart, new StartResult.Failed("internal error")));
    }

    private void onStarted(UUID uuid, Wanted restart, StartResult result) {
        restart.underWay = false;
        if (!(result instanceof StartResult.Failed failed)) {
            LOG.warn("VG-332 domain {} ({}) runs again", restart.name, uuid);
            wanted.remove(uuid, restart);
        } else if (restart.attempts >= ATTEMPTS) {
            LOG.error(
                    "VG-333 domain {} ({}) could not be started again, given up after {} attempts: {}",
                    restart.name,
                    uuid,
                    restart.attempts,
                    failed.reason());
            wanted.remove(uuid, restart);
        } else {
            // 5 s, 10 s, 20 s, … 80 s: some 2.5 minutes, in which another host's lease of it would have run out.
            restart.nextNanos = state.clock.bootNanos() + (FIRST_PAUSE_NANOS << (restart.attempts - 1));
            LOG.warn("VG-334 domain {} ({}) was not started again: {}", restart.name, uuid, failed.reason());
        }
    }
}
