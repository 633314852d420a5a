/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.LeaseReport.Member;
import io.vmguard.lease.inspect.ResourceInspection;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Says in a sentence or two who stands in the way of a lease, and what ends it. */
final class LeaseExplanation {
    private LeaseExplanation() {}

    static String of(ResourceInspection lease, @Nullable Member owner, List<Member> sharers) {
        return switch (lease.state()) {
            case FREE -> "it is free: the next start takes it";
            case EXCLUSIVE -> owner == null ? "its holder is not named" : holder(owner, lease.file());
            case SHARED ->
                sharers.stream()
                        .filter(sharer -> !gone(sharer))
                        .map(sharer -> holder(sharer, lease.file()))
                        .collect(Collectors.joining("; "));
            case CLEARED ->
                "it was removed on purpose: a host that has the file open cannot take it; remove the file, and the "
                        + "next start makes a new one";
            case CORRUPT -> "it cannot be used";
            case UNREADABLE -> "whether it is held cannot be told";
            case FOREIGN -> "it is left alone";
        };
    }

    /** Whether what it held may be taken at once. */
    static boolean gone(Member member) {
        return member.standing().equals("left") || member.standing().equals("reborn") || "dead".equals(member.status());
    }

    private static String holder(Member holder, String lease) {
        String who = holder.node().isEmpty() ? "host id " + holder.hostId() : holder.node();
        return switch (holder.standing()) {
            case "left" -> who + " has left: the next start takes it";
            case "reborn" ->
                "host id " + holder.hostId() + " was taken again since, by " + who
                        + ", and holds it no more: the next start takes it";
            case "ahead" ->
                "held in generation " + holder.generation() + " of host id " + holder.hostId()
                        + ", which belongs to an earlier lockspace";
            case "unreadable" ->
                "whether host id " + holder.hostId() + " lives cannot be told: its delta lease cannot be read";
            default -> member(who, holder, lease);
        };
    }

    private static String member(String who, Member holder, String lease) {
        String silent = holder.silentSeconds() == null ? "?" : seconds(holder.silentSeconds());
        String status = holder.status() == null ? "" : holder.status();
        return switch (status) {
            case "live" -> who + " is alive, renewed " + silent + " ago: it is free when its domain there ends";
            case "fail" ->
                who + " has been silent for " + silent + ": if it stays silent, the lease can be taken in "
                        + (holder.deadInSeconds() == null ? "?" : seconds(holder.deadInSeconds()));
            case "dead" ->
                who + " is dead, silent for " + silent + ": the next start takes it; to free it now: "
                        + "vmguard lease release --confirm-dead " + lease;
            default ->
                who + " holds it; one look cannot tell whether " + who
                        + " lives: start the agent, or look for longer with --watch 30s";
        };
    }

    static String seconds(double value) {
        return String.format(Locale.ROOT, "%.0f s", value);
    }
}
