/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.config.ConfigText;
import io.vmguard.agent.derive.FileTrouble;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.doctor.Commands;
import io.vmguard.agent.setup.SanlockImport;
import io.vmguard.agent.setup.Step;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Moves a host from libvirt's sanlock plug-in to vmguard. */
@Command(
        name = "import-sanlock",
        description = {
            "Read the configuration of libvirt's sanlock plug-in, say what it comes to for vmguard, and how to move.",
            "Changes nothing without --apply. The leases stay where they are, and hosts of both kinds exclude each other."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:the proposal was shown; with --apply: this host was moved",
            "1:this host cannot be moved like this, or not now; a sentence says why",
            "2:wrong usage or configuration"
        })
public final class ImportSanlockCommand implements Callable<Integer> {
    private static final int NOT_DONE = 1;
    private static final int WRONG = 2;
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private final LeaseTools tools;
    private final Commands commands;
    private final InputStream in;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Mixin
    private AgentOptions agent = new AgentOptions();

    @Mixin
    private Plan plan = new Plan();

    @Option(
            names = "--libvirt-conf",
            paramLabel = "DIR",
            defaultValue = "/etc/libvirt",
            description = "Where qemu.conf and qemu-sanlock.conf are (default: ${DEFAULT-VALUE}).")
    private Path conf = Path.of("/etc/libvirt");

    @Option(
            names = "--libvirt-run",
            paramLabel = "DIR",
            hidden = true,
            defaultValue = "/run/libvirt/qemu",
            description = "Where libvirt keeps the status of running domains.")
    private Path run = Path.of("/run/libvirt/qemu");

    @Option(names = "--apply", description = "Do it on this host. No domain may run here.")
    private boolean apply;

