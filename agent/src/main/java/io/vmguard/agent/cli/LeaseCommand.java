/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

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

    /** With all its subcommands. */
    public static CommandLine commandLine(LeaseTools tools) {
        CommandLine line = new CommandLine(new LeaseCommand());
        line.addSubcommand(new LeaseInitCommand(tools));
        line.addSubcommand(new LeaseListCommand(tools));
        line.addSubcommand(new LeaseShowCommand(tools));
        line.addSubcommand(new LeaseDumpCommand(tools));
        line.addSubcommand(new LeaseGcCommand(tools));
        line.addSubcommand(new LeaseReleaseCommand(tools));
        return line;
    }

    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }
}
