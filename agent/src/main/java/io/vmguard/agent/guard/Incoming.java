/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.OptionalLong;
import java.util.Set;

/** A migration of a run from another host. Touched by the guard's thread only. */
final class Incoming {
    /** The lease beside which both sides leave their words. */
    final LeaseName channel;

    final Owner giver;
    OptionalLong attempt;
    /** Prepared for, and not known to be here. */
    final Set<LeaseName> receiving = new LinkedHashSet<>();
    /** Of those: it will not be given. */
    final Set<LeaseName> refused = new HashSet<>();
    /** Of those: a step is under way. */
    final Set<LeaseName> underWay = new HashSet<>();

    /** The start has been granted; before, only preparations are under way. */
    boolean granted;

    /** Which hand-over it is could not be read. */
    boolean lookAgain;

    boolean tellUnderWay;
    boolean toldRunning;
    /** The hypervisor has said that it runs. */
    boolean resumed;

    long nextTryNanos;

    Incoming(LeaseName channel, Owner giver, OptionalLong attempt) {
        this.channel = channel;
        this.giver = giver;
        this.attempt = attempt;
    }

    /** Whether an answer that was asked for in this migration is late. */
    boolean isOver(Run run, GuardState state) {
        return run.ended || run.incoming != this || state.isOver(run);
    }
}
