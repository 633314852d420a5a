/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import io.vmguard.agent.config.YamlEntries.Entry;
import io.vmguard.agent.identity.Clusters;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Turns the text of one key into a checked value. A wrong one is reported and replaced by the default, only so that
 * reading can go on to the next problem.
 */
final class ConfigValues {

    private static final int MAX_HOST_ID = 2000;
    private static final int MAX_LOCKSPACE_BYTES = 48;
    /** The size of sun_path, without its final zero byte. */
    private static final int MAX_SOCKET_BYTES = 107;

    private static final Pattern DURATION = Pattern.compile("([0-9]{1,6})(ms|s|m)?");
    private static final Pattern NUMBER = Pattern.compile("[1-9][0-9]{0,8}");
    private static final Pattern LOCKSPACE = Pattern.compile("[!-.0-~]+");
    private static final Pattern WATCHDOG_DEVICE = Pattern.compile("/dev/watchdog[0-9]{0,3}");
    private static final Pattern GROUP = Pattern.compile("([a-z_][a-z0-9_-]{0,30}[$]?)?");

    private final Map<ConfigKey, Entry> entries;
    private final ConfigProblems problems;

    ConfigValues(Map<ConfigKey, Entry> entries, ConfigProblems problems) {
        this.entries = entries;
        this.problems = problems;
    }

    Path path(ConfigKey key) {
        String text = text(key);
        try {
            Path path = Path.of(text);
            if (path.isAbsolute()) {
                return path;
            }
            wrong(key, "must be an absolute path");
        } catch (InvalidPathException e) {
            wrong(key, "is not a path: " + e.getReason());
        }
        return Path.of(key.defaultText());
    }

    Path socketPath(ConfigKey key) {
        Path path = path(key);
        int bytes = path.toString().getBytes(StandardCharsets.UTF_8).length;
        if (bytes > MAX_SOCKET_BYTES) {
            wrong(key, "has " + bytes + " bytes; the address of a Unix socket has at most " + MAX_SOCKET_BYTES);
        }
        return path;
    }

    /** The name becomes a file name and a 48-byte field that other tools print. */
    String lockspace(ConfigKey key) {
        String name = text(key);
        if (name.length() > MAX_LOCKSPACE_BYTES || !LOCKSPACE.matcher(name).matches() || name.startsWith(".")) {
            wrong(
                    key,
                    "must be 1 to " + MAX_LOCKSPACE_BYTES
                            + " printable ASCII characters without spaces or '/', not starting with a dot");
            return key.defaultText();
        }
        return name;
    }

    OptionalInt hostId(ConfigKey key) {
        if (text(key).equals("auto")) {
            return OptionalInt.empty();
        }
        OptionalInt id = hostNumber(key);
        if (id.isEmpty()) {
            wrong(key, "must be auto or a number from 1 to " + MAX_HOST_ID);
        }
        return id;
    }

    /** wdmd stops feeding 10 s early and its device takes 60 s: three I/O timeouts must be left from one renewal to the next. */
    WatchdogChoice watchdog(ConfigKey key, Duration ioTimeout, Duration watchdogTimeout) {
        String text = text(key);
        switch (text) {
            case "auto":
                return new WatchdogChoice.Auto();
            case "wdmd":
                if (5 * ioTimeout.toSeconds() + watchdogTimeout.toSeconds() <= 70) {
                    wrong(
                            key,
                            "needs 5 times io_timeout plus watchdog_timeout to be more than 70s, and they are "
                                    + shown(ioTimeout) + " and " + shown(watchdogTimeout));
                }
                return new WatchdogChoice.Wdmd();
            case "none":
                return new WatchdogChoice.None();
            default:
                if (WATCHDOG_DEVICE.matcher(text).matches()) {
                    return new WatchdogChoice.Device(Path.of(text));
                }
                wrong(key, "must be auto, wdmd, none or a device such as /dev/watchdog0");
                return new WatchdogChoice.Auto();
        }
    }

    /** A number of hosts. */
    int hostCount(ConfigKey key) {
        OptionalInt count = hostNumber(key);
        if (count.isEmpty()) {
            wrong(key, "must be a number from 1 to " + MAX_HOST_ID);
        }
        return count.orElseGet(() -> Integer.parseInt(key.defaultText()));
    }

