/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.LeaseReport.Asked;
import io.vmguard.agent.cli.LeaseReport.Lease;
import io.vmguard.agent.cli.LeaseReport.Member;
import io.vmguard.agent.cli.LeaseReport.Problem;
import io.vmguard.agent.cli.LeaseReport.Space;
import io.vmguard.agent.cli.LeaseReport.User;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.lease.inspect.DirectoryInspection;
import io.vmguard.lease.inspect.Finding;
import io.vmguard.lease.inspect.Geometry;
import io.vmguard.lease.inspect.Holder;
import io.vmguard.lease.inspect.LockspaceInspection;
import io.vmguard.lease.inspect.ResourceInspection;
import io.vmguard.lease.inspect.ResourceInspection.Leader;
import io.vmguard.lease.inspect.ResourceInspection.State;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Brings together what lies on disk and what is known of the hosts. */
final class LeaseReporter {
    private final HostLooks hosts;
    private final String lockspace;

    /** @param lockspace that the hosts are of; of others nothing is known but what lies on disk */
    LeaseReporter(HostLooks hosts, String lockspace) {
        this.hosts = hosts;
        this.lockspace = lockspace;
    }

    LeaseReport report(DirectoryInspection directory) {
        return new LeaseReport(
                LeaseReport.FORMAT,
                directory.where(),
                hosts.seen(),
                directory.lockspaces().stream().map(LeaseReporter::space).toList(),
                directory.resources().stream().map(this::lease).toList());
    }

    private static Space space(LockspaceInspection space) {
        Geometry geometry = space.geometry();
        return new Space(
                space.name(),
                space.file(),
                geometry.sectorBytes(),
                geometry.areaBytes(),
                geometry.maxHosts(),
                space.ioTimeoutSeconds(),
                space.hosts().size(),
                problems(space.findings()));
    }

    private Lease lease(ResourceInspection lease) {
        Optional<Leader> leader = lease.leader();
        boolean known = leader.map(l -> l.lockspace().equals(lockspace)).orElse(false);
        Member owner = lease.owner().map(holder -> member(holder, known)).orElse(null);
        List<Member> sharers =
                lease.sharers().stream().map(holder -> member(holder, known)).toList();
        return new Lease(
                lease.file(),
                lower(lease.state()),
                takeable(lease, owner, sharers),
                LeaseExplanation.of(lease, owner, sharers),
                leader.map(Leader::lockspace).orElse(null),
                owner,
                sharers,
                lease.state() == State.FREE ? null : user(lease),
                lease.state() == State.FREE ? user(lease) : null,
                lease.request()
                        .map(request -> new Asked(request.lver(), request.forceMode()))
                        .orElse(null),
                leader.map(Leader::lver).orElse(null),
                leader.map(l -> l.writer().toString()).orElse(null),
                leader.map(Leader::numHosts).orElse(null),
                lease.modifiedEpochSeconds(),
                problems(lease.findings()));
    }

    private static @Nullable User user(ResourceInspection lease) {
        return lease.note()
                .map(note -> new User(
                        note.domainName(), note.domainUuid(), note.disk(), note.hostName(), note.sinceEpochSeconds()))
                .orElse(null);
    }

    private static boolean takeable(ResourceInspection lease, @Nullable Member owner, List<Member> sharers) {
        boolean gone = lease.state() == State.EXCLUSIVE && owner != null && LeaseExplanation.gone(owner)
                || lease.state() == State.SHARED && sharers.stream().allMatch(LeaseExplanation::gone);
        return lease.findings().isEmpty() && (lease.takeable() || gone);
    }

    private Member member(Holder holder, boolean known) {
        long hostId = holder.owner().hostId();
        Optional<StatusReport.Host> host =
                known ? hosts.of(hostId, holder.owner().generation()) : Optional.empty();
        return new Member(
                hostId,
                holder.owner().generation(),
                holder.node(),
                holder.hostName(),
                lower(holder.standing()),
                host.map(StatusReport.Host::status).orElse(null),
                host.map(StatusReport.Host::silentSeconds).orElse(null),
                host.map(StatusReport.Host::deadInSeconds).orElse(null));
    }

    static List<Problem> problems(List<Finding> findings) {
        return findings.stream()
                .map(finding -> new Problem(
                        finding.fault().code(),
                        lower(finding.fault()),
                        finding.file(),
                        finding.offset(),
                        finding.sentence()))
                .toList();
    }

    private static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }
}
