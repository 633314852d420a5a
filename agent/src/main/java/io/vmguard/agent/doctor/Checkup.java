/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.WatchdogChoice;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.identity.StorageFacts;
import io.vmguard.agent.status.StatusReport;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** Which checks there are, in the order in which they are printed, and where their facts come from. */
public final class Checkup {
    private static final Duration QUICK = Duration.ofSeconds(10);
    private static final Duration SLOW = Duration.ofSeconds(30);
    private static final Duration MEASURE = Duration.ofSeconds(3);

    /** What one trial of direct I/O gave; in milliseconds. */
    public record Trial(boolean writes, List<Double> millis, String failure) {}

    /** Tries direct I/O where the leases are. */
    public interface IoTrials {
        /** As {@link Probe#look} does. */
        Trial run(Path where, int sectorBytes, Duration howLong) throws Exception;
    }

    /**
     * What is known of the lockspace.
     *
     * @param seen by whom: agent, twice or once
     * @param sectorBytes of the lockspace, or what it would have
     */
    public record Peers(String seen, List<StatusReport.Host> hosts, int sectorBytes) {}

    /**
     * Where facts come from.
     *
     * @param status the agent's answer
     * @param peers the lockspace's hosts
     * @param leases what domains need on this host
     */
    public record Sources(
            StorageFacts facts,
            Commands commands,
            Probe<StatusReport> status,
            Probe<Peers> peers,
            DomainLeases leases,
            IoTrials trials,
            Supplier<Long> wallSeconds,
            RandomGenerator random) {}

    /**
     * What was asked for.
     *
     * @param file of the configuration
     * @param problems of the configuration; then config is its defaults
     * @param peers by name, that should be in the lockspace; may be empty
     * @param mayAsk whether libvirt may be asked to start what cannot start
     */
    public record Order(Path file, AgentConfig config, List<String> problems, List<String> peers, boolean mayAsk) {}

    private Checkup() {}

    /** With a configuration that cannot be used only what does not depend on it is looked at. */
    public static Doctor doctor(Order order, Sources sources) {
        AgentConfig config = order.config();
        LibvirtSide libvirt = new LibvirtSide(sources.facts(), sources.commands(), config.libvirtUri());
        MachineSide machine = new MachineSide(sources.facts(), sources.commands());
        List<Examination<?>> all = new ArrayList<>();
        all.add(new Examination<>(
                new ConfigurationCheck(),
                QUICK,
                () -> new ConfigurationCheck.Facts(
                        order.file().toString(), Files.exists(order.file()), order.problems())));
        if (order.problems().isEmpty()) {
            leases(order, sources, all);
        }
        all.add(new Examination<>(new HookFileCheck(), QUICK, libvirt::hookFile));
        all.add(new Examination<>(
                new HookActiveCheck(),
                SLOW,
                () -> libvirt.hookActive(
                        order.mayAsk(),
                        HexFormat.of().toHexDigits(sources.random().nextLong()),
                        lastCall(sources))));
        all.add(new Examination<>(
                new LockManagerCheck(),
                QUICK,
                () -> libvirt.lockManager(
                        config.leaseDir().toString(), config.storage().compat() != AgentConfig.Compat.NONE)));
        if (order.problems().isEmpty()) {
            all.add(new Examination<>(
                    new WatchdogCheck(),
                    QUICK,
                    () -> machine.watchdog(
                            word(config.watchdog()),
                            config.mode() == AgentConfig.Mode.OBSERVE,
                            status(sources),
                            config.watchdogTimeout().toSeconds())));
            all.add(new Examination<>(
                    new DomainsCheck(),
                    SLOW,
                    () -> new DomainsCheck.Facts(libvirt.running(sources.leases()), status(sources))));
            all.add(new Examination<>(new CloneCheck(), QUICK, () -> clones(config, sources, machine)));
        }
        all.add(new Examination<>(new CephCapsCheck(), SLOW, libvirt::cephUsers));
        all.add(new Examination<>(new ClockSourceCheck(), QUICK, machine::clockSource));
        all.add(new Examination<>(new JavaCheck(), QUICK, MachineSide::java));
        all.add(new Examination<>(new DenialsCheck(), SLOW, machine::denials));
        return new Doctor(all);
    }

