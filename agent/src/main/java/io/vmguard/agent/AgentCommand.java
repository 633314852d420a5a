/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.config.ConfigLoader;
import io.vmguard.agent.derive.FileTrouble;
import io.vmguard.agent.systemd.KeptDescriptors;
import io.vmguard.agent.systemd.ReadinessSocket;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Runs the agent in the foreground until it is told to stop. */
@Command(
        name = "agent",
        description = "Run the agent in the foreground. The service vmguard does this.",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:it was told to stop and did",
            "1:something that it needs on this host cannot be used, or another agent runs",
            "78:the configuration is wrong; every problem was printed",
            "79:it was told to stop for good (vmguard stop), and must not be started again by itself"
        })
final class AgentCommand implements Callable<Integer> {
    private static final int CANNOT_RUN = 1;
    /** No code of sysexits.h. The service manager does not start the agent again, and takes it for a success. */
    private static final int STOPPED_FOR_GOOD = 79;

    private static final int BAD_CONFIG = 78; // EX_CONFIG of sysexits.h: the service manager does not try again

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Option(
            names = "--config",
            paramLabel = "FILE",
            description = "Configuration file (default: /etc/vmguard/vmguard.yaml).")
    private @Nullable Path config;

    @Override
    public Integer call() throws InterruptedException {
        PrintWriter err = spec.commandLine().getErr();
        AgentConfig settings;
        try {
            settings = config != null ? ConfigLoader.loadNamed(config) : ConfigLoader.load(ConfigLoader.DEFAULT_FILE);
        } catch (ConfigException e) {
            e.problems().forEach(problem -> err.println("vmguard: " + problem));
            err.println("vmguard: not started: the configuration is wrong");
            return BAD_CONFIG;
        }
        Thread.setDefaultUncaughtExceptionHandler(AgentCommand::uncaught);
        try {
            AgentDaemon daemon = new AgentDaemon(
                    settings,
                    ReadinessSocket.of(System.getenv()),
                    KeptDescriptors.of(System.getenv(), ProcessHandle.current().pid()));
            Runtime.getRuntime()
                    .addShutdownHook(new Thread(
                            () -> {
                                daemon.close();
                                LogManager.shutdown();
                            },
                            "vmguard-stop"));
            daemon.start();
            daemon.awaitStop();
            return STOPPED_FOR_GOOD;
        } catch (IOException e) {
            err.println("vmguard: not started: " + FileTrouble.of(e));
            return CANNOT_RUN;
        } catch (IllegalStateException e) {
            err.println("vmguard: not started: " + e.getMessage());
            return CANNOT_RUN;
        }
    }

    /**
     * A guard without its thread, or a JVM in disorder, must not look alive and renew: it ends, and is started again while its leases are
     * good.
     */
    private static void uncaught(Thread thread, Throwable e) {
        log().fatal("VG-901 internal error in {}", thread.getName(), e);
        boolean vital =
                thread.getName().equals("vmguard-guard") || thread.getName().equals("vmguard-membership");
        if (e instanceof Error || vital) {
            Main.halt();
        }
    }

    /** Not a constant: every command makes this one to show it in the help, and would load the logging for it. */
    private static Logger log() {
        return LogManager.getLogger(AgentCommand.class);
    }
}