    private OptionalInt hostNumber(ConfigKey key) {
        String text = text(key);
        int number = NUMBER.matcher(text).matches() ? Integer.parseInt(text) : 0;
        return number < 1 || number > MAX_HOST_ID ? OptionalInt.empty() : OptionalInt.of(number);
    }

    /** A number with ms, s or m; a bare one is seconds. Both bounds are allowed values. */
    Duration duration(ConfigKey key, Duration least, Duration most) {
        Matcher matcher = DURATION.matcher(text(key));
        if (matcher.matches()) {
            Duration duration = parse(matcher);
            if (duration.compareTo(least) >= 0 && duration.compareTo(most) <= 0) {
                return duration;
            }
            wrong(key, "must be from " + shown(least) + " to " + shown(most));
        } else {
            wrong(key, "must be a duration such as 500ms, 10s or 2m");
        }
        return parsedDefault(key);
    }

    Duration wholeSeconds(ConfigKey key, Duration least, Duration most) {
        Duration duration = duration(key, least, most);
        if (duration.getNano() != 0) {
            wrong(key, "must be whole seconds");
            return parsedDefault(key);
        }
        return duration;
    }

    /** @param parser throws {@link IllegalArgumentException} with a sentence for people */
    Clusters clusters(ConfigKey key, Function<String, Clusters> parser) {
        try {
            return parser.apply(text(key));
        } catch (IllegalArgumentException e) {
            wrong(key, "is not a list of clusters and their servers: " + e.getMessage());
            return Clusters.NONE;
        }
    }

    <E extends Enum<E>> E choice(ConfigKey key, E[] choices) {
        String text = text(key);
        List<String> words = Arrays.stream(choices)
                .map(choice -> choice.name().toLowerCase(Locale.ROOT).replace('_', '-'))
                .toList();
        int index = words.indexOf(text);
        if (index < 0) {
            wrong(key, "must be " + String.join(" or ", words));
            return choices[words.indexOf(key.defaultText())];
        }
        return choices[index];
    }

    boolean flag(ConfigKey key) {
        String text = text(key);
        if (!text.equals("true") && !text.equals("false")) {
            wrong(key, "must be true or false");
        }
        return text.equals("true");
    }

    /** A connection to another machine would guard domains that this host can neither see nor kill. */
    String localUri(ConfigKey key) {
        String text = text(key);
        try {
            URI uri = new URI(text);
            if (uri.getScheme() == null || uri.getRawPath() == null) {
                wrong(key, "must be a libvirt URI such as qemu:///system");
            } else if (uri.getRawAuthority() != null) {
                wrong(key, "must be this host's own libvirt: it names another machine");
            } else {
                return text;
            }
        } catch (URISyntaxException e) {
            wrong(key, "is not a URI: " + e.getReason());
        }
        return key.defaultText();
    }

    Optional<String> group(ConfigKey key) {
        String name = text(key);
        if (!GROUP.matcher(name).matches()) {
            wrong(key, "is not a group name");
        }
        return name.isEmpty() ? Optional.empty() : Optional.of(name);
    }

    private String text(ConfigKey key) {
        Entry entry = entries.get(key);
        return entry == null ? key.defaultText() : entry.text();
    }

    private void wrong(ConfigKey key, String what) {
        Entry entry = entries.get(key);
        problems.add(entry == null ? 0 : entry.line(), "'%s' is '%s'; it %s", key.key(), shown(text(key)), what);
    }

    private static Duration parsedDefault(ConfigKey key) {
        Matcher matcher = DURATION.matcher(key.defaultText());
        if (!matcher.matches()) {
            throw new IllegalStateException("the default of " + key.key() + " is no duration");
        }
        return parse(matcher);
    }

    private static Duration parse(Matcher matcher) {
        long number = Long.parseLong(matcher.group(1));
        String unit = matcher.group(2);
        if ("ms".equals(unit)) {
            return Duration.ofMillis(number);
        }
        return "m".equals(unit) ? Duration.ofMinutes(number) : Duration.ofSeconds(number);
    }

    private static String shown(Duration duration) {
        long millis = duration.toMillis();
        return millis % 1000 == 0 ? millis / 1000 + "s" : millis + "ms";
    }

    private static String shown(String text) {
        String start = text.length() <= 120 ? text : text.substring(0, 120) + "…";
        return start.replaceAll("\\p{Cntrl}", "?");
    }
}
