/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.testing.FakeClock;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.BuiltDirectory;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Who has a disk, asked by its name or by a domain that uses it, on a real lease directory. */
class WhohasCommandTest {
    private static final String RESOURCE = "rbd-746858f073523546f745135cf50b4e21edac40f0";
    private static final String UUID = "11111111-1111-1111-1111-111111111111";
    private static final LeaseNote NOTE = new LeaseNote("demo1", UUID, "vda (rbd:rbd/vm1)", "node-b", 1_767_225_600);
    private static final String HOLDER = "domain demo1 on node-b since 2026-01-01T00:00:00Z; ";

    @TempDir(factory = UnderTarget.class)
    private Path dir;

    @TempDir
    private Path run;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @BeforeEach
    void oneDiskInUse() {
        new BuiltDirectory(dir, LeaseLayout.SECTOR_512)
                .lockspace(10)
                .host(2, 1, "89abcdef-01234567.node-b", 2000)
                .resource(RESOURCE)
                .held(RESOURCE, new Owner(2, 1), 42, NOTE)
                .resource("dom-" + UUID)
                .held("dom-" + UUID, new Owner(2, 1), 1, NOTE);
    }

    private int run(String... arguments) throws IOException {
        return TestTools.run(dir, run.resolve("agent.sock"), new FakeClock(), pause -> {}, out, err, arguments);
    }

    @Test
    void theHolderOfADiskIsNamed() throws IOException {
        assertThat(run("whohas", "rbd:rbd/vm1:id=admin", UUID, "/images/never"))
                .as(err.toString())
                .isZero();
        assertThat(out.toString())
                .contains("rbd:rbd/vm1:id=admin\n", RESOURCE + "  rbd:rbd/vm1  " + HOLDER)
                .contains("domain  dom-" + UUID)
                .contains("file:/images/never  nobody: it was never taken");
    }

    @Test
    void programsGetTheLeaseItself() throws IOException {
        assertThat(run("whohas", "--json", "json:{\"driver\":\"rbd\",\"pool\":\"rbd\",\"image\":\"vm1\"}"))
                .isZero();
        JsonNode lease =
                new ObjectMapper().readTree(out.toString()).get("leases").get(0);
        assertThat(lease.get("resource").asText()).isEqualTo(RESOURCE);
        assertThat(lease.get("who").asText()).startsWith(HOLDER);
        assertThat(lease.get("lease").get("user").get("domain").asText()).isEqualTo("demo1");
    }

    @Test
    void whatCannotBeToldIsOne() throws IOException {
        assertThat(run("whohas", "rbd:nothing")).isEqualTo(1);
        assertThat(out.toString()).contains("cannot be told: the rbd source does not name POOL/IMAGE");
        assertThat(run("whohas", "fat:rw:/srv")).isEqualTo(1);
        assertThat(out.toString()).contains("cannot be told: it is no path, and no name of a kind that is known");
    }

    @Test
    void explainNamesTheHolderOfEachLeaseOfADomainThatRuns() throws IOException {
        Path status = Files.createDirectory(run.resolve("status"));
        Files.writeString(
                status.resolve("demo1.xml"),
                "<domstatus state='running'><domain type='kvm'><name>demo1</name><uuid>" + UUID
                        + "</uuid><devices><disk type='network'><source protocol='rbd' name='rbd/vm1'/><target dev='vda'/></disk>"
                        + "<disk><source file='/b'/><target dev='vdb'/></disk></devices></domain></domstatus>");
        assertThat(run("explain", "--on", "demo1", "--who")).as(err.toString()).isZero();
        assertThat(out.toString()).contains("WHO\n", HOLDER, "file:/b      nobody: it was never taken");
        assertThat(run("explain", "--on", "../demo1")).isEqualTo(2);
        assertThat(err.toString()).contains("no such file");
    }

    @Test
    void aDirectoryThatCannotBeReadIsTwo() throws IOException {
        assertThat(run("whohas", "--dir", dir + "/gone", "rbd:rbd/vm1")).isEqualTo(2);
        assertThat(err.toString()).startsWith("vmguard: ");
    }
}
