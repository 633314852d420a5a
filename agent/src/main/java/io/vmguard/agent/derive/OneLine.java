/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import java.util.Locale;

/** Text for a terminal or a log line. Paths may hold newlines and escape sequences, and libvirt passes our stderr on as it is. */
public final class OneLine {

    private OneLine() {}

    /** The same text with control, format and line-separator characters written as <code>\n</code> or <code>\u001b</code>. */
    public static String of(String text) {
        StringBuilder out = new StringBuilder(text.length());
        text.codePoints().forEach(c -> append(out, c));
        return out.toString();
    }

    private static void append(StringBuilder out, int codePoint) {
        switch (Character.getType(codePoint)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR,
                    Character.SURROGATE -> escape(out, codePoint);
            default -> out.appendCodePoint(codePoint);
        }
    }

    private static void escape(StringBuilder out, int codePoint) {
        switch (codePoint) {
            case '\n' -> out.append("\\n");
            case '\r' -> out.append("\\r");
            case '\t' -> out.append("\\t");
            default -> out.append("\\u").append(String.format(Locale.ROOT, "%04x", codePoint));
        }
    }
}
