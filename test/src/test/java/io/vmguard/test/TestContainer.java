/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.command.CreateContainerCmd;
import com.github.dockerjava.api.exception.NotFoundException;
import com.github.dockerjava.api.exception.NotModifiedException;
import java.time.Duration;
import java.util.Arrays;
import java.util.UUID;
import java.util.function.Consumer;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.WaitStrategy;
import org.testcontainers.utility.DockerImageName;

/**
 * One container of the test image, whatever its role. Removed by {@link #close}, and by {@code test/infra/cleanup.sh} if the test run
 * is killed: all carry the label {@value #LABEL}.
 */
public abstract class TestContainer implements AutoCloseable {
    /** On every container; its value is the role. */
    public static final String LABEL = "io.vmguard.test";

    /** The image that this checkout's {@code build-images.sh} printed; another checkout may have tagged its own as the latest. */
    static final String IMAGE = System.getenv().getOrDefault("VMGUARD_TEST_IMAGE", "vmguard-testhost:latest");

    /**
     * No command of a test takes longer unless it says so: a host that has just booted lets libvirt's clients wait until it is a member of its
     * lockspace again, most of a minute with the default times.
     */
    private static final Duration COMMAND_LIMIT = Duration.ofMinutes(3);

    private final String name;
    private final GenericContainer<?> container;

    /**
     * Describes the container; {@link #boot} runs it.
     *
     * @param name host name in the container; the container's own name gets a random part, so that runs do not collide
     */
    TestContainer(String role, String name, WaitStrategy ready, Consumer<CreateContainerCmd> shape, String... command) {
        this(IMAGE, role, name, ready, shape, command);
    }

    /** The same of another image. */
    TestContainer(
            String image,
            String role,
            String name,
            WaitStrategy ready,
            Consumer<CreateContainerCmd> shape,
            String... command) {
        this.name = name;
        String containerName =
                "vmguard-it-" + name + "-" + UUID.randomUUID().toString().substring(0, 8);
        this.container = new GenericContainer<>(DockerImageName.parse(image))
                .withImagePullPolicy(any -> false)
                .withLabel(LABEL, role)
                .withCreateContainerCmdModifier(create -> {
                    create.withName(containerName).withHostName(name);
                    shape.accept(create);
                })
                .waitingFor(ready);
        if (command.length > 0) {
            container.withCommand(command);
        }
    }

    /** Starts it and returns once it is ready for use; leaves nothing behind if it fails. */
    void boot() {
        try {
            container.start();
        } catch (RuntimeException | Error e) {
            container.close();
            throw e;
        }
    }

    /** Whether the tests have what they need: a Docker engine and the image. Empty if so, else what is missing and what to do. */
    static String missing() {
        if (!DockerClientFactory.instance().isDockerAvailable()) {
            return "no Docker engine answers: eval \"$(test/infra/docker-up.sh)\"";
        }
        try {
            DockerClientFactory.lazyClient().inspectImageCmd(IMAGE).exec();
            return "";
        } catch (NotFoundException e) {
            return "there is no image " + IMAGE + ": run test/infra/build-images.sh";
        }
    }

    /** Host name in the container. */
    public String name() {
        return name;
    }

    /** Docker's id of it. */
    public String id() {
        return container.getContainerId();
    }

    /** Runs a command, at most three minutes. */
    public Ran run(String... command) {
        return run(COMMAND_LIMIT, command);
    }

    public Ran run(Duration limit, String... command) {
        return spawn(command).awaitEnd(limit);
    }

    /** Runs a shell script, at most three minutes. */
    public Ran sh(String script) {
        return run("sh", "-c", script);
    }

    public Ran sh(Duration limit, String script) {
        return run(limit, "sh", "-c", script);
    }

    /** Starts a command and does not wait for it. */
    public Running spawn(String... command) {
        return Running.start(docker(), id(), command);
    }

    /** Pulls the plug: every process in it is killed at once. */
    public void powerOff() {
        docker().killContainerCmd(id()).exec();
        Eventually.await(name + " to be off", Duration.ofSeconds(20), () -> !isOn());
    }

    /** Boots it again after {@link #powerOff}; its disk is as it was, its memory file systems are empty. Does not wait for readiness. */
    public void powerOn() {
        try {
            docker().startContainerCmd(id()).exec();
        } catch (NotModifiedException e) {
            throw new IllegalStateException(name + " is on", e);
        }
    }

    public boolean isOn() {
        return Boolean.TRUE.equals(
                docker().inspectContainerCmd(id()).exec().getState().getRunning());
    }

    /** Stops every process in it where it stands, as a hypervisor that pauses a machine does. */
    public void freeze() {
        docker().pauseContainerCmd(id()).exec();
    }

    public void thaw() {
        docker().unpauseContainerCmd(id()).exec();
    }

    /** What its first process has printed. */
    public String log() {
        return container.getLogs();
    }

    private static DockerClient docker() {
        return DockerClientFactory.lazyClient();
    }

    @Override
    public void close() {
        container.close();
    }

    @Override
    public String toString() {
        return name + " (" + Arrays.toString(container.getCommandParts()) + ")";
    }
}
