/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** The commands about lease directories. */
@Command(
        name = "lease",
        description = {
            "Look at leases, and put in order what hosts have left behind.",
            "list, show and dump need neither an agent nor a membership, and change nothing."
        },
        synopsisSubcommandLabel = "COMMAND")
public final class LeaseCommand implements Runnable {
    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    private LeaseCommand() {}

    /**
     * With its subcommands.
     *
     * @param asked only this one, if there is one of that name: the others cost time as well
     */
    public static CommandLine commandLine(LeaseTools tools, String asked) {
        Map<String, Supplier<Object>> commands = new LinkedHashMap<>();
        commands.put("init", () -> new LeaseInitCommand(tools));
        commands.put("list", () -> new LeaseListCommand(tools));
        commands.put("show", () -> new LeaseShowCommand(tools));
        commands.put("dump", () -> new LeaseDumpCommand(tools));
        commands.put("gc", () -> new LeaseGcCommand(tools));
        commands.put("release", () -> new LeaseReleaseCommand(tools));
        if (commands.containsKey(asked)) {
            commands.keySet().retainAll(Set.of(asked));
        }
        CommandLine line = new CommandLine(new LeaseCommand());
        commands.forEach((name, command) -> line.addSubcommand(name, command.get()));
        return line;
    }

    /** What everybody asks first has a short name of its own: {@code vmguard leases} is {@code vmguard lease list}. */
    public static CommandLine leases(LeaseTools tools) {
        CommandLine line = new CommandLine(new LeaseListCommand(tools));
        line.getCommandSpec().name("leases");
        return line;
    }

    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }
}
