/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.upkeep;

import io.vmguard.lease.HostView;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.inspect.Holder;
import io.vmguard.lease.inspect.Standing;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;

/**
 * Whether a holder is gone for certain, by what this host's agent has seen of it. Nothing that a person says is proof: a host that is
 * said to be off and is not would write to a disk that somebody else has by then.
 *
 * @param gone it is proved
 * @param sentence why, or why not
 * @param provedIn if it stays silent; empty if time alone brings no proof
 */
record Proof(boolean gone, String sentence, Optional<Duration> provedIn) {

    /** @param holder as found on disk a moment ago */
    static Proof of(Holder holder, LockspaceView view) {
        String who = name(holder);
        if (holder.standing() == Standing.UNREADABLE) {
            return not("the delta lease of host id " + holder.owner().hostId()
                    + " is not sound, so nothing can prove that host dead, and no write of another host may repair it. There is "
                    + "no safe way to free this lease alone: stop every domain, vmguard and sanlock on all hosts, remove the "
                    + "lockspace and all its leases, and make it anew with vmguard lease init");
        }
        Optional<HostView> seen = view.hosts().stream()
                .filter(host -> host.owner().hostId() == holder.owner().hostId())
                .findFirst();
        if (holder.standing() == Standing.LEFT) {
            return yes(who + " has left the lockspace");
        }
        if (holder.standing() == Standing.REBORN) {
            return yes("host id " + holder.owner().hostId() + " was taken again since, by " + who);
        }
        if (holder.standing() == Standing.AHEAD) {
            return not("host id " + holder.owner().hostId() + " has not come to generation "
                    + holder.owner().generation() + ": the lockspace was made anew beside this lease, and while " + who
                    + " is a member, nobody gets it. Stop vmguard on " + who
                    + ", run this again on another host, then start vmguard on " + who + " again");
        }
        return seen.filter(host -> host.owner().equals(holder.owner()))
                .map(host -> member(who, host, view))
                .orElseGet(() -> new Proof(
                        false,
                        who + " joined a moment ago and was not looked at yet",
                        Optional.of(view.timeouts().renewalInterval())));
    }

    private static Proof member(String who, HostView host, LockspaceView view) {
        String silent = host.silentFor().map(Proof::seconds).orElse("?");
        return switch (host.status()) {
            case LIVE ->
                not(who + " is alive, renewed " + silent
                        + " ago. Stop its domain there: the lease of a live host is never taken away");
            case DEAD -> yes(who + " is dead: silent for " + silent);
            // Free in the table but taken on disk a moment ago: the table is behind.
            case FREE ->
                new Proof(
                        false,
                        who + " has just come back and was not looked at yet",
                        Optional.of(view.timeouts().renewalInterval()));
            case UNKNOWN, FAIL ->
                new Proof(
                        false,
                        who + " has been silent for " + silent + ". If it stays silent, it is proved dead in "
                                + host.deadIn().map(Proof::seconds).orElse("?"),
                        host.deadIn());
        };
    }

    private static Proof yes(String sentence) {
        return new Proof(true, sentence, Optional.empty());
    }

    private static Proof not(String sentence) {
        return new Proof(false, sentence, Optional.empty());
    }

    static String name(Holder holder) {
        return holder.node().isEmpty() ? "host id " + holder.owner().hostId() : "host " + holder.node();
    }

    static String seconds(Duration duration) {
        return String.format(Locale.ROOT, "%.0f s", duration.toMillis() / 1000.0);
    }
}
