/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.manual;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import picocli.CommandLine;

/** All that is made from the commands. The same commands, the same bytes. */
public final class Manual {
    private final Map<String, String> files = new TreeMap<>();

    /**
     * @param version what the pages say they are of
     * @param date and of when, such as 2026-11-22
     */
    public Manual(CommandLine commands, String version, String date) {
        ManPage.all(commands, version, date).forEach((name, page) -> files.put("man/" + name, page));
        files.put("completion/vmguard.bash", Completion.bash(commands));
        files.put("completion/_vmguard", Completion.zsh(commands));
        files.put("completion/vmguard.fish", Completion.fish(commands));
    }

    /** Texts by file name, {@code man/…} and {@code completion/…}. */
    public Map<String, String> files() {
        return Map.copyOf(files);
    }

    /** Writes them below a directory, which is made if it is missing. */
    public void writeTo(Path directory) throws IOException {
        for (Map.Entry<String, String> file : files.entrySet()) {
            Path path = directory.resolve(file.getKey());
            Files.createDirectories(path.getParent());
            Files.writeString(path, file.getValue());
        }
    }
}