    /** About the agent and where its leases are. */
    private static void leases(Order order, Sources sources, List<Examination<?>> all) {
        AgentConfig config = order.config();
        LeaseSide side = new LeaseSide(config, sources.facts(), sources.commands());
        all.add(new Examination<>(new AgentCheck(), QUICK, () -> agent(config, sources)));
        all.add(new Examination<>(new SharingCheck(), QUICK, () -> {
            if (!Files.exists(config.leaseDir())) {
                return new SharingCheck.Facts(
                        config.leaseDir().toString(), SharingCheck.MISSING, "", List.of(), "once", order.peers());
            }
            Peers peers = sources.peers().look();
            return new SharingCheck.Facts(
                    config.leaseDir().toString(),
                    side.mount().type(),
                    side.identity(sources.leases()),
                    peers.hosts(),
                    peers.seen(),
                    order.peers());
        }));
        all.add(new Examination<>(new FileSystemCheck(), QUICK, side::fileSystem));
        all.add(new Examination<>(new LatencyCheck(), SLOW, () -> {
            int sector = sources.peers().look().sectorBytes();
            Trial trial = sources.trials().run(config.leaseDir(), sector, MEASURE);
            return new LatencyCheck.Facts(sector, trial.writes(), trial.millis(), trial.failure(), config.ioTimeout());
        }));
        all.add(new Examination<>(new StorageTimeoutsCheck(), QUICK, () -> {
            Verdict reset = new WatchdogCheck()
                    .judge(new MachineSide(sources.facts(), sources.commands())
                            .watchdog(
                                    word(config.watchdog()),
                                    false,
                                    status(sources),
                                    config.watchdogTimeout().toSeconds()))
                    .verdict();
            return side.timeouts(reset == Verdict.GREEN);
        }));
        all.add(new Examination<>(new FreeSpaceCheck(), QUICK, side::space));
    }

    private static AgentCheck.Facts agent(AgentConfig config, Sources sources) {
        Optional<StatusReport> status = Optional.empty();
        String noAnswer = "";
        try {
            status = Optional.of(sources.status().look());
        } catch (Exception e) {
            noAnswer = String.valueOf(e.getMessage());
        }
        return new AgentCheck.Facts(
                status,
                noAnswer,
                config.leaseDir().toString(),
                config.lockspace(),
                config.ioTimeout().toSeconds(),
                config.mode().name().toLowerCase(Locale.ROOT));
    }

    private static CloneCheck.Facts clones(AgentConfig config, Sources sources, MachineSide machine) throws Exception {
        String id = machine.machineId();
        String digest = HostCard.digest(id);
        String own =
                status(sources).map(status -> status.lockspace().hostName()).orElse("");
        if (!own.isEmpty() && !id.isEmpty() && Files.isDirectory(config.leaseDir())) {
            HostCard.leave(config.leaseDir(), own, digest);
        }
        return new CloneCheck.Facts(
                id, digest, own, sources.peers().look().hosts(), MachineSide.cards(config.leaseDir()));
    }

    private static Optional<StatusReport> status(Sources sources) {
        try {
            return Optional.of(sources.status().look());
        } catch (Exception e) {
            return Optional.empty(); // the check of the agent says so
        }
    }

    private static @Nullable Long lastCall(Sources sources) {
        return status(sources)
                .map(StatusReport::hook)
                .map(StatusReport.Hook::lastCallSecondsAgo)
                .map(ago -> sources.wallSeconds().get() - ago.longValue())
                .orElse(null);
    }

    private static String word(WatchdogChoice choice) {
        if (choice instanceof WatchdogChoice.Device device) {
            return device.path().toString();
        }
        return choice instanceof WatchdogChoice.Wdmd ? "wdmd" : choice instanceof WatchdogChoice.None ? "none" : "auto";
    }
}
