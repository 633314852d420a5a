/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The names and addresses by which others reach this host, from the kernel's own tables; nobody is asked. */
final class HostNames {

    private static final Pattern LOCAL_V4 = Pattern.compile("\\|-- (\\d+\\.\\d+\\.\\d+\\.\\d+)\\n\\s+/32 host LOCAL");

    private final StorageFacts facts;

    HostNames(StorageFacts facts) {
        this.facts = facts;
    }

    /** Spelled as in identities: the host's name first, then its addresses, sorted; none that only it can mean. */
    Set<String> all() {
        Set<String> names = new LinkedHashSet<>();
        facts.text("/proc/sys/kernel/hostname")
                .map(String::strip)
                .filter(name -> !name.isEmpty() && !isLoopback(name))
                .ifPresent(name -> names.add(ServerName.of(name)));
        Set<String> addresses = new TreeSet<>();
        Matcher v4 = LOCAL_V4.matcher(facts.text("/proc/net/fib_trie").orElse(""));
        while (v4.find()) {
            addresses.add(v4.group(1));
        }
        facts.text("/proc/net/if_inet6").orElse("").lines().forEach(line -> {
            // fe800000000000005054fffe123456 02 40 20 80 eth0: address, index, prefix, scope; 00 is global
            String[] words = line.strip().split("\\s+");
            if (words.length == 6 && words[0].length() == 32 && words[3].equals("00")) {
                List<String> groups = new ArrayList<>();
                for (int i = 0; i < 32; i += 4) {
                    groups.add(words[0].substring(i, i + 4));
                }
                addresses.add(ServerName.of(String.join(":", groups)));
            }
        });
        addresses.removeIf(HostNames::isLoopback);
        names.addAll(addresses);
        return names;
    }

    /** A name that every host has for itself. */
    static boolean isLoopback(String name) {
        String spelled = ServerName.of(name);
        return spelled.equals("localhost")
                || spelled.startsWith("localhost.")
                || spelled.startsWith("127.")
                || spelled.equals("[0:0:0:0:0:0:0:1]");
    }
}
