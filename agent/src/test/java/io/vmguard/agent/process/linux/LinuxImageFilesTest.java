/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.process.FileKey;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.Lookup;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.FakeProcesses;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Open files of a real process, which is this one, by device and inode. */
class LinuxImageFilesTest {
    @TempDir
    private Path dir;

    private final LinuxImageFiles images = new LinuxImageFiles();

    /** A handle that says that it is this process. */
    private static GuardedProcess self(FakeProcess[] made) {
        int own = (int) ProcessHandle.current().pid();
        FakeProcesses processes = new FakeProcesses();
        processes.nextPid(own);
        UUID uuid = UUID.randomUUID();
        made[0] = processes.launch(uuid);
        return ((Lookup.Found) processes.find("self", uuid)).process();
    }

    @Test
    void aFileIsSeenWhileItIsOpenUnderWhateverNameAlsoWhenItIsDeleted() throws IOException {
        FakeProcess[] process = new FakeProcess[1];
        GuardedProcess self = self(process);
        Path file = Files.createFile(dir.resolve("image"));
        Path link = Files.createSymbolicLink(dir.resolve("link"), file);
        Map<String, FileKey> keys = images.identify(List.of(file.toString(), link.toString()));
        FileKey key = keys.get(file.toString());
        assertThat(keys.get(link.toString())).isEqualTo(key);
        assertThat(images.openBy(self))
                .hasValueSatisfying(open -> assertThat(open.all()).doesNotContain(key));
        try (RandomAccessFile open = new RandomAccessFile(link.toFile(), "rw")) {
            assertThat(images.openBy(self))
                    .hasValueSatisfying(seen -> assertThat(seen.all()).contains(key));
            Files.delete(file);
            assertThat(images.openBy(self))
                    .hasValueSatisfying(seen -> assertThat(seen.all()).contains(key));
            assertThat(open.length()).isZero();
        }
        assertThat(images.openBy(self))
                .hasValueSatisfying(open -> assertThat(open.all()).doesNotContain(key));
        process[0].end();
        assertThat(images.openBy(self))
                .as("of one that has gone nothing can be told")
                .isEmpty();
    }

    @Test
    void whatIsNotThereIsNotKnownAndAFormerProcessTellsNothing() throws IOException {
        assertThat(images.identify(List.of(dir.resolve("missing").toString(), "\0")))
                .isEmpty();
        Path proc = Files.createDirectory(dir.resolve("proc"));
        try (LinuxImageFiles none = new LinuxImageFiles(proc)) {
            assertThat(none.openBy(self(new FakeProcess[1]))).isEmpty();
            assertThat(none.identify(Set.of())).isEmpty();
        }
    }
}
