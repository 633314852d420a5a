/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;

/** Finds the word somebody probably meant. */
final class NearestWord {

    /** Longer ones are no slip of the hand; bounds the work on a hostile file. */
    private static final int MAX_LENGTH = 64;

    private NearestWord() {}

    /** The one with the fewest single-character edits from {@code typed}; the first of several. */
    static String of(String typed, Collection<String> words) {
        String start = typed.substring(0, Math.min(MAX_LENGTH, typed.length()))
                .toLowerCase(Locale.ROOT)
                .replace('-', '_');
        return words.stream()
                .min(Comparator.comparingInt(word -> distance(start, word)))
                .orElseThrow();
    }

    /** Levenshtein's distance, one row at a time. */
    static int distance(String one, String other) {
        int[] row = new int[other.length() + 1];
        for (int j = 0; j <= other.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= one.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= other.length(); j++) {
                int replaced = diagonal + (one.charAt(i - 1) == other.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, Math.min(row[j], row[j - 1]) + 1);
            }
        }
        return row[other.length()];
    }
}
