/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How a result is printed: a mixin of commands. */
final class OutputOption {
    /** Made by the first who wants JSON: it takes a tenth of a second, and most want text. */
    private static final class Json {
        // Non-ASCII is escaped so that the bytes are right in every locale of the caller.
        private static final JsonMapper MAPPER =
                JsonMapper.builder().enable(JsonWriteFeature.ESCAPE_NON_ASCII).build();
    }

    /** Only the text may change from version to version; keys of JSON are added, never taken away. */
    enum Format {
        text,
        json
    }

    @Option(
            names = "--format",
            paramLabel = "text|json",
            defaultValue = "text",
            description = "Output format (default: ${DEFAULT-VALUE}).")
    private Format format = Format.text;

    @Option(names = "--json", description = "The same as --format json.")
    private boolean json;

    boolean isJson() {
        return json || format == Format.json;
    }

    /** A record as part of a document; null gives JSON's null. */
    static JsonNode tree(@Nullable Object part) {
        return Json.MAPPER.valueToTree(part);
    }

    /** One document on one line. */
    static String json(Object document) {
        try {
            return Json.MAPPER.writeValueAsString(document) + "\n";
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("records of plain values are always writable", e);
        }
    }
}
