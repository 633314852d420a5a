/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLParser;
import java.io.IOException;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Reads a flat YAML mapping from its token stream: unlike binding to an object, this keeps the line of every entry and
 * goes on after a wrong one.
 */
final class YamlEntries {

    /** A value as written, whatever type YAML would give it, with the line it stands on. */
    record Entry(String text, int line) {}

    private static final List<String> KEYS =
            Arrays.stream(ConfigKey.values()).map(ConfigKey::key).toList();

    private final ConfigProblems problems;
    private final Map<ConfigKey, Entry> entries = new EnumMap<>(ConfigKey.class);

    private YamlEntries(ConfigProblems problems) {
        this.problems = problems;
    }

    /** The known keys of {@code yaml} with usable values; everything else goes to {@code problems}. */
    static Map<ConfigKey, Entry> read(String yaml, ConfigProblems problems) {
        YamlEntries reading = new YamlEntries(problems);
        try (YAMLParser parser = new YAMLFactory().createParser(yaml)) {
            reading.document(parser);
        } catch (JsonProcessingException e) {
            int line = e.getLocation() == null ? 0 : Math.max(0, e.getLocation().getLineNr());
            problems.add(line, "not valid YAML: %s", inOneLine(e.getOriginalMessage()));
        } catch (IOException e) {
            throw new IllegalStateException("reading from a string cannot fail", e);
        }
        return reading.entries;
    }

    private void document(YAMLParser parser) throws IOException {
        JsonToken root = parser.nextToken();
        // Nothing but comments, or `---` alone, sets nothing.
        if (root == null || root == JsonToken.VALUE_NULL) {
            return;
        }
        if (root != JsonToken.START_OBJECT) {
            problems.add(line(parser), "the file must be a list of `key: value` lines");
            return;
        }
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            entry(parser, parser.currentName());
        }
        if (parser.nextToken() != null) {
            problems.add(line(parser), "there is a second YAML document in the file; only one is read");
        }
    }

    private void entry(YAMLParser parser, String name) throws IOException {
        int line = line(parser);
        JsonToken value = parser.nextToken();
        boolean alias = parser.isCurrentAlias();
        boolean nested = value == JsonToken.START_OBJECT || value == JsonToken.START_ARRAY;
        String text = nested ? "" : parser.getText();
        if (nested) {
            parser.skipChildren();
        }
        ConfigKey key = ConfigKey.of(name).orElse(null);
        if (key == null) {
            problems.add(
                    line, "unknown key '%s'; the nearest one is '%s'", printable(name), NearestWord.of(name, KEYS));
        } else if (entries.containsKey(key)) {
            problems.add(
                    line,
                    "'%s' is given twice, first on line %d",
                    name,
                    entries.get(key).line());
        } else if (nested || alias) {
            problems.add(line, "'%s' must be a single value, not %s", name, alias ? "an alias" : kind(value));
            entries.put(key, new Entry(key.defaultText(), line));
        } else if (value == JsonToken.VALUE_NULL) {
            problems.add(line, "'%s' has no value; give one or remove the line (default: %s)", name, shown(key));
            entries.put(key, new Entry(key.defaultText(), line));
        } else {
            entries.put(key, new Entry(text, line));
        }
    }

    private static String kind(JsonToken start) {
        return start == JsonToken.START_ARRAY ? "a list" : "a mapping";
    }

    private static String shown(ConfigKey key) {
        return key.defaultText().isEmpty() ? "\"\"" : key.defaultText();
    }

    private static int line(JsonParser parser) {
        return parser.currentTokenLocation().getLineNr();
    }

    /** A key comes from a file, not from us. */
    private static String printable(String text) {
        String start = text.length() <= 64 ? text : text.substring(0, 64) + "…";
        return start.replaceAll("\\p{Cntrl}", "?");
    }

    /** The parser's words without the lines that quote the file and draw an arrow. */
    private static String inOneLine(@Nullable String text) {
        return text == null
                ? ""
                : text.lines().filter(line -> !line.startsWith(" ")).collect(Collectors.joining(", "));
    }
}
