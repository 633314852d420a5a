/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.Site.R1;
import static io.vmguard.test.Site.SOON;
import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Capability;
import com.github.dockerjava.api.model.Device;
import com.github.dockerjava.api.model.Volume;
import io.vmguard.lease.Timeouts;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.testcontainers.containers.wait.strategy.Wait;

/**
 * An engine is killed by SIGKILL while the kernel holds one of its threads in I/O on a file system that does not answer, so that it does
 * not go away; and the next one comes, in the same container. T is 3 s: a membership lasts for 24 s.
 */
@NeedsTestImage
class SuccessorIT {
    private static final int T = 3;
    private static final Timeouts TIMEOUTS = Timeouts.ofSeconds(T);
    private static final String R2 = "R2";

    private Host host;

    @BeforeEach
    void startHost() {
        host = new Host();
        host.boot();
    }

    @AfterEach
    void stopHost() {
        host.fault("ok");
        host.close();
    }

    /** A container with a lease directory that can hang, in which engines run one after the other. */
    private static final class Host extends TestContainer {
        private final SharedDir control;
        private final String classPath;
        private int engines;

        Host() {
            this(SharedDir.create("control"), new EngineClassPath());
        }

        private Host(SharedDir control, EngineClassPath classPath) {
            super(
                    "successor",
                    "successor",
                    Wait.forLogMessage(".*ready.*", 1).withStartupTimeout(Duration.ofSeconds(60)),
                    create -> create.getHostConfig()
                            .withNetworkMode("none")
                            .withInit(true)
                            .withCapAdd(Capability.SYS_ADMIN)
                            .withSecurityOpts(List.of("seccomp=unconfined", "apparmor=unconfined"))
                            .withDevices(Device.parse("/dev/fuse"))
                            .withTmpFs(Map.of("/run", ""))
                            .withBinds(binds(control, classPath)),
                    "sh",
                    "-c",
                    "mkdir /plain /vmstore && stall-dir /plain /vmstore /control/fault && echo ready && exec sleep 100000");
            this.control = control;
            this.classPath = classPath.inContainer();
        }

        private static List<Bind> binds(SharedDir control, EngineClassPath classPath) {
            List<Bind> binds = new ArrayList<>(classPath.binds());
            binds.add(new Bind(control.toString(), new Volume("/control")));
            return binds;
        }

        void fault(String mode) {
            sh("echo '" + mode + "' > /control/next && mv /control/next /control/fault")
                    .mustSucceed();
        }

        Engine engine() {
            return new Engine(++engines);
        }

        /** One process with an engine that was told to join. */
        final class Engine {
            private final Path socket;
            private final String pidFile;
            private final Running process;

            Engine(int number) {
                socket = control.resolve("socket" + number);
                pidFile = "/run/pid" + number;
                process = spawn(
                        "sh",
                        "-c",
                        "echo $$ > %s; exec java -XX:TieredStopAtLevel=1 -cp %s %s /vmstore /run/host LS %d auto /control/socket%d"
                                .formatted(pidFile, classPath, EngineServer.class.getName(), T, number));
                Eventually.await(
                        "an engine that answers",
                        SOON.multipliedBy(2),
                        () -> EngineServer.ask(socket, "join").equals("joining"));
            }

            String ask(String request) {
                return EngineServer.ask(socket, request);
            }

            Engine awaitMember() {
                Eventually.await("a member", SOON, () -> {
                    if (!ask("member").equals("true")) {
                        throw new AssertionError(ask("events"));
                    }
                    return true;
                });
                return this;
            }

            void awaitEvent(String beginning, Duration limit) {
                Eventually.await("an engine to say " + beginning, limit, () -> {
                    if (!(" | " + ask("events")).contains(" | " + beginning)) {
                        throw new AssertionError(ask("events"));
                    }
                    return true;
                });
            }

            /** By SIGKILL, while something of it hangs: it is still there afterwards. */
            void kill() {
                sh("kill -9 $(cat " + pidFile + ")").mustSucceed();
                Eventually.await(
                        "it to be a zombie with a thread in uninterruptible sleep",
                        SOON,
                        () -> sh("p=/proc/$(cat " + pidFile + "); grep -q '^State:.Z' $p/status &&"
                                        + " grep -q '^State:.D' $p/task/*/status")
                                .ok());
            }

