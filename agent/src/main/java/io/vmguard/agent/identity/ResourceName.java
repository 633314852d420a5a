/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;

/**
 * Names of leases on disk. They are a contract between hosts and between versions; docs/adr/0004-lease-names.md says why
 * they look like this, and a test freezes them.
 *
 * <pre>
 *   file, block, dir    MD5 of the path               32 hex digits             as libvirt's sanlock plug-in
 *   everything else     SHA-256 of the identity       PREFIX-40 hex digits      at most 7 + 1 + 40 = 48 bytes
 * </pre>
 *
 * The hyphen and the length keep the second kind apart from the first.
 */
final class ResourceName {

    private static final int MAX_PREFIX = 7;
    private static final int HASH_DIGITS = 40;

    private ResourceName() {}

    /** For a path on the host: lower-case hex MD5 of its UTF-8 bytes exactly as written, without a newline at the end. */
    static String ofPath(String path) {
        return hash("MD5", path);
    }

    /** For anything else: {@code kind} in {@code [a-z0-9]}, cut to 7 characters, and the first 40 digits of the identity's SHA-256. */
    static String ofIdentity(String kind, String identity) {
        String letters = kind.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
        String prefix = letters.isEmpty() ? "net" : letters.substring(0, Math.min(MAX_PREFIX, letters.length()));
        return prefix + "-" + hash("SHA-256", identity).substring(0, HASH_DIGITS);
    }

    private static String hash(String algorithm, String text) {
        try {
            // MD5 is a name here, not a protection: whoever can choose the path owns the disk anyway.
            byte[] digest = MessageDigest.getInstance(algorithm).digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has " + algorithm, e);
        }
    }
}
