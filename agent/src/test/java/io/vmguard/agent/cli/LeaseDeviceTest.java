/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.testing.SilentListener;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.engine.EngineSettings;
import io.vmguard.lease.engine.HostIdentity;
import io.vmguard.lease.engine.LeaseEngine;
import io.vmguard.lease.testing.Await;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The lease commands on a device, with an engine that is configured as the agent's is; a plain file stands for the device. */
@Timeout(120)
class LeaseDeviceTest {
    private static final LeaseName LS = new LeaseName("__LIBVIRT__DISKS__");
    private static final LeaseName LEASE = new LeaseName("rbd-0001");
    private static final LeaseNote NOTE = new LeaseNote(
            "demo1", "7b1c6b1e-4a57-4a3b-9d26-1f6a0b8c2d3e", "vda (rbd:rbd/vm1)", "node-a", 1_700_000_000);
    private static final int AREAS = 6;
    private static final int MIB = 1 << 20;

    @TempDir(factory = UnderTarget.class)
    Path dir;

    private StringWriter out = new StringWriter();
    private StringWriter err = new StringWriter();

    private int run(String... arguments) throws IOException {
        out = new StringWriter();
        err = new StringWriter();
        return TestTools.run(
                dir.resolve("device"), dir.resolve("agent.sock"), new LinuxClock(), pause -> {}, out, err, arguments);
    }

    private void blank() throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(dir.resolve("device").toFile(), "rw")) {
            file.setLength((AREAS + 1L) * MIB);
        }
    }

    private LeaseEngine engine() throws Exception {
        LeaseEngine engine = LeaseEngine.open(
                new EngineSettings(
                        LS,
                        Timeouts.ofSeconds(1),
                        OptionalInt.empty(),
                        HostIdentity.ofThisMachine(dir.resolve("state"), new Random()),
                        dir.resolve("run"),
                        dir.resolve("state")),
                dir.resolve("device"),
                new Random(),
                new SilentListener());
        engine.join();
        Await.until("membership", Duration.ofSeconds(30), engine::member);
        return engine;
    }

    @ParameterizedTest
    @ValueSource(strings = {"512", "4096"})
    void aDeviceIsMadeUsedListedShownAndExplained(String sector) throws Exception {
        blank();
        assertThat(run("lease", "init", "--sector", sector, "--io-timeout", "1s"))
                .as(err.toString())
                .isZero();
        assertThat(out.toString()).startsWith("made lockspace __LIBVIRT__DISKS__ in " + dir.resolve("device") + ": ");
        assertThat(run("lease", "init", "--sector", sector)).isEqualTo(1);
        assertThat(err.toString()).contains("it is not empty: there is data at offset 0");

        try (LeaseEngine engine = engine()) {
            assertThat(engine.acquire(LEASE, NOTE).get(30, TimeUnit.SECONDS))
                    .isInstanceOf(AcquireResult.Acquired.class);
            // The note is written after the answer.
            Await.until("the note", Duration.ofSeconds(20), () -> {
                try {
                    run("lease", "list");
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
                return out.toString().contains("demo1: vda (rbd:rbd/vm1)");
            });
            assertThat(out.toString()).contains(LEASE + "  ", "held", "vmguard-names");

            assertThat(run("lease", "list", "--json")).isZero();
            JsonNode leases = new ObjectMapper().readTree(out.toString()).get("leases");
            assertThat(leases).extracting(lease -> lease.get("name").asText()).contains(LEASE.value(), "vmguard-names");

            assertThat(run("lease", "show", LEASE.value())).isZero();
            assertThat(out.toString()).contains("demo1");
            assertThat(run("lease", "dump", LEASE.value())).isZero();
            assertThat(out.toString()).contains(dir.resolve("device") + ":" + 2 * MIB);
            assertThat(run("hosts")).isZero();
            assertThat(run("lease", "gc")).isEqualTo(2);
            assertThat(err.toString()).contains("is a file with areas: a lease keeps its area there for good");
        }
    }

    @Test
    void asManyAreasAsWereAskedFor() throws IOException {
        blank();
        assertThat(run("lease", "init", "--areas", "7")).isEqualTo(1);
        assertThat(err.toString()).contains("room for 6 areas");
        assertThat(run("lease", "init", "--areas", "3")).isZero();
        assertThat(run("lease", "list")).isZero();
        assertThat(out.toString()).contains("1 lease: ");
    }

    @Test
    void anEmptyDeviceIsSaidToBeEmpty() throws IOException {
        blank();
        assertThat(run("lease", "list")).isEqualTo(2);
        assertThat(err.toString()).contains("the device is empty. Make one with vmguard lease init");
    }

    @Test
    void aFileThatIsNoLockspaceIsSaidToBeAFile() throws IOException {
        Files.writeString(dir.resolve("device"), "lease_dir: here\n");
        for (String[] command :
                new String[][] {{"lease", "list"}, {"hosts"}, {"lease", "gc"}, {"lease", "show", LEASE.value()}}) {
            assertThat(run(command)).as(String.join(" ", command)).isEqualTo(2);
            assertThat(err.toString())
                    .as(String.join(" ", command))
                    .contains(
                            "It is a file, neither a directory nor a block device: is lease_dir right?",
                            "The directory that it is in is " + dir);
        }
    }

    @Test
    void aDirectoryHasNoAreas() throws IOException {
        Files.createDirectory(dir.resolve("device"));
        assertThat(run("lease", "init", "--areas", "3")).isEqualTo(1);
        assertThat(err.toString()).contains("areas are made in it as they are needed");
    }
}
