/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.upkeep;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.lease.inspect.WallTime;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * One line of JSON for every step that takes something away: what is about to be done and on what proof, and how it ended.
 *
 * <p>Lines are only ever appended. Whoever rotates the file may move it away at any time.
 */
public final class AuditLog {
    private static final Logger LOG = LogManager.getLogger(AuditLog.class);

    private final ObjectMapper json = new ObjectMapper();
    private final Path file;
    private final LeaseClock clock;

    /** @param file in a directory that exists; made when it is first needed, for root only */
    public AuditLog(Path file, LeaseClock clock) {
        this.file = file;
        this.clock = clock;
    }

    /** For messages. */
    public Path file() {
        return file;
    }

    /**
     * Appends a line; durable on return.
     *
     * @param what in its order
     * @throws IOException with a sentence for people: then nothing must be done that cannot be written down
     */
    synchronized void append(Map<String, String> what) throws IOException {
        Map<String, String> line = new LinkedHashMap<>();
        line.put("time", WallTime.text(clock.wallSeconds()));
        line.putAll(what);
        byte[] bytes = (json.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8);
        try (FileChannel channel = FileChannel.open(
                file,
                Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
            channel.force(true);
            LOG.warn("VG-120 audit: {}", json.writeValueAsString(line));
        } catch (IOException e) {
            throw new IOException("cannot write the audit log " + file + ": " + e.getMessage(), e);
        }
    }
}