            void awaitGone() {
                Eventually.await(
                        "the killed one to be gone",
                        SOON,
                        () -> !sh("test -d /proc/$(cat " + pidFile + ")/task").ok());
                assertThat(process).isNotNull();
            }
        }

        @Override
        public void close() {
            super.close();
            control.close();
        }
    }

    private Host.Engine holdingBoth() {
        Host.Engine engine = host.engine().awaitMember();
        assertThat(engine.ask("acquire " + R1)).startsWith("Acquired");
        assertThat(engine.ask("acquire " + R2)).startsWith("Acquired");
        return engine;
    }

    /** In a call of FUSE; it is in uninterruptible sleep only once it is to be killed. */
    private void awaitHang(String what) {
        Eventually.await(
                what + " to hang",
                SOON,
                () -> host.sh("grep -q request_wait_answer /proc/[0-9]*/task/*/wchan")
                        .ok());
    }

    @Test
    void whenTheStorageIsBackInTimeTheNextAgentContinuesTheSameGeneration() {
        Host.Engine killed = holdingBoth();
        String owner = killed.ask("owner");
        host.fault("stall");
        awaitHang("a renewal");
        killed.kill();

        Host.Engine next = host.engine();
        assertThat(next.ask("member")).isEqualTo("false");
        host.fault("ok");
        next.awaitMember();
        assertThat(next.ask("owner")).isEqualTo(owner);
        assertThat(next.ask("held")).contains(R1, R2);
        assertThat(next.ask("events"))
                .contains("resumed " + owner)
                .doesNotContain("lost")
                .doesNotContain("joined");
        killed.awaitGone();
    }

    @Test
    void whileOneFileHangsAllOtherLeasesGoOn() {
        Host.Engine killed = holdingBoth();
        String owner = killed.ask("owner");
        host.fault("stallw " + R1);
        java.util.concurrent.CompletableFuture<String> releasing =
                java.util.concurrent.CompletableFuture.supplyAsync(() -> killed.ask("release " + R1));
        awaitHang("the release");
        killed.kill();

        Host.Engine next = host.engine().awaitMember();
        assertThat(next.ask("owner")).isEqualTo(owner);
        assertThat(next.ask("held")).contains(R1, R2);
        assertThat(next.ask("acquire " + R2)).startsWith("Acquired");
        assertThat(next.ask("acquire R3")).startsWith("Acquired");
        long renewed = System.nanoTime();
        Eventually.await(
                "renewals to go on for longer than the killed one's lasted",
                TIMEOUTS.renewalFailed().plus(SOON),
                () -> System.nanoTime() - renewed
                        > TIMEOUTS.renewalFailed().plusSeconds(2).toNanos());
        assertThat(next.ask("member")).isEqualTo("true");
        assertThat(next.ask("held")).as("its user may live").contains(R1);
        host.fault("ok");
        killed.awaitGone();
        Eventually.await(
                "the release to be known",
                SOON,
                () -> !next.ask("held").contains(R1)
                        || next.ask("acquire " + R1).startsWith("Acquired"));
        assertThat(next.ask("events")).doesNotContain("lost");
        assertThat(releasing).isNotNull();
    }

    @Test
    void whileTheStorageStaysAwayTheNextAgentStopsTheUsersInTime() {
        Host.Engine killed = holdingBoth();
        String owner = killed.ask("owner");
        host.fault("stall");
        long stalledNanos = System.nanoTime();
        awaitHang("a renewal");
        killed.kill();

        Host.Engine next = host.engine();
        next.awaitEvent("previousLifeLost", TIMEOUTS.renewalFailed().plus(SOON));
        assertThat(Duration.ofNanos(System.nanoTime() - stalledNanos))
                .as("8 T from the last renewal, which began before the stall")
                .isLessThan(TIMEOUTS.renewalFailed().plusSeconds(2));
        next.ask("usersGone");
        assertThat(next.ask("member")).isEqualTo("false");
        host.fault("ok");
        killed.awaitGone();
        next.awaitMember();
        assertThat(next.ask("owner")).isNotEqualTo(owner);
        assertThat(next.ask("acquire " + R1)).startsWith("Acquired");
    }
}
