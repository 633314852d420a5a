/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseTransfer;
import io.vmguard.lease.LeaseUse;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Leases from before a restart of the agent, which the engine carries over: whose they are, and what becomes of those that are nobody's. */
final class CarriedOver {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    private final GuardState state;
    private final LeaseTransfer transfer;
    private final LeaseClaims claims;

    CarriedOver(GuardState state, LeaseTransfer transfer, LeaseClaims claims) {
        this.state = state;
        this.transfer = transfer;
        this.claims = claims;
    }

    /** Their users are found by what the leases themselves say. */
    void claim() {
        Set<LeaseName> carried = state.lockspace.carriedOver();
        Map<LeaseName, LeaseUse> held =
                carried.isEmpty() ? Map.of() : state.lockspace.view().held();
        Set<Run> claimants = new HashSet<>();
        for (LeaseName resource : carried) {
            LeaseUse use = held.get(resource);
            if (use == null) {
                continue;
            }
            for (LeaseNote note : use.users()) {
                GuardState.uuid(note).ifPresent(uuid -> {
                    Run run = state.runOf(uuid, note.domainName());
                    if (run.phase != Phase.ACQUIRING && !run.pending.containsKey(resource)) {
                        run.claim(resource, use.mode(), note);
                        claimants.add(run);
                    }
                });
            }
        }
        claimants.forEach(claims::acquireMissing);
    }

    /**
     * All domains that run are known. What none of them has claimed is given back: its note does not say whose it was, and no active domain
     * needs it. Nor shall anything come back to us that was given to another host for a domain which is not here any more.
     */
    void releaseUnclaimed() {
        Map<LeaseName, LeaseUse> held = state.lockspace.view().held();
        for (LeaseName resource : state.lockspace.carriedOver()) {
            if (!isClaimed(resource) && held.containsKey(resource)) {
                LOG.warn("VG-212 lease {} of an earlier run has no user any more; given back", resource);
                state.lockspace.release(resource);
            }
        }
        for (LeaseName resource : transfer.given()) {
            if (!isClaimed(resource)) {
                state.lockspace.release(resource);
            }
        }
    }

    private boolean isClaimed(LeaseName resource) {
        return state.runs.values().stream().anyMatch(run -> run.wanted.containsKey(resource));
    }
}
