/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.deadman.Deadman;
import io.vmguard.agent.fence.FenceTimes;
import io.vmguard.agent.guard.DomainGuard;
import io.vmguard.agent.guard.DomainView;
import io.vmguard.agent.guard.GuardView;
import io.vmguard.agent.hook.HookCalls;
import io.vmguard.agent.hypervisor.ConnectionState;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.agent.watchdog.Watchdog;
import io.vmguard.agent.watchdog.WatchdogView;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Lockspace;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Owner;
import io.vmguard.lease.engine.HostIdentity;
import io.vmguard.lease.ondisk.HostName;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Puts the snapshots of engine, guard and libvirt side into one report. Never blocks. */
final class StatusSource implements Supplier<StatusReport> {
    private final AgentConfig config;
    private final HostIdentity identity;
    private final Lockspace lockspace;
    private final Hypervisor hypervisor;
    private final DomainGuard guard;
    private final FenceTimes times;
    private final Watchdog watchdog;
    private final HookCalls calls;
    private final Optional<Deadman> deadman;
    private final LeaseClock clock;
    private final long startedNanos;

    StatusSource(
            AgentConfig config,
            HostIdentity identity,
            Lockspace lockspace,
            Hypervisor hypervisor,
            DomainGuard guard,
            Optional<Deadman> deadman,
            FenceTimes times,
            Watchdog watchdog,
            HookCalls calls,
            LeaseClock clock) {
        this.config = config;
        this.identity = identity;
        this.lockspace = lockspace;
        this.hypervisor = hypervisor;
        this.guard = guard;
        this.times = times;
        this.watchdog = watchdog;
        this.calls = calls;
        this.deadman = deadman;
        this.clock = clock;
        this.startedNanos = clock.bootNanos();
    }

    @Override
    public StatusReport get() {
        LockspaceView view = lockspace.view();
        GuardView domains = guard.view();
        ConnectionState libvirt = hypervisor.state();
        WatchdogView reset = watchdog.view();
        return new StatusReport(
                StatusReport.FORMAT,
                new StatusReport.Agent(
                        Version.current(),
                        ProcessHandle.current().pid(),
                        lower(config.mode()),
                        identity.nodeName(),
                        Duration.ofNanos(clock.bootNanos() - startedNanos).toSeconds(),
                        domains.granted(),
                        domains.refused() + calls.wouldHaveBeenRefused()),
                lockspace.member(),
                lockspace(view),
                watchdog(reset),
                new StatusReport.Libvirt(config.libvirtUri(), libvirt.connected(), libvirt.detail()),
                new StatusReport.Hook(calls.count(), seconds(calls.lastAgo())),
                view.hosts().stream().map(StatusSource::host).toList(),
                domains.domains().stream().map(this::domain).toList(),
                worstCase(view),
                warnings(view, domains, libvirt, reset));
    }

    private static StatusReport.Watchdog watchdog(WatchdogView view) {
        boolean armed = view.state() == WatchdogView.State.ARMED || view.state() == WatchdogView.State.EXPIRING;
        return new StatusReport.Watchdog(
                view.kind(),
                lower(view.state()),
                armed,
                armed ? view.timeout().map(Duration::toSeconds).orElse(null) : null,
                armed ? seconds(view.lastFedAgo()) : null,
                view.detail());
    }

    private static StatusReport.LockspaceStatus lockspace(LockspaceView view) {
        return new StatusReport.LockspaceStatus(
                view.name().value(),
                view.where(),
                lower(view.state()),
                view.detail(),
                view.owner().map(Owner::hostId).orElse(null),
                view.owner().map(Owner::generation).orElse(null),
                view.hostName(),
                view.timeouts().ioTimeoutSeconds(),
                seconds(view.renewedAgo()),
                seconds(view.lostIn()),
                view.timeouts().hostDead().toSeconds(),
                view.undetermined().stream().map(LeaseName::value).toList());
    }

    /** What comes when if no renewal succeeds from now on. */
    private List<StatusReport.Deadline> worstCase(LockspaceView view) {
        Optional<Duration> renewedAgo = view.renewedAgo();
        return times.stages().stream()
                .map(deadline -> new StatusReport.Deadline(
                        deadline.what(),
                        deadline.after().toMillis() / 1000.0,
                        seconds(renewedAgo.map(ago -> deadline.after().minus(ago)))))
                .toList();
    }

    private static StatusReport.Host host(HostView host) {
        return new StatusReport.Host(
                host.owner().hostId(),
                host.owner().generation(),
                HostName.node(host.name()),
                host.name(),
                lower(host.status()),
                host.self(),
                seconds(host.silentFor()),
                seconds(host.deadIn()));
    }

    private StatusReport.Domain domain(DomainView domain) {
        long now = clock.wallSeconds();
        return new StatusReport.Domain(
                domain.name(),
                domain.uuid(),
                domain.state(),
                domain.pid().orElse(null),
                domain.leases().stream()
                        .map(lease -> new StatusReport.Lease(
                                lease.target(),
                                lease.identity(),
                                lease.resource(),
                                lease.held(),
                                lease.since(),
                                Math.max(0, now - lease.since())))
                        .toList(),
                domain.onLockFailure(),
                domain.problems());
    }

    private List<String> warnings(LockspaceView view, GuardView domains, ConnectionState libvirt, WatchdogView reset) {
        List<String> warnings = new ArrayList<>();
        if (view.state() != LockspaceView.State.MEMBER) {
            warnings.add("no lease can be taken: " + view.detail());
        } else if (!view.detail().isEmpty()) {
            warnings.add(view.detail());
        }
        if (config.mode() == AgentConfig.Mode.OBSERVE) {
            warnings.add("mode observe: nothing is refused or stopped; "
                    + (domains.refused() + calls.wouldHaveBeenRefused())
                    + " starts would have been refused so far");
        }
        if (!libvirt.connected()) {
            warnings.add("libvirt does not answer; domains that it starts now are found when it does");
        }
        domains.domains().stream()
                .filter(domain -> !domain.problems().isEmpty())
                .forEach(domain -> warnings.add("domain " + domain.name() + " is not fully protected"));
        if (!view.undetermined().isEmpty()) {
            warnings.add(view.undetermined().size() + " leases are not known to be given back yet");
        }
        deadman.ifPresent(other -> warnings.addAll(other.view().problems()));
        watchdogWarning(reset).ifPresent(warnings::add);
        return warnings;
    }

    private Optional<String> watchdogWarning(WatchdogView reset) {
        if (config.mode() == AgentConfig.Mode.OBSERVE) {
            return Optional.empty(); // it promises nothing anyway, and has said so
        }
        return switch (reset.state()) {
            case NONE -> Optional.of("no watchdog is configured: " + WatchdogSetup.NOT_PROMISED);
            case ARMED -> Optional.empty();
            case EXPIRING ->
                Optional.of(
                        "THIS MACHINE IS ABOUT TO BE RESET by its watchdog, unless every domain with a lost lease is gone before");
            case DISARMED, FAILED ->
                reset.detail().isEmpty()
                        ? Optional.empty()
                        : Optional.of(
                                "no watchdog: " + reset.detail() + ". " + WatchdogSetup.consequence(config.watchdog()));
        };
    }

    private static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    private static @Nullable Double seconds(Optional<Duration> duration) {
        return duration.map(d -> d.toMillis() / 1000.0).orElse(null);
    }
}
