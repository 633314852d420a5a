/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.StringReader;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Properties;

/** Small files of this host's own, as properties in UTF-8. People and disks may have damaged them. */
final class StateFile {
    private StateFile() {}

    /** @throws IllegalArgumentException if they are no properties in UTF-8 */
    static Properties parse(byte[] bytes) {
        Properties in = new Properties();
        try {
            // The decoder of a String would put other characters for what it cannot read, and so make up names.
            in.load(new StringReader(StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString()));
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException("not UTF-8", e);
        } catch (IOException e) {
            throw new UncheckedIOException("a string is never unreadable", e);
        }
        return in;
    }

    /** @throws IllegalArgumentException if it is missing, or could not be written again */
    static String text(Properties in, String key) {
        String value = in.getProperty(key);
        if (value == null || !StandardCharsets.UTF_8.newEncoder().canEncode(value)) {
            throw new IllegalArgumentException("no " + key);
        }
        return value;
    }

    /** @throws NumberFormatException if it is missing or none */
    static long number(Properties in, String key) {
        return Long.parseLong(in.getProperty(key));
    }

    static String format(Properties out, String comment) {
        StringWriter text = new StringWriter();
        try {
            out.store(text, comment);
        } catch (IOException e) {
            throw new UncheckedIOException("a string is never unwritable", e);
        }
        return text.toString();
    }

    /**
     * Writes a file so that it is seen whole or not at all.
     *
     * @param durable also after a power cut
     */
    static void replace(Path file, String text, boolean durable) throws IOException {
        replace(
                file,
                out -> {
                    Writer writer = writer(out);
                    writer.write(text);
                    writer.flush();
                },
                durable);
    }

    /** Takes no text for another one: what has no form in UTF-8 is an error. */
    static Writer writer(OutputStream out) {
        return new BufferedWriter(new OutputStreamWriter(out, StandardCharsets.UTF_8.newEncoder()));
    }

    /** What goes into a file. */
    interface Content {
        void writeTo(OutputStream out) throws IOException;
    }

    /** The same of what is not in memory as a whole. */
    static void replace(Path file, Content content, boolean durable) throws IOException {
        Path next = file.resolveSibling(file.getFileName() + ".new");
        try (OutputStream out = Files.newOutputStream(next)) {
            content.writeTo(out);
        }
        if (durable) {
            try (FileChannel channel = FileChannel.open(next, StandardOpenOption.WRITE)) {
                channel.force(true);
            }
        }
        Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
}
