/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import java.util.Locale;
import picocli.CommandLine.Help.Ansi;

/** Colours, on a terminal only, and not where {@code NO_COLOR} forbids them. */
final class Colour {
    private Colour() {}

    /** The word itself, in upper case where it has to stand out without a colour too. */
    static String verdict(String word) {
        String shown = word.equals("red") ? word.toUpperCase(Locale.ROOT) : word;
        return switch (word) {
            case "green" -> in("32", shown);
            case "yellow" -> in("33", shown);
            default -> in("1;31", shown);
        };
    }

    /** Of a line of the log. */
    static String level(String word) {
        return switch (word) {
            case "WARN" -> in("33", word);
            case "ERROR", "FATAL" -> in("1;31", word);
            default -> word;
        };
    }

    /** Whether somebody sees them. */
    static boolean on() {
        return Ansi.AUTO.enabled();
    }

    private static String in(String code, String text) {
        return on() ? "\u001b[" + code + "m" + text + "\u001b[0m" : text;
    }
}
