/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.derive.LeaseDeriver;
import io.vmguard.agent.derive.VolumeResolver;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LockspaceMaker;
import io.vmguard.lease.location.LeaseLocation;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import picocli.CommandLine;

/** The lease commands on real directories, with the test's clock. */
final class TestTools {
    private TestTools() {}

    /** Runs a command as the executable would, with the configuration of this lease directory and socket beside that socket. */
    static int run(
            Path dir,
            Path socket,
            LeaseClock clock,
            LeaseTools.Pause pause,
            StringWriter out,
            StringWriter err,
            String... arguments)
            throws IOException {
        Path config = Files.writeString(
                socket.resolveSibling("vmguard.yaml"), "lease_dir: " + dir + "\nsocket: " + socket + "\n");
        List<String> all = new ArrayList<>(List.of(arguments));
        all.addAll(List.of("--config", config.toString()));
        LeaseTools tools = tools(clock, pause);
        CommandLine line =
                new CommandLine(CommandLine.Model.CommandSpec.create().name("vmguard"));
        LeaseDeriver byName =
                LeaseDeriver.byName((pool, volume, mode) -> new VolumeResolver.CannotTell("no pools here"));
        line.addSubcommand(new WhohasCommand(tools, unused -> byName));
        line.addSubcommand(new ExplainCommand(
                InputStream.nullInputStream(), unused -> byName, tools, socket.resolveSibling("status")));
        line.addSubcommand(new HostsCommand(tools));
        line.addSubcommand(LeaseCommand.commandLine(tools, ""));
        return line.setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err, true))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .execute(all.toArray(String[]::new));
    }

    private static LeaseTools tools(LeaseClock clock, LeaseTools.Pause pause) {
        return new LeaseTools(
                TestTools::inspector,
                where -> new LockspaceMaker(
                        inspector(where),
                        new LeaseLocation(where, new LinuxClock(), new Random(1), Duration.ofSeconds(3))),
                clock,
                pause,
                "alice");
    }

    /** On the real clock, without patience. */
    static LeaseTools tools() {
        return tools(new LinuxClock(), pause -> {});
    }

    static LeaseInspector inspector(Path dir) {
        return new LeaseInspector(LeaseLocation.toLookAt(dir, new LinuxClock()));
    }
}
