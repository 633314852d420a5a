/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.hook.AgentClient;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.inspect.HostWatch;
import io.vmguard.lease.inspect.LockspaceInspection;
import io.vmguard.lease.ondisk.HostName;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What is known of the hosts of a lockspace, and from whom.
 *
 * @param seen {@code agent}: it has watched them since it joined; {@code twice}: this command has, for a while; {@code once}
 */
record HostLooks(String seen, List<StatusReport.Host> hosts) {
    static final String AGENT = "agent";
    static final String TWICE = "twice";
    static final String ONCE = "once";

    private static final Duration AGENT_LIMIT = Duration.ofSeconds(3);
    private static final Duration BETWEEN_LOOKS = Duration.ofSeconds(1);

    /** The agent's table, if it runs and is a member of this very lockspace. */
    static Optional<HostLooks> ofAgent(DirectoryOptions.Place place) {
        try {
            StatusReport report = StatusReport.parse(new AgentClient(place.socket(), AGENT_LIMIT).get("/v1/status"));
            boolean same = report.lockspace().name().equals(place.lockspace())
                    && report.lockspace().dir().equals(place.dir().toString())
                    && report.lockspace().hostId() != null;
            return same ? Optional.of(new HostLooks(AGENT, report.hosts())) : Optional.empty();
        } catch (IOException e) {
            return Optional.empty(); // a look at the disk needs no agent
        }
    }

    /**
     * What can be known.
     *
     * @param watch how long to look at the disk, agent or not; zero: the agent's word, or one look if it does not answer
     */
    static HostLooks of(LeaseTools tools, DirectoryOptions.Place place, Duration watch) throws InterruptedException {
        Optional<HostLooks> agent = watch.isZero() ? ofAgent(place) : Optional.empty();
        return agent.isPresent() ? agent.get() : ofDisk(tools, place, new LeaseName(place.lockspace()), watch);
    }

    /**
     * Looks for itself.
     *
     * @param watch how long; zero: once
     */
    private static HostLooks ofDisk(LeaseTools tools, DirectoryOptions.Place place, LeaseName lockspace, Duration watch)
            throws InterruptedException {
        HostWatch hosts = new HostWatch(tools.inspectors().apply(place.dir()), lockspace, tools.clock());
        long startedNanos = tools.clock().bootNanos();
        Optional<LockspaceInspection> found = hosts.look();
        while (found.isPresent() && tools.clock().bootNanos() - startedNanos < watch.toNanos()) {
            tools.pause().of(BETWEEN_LOOKS);
            hosts.look();
        }
        return new HostLooks(
                watch.isZero() ? ONCE : TWICE,
                hosts.hosts().stream().map(HostLooks::host).toList());
    }

    private static StatusReport.Host host(HostView view) {
        return new StatusReport.Host(
                view.owner().hostId(),
                view.owner().generation(),
                HostName.node(view.name()),
                view.name(),
                view.status().name().toLowerCase(Locale.ROOT),
                view.self(),
                seconds(view.silentFor()),
                seconds(view.deadIn()));
    }

    private static @Nullable Double seconds(Optional<Duration> duration) {
        return duration.map(d -> d.toMillis() / 1000.0).orElse(null);
    }

    /** Who has this host id in this generation. */
    Optional<StatusReport.Host> of(long hostId, long generation) {
        return hosts.stream()
                .filter(host -> host.hostId() == hostId && host.generation() == generation)
                .findFirst();
    }
}
