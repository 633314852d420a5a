/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import io.vmguard.agent.domain.NetworkHost;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.regex.Pattern;

/**
 * One spelling for the server of a protocol whose server is part of the disk's identity. Never asks a name server: two
 * names of one machine stay two, and every host must come to the same answer.
 */
final class ServerName {

    private static final Pattern IPV6 = Pattern.compile("[0-9a-f:.]*:[0-9a-f:.]*");
    private static final Pattern LEADING_ZEROS = Pattern.compile("^0+(?=.)");

    private ServerName() {}

    /**
     * {@code host:port}, or {@code unix:PATH}; several sorted and joined by commas, since their order does not matter.
     *
     * @param defaultPort for a port that is missing or 0, as in libvirt
     */
    static String withPort(List<NetworkHost> hosts, int defaultPort) {
        return join(hosts, host -> of(host.name()) + ":" + port(host.port(), defaultPort));
    }

    /** As {@link #withPort} without the ports, for protocols where a server is one store whatever port it answers on. */
    static String withoutPort(List<NetworkHost> hosts) {
        return join(hosts, host -> of(host.name()));
    }

    /** True if some host is given that really names a server. */
    static boolean isNamed(List<NetworkHost> hosts) {
        return hosts.stream().anyMatch(host -> !host.name().isEmpty() || isUnix(host));
    }

    static boolean isUnix(NetworkHost host) {
        return host.transport().equals("unix") && !host.socket().isEmpty();
    }

    /** Lower case, no final dot, IPv6 in brackets with all its groups and without its zone. */
    static String of(String host) {
        String name = host.strip().toLowerCase(Locale.ROOT);
        if (name.startsWith("[") && name.endsWith("]")) {
            name = name.substring(1, name.length() - 1);
        }
        int zone = name.indexOf('%');
        String address = zone < 0 ? name : name.substring(0, zone);
        if (IPV6.matcher(address).matches()) {
            return ipv6(address);
        }
        return name.endsWith(".") ? name.substring(0, name.length() - 1) : name;
    }

    private static String ipv6(String address) {
        try {
            // With a colon in it this is parsed as a literal; there is no look-up. A mapped IPv4 address comes back as
            // IPv4.
            String parsed = InetAddress.getByName(address).getHostAddress();
            return parsed.contains(":") ? "[" + parsed + "]" : parsed;
        } catch (UnknownHostException e) {
            return "[" + address + "]";
        }
    }

    private static String port(String port, int defaultPort) {
        String digits = LEADING_ZEROS.matcher(port.strip()).replaceFirst("");
        return digits.isEmpty() || digits.equals("0") ? Integer.toString(defaultPort) : digits;
    }

    private static String join(List<NetworkHost> hosts, Function<NetworkHost, String> tcp) {
        return hosts.stream()
                .map(host -> isUnix(host) ? "unix:" + host.socket() : tcp.apply(host))
                .distinct()
                .sorted()
                .reduce((one, next) -> one + "," + next)
                .orElse("");
    }
}
