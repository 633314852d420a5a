/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.lease.device.linux.LeaseDirectory;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.ReadOnlyDirectory;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LockspaceMaker;
import io.vmguard.lease.time.LeaseClock;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.Random;
import picocli.CommandLine;

/** The lease commands on real directories, with the test's clock. */
final class TestTools {
    private TestTools() {}

    /** Runs a command as the executable would. */
    static int run(LeaseClock clock, LeaseTools.Pause pause, StringWriter out, StringWriter err, String... arguments) {
        LinuxClock real = new LinuxClock();
        LeaseTools tools = new LeaseTools(
                TestTools::inspector,
                dir -> new LockspaceMaker(inspector(dir), new LeaseDirectory(dir, real, new Random(1))),
                clock,
                pause,
                "alice");
        CommandLine line =
                new CommandLine(CommandLine.Model.CommandSpec.create().name("vmguard"));
        line.addSubcommand(new HostsCommand(tools));
        line.addSubcommand(LeaseCommand.commandLine(tools));
        return line.setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err, true))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .execute(arguments);
    }

    static LeaseInspector inspector(Path dir) {
        return new LeaseInspector(new ReadOnlyDirectory(dir, new LinuxClock()));
    }
}
