/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/** Changes single keys of a configuration file and leaves the rest of it, comments above all, as somebody has written it. */
public final class ConfigText {
    private static final Pattern PLAIN = Pattern.compile("[A-Za-z0-9/_][A-Za-z0-9_./-]*");

    private ConfigText() {}

    /**
     * The text with these settings: each in place of the line that has its key, or the commented one of the default file, or at the end.
     *
     * @param settings known keys, in the order in which new ones are appended
     */
    public static String with(String yaml, Map<String, String> settings) {
        List<String> lines = new ArrayList<>(yaml.lines().toList());
        settings.forEach((key, value) -> {
            String line = key + ": " + (PLAIN.matcher(value).matches() ? value : quoted(value));
            int at = first(lines, Pattern.compile(Pattern.quote(key) + "[ \\t]*:.*"));
            at = at >= 0 ? at : first(lines, Pattern.compile("#" + Pattern.quote(key) + ":.*"));
            if (at >= 0) {
                lines.set(at, line);
            } else {
                lines.add(line);
            }
        });
        return lines.isEmpty() ? "" : String.join("\n", lines) + "\n";
    }

    private static int first(List<String> lines, Pattern pattern) {
        for (int i = 0; i < lines.size(); i++) {
            if (pattern.matcher(lines.get(i)).matches()) {
                return i;
            }
        }
        return -1;
    }

    private static String quoted(String value) {
        return "\"" + value.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }

    /**
     * What {@code file} would mean with these settings.
     *
     * @throws ConfigException if it could not be used then
     */
    public static AgentConfig check(Path file, Map<String, String> settings) throws ConfigException, IOException {
        return ConfigLoader.parse(file, with(read(file), settings));
    }

    /** Replaces the file as a whole: a reader sees the old one or the new one. Its permissions stay; a new one is for root alone to write. */
    public static void change(Path file, Map<String, String> settings) throws IOException {
        Path real = Files.exists(file) ? file.toRealPath() : file.toAbsolutePath();
        Set<PosixFilePermission> permissions =
                Files.exists(real) ? Files.getPosixFilePermissions(real) : PosixFilePermissions.fromString("rw-r--r--");
        Path directory = real.getParent();
        if (directory != null) {
            Files.createDirectories(directory);
        }
        Path fresh = real.resolveSibling(real.getFileName() + ".new");
        byte[] text = with(read(real), settings).getBytes(StandardCharsets.UTF_8);
        Files.write(
                fresh,
                text,
                StandardOpenOption.CREATE,
                StandardOpenOption.TRUNCATE_EXISTING,
                StandardOpenOption.WRITE,
                StandardOpenOption.DSYNC);
        Files.setPosixFilePermissions(fresh, permissions);
        Files.move(fresh, real, StandardCopyOption.ATOMIC_MOVE);
    }

    private static String read(Path file) throws IOException {
        try {
            return Files.exists(file, LinkOption.NOFOLLOW_LINKS) ? Files.readString(file) : "";
        } catch (NoSuchFileException e) {
            throw new IOException(file + " is a link that leads nowhere", e);
        }
    }
}
