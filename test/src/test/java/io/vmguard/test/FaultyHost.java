/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Capability;
import com.github.dockerjava.api.model.Device;
import com.github.dockerjava.api.model.Volume;
import io.vmguard.lease.LeaseFault;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.testcontainers.containers.wait.strategy.Wait;

/**
 * Our engine in a container whose lease directory is {@code stall-dir} on the directory that the other hosts use directly: its storage
 * fails for it alone, as told.
 */
final class FaultyHost extends TestContainer {
    /** Where it sees the leases; for the paths in its messages. */
    static final String LEASES = "/vmstore";

    private static final String CONTROL = "/control";
    private static final Pattern CANNOT_TELL = Pattern.compile("CannotTell\\[fault=(\\w+)");

    private final SharedDir control;
    private final ExecutorService asking = Executors.newCachedThreadPool();

    private FaultyHost(SharedDir leases, SharedDir control, EngineClassPath classPath, String lockspace, int hostId) {
        super(
                "faulty",
                "faulty",
                Wait.forLogMessage(".*listening.*", 1).withStartupTimeout(Duration.ofSeconds(60)),
                create -> create.getHostConfig()
                        .withNetworkMode("none")
                        .withCapAdd(Capability.SYS_ADMIN)
                        .withSecurityOpts(List.of("seccomp=unconfined", "apparmor=unconfined"))
                        .withDevices(Device.parse("/dev/fuse"))
                        .withBinds(binds(leases, control, classPath)),
                "sh",
                "-c",
                "mkdir %1$s && stall-dir /shared %1$s %2$s/fault && exec java -cp %3$s %4$s %1$s /run/host %5$s %6$d %7$d %2$s/socket"
                        .formatted(
                                LEASES,
                                CONTROL,
                                classPath.inContainer(),
                                EngineServer.class.getName(),
                                lockspace,
                                Site.T,
                                hostId));
        this.control = control;
    }

    private static List<Bind> binds(SharedDir leases, SharedDir control, EngineClassPath classPath) {
        List<Bind> binds = new ArrayList<>(classPath.binds());
        binds.add(new Bind(leases.toString(), new Volume("/shared")));
        binds.add(new Bind(control.toString(), new Volume(CONTROL)));
        return binds;
    }

    /** A member under this host id, on storage without a fault. The lockspace must be there. */
    static FaultyHost member(SharedDir leases, String lockspace, int hostId) {
        FaultyHost host = new FaultyHost(leases, SharedDir.create("control"), new EngineClassPath(), lockspace, hostId);
        host.boot();
        host.ask("join");
        Eventually.await("the faulty host to be a member", Site.SOON, () -> {
            if (!host.ask("member").equals("true")) {
                throw new AssertionError(host.ask("events"));
            }
            return true;
        });
        return host;
    }

    /** From now on, as {@code stall-dir} understands it: {@code stallw R1}; {@code ok} ends it. */
    void fault(String mode) {
        try {
            // In one step, so that nobody reads half of it.
            Path written = Files.writeString(control.resolve("fault.new"), mode + "\n");
            Files.move(written, control.resolve("fault"), java.nio.file.StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Asks the engine; see {@link EngineServer}. */
    String ask(String request) {
        return EngineServer.ask(control.resolve("socket"), request);
    }

    /** The same without waiting for the answer. */
    CompletableFuture<String> askLater(String request) {
        return CompletableFuture.supplyAsync(() -> ask(request), asking);
    }

    /** This host as one that races for a resource. A release that fails is the engine's to finish. */
    Race.Racer racer(String resource) {
        return new Race.Racer() {
            @Override
            public int acquire(boolean shared) {
                String answer = ask("acquire " + resource);
                Matcher cannotTell = CANNOT_TELL.matcher(answer);
                if (cannotTell.lookingAt()) {
                    return LeaseFault.valueOf(cannotTell.group(1)).code();
                }
                return answer.startsWith("Acquired") ? SanlockHost.HELD : SanlockHost.IDLIVE;
            }

            @Override
            public void release() {
                ask("release " + resource);
            }
        };
    }

    /** Waits until the engine has said something that begins so. */
    String awaitEvent(String beginning, Duration limit) {
        return Eventually.get("the faulty host to say " + beginning, limit, () -> {
            List<String> events = List.of(ask("events").split(" \\| "));
            if (events.stream().noneMatch(e -> e.startsWith(beginning))) {
                throw new AssertionError("it said " + events);
            }
            return events.stream().filter(e -> e.startsWith(beginning)).findFirst();
        });
    }

    long renewedMillisAgo() {
        return Long.parseLong(ask("renewedMillisAgo"));
    }

    @Override
    public void close() {
        // Held I/O would keep the process from ending.
        fault("ok");
        super.close();
        asking.shutdownNow();
        control.close();
    }
}
