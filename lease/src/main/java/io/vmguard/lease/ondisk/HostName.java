/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.Timeouts;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The host name in a delta lease. Ours are
 *
 * <pre>
 * IIIIIIII-BBBBBBBB.node        I: this installation     B: this boot
 * IIIIIIII-BBBBBBBB+WW.node     the same, of a host that is stopped WW seconds after 8 T, not 60
 * </pre>
 *
 * The name is where a host says which watchdog constant it lives by, because it is covered by the checksum and is replaced as a whole
 * by whoever takes the host id next. A host whose name does not say so is given the stock 60 s.
 */
public final class HostName {
    /** Of 48 bytes in the record; the last is always NUL. */
    private static final int MAX_BYTES = 47;

    /** Any bytes can be part of a node's name, among them some that read as ends of lines, one char a byte: of an Å, say. */
    private static final Pattern OURS = Pattern.compile(
            "(?<instance>[0-9a-f]{8}-[0-9a-f]{8})(\\+(?<watchdog>[1-5][0-9]))?\\.(?<node>.+)", Pattern.DOTALL);

    private HostName() {}

    /**
     * Builds one of ours.
     *
     * @param installation 8 hex digits
     * @param boot 8 hex digits
     * @param node as people know the machine; cut if it is too long
     */
    public static String of(String installation, String boot, Duration watchdog, String node) {
        String mark = watchdog.equals(Timeouts.STOCK_WATCHDOG)
                ? ""
                : String.format(Locale.ROOT, "+%02d", watchdog.toSeconds());
        String head = installation + "-" + boot + mark + ".";
        byte[] bytes = node.getBytes(StandardCharsets.UTF_8);
        int room = MAX_BYTES - head.length();
        return head + new String(bytes, 0, Math.min(bytes.length, room), StandardCharsets.UTF_8).replace("\uFFFD", "");
    }

    /** The part that people know; the whole name if it is not one of ours. */
    public static String node(String hostName) {
        Matcher ours = OURS.matcher(hostName);
        return ours.matches() ? ours.group("node") : hostName;
    }

    /** Whether it is a vmguard host's, by its form. */
    public static boolean isOurs(String hostName) {
        return OURS.matcher(hostName).matches();
    }

    /** How long after 8 T the host of this name may still have users running. */
    public static Duration watchdog(String hostName) {
        Matcher ours = OURS.matcher(hostName);
        return ours.matches() && ours.group("watchdog") != null
                ? Duration.ofSeconds(Long.parseLong(ours.group("watchdog")))
                : Timeouts.STOCK_WATCHDOG;
    }
}
