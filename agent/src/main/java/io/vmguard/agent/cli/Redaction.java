/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Takes what could be a secret out of a text that leaves this host. Rather too much than too little. */
final class Redaction {
    private static final String GONE = "[redacted]";

    private static final List<Pattern> SECRETS = List.of(
            // password=…, passwd: …, secret="…", token '…', also as options of a mount and in URLs.
            Pattern.compile(
                    "(?i)(?<keep>\\b[a-z0-9_-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|auth[_-]?key)[a-z0-9_-]*"
                            + "[\"']?\\s*[=:]\\s*)(?:\"[^\"\\n]*\"|'[^'\\n]*'|[^\\s,;&\"'<>]+)"),
            // A key in a keyring of Ceph, and anything that looks like one.
            Pattern.compile("(?<keep>\\bkey[\"']?\\s*[=:]\\s*[\"']?)[A-Za-z0-9+/]{20,}={0,2}"),
            Pattern.compile("(?<keep>)\\bA[A-Za-z0-9+/]{37}=="),
            // user:password@host
            Pattern.compile("(?<keep>://[^/\\s:@]+:)[^/\\s@]+(?=@)"),
            Pattern.compile(
                    "(?<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----[\\s\\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\\z)"));

    private Redaction() {}

    static String of(String text) {
        String clean = text;
        for (Pattern secret : SECRETS) {
            clean = secret.matcher(clean)
                    .replaceAll(found -> Matcher.quoteReplacement(keep(secret, found.group()) + GONE));
        }
        return clean;
    }

    private static String keep(Pattern secret, String found) {
        Matcher again = secret.matcher(found);
        return again.find() ? again.group("keep") : "";
    }
}
