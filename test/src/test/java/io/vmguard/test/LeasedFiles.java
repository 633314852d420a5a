/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Which files running domains hold leases of, by what their agents say, and in which mode, by the bytes on disk. */
final class LeasedFiles {
    /** What no event tells is seen by the look at the list that comes every half minute; and a busy machine. */
    static final Duration SOON = Duration.ofSeconds(45);

    /** After a restart of the agent a target is what the lease itself says: {@code vda (file:/path)}. */
    private static final Pattern LEASE = Pattern.compile(
            "\"(?:identity\":\"file:|target\":\"[^\"]*\\(file:)(/[^\")]*)\\)?\"[^}]*?\"held\":(true|false)");

    private static final Pattern STATE = Pattern.compile("\"state\":\"([a-z]+)\"");
    private static final Pattern NODE = Pattern.compile("\"node\":\"([^\"]*)\"");

    private LeasedFiles() {}

    /** Waits until the domain holds the leases of these files and of no other. */
    static void awaitLeases(GuardedHost host, String domain, String after, String... files) {
        long begunNanos = System.nanoTime();
        Set<String> wanted = new TreeSet<>(Set.of(files));
        Eventually.await(
                "the leases of " + wanted + " after " + after,
                SOON,
                () -> files(host, domain).equals(wanted));
        report(after, begunNanos);
    }

    static void report(String after, long begunNanos) {
        System.out.printf(
                "leases followed %s within %d ms%n",
                after, Duration.ofNanos(System.nanoTime() - begunNanos).toMillis());
    }

    static Set<String> files(GuardedHost host, String domain) {
        Matcher found = Pattern.compile("\\{\"name\":\"" + domain + "\",.*?\"problems\"")
                .matcher(host.statusJson());
        Set<String> files = new TreeSet<>();
        if (found.find()) {
            for (MatchResult lease : LEASE.matcher(found.group()).results().toList()) {
                files.add(lease.group(2).equals("true") ? lease.group(1) : lease.group(1) + " (not held)");
            }
        }
        return files;
    }

    /**
     * Waits until the lease of this file is as described: {@code exclusive node-a}, {@code shared node-a, node-b}, or {@code free}; as any
     * host reads it.
     */
    static void awaitMode(GuardedHost asked, String file, String wanted) {
        Eventually.await(
                file + " to be " + wanted, SOON, () -> mode(asked, file).equals(wanted));
    }

    private static String mode(GuardedHost asked, String file) {
        String json = asked.vmguard("lease", "show", compatibleName(file), "--format", "json")
                .stdout();
        String lease = json.substring(json.indexOf("\"leases\""));
        Matcher state = STATE.matcher(lease);
        if (!state.find()) {
            return "not there";
        }
        // The note, which has a node too, comes later and may be stale.
        int end = lease.contains("\"user\"") ? lease.indexOf("\"user\"") : lease.length();
        Set<String> nodes = new TreeSet<>();
        for (MatchResult node : NODE.matcher(lease.substring(0, end)).results().toList()) {
            nodes.add(node.group(1));
        }
        return state.group(1).equals("free") ? "free" : state.group(1) + " " + String.join(", ", nodes);
    }

    /** The lease of a file that also hosts of other kinds know. */
    private static String compatibleName(String file) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("MD5").digest(file.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }
}
