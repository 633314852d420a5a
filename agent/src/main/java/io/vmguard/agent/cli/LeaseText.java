/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.LeaseReport.Lease;
import io.vmguard.agent.cli.LeaseReport.Member;
import io.vmguard.agent.cli.LeaseReport.Problem;
import io.vmguard.agent.cli.LeaseReport.Space;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.lease.inspect.WallTime;
import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** A lease report for people. */
final class LeaseText {
    private final PrintWriter out;

    LeaseText(PrintWriter out) {
        this.out = out;
    }

    /** All leases of a directory, a line each. */
    void list(LeaseReport report) {
        line("leases in " + report.dir() + ", hosts " + seen(report.hostsSeen()));
        report.lockspaces().forEach(this::space);
        TextTable table = new TextTable("LEASE", "STATE", "HOST", "HOST IS", "SINCE", "USED BY");
        Map<String, Integer> counts = new TreeMap<>();
        for (Lease lease : report.leases()) {
            counts.merge(state(lease), 1, Integer::sum);
            table.row(lease.name(), state(lease), hosts(lease), statuses(lease), since(lease), user(lease));
        }
        if (!table.isEmpty()) {
            out.print(table);
        }
        String sums = counts.entrySet().stream()
                .map(count -> count.getValue() + " " + count.getKey())
                .collect(Collectors.joining(", "));
        long takeable = report.leases().stream()
                .filter(lease -> lease.takeable() && !lease.state().equals("free"))
                .count();
        line(leases(report.leases().size())
                + (sums.isEmpty() ? "" : ": " + sums)
                + (takeable == 0 ? "" : "; of those held, " + takeable + " can be taken: their holders are gone"));
        report.lockspaces().forEach(space -> problems(space.problems()));
        report.leases().stream()
                .filter(lease -> !lease.state().equals("foreign"))
                .forEach(lease -> problems(lease.problems()));
    }

    /** One lease at length. */
    void show(LeaseReport report, Lease lease) {
        line("lease " + lease.name() + " in " + report.dir()
                + (lease.lockspace() == null ? "" : ", lockspace " + lease.lockspace()));
        line("  " + state(lease) + (lease.lver() == null ? "" : ", lease version " + lease.lver()));
        Member owner = lease.owner();
        if (owner != null && lease.state().equals("exclusive")) {
            line("  held by " + at(owner));
        } else if (owner != null && lease.state().equals("free")) {
            line("  last held by " + at(owner));
        }
        LeaseReport.User last = lease.lastUser();
        if (last != null) {
            // A deed of an operator is no domain's, and a sentence by itself.
            line("  " + (last.domain().isEmpty() ? "" : "last used by ") + use(last) + ", on " + last.node() + " since "
                    + WallTime.text(last.since()));
        }
        lease.sharers().forEach(sharer -> line("  shared by " + at(sharer) + ": " + standing(sharer)));
        if (lease.user() != null) {
            line("  used by " + user(lease) + ", domain UUID " + lease.user().uuid() + ", on "
                    + lease.user().node() + " since " + since(lease));
        }
        if (lease.request() != null) {
            line("  asked for in version " + lease.request().lver() + ", mode "
                    + lease.request().mode());
        }
        line("  " + lease.explanation());
        if (lease.numHosts() != null) {
            line("  made for " + lease.numHosts() + " hosts; leader written by host " + lease.writer()
                    + "; file last written " + WallTime.text(lease.modified()));
        }
        problems(lease.problems());
    }

    private void space(Space space) {
        line("lockspace " + space.name() + ": " + space.sectorBytes() + "-byte sectors in areas of "
                + (space.areaBytes() >> 20) + " MiB, " + space.hostsUsed() + " of " + space.maxHosts()
                + " host ids ever taken");
    }

    static String leases(long count) {
        return count == 1 ? "1 lease" : count + " leases";
    }

    /** How far what is said of hosts can be relied on. */
    static String seen(String how) {
        return switch (how) {
            case HostLooks.AGENT -> "as the agent has seen them";
            case HostLooks.TWICE -> "as this command has seen them";
            default -> "seen once: who lives cannot be told";
        };
    }

    private static String state(Lease lease) {
        return switch (lease.state()) {
            case "exclusive" -> "held";
            case "cleared" -> "removed";
            case "corrupt" -> "DAMAGED";
            case "unreadable" -> "UNREADABLE";
            case "foreign" -> "no lease";
            default -> lease.state();
        };
    }

    private static List<Member> holders(Lease lease) {
        Member owner = lease.owner();
        return switch (lease.state()) {
            case "exclusive" -> owner == null ? List.of() : List.of(owner);
            case "shared" -> lease.sharers();
            default -> List.of();
        };
    }

    private static String hosts(Lease lease) {
        return dash(holders(lease).stream().map(LeaseText::name).collect(Collectors.joining(", ")));
    }

    private static String statuses(Lease lease) {
        return dash(holders(lease).stream().map(LeaseText::standing).collect(Collectors.joining(", ")));
    }

    private static String name(Member member) {
        return member.node().isEmpty() ? "host id " + member.hostId() : member.node();
    }

    private static String at(Member member) {
        return name(member) + " (host id " + member.hostId() + ", generation " + member.generation() + ")";
    }

    private static String standing(Member member) {
        if (!member.standing().equals("member")) {
            return member.standing();
        }
        String status = member.status();
        return status == null || status.equals("unknown") ? "member" : status;
    }

    private static String since(Lease lease) {
        return lease.user() == null ? "-" : WallTime.text(lease.user().since());
    }

    private static String user(Lease lease) {
        return lease.user() == null ? "-" : use(lease.user());
    }

    private static String use(LeaseReport.User user) {
        return user.domain().isEmpty() ? user.disk() : user.domain() + ": " + user.disk();
    }

    private void problems(List<Problem> problems) {
        problems.forEach(problem -> line("PROBLEM: " + problem.sentence()));
    }

    private static String dash(@Nullable String text) {
        return text == null || text.isEmpty() ? "-" : text;
    }

    /** Names come from other hosts' records: they must not steer the terminal. */
    private void line(String text) {
        out.println(OneLine.of(text));
    }
}
