/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Operators look lines up by their code: each line has one, and docs/operations.md has each. */
class LogCodesTest {
    private static final Pattern CALL =
            Pattern.compile("\\b(?:LOG|log\\(\\))\\s*\\.(?:info|warn|error|fatal)\\(\\s*(?:\"(VG-[0-9]{3}) )?");
    private static final Pattern ROW = Pattern.compile("(?m)^\\| (VG-[0-9]{3}) \\| (.+) \\| (.+) \\| (.+) \\|$");

    private static final Pattern CODE = Pattern.compile("VG-[0-9]{3}");

    /** The deadman's lines, to its service's standard error, which is the journal. */
    private static final Pattern SAID = Pattern.compile(
            "say(?:_once \\S+)? [0-9] \"(?!\\$text)|printf '<[0-9]>%s\\\\n' \"(?!\\$5)|\\btext=\"(?!\\$)");

    private final SortedSet<String> inSource = new TreeSet<>();
    private final List<String> without = new ArrayList<>();

    private void read(Path sources) throws IOException {
        try (Stream<Path> files = Files.walk(sources)) {
            for (Path file :
                    files.filter(path -> path.toString().endsWith(".java")).toList()) {
                Matcher call = CALL.matcher(Files.readString(file));
                while (call.find()) {
                    if (call.group(1) == null) {
                        without.add(file + ": " + call.group());
                    } else {
                        inSource.add(call.group(1));
                    }
                }
            }
        }
    }

    /** A shell script whose lines for the journal begin as a pattern says. */
    private void readScript(Path script, Pattern line) throws IOException {
        String text = Files.readString(script);
        Matcher said = line.matcher(text);
        int lines = 0;
        while (said.find()) {
            lines++;
            Matcher code = CODE.matcher(text).region(said.end(), text.length());
            if (code.lookingAt()) {
                inSource.add(code.group());
            } else {
                without.add(script + ": " + text.substring(said.start(), Math.min(text.length(), said.end() + 40)));
            }
        }
        assertThat(lines).as("lines in " + script).isPositive();
    }

    @Test
    void everyLineOfTheLogHasACodeThatTheOperationsPageExplainsAndTheOtherWayRound() throws IOException {
        read(Path.of("src/main/java"));
        read(Path.of("../lease/src/main/java"));
        readScript(Path.of("../packaging/common/deadman"), SAID);
        readScript(Path.of("../libvirt-hooks/qemu"), Pattern.compile("set_line \"(?!\\$1\")"));
        assertThat(without).isEmpty();
        List<String> inDocs = new ArrayList<>();
        Matcher row = ROW.matcher(Files.readString(Path.of("../docs/operations.md")));
        while (row.find()) {
            inDocs.add(row.group(1));
        }
        assertThat(inSource).hasSizeGreaterThan(50);
        assertThat(inDocs).doesNotHaveDuplicates().isSorted().containsExactlyElementsOf(inSource);
    }
}
