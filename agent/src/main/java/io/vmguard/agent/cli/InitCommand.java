/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.config.ConfigText;
import io.vmguard.agent.derive.FileTrouble;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.identity.MountPoint;
import io.vmguard.agent.setup.Step;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.inspect.DirectoryInspection;
import io.vmguard.lease.inspect.Finding;
import io.vmguard.lease.inspect.LeaseInspector;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The first minutes on a host. */
@Command(
        name = "init",
        description = {
            "Set this host up: lease directory, agent, and a look at the other hosts.",
            "Says first what it will do; can be repeated, and does only what is missing."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:this host is a member of the lockspace with these settings, and sees the peers that were named",
            "1:it is not, or nothing was done; a sentence says why",
            "2:wrong usage or configuration"
        })
public final class InitCommand implements Callable<Integer> {
    private static final int NOT_DONE = 1;
    private static final int WRONG = 2;
    private static final Duration PEER_PAUSE = Duration.ofSeconds(1);

    private static final Set<String> OF_ONE_HOST =
            Set.of("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "overlay", "f2fs", "bcachefs", "jfs", "reiserfs");

    private static final Set<String> IN_MEMORY = Set.of("tmpfs", "ramfs", "rootfs", "devtmpfs");

    private final LeaseTools tools;
    private final DoctorCommand.Kit kit;
    private final InputStream in;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Mixin
    private AgentOptions agent = new AgentOptions();

    @Mixin
    private Plan plan = new Plan();

    @Option(
            names = "--lease-dir",
            paramLabel = "DIR",
            description = "Shared directory, or block device, for the leases (default: as configured).")
    private @Nullable Path leaseDir;

    @Option(
            names = "--io-timeout",
            paramLabel = "DURATION",
            description = "io_timeout, such as 10s; the same on all hosts.")
    private @Nullable String ioTimeout;

    @Option(
            names = "--peers",
            paramLabel = "HOST",
            split = ",",
            description =
                    "Other hosts that have been set up already, by their own names: they must be seen in the directory.")
    private List<String> peers = List.of();

    @Option(names = "--alone", description = "This host shares its disks with no other; any directory will do.")
    private boolean alone;

    /** @param in where the answer to its question comes from */
    public InitCommand(LeaseTools tools, DoctorCommand.Kit kit, InputStream in) {
        this.tools = tools;
        this.kit = kit;
        this.in = in;
    }

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        try {
            Map<String, String> settings = settings();
            AgentConfig now = agent.presentConfig();
            AgentConfig then = ConfigText.check(agent.file(), settings);
            Optional<String> unfit = unfit(then.leaseDir());
            if (unfit.isPresent()) {
                return complain(NOT_DONE, unfit.get());
            }
            Optional<StatusReport> running = ServiceControl.status(now.socket());
            boolean moves = running.isPresent()
                    && (!running.get().lockspace().dir().equals(then.leaseDir().toString())
                            || running.get().lockspace().ioTimeoutSeconds()
                                    != then.ioTimeout().toSeconds());
            if (moves && !running.get().domains().isEmpty()) {
                return complain(
                        NOT_DONE,
                        "domains run under leases in "
                                + running.get().lockspace().dir()
                                + ", which they would lose: stop them first, then repeat this");
            }
            List<Step> steps = steps(settings, now, then, running, moves);
            if (steps.isEmpty()) {
                out.println("nothing to do: " + agent.file() + " says so, and the agent is a member");
            } else if (plan.carryOut(steps, in, out, spec.commandLine().getErr()) != Plan.Outcome.DONE) {
                return NOT_DONE;
            }
            return show(then.socket());
        } catch (ConfigException e) {
            e.problems().forEach(problem -> complain(WRONG, problem));
            return WRONG;
        } catch (IOException e) {
            return complain(NOT_DONE, FileTrouble.of(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return complain(NOT_DONE, "interrupted");
        } finally {
            out.flush();
        }
    }

    private Map<String, String> settings() {
        Map<String, String> settings = new LinkedHashMap<>();
        if (leaseDir != null) {
            settings.put("lease_dir", leaseDir.toAbsolutePath().normalize().toString());
        }
        if (ioTimeout != null) {
            settings.put("io_timeout", ioTimeout);
        }
        return settings;
    }

    private List<Step> steps(
            Map<String, String> settings,
            AgentConfig now,
            AgentConfig then,
            Optional<StatusReport> running,
            boolean moves) {
        List<Step> steps = new ArrayList<>();
        ServiceControl service = new ServiceControl(kit.commands(), tools);
        if (!then.equals(now)) {
            steps.add(new Step(
                    "write " + settings + " into " + agent.file(), () -> ConfigText.change(agent.file(), settings)));
        }
        if (running.isEmpty() || !running.get().ready() || moves || !then.equals(now)) {
            steps.add(
                    running.isEmpty()
                            ? new Step(
                                    "start the agent, now and at each boot (systemctl enable --now vmguard-deadman vmguard)",
                                    () -> service.systemctl(
                                            "enable", "--now", "vmguard-deadman.service", "vmguard.service"))
                            : new Step(
                                    "restart the agent (systemctl restart vmguard); domains run on",
                                    () -> service.systemctl("restart", "vmguard.service")));
            steps.add(new Step(
                    "wait until it is a member of lockspace " + then.lockspace() + " in " + then.leaseDir()
                            + ", which it makes if it is the first",
                    () -> service.awaitReady(then.socket(), spec.commandLine().getOut())));
        }
        return steps;
    }

    /** Why leases cannot be kept there, as far as that is known before. */
    private Optional<String> unfit(Path dir) throws IOException, InterruptedException {
        if (!Files.exists(dir)) {
            return Optional.of(dir + " does not exist. If it is to be mounted, mount it; else mkdir -m 0700 -p " + dir);
        }
        if (Files.isRegularFile(dir)) {
            return Optional.of(
                    dir + " is a file, and neither a directory nor a block device. The directory that it is in is "
                            + dir.getParent());
        }
        if (!Files.isDirectory(dir)) {
            others(dir); // a device that has no leases yet says how to fill it
            return Optional.empty();
        }
        String type = MountPoint.of(kit.facts(), dir.toRealPath().toString())
                .map(MountPoint::type)
                .orElse("?");
        if (IN_MEMORY.contains(type)) {
            return Optional.of(dir + " is in this host's memory (" + type
                    + "), where no other host sees it and no reboot leaves it");
        }
        if (!alone && OF_ONE_HOST.contains(type) && others(dir).isEmpty()) {
            return Optional.of(
                    dir + " is on " + type
                            + ", a file system of one host, and no other host has ever joined there: it would keep "
                            + "only the domains of this host off each other's disks. If that is meant, say --alone; else mount what all hosts share");
        }
        return Optional.empty();
    }

    private List<StatusReport.Host> others(Path dir) throws IOException, InterruptedException {
        try {
            AgentConfig config = agent.presentConfig();
            DirectoryOptions.Place place = new DirectoryOptions.Place(config, dir, config.lockspace(), config.socket());
            DirectoryInspection looked = tools.inspectors()
                    .apply(dir)
                    .inspect(new LeaseName(config.lockspace()), LeaseInspector.Depth.HOLDERS);
            Optional<Finding> wrong = looked.resources().stream()
                    .flatMap(file -> file.findings().stream())
                    .findFirst();
            if (wrong.isPresent()) {
                throw new IOException(wrong.get().sentence()); // what cannot be read is not known to be empty
            }
            return HostLooks.of(tools, place, Duration.ZERO).hosts().stream()
                    .filter(host -> !host.self())
                    .toList();
        } catch (ConfigException e) {
            return List.of();
        }
    }

    /** The other hosts; waits for those that were named. */
    private int show(Path socket) throws InterruptedException {
        PrintWriter out = spec.commandLine().getOut();
        Optional<StatusReport> status = ServiceControl.status(socket);
        List<String> missing = missing(status);
        // A member renews every 2 T, and is live for us when it has done so before our eyes.
        long seconds =
                status.map(report -> 4 * report.lockspace().ioTimeoutSeconds()).orElse(0L);
        for (long i = 0; i < seconds && !missing.isEmpty(); i++) {
            tools.pause().of(PEER_PAUSE);
            status = ServiceControl.status(socket);
            missing = missing(status);
        }
        if (status.isEmpty() || !status.get().ready()) {
            return complain(NOT_DONE, "the agent is no member of the lockspace: vmguard status");
        }
        StatusReport.LockspaceStatus lockspace = status.get().lockspace();
        out.println("this host is host id " + lockspace.hostId() + " of lockspace " + lockspace.name() + " in "
                + lockspace.dir());
        List<StatusReport.Host> others =
                status.get().hosts().stream().filter(host -> !host.self()).toList();
        others.forEach(host ->
                out.println(OneLine.of("  sees host id " + host.hostId() + ": " + host.node() + ", " + host.status())));
        if (others.isEmpty()) {
            out.println("  sees no other host yet"
                    + (alone
                            ? ""
                            : "; repeat this there, with --peers "
                                    + status.get().agent().node()));
        }
        out.println("next: vmguard doctor");
        return missing.isEmpty()
                ? 0
                : complain(
                        NOT_DONE,
                        String.join(", ", missing) + " is not seen in " + lockspace.dir()
                                + ": its agent is down, or its directory is another one. On it: vmguard status");
    }

    private List<String> missing(Optional<StatusReport> status) {
        return peers.stream()
                .filter(peer -> status.stream()
                        .flatMap(report -> report.hosts().stream())
                        .noneMatch(host -> !host.self()
                                && host.node().equals(peer)
                                && host.status().equals("live")))
                .toList();
    }

    private int complain(int code, String text) {
        Complaint.print(spec.commandLine().getErr(), text);
        return code;
    }
}