    /** @param in where the answer to its question comes from */
    public ImportSanlockCommand(LeaseTools tools, Commands commands, InputStream in) {
        this.tools = tools;
        this.commands = commands;
        this.in = in;
    }

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        try {
            agent.presentConfig(); // a file that cannot be used now is no ground to build on
            Path qemuFile = conf.resolve("qemu.conf");
            Path sanlockFile = conf.resolve("qemu-sanlock.conf");
            if (!Files.exists(sanlockFile)) {
                return complain(
                        NOT_DONE,
                        sanlockFile
                                + " does not exist: libvirt's sanlock plug-in is not set up here. See: vmguard init");
            }
            String qemu = text(qemuFile);
            SanlockImport proposal = SanlockImport.of(qemu, text(sanlockFile));
            if (!proposal.obstacles().isEmpty()) {
                proposal.obstacles().forEach(obstacle -> complain(NOT_DONE, obstacle));
                return NOT_DONE;
            }
            AgentConfig then = ConfigText.check(agent.file(), proposal.settings());
            show(proposal, out);
            if (!apply) {
                explain(proposal.settings(), out);
                return 0;
            }
            List<String> domains = running();
            if (!domains.isEmpty()) {
                return complain(
                        NOT_DONE,
                        "domains run here, and sanlock holds their leases: migrate or stop them first, then repeat this. They are: "
                                + String.join(", ", domains));
            }
            return plan.carryOut(
                                    steps(proposal, then, qemuFile, qemu),
                                    in,
                                    out,
                                    spec.commandLine().getErr())
                            == Plan.Outcome.DONE
                    ? 0
                    : NOT_DONE;
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

    private static String text(Path file) throws IOException {
        try {
            return Files.readString(file);
        } catch (NoSuchFileException e) {
            return "";
        } catch (IOException e) {
            throw new IOException("cannot be read: " + FileTrouble.of(e), e);
        }
    }

    private List<String> running() throws IOException {
        if (!Files.isDirectory(run)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(run)) {
            return files.map(file -> String.valueOf(file.getFileName()))
                    .filter(name -> name.endsWith(".xml"))
                    .map(name -> name.substring(0, name.length() - 4))
                    .sorted()
                    .toList();
        }
    }

    private void show(SanlockImport proposal, PrintWriter out) {
        out.println(agent.file() + " would say:");
        proposal.settings().forEach((key, value) -> out.println(OneLine.of("  " + key + ": " + value)));
        proposal.notes().forEach(note -> out.println(OneLine.of("note: " + note)));
    }

    private static void explain(Map<String, String> settings, PrintWriter out) {
        out.println();
        out.println(
                "Host by host, in any order, with the others running on; at no moment is a disk without its lease:");
        out.println(
                "  1. Install the package. Its agent starts with a lease directory of its own (/var/lib/vmguard/leases) and");
        out.println("     guards beside sanlock, which goes on as before; domains run on, and starts need both.");
        out.println(
                "  2. Migrate this host's domains to hosts that are not moved yet, or stop them: their leases are sanlock's, and only");
        out.println("     sanlock can give them back.");
        out.println(
                "  3. vmguard import-sanlock --apply: takes sanlock off its lockspace and out of qemu.conf, and starts the agent under the");
        out.println(
                "     same host id. The agent holds the plug-in's leases as well as its own (compat), so hosts of both kinds exclude each");
        out.println("     other.");
        out.println(
                "  4. vmguard doctor, then start domains here. Migration between the two kinds is not possible: stop and start.");
        out.println("After the last host: compat: auto or none on all of them ("
                + settings.getOrDefault("lease_dir", "") + " stays as it is).");
    }

    /** In this order: whatever is interrupted leaves a host that starts nothing, never one that starts unguarded. */
    private List<Step> steps(SanlockImport proposal, AgentConfig then, Path qemuFile, String qemu) {
        ServiceControl service = new ServiceControl(commands, tools);
        List<Step> steps = new ArrayList<>();
        steps.add(new Step(
                "write these settings into " + agent.file(),
                () -> ConfigText.change(agent.file(), proposal.settings())));
        String id = proposal.settings().get("host_id");
        if (id != null) {
            String lockspace = then.lockspace() + ":" + id + ":" + then.leaseDir() + "/" + then.lockspace() + ":0";
            steps.add(new Step(
                    "take sanlock off the lockspace (sanlock client rem_lockspace), which frees the host id", () -> {
                        Commands.Result said =
                                commands.run(LIMIT, List.of("sanlock", "client", "rem_lockspace", "-s", lockspace));
                        boolean gone = said.exit() == 0
                                || !commands.run(LIMIT, List.of("sanlock", "client", "status"))
                                        .out()
                                        .contains("s " + then.lockspace() + ":");
                        if (!gone) {
                            throw new IOException(
                                    "sanlock keeps its lockspace: " + said.out().strip());
                        }
                    }));
        }
        if (!qemu.equals(SanlockImport.withoutLockManager(qemu))) {
            steps.add(new Step(
                    "take lock_manager out of " + qemuFile
                            + " (the old one is kept beside it, as qemu.conf.before-vmguard)",
                    () -> replace(qemuFile, qemu)));
        }
        steps.add(new Step(
                "start the agent, now and at each boot (systemctl enable --now vmguard-deadman vmguard)", () -> {
                    service.systemctl("enable", "vmguard-deadman.service", "vmguard.service");
                    service.systemctl("restart", "vmguard-deadman.service", "vmguard.service");
                }));
        steps.add(new Step(
                "wait until it is a member of lockspace " + then.lockspace(),
                () -> service.awaitReady(then.socket(), spec.commandLine().getOut())));
        steps.add(new Step(
                "restart libvirt (libvirtd or virtqemud): from then on the hook guards, not the plug-in",
                () -> restartLibvirt(service)));
        return steps;
    }

    /** Those of its daemons that this host has, if they run. */
    private void restartLibvirt(ServiceControl service) throws IOException, InterruptedException {
        for (String unit : List.of("libvirtd.service", "virtqemud.service")) {
            if (commands.run(LIMIT, List.of("systemctl", "cat", unit)).exit() == 0) {
                service.systemctl("try-restart", unit);
            }
        }
    }

    private static void replace(Path qemuFile, String qemu) throws IOException {
        Path before = qemuFile.resolveSibling("qemu.conf.before-vmguard");
        if (!Files.exists(before)) {
            Files.copy(qemuFile, before, StandardCopyOption.COPY_ATTRIBUTES);
        }
        Path fresh = qemuFile.resolveSibling("qemu.conf.vmguard-new");
        Files.copy(qemuFile, fresh, StandardCopyOption.COPY_ATTRIBUTES, StandardCopyOption.REPLACE_EXISTING);
        Files.writeString(fresh, SanlockImport.withoutLockManager(qemu));
        Files.move(fresh, qemuFile, StandardCopyOption.ATOMIC_MOVE);
    }

    private int complain(int code, String text) {
        Complaint.print(spec.commandLine().getErr(), text);
        return code;
    }
}
