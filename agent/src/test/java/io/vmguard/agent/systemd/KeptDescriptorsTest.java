/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.systemd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.jna.Library;
import com.sun.jna.Native;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Open files on their way to systemd, received by a Python process on a real socket, and back. */
@Timeout(60)
class KeptDescriptorsTest {
    private static final Path PYTHON = Path.of("/usr/bin/python3");

    /** The C functions that only the test needs. */
    private interface C extends Library {
        int open(String path, int flags);

        int close(int fd);
    }

    @Test
    void theReceiverHoldsTheVeryFile(@TempDir Path directory) throws IOException {
        assumeTrue(Files.isExecutable(PYTHON), "no " + PYTHON + " to receive files with");
        Path file = Files.writeString(directory.resolve("device"), "armed");
        String address = directory.resolve("notify").toString();
        Process receiver = new ProcessBuilder(PYTHON.toString(), "-c", """
                        import array, os, socket, sys
                        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                        s.bind(sys.argv[1])
                        print('bound', flush=True)
                        for _ in range(2):
                            data, control, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(8))
                            files = array.array('i')
                            for level, kind, fds in control:
                                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                                files.frombytes(fds)
                            print(repr(data), [os.read(fd, 100) for fd in files], flush=True)
                        """, address)
                .redirectErrorStream(true)
                .start();
        C libc = Native.load("c", C.class);
        try (BufferedReader out =
                new BufferedReader(new InputStreamReader(receiver.getInputStream(), StandardCharsets.UTF_8))) {
            assertThat(out.readLine()).isEqualTo("bound");
            KeptDescriptors kept = KeptDescriptors.of(Map.of("NOTIFY_SOCKET", address), 1);
            assertThat(kept.available()).isTrue();
            int fd = libc.open(file.toString(), 0);
            kept.keep("vmguard_wdmd", fd);
            libc.close(fd); // its own copy lives on
            assertThat(out.readLine()).isEqualTo("b'FDSTORE=1\\nFDNAME=vmguard_wdmd' [b'armed']");
            kept.forget("vmguard_wdmd");
            assertThat(out.readLine()).isEqualTo("b'FDSTOREREMOVE=1\\nFDNAME=vmguard_wdmd' []");
        } finally {
            receiver.destroyForcibly();
        }
    }

    @Test
    void whatWasKeptComesBackByName() {
        KeptDescriptors kept = KeptDescriptors.of(
                Map.of("LISTEN_PID", "42", "LISTEN_FDS", "2", "LISTEN_FDNAMES", "vmguard_wdmd:other"), 42);
        assertThat(kept.names()).isEqualTo(Set.of("vmguard_wdmd", "other"));
        assertThat(kept.take("vmguard_wdmd")).hasValue(3);
        assertThat(kept.take("vmguard_wdmd")).as("a second time").isEmpty();
        assertThat(kept.take("other")).hasValue(4);
        assertThat(kept.available()).isFalse();
    }

    @Test
    void whatIsMeantForAnotherProcessOrMakesNoSenseIsLeftAlone() {
        String names = "vmguard_wdmd";
        for (Map<String, String> environment : java.util.List.of(
                Map.<String, String>of(),
                Map.of("LISTEN_PID", "41", "LISTEN_FDS", "1", "LISTEN_FDNAMES", names),
                Map.of("LISTEN_PID", "42", "LISTEN_FDS", "x", "LISTEN_FDNAMES", names),
                Map.of("LISTEN_PID", "42", "LISTEN_FDS", "-1", "LISTEN_FDNAMES", names),
                Map.of("LISTEN_PID", "42", "LISTEN_FDS", "0", "LISTEN_FDNAMES", names),
                Map.of("LISTEN_PID", "42", "LISTEN_FDNAMES", names))) {
            assertThat(KeptDescriptors.of(environment, 42).names()).isEmpty();
        }
    }
}
