/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.async.ResultCallback;
import com.github.dockerjava.api.command.ExecCreateCmdResponse;
import com.github.dockerjava.api.model.Frame;
import com.github.dockerjava.api.model.StreamType;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** A command under way in a container. Its output can be read while it runs. */
public final class Running {
    private final DockerClient docker;
    private final String execId;
    private final String command;
    private final ByteArrayOutputStream stdout = new ByteArrayOutputStream();
    private final ByteArrayOutputStream stderr = new ByteArrayOutputStream();
    private final CountDownLatch ended = new CountDownLatch(1);

    private Running(DockerClient docker, String execId, String command) {
        this.docker = docker;
        this.execId = execId;
        this.command = command;
    }

    static Running start(DockerClient docker, String containerId, String... command) {
        ExecCreateCmdResponse exec = docker.execCreateCmd(containerId)
                .withAttachStdout(true)
                .withAttachStderr(true)
                .withCmd(command)
                .exec();
        Running running = new Running(docker, exec.getId(), String.join(" ", command));
        docker.execStartCmd(exec.getId()).exec(running.new Output());
        return running;
    }

    private final class Output extends ResultCallback.Adapter<Frame> {
        @Override
        public void onNext(Frame frame) {
            ByteArrayOutputStream out = frame.getStreamType() == StreamType.STDERR ? stderr : stdout;
            out.writeBytes(frame.getPayload());
        }

        @Override
        public void onError(Throwable problem) {
            stderr.writeBytes(("(lost its output: " + problem + ")").getBytes(StandardCharsets.UTF_8));
            super.onError(problem);
            ended.countDown();
        }

        @Override
        public void onComplete() {
            super.onComplete();
            ended.countDown();
        }
    }

    /** What it has printed so far. */
    public String stdout() {
        return stdout.toString(StandardCharsets.UTF_8);
    }

    public String stderr() {
        return stderr.toString(StandardCharsets.UTF_8);
    }

    /** Its result, if it has ended. */
    public Optional<Ran> ended() {
        if (ended.getCount() > 0) {
            return Optional.empty();
        }
        Long code = docker.inspectExecCmd(execId).exec().getExitCodeLong();
        return code == null ? Optional.empty() : Optional.of(new Ran(command, code.intValue(), stdout(), stderr()));
    }

    /** @throws AssertionError if it does not end within the limit; it goes on then */
    public Ran awaitEnd(Duration limit) {
        try {
            boolean inTime = ended.await(limit.toMillis(), TimeUnit.MILLISECONDS);
            if (!inTime) {
                throw new AssertionError("still running after %d s: %s\nstdout: %s\nstderr: %s"
                        .formatted(limit.toSeconds(), command, stdout().strip(), stderr().strip()));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted while waiting for: " + command, e);
        }
        // The output may end a moment before the exit code is known.
        return Eventually.get("the exit code of: " + command, Duration.ofSeconds(10), this::ended);
    }
}
