/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.statusfile;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DomainStatus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Changes of files in a directory, made as libvirt makes them, are told with their content; on a real directory. */
@Timeout(60)
class StatusFilesTest {
    @TempDir
    Path parent;

    private final BlockingQueue<Object> heard = new LinkedBlockingQueue<>();
    private final StatusFiles.Listener listener = new StatusFiles.Listener() {
        @Override
        public void status(DomainStatus status) {
            heard.add(status);
        }

        @Override
        public void noStatus(String name) {
            heard.add("gone " + name);
        }
    };
    private StatusFiles files;

    private Path start() throws IOException {
        Path directory = Files.createDirectories(parent.resolve("qemu"));
        files = new StatusFiles(directory, listener);
        files.start();
        return directory;
    }

    @AfterEach
    void close() {
        if (files != null) {
            files.close();
        }
    }

    @Test
    void whatIsThereIsToldAndEveryReplacementAndTheEnd() throws Exception {
        Path directory = Files.createDirectories(parent.resolve("qemu"));
        replace(directory, "demo1", "running", "none", "/a.img");
        start();
        assertThat(nextStatus().state()).isEqualTo("running");

        replace(directory, "demo1", "paused", "snapshot", "/b.img");
        DomainStatus paused = awaitState("paused");
        assertThat(paused.job()).isEqualTo("snapshot");
        assertThat(paused.pid()).isEqualTo(4711);
        assertThat(paused.domain().disks().toString()).contains("/b.img");

        Files.delete(directory.resolve("demo1.xml"));
        awaitText("gone demo1");
    }

    @Test
    void aDirectoryThatComesLaterIsFound() throws Exception {
        Path directory = parent.resolve("qemu");
        files = new StatusFiles(directory, listener);
        files.start();
        Files.createDirectories(directory);
        replace(directory, "demo1", "running", "none", "/a.img");
        assertThat(nextStatus().domain().name()).isEqualTo("demo1");
    }

    @Test
    void aDirectoryThatGoesAwayTakesItsDomainsWithIt() throws Exception {
        Path directory = start();
        replace(directory, "demo1", "running", "none", "/a.img");
        awaitState("running");
        Files.delete(directory.resolve("demo1.xml"));
        Files.delete(directory);
        awaitText("gone demo1");
        Files.createDirectories(directory);
        replace(directory, "demo2", "running", "none", "/a.img");
        assertThat(nextStatus().domain().name()).isEqualTo("demo2");
    }

    @Test
    void whatIsNoStatusFileIsPassedOver() throws Exception {
        Path directory = start();
        Files.writeString(directory.resolve("demo0.pid"), "4711");
        Files.writeString(directory.resolve("broken.xml"), "<domstatus state='running'><domain>");
        Files.writeString(directory.resolve("config.xml"), "<domain><name>config</name></domain>");
        replace(directory, "demo1", "running", "none", "/a.img");
        assertThat(nextStatus().domain().name()).isEqualTo("demo1");
    }

    @Test
    void anOutgoingAndAnIncomingMigrationAreSeen() throws Exception {
        Path directory = start();
        replace(directory, "demo1", "running", "migration out", "/a.img");
        assertThat(nextStatus().migratesOut()).isTrue();
        replace(directory, "demo2", "paused", "migration in", "/a.img");
        assertThat(awaitState("paused").job()).isEqualTo("migration in");
    }

    private static void replace(Path directory, String name, String state, String job, String disk) throws IOException {
        Path next = directory.resolve(name + ".xml.new");
        Files.writeString(next, """
                <domstatus state='%s' reason='booted' pid='4711'>
                  <job type='none' async='%s'/>
                  <domain type='qemu' id='1'><name>%s</name><uuid>0b3cd5cc-52a4-4b2f-8d4e-7a1f52c4c0de</uuid>
                    <devices><disk type='file' device='disk'><source file='%s'/><target dev='vda'/></disk></devices>
                  </domain>
                </domstatus>""".formatted(state, job, name, disk));
        Files.move(next, directory.resolve(name + ".xml"), StandardCopyOption.ATOMIC_MOVE);
    }

    private DomainStatus nextStatus() throws InterruptedException {
        Object next = heard.poll(20, TimeUnit.SECONDS);
        assertThat(next).isInstanceOf(DomainStatus.class);
        return (DomainStatus) next;
    }

    private DomainStatus awaitState(String state) throws InterruptedException {
        while (true) {
            DomainStatus status = nextStatus();
            if (status.state().equals(state)) {
                return status;
            }
        }
    }

    private void awaitText(String text) throws InterruptedException {
        Object next;
        do {
            next = heard.poll(20, TimeUnit.SECONDS);
            assertThat(next).as(text).isNotNull();
        } while (!next.equals(text));
    }
}
