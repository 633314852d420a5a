/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.deadman;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The deadman's sign of life: {@code TIME PID}, TIME in hundredths of a second of the boot clock, once a second. */
final class DeadmanSign {
    private static final String FILE = "deadman.alive";
    private static final Pattern LINE = Pattern.compile("([0-9]{1,15}) ([0-9]{1,9}) ");
    /** It is up to date once a second; a busy machine may take longer. */
    private static final Duration FRESH = Duration.ofSeconds(5);

    private final Path file;

    DeadmanSign(Path runtimeDir) {
        this.file = runtimeDir.resolve(FILE);
    }

    /** @return empty if it is there and fresh; otherwise what is wrong */
    Optional<String> problem(long nowBootNanos) {
        String text;
        try {
            text = new String(Files.readAllBytes(file), StandardCharsets.US_ASCII);
        } catch (IOException e) {
            return Optional.of("there is no " + file);
        }
        Matcher line = LINE.matcher(text);
        if (!line.lookingAt()) {
            return Optional.of(file + " does not say when it was written");
        }
        Duration age = Duration.ofNanos(nowBootNanos).minusMillis(10 * Long.parseLong(line.group(1)));
        return age.compareTo(FRESH) > 0
                ? Optional.of("its last sign of life is " + age.toSeconds() + " s old")
                : Optional.empty();
    }
}
