/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.events.EventAppender;
import io.vmguard.agent.events.EventLog;
import io.vmguard.agent.hook.EventsHandler;
import io.vmguard.agent.hook.HookServer;
import io.vmguard.agent.testing.SampleServer;
import io.vmguard.lease.device.linux.LinuxClock;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** From a line of the log to {@code vmguard events}, over a real socket. */
@Timeout(60)
@SuppressWarnings("try") // a server is there to be asked over its socket
class EventsTest {
    private static final Logger LOG = LogManager.getLogger(EventsTest.class);

    @TempDir
    private Path dir;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private HookServer serve(EventLog log, String instance) throws IOException {
        HookServer server = SampleServer.with(dir.resolve("agent.sock"), new EventsHandler(log, instance));
        server.start();
        return server;
    }

    /** @param between what happens between two looks; with none left the follower is interrupted */
    private int run(Deque<LeaseTools.Pause> between, PrintWriter to, String... arguments) {
        LeaseTools real = TestTools.tools();
        LeaseTools tools = new LeaseTools(
                real.inspectors(),
                real.makers(),
                new LinuxClock(),
                pause -> {
                    LeaseTools.Pause next = between.poll();
                    if (next == null) {
                        throw new InterruptedException();
                    }
                    next.of(pause);
                },
                "");
        String[] all = java.util.Arrays.copyOf(arguments, arguments.length + 2);
        all[arguments.length] = "--socket";
        all[arguments.length + 1] = dir.resolve("agent.sock").toString();
        int code = new CommandLine(new EventsCommand(tools))
                .setOut(to)
                .setErr(new PrintWriter(err, true))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .execute(all);
        boolean wasInterrupted = Thread.interrupted(); // ours, and not for the next one
        assertThat(wasInterrupted || code != 0 || between.isEmpty()).isTrue();
        return code;
    }

    @Test
    void linesWithACodeAreEventsAndOthersAreNot() throws Exception {
        EventLog log = new EventLog(10);
        EventAppender appender = EventAppender.attach(log);
        try (HookServer server = serve(log, "one")) {
            LOG.warn("VG-999 {} is {}", "all", "well");
            LOG.warn("nothing with a code");
            assertThat(run(new ArrayDeque<>(), new PrintWriter(out))).isZero();
        } finally {
            appender.detach();
        }
        LOG.warn("VG-999 after the end");
        assertThat(out.toString()).matches("20[0-9-]+T[0-9:]+Z WARN VG-999 all is well\n");
        assertThat(log.after(0)).hasSize(1);
    }

    @Test
    void jsonIsOneDocumentWithItsFormatOnEachLine() throws Exception {
        EventLog log = new EventLog(10);
        EventAppender appender = EventAppender.attach(log);
        try (HookServer server = serve(log, "one")) {
            LOG.error("VG-998 a\u001b[2Jb");
            assertThat(run(new ArrayDeque<>(), new PrintWriter(out), "--json")).isZero();
        } finally {
            appender.detach();
        }
        var event = new ObjectMapper().readTree(out.toString());
        assertThat(event.fieldNames())
                .toIterable()
                .containsExactly("format", "seq", "time", "level", "code", "message");
        assertThat(event.path("level").asText()).isEqualTo("error");
    }

    @Test
    void followingGoesOnOverARestartOfTheAgentAndMissesNothing() throws Exception {
        EventLog first = new EventLog(10);
        EventLog second = new EventLog(10);
        EventAppender appender = EventAppender.attach(first);
        HookServer[] server = {serve(first, "one")};
        LOG.warn("VG-900 first");
        Deque<LeaseTools.Pause> between = new ArrayDeque<>(List.of(
                pause -> LOG.warn("VG-900 second"),
                pause -> {
                    server[0].close();
                    appender.detach();
                },
                pause -> {
                    try {
                        server[0] = serve(second, "two");
                    } catch (IOException e) {
                        throw new AssertionError(e);
                    }
                },
                pause -> {
                    EventAppender again = EventAppender.attach(second);
                    LOG.warn("VG-900 third");
                    again.detach();
                }));
        assertThat(run(between, new PrintWriter(out), "--follow")).isZero();
        server[0].close();
        assertThat(out.toString().lines().map(line -> line.replaceFirst(".* VG-900 ", "")))
                .containsExactly("first", "second", "third");
        assertThat(err.toString()).containsOnlyOnce("the agent does not answer").contains("waiting for it");
    }

    @Test
    void aReaderThatGoesAwayEndsTheFollowing() throws Exception {
        EventLog log = new EventLog(10);
        AtomicInteger writes = new AtomicInteger();
        try (HookServer server = serve(log, "one")) {
            EventAppender appender = EventAppender.attach(log);
            LOG.warn("VG-900 one");
            appender.detach();
            PrintWriter closed = new PrintWriter(
                    new OutputStream() {
                        @Override
                        public void write(int b) throws IOException {
                            writes.incrementAndGet();
                            throw new IOException("Broken pipe");
                        }
                    },
                    true);
            assertThat(run(new ArrayDeque<>(), closed, "-f")).isZero();
        }
        assertThat(writes).hasPositiveValue();
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void onlyTheLatestAreKept() {
        EventLog log = new EventLog(3);
        EventAppender appender = EventAppender.attach(log);
        for (int i = 0; i < 5; i++) {
            LOG.warn("VG-900 {}", i);
        }
        appender.detach();
        assertThat(log.after(0)).extracting(event -> event.message()).containsExactly("2", "3", "4");
        assertThat(log.after(4)).extracting(event -> event.message()).containsExactly("4");
        assertThat(log.after(5)).isEmpty();
    }
}
