/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Volume;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What an emulated machine with a kernel of its own ({@code test/infra/image/storage-vm}) has said of the storage in it. */
final class StorageMachine {
    /** Five times what the longest has taken, 351 s, with nine times more work than processors. */
    private static final int SECONDS = 1800;

    private static final String NAME = "storage-vm";

    /** Beside what it does in the machine. */
    private static final int TO_MAKE_ONE = 120;

    private static final Pattern AT = Pattern.compile("at: (\\d+) (\\S+) (.*)");
    private static final Pattern EXPLAINED = Pattern.compile("\\{.*?\"file\":\"/tmp/domains/(\\d+)\\.xml\".*");
    private static final Pattern LEASE = Pattern.compile(
            "\"mode\":\"([a-z]+)\",\"identity\":\"([^\"]*)\",\"resource\":\"([^\"]*)\",\"role\":\"([a-z]+)\"");
    private static final Pattern REFUSED =
            Pattern.compile("\"refused\":\\[\\{\"target\":\"[^\"]*\",\"reason\":\"(.*?)\"\\}");
    private static final Pattern START = Pattern.compile("start: (\\S+) (\\S+) (\\S+) (.*)");
    private static final Pattern AGENT = Pattern.compile("agent: (\\S+) (.*)");

    /** What one path is: its leases, by their names on disk; or why it may not be used. */
    record Named(String path, Map<String, Lease> leases, String refused) {
        /** Of its first lease. */
        String identity() {
            return leases.values().iterator().next().identity();
        }

        /** Whether two domains could not have these two paths at a time. */
        boolean excludes(Named other) {
            return leases.entrySet().stream()
                    .anyMatch(mine -> other.leases.containsKey(mine.getKey())
                            && (mine.getValue().exclusive()
                                    || other.leases.get(mine.getKey()).exclusive()));
        }

        /** The identities that are leased so. */
        List<String> identities(boolean exclusive) {
            return leases.values().stream()
                    .filter(lease -> lease.exclusive() == exclusive)
                    .map(Lease::identity)
                    .toList();
        }
    }

    record Lease(boolean exclusive, String identity) {}

    private final Map<String, Map<String, Named>> kinds = new TreeMap<>();
    private final Map<String, String> starts = new TreeMap<>();
    private final Map<String, String> agents = new TreeMap<>();
    private String volumeUuids = "";

    private StorageMachine(String console) {
        assertThat(console).contains("\nENDS").doesNotContain("FAILED");
        Map<String, String[]> asked = new LinkedHashMap<>();
        for (String line : console.lines().map(String::strip).toList()) {
            Matcher at = AT.matcher(line);
            Matcher explained = EXPLAINED.matcher(line);
            Matcher start = START.matcher(line);
            Matcher agent = AGENT.matcher(line);
            if (at.matches()) {
                asked.put(at.group(1), new String[] {at.group(2), at.group(3)});
            } else if (line.startsWith("lvm: ")) {
                volumeUuids = line.substring("lvm: ".length());
            } else if (start.matches()) {
                starts.put(start.group(2), start.group(4));
            } else if (agent.matches()) {
                agents.put(agent.group(1), agent.group(2));
            } else if (explained.matches()) {
                String[] name = asked.remove(explained.group(1));
                kinds.computeIfAbsent(name[0], kind -> new LinkedHashMap<>()).put(name[1], named(name[1], line));
            }
        }
        assertThat(asked.keySet()).as("not explained").isEmpty();
    }

    private static Named named(String path, String line) {
        Map<String, Lease> leases = new LinkedHashMap<>();
        LEASE.matcher(line)
                .results()
                .forEach(l -> leases.put(l.group(3), new Lease(l.group(1).equals("exclusive"), l.group(2))));
        Matcher refused = REFUSED.matcher(line);
        String reason = refused.find() ? refused.group(1) : "";
        assertThat(leases.isEmpty() && reason.isEmpty()).as(line).isFalse();
        return new Named(path, leases, reason);
    }

    /**
     * Boots one with these parts, and returns when it has switched itself off.
     *
     * @throws AssertionError if it does not, or something in it has failed
     */
    static StorageMachine run(Path deb, String... parts) {
        try (MachineHost host = MachineHost.onLoopback(NAME, deb.getParent())) {
            return run(host, deb, parts);
        }
    }

    /** The same, with a Ceph cluster outside of it. */
    static StorageMachine run(Path deb, CephCluster ceph, String... parts) {
        Bind configuration = new Bind(ceph.configuration().toString(), new Volume("/etc/ceph"));
        try (MachineHost host = MachineHost.onLoopback(NAME, deb.getParent(), configuration)) {
            return run(host, deb, parts);
        }
    }

    private static StorageMachine run(MachineHost host, Path deb, String... parts) {
        host.boot();
        List<String> command =
                new ArrayList<>(List.of("storage-vm", "/packages/" + deb.getFileName(), Integer.toString(SECONDS)));
        command.addAll(List.of(parts));
        Ran ran = host.run(Duration.ofSeconds(SECONDS + TO_MAKE_ONE), command.toArray(String[]::new));
        System.out.println(ran.stdout());
        return new StorageMachine(ran.mustSucceed().stdout());
    }

    /** Paths by what they are, in the machine's own words. */
    Map<String, Named> kind(String kind) {
        assertThat(kinds).containsKey(kind);
        return kinds.get(kind);
    }

    /** Fails unless all paths of a kind are one disk; returns the names it has. */
    Set<String> oneDisk(String kind) {
        Map<String, Named> paths = kind(kind);
        assertThat(paths.size()).as(kind).isGreaterThan(1);
        assertThat(paths.values()).extracting(Named::refused).containsOnly("");
        for (Named one : paths.values()) {
            for (Named other : paths.values()) {
                assertThat(one.excludes(other)).as("%s and %s", one, other).isTrue();
            }
        }
        Set<String> identities = new TreeSet<>();
        paths.values().forEach(named -> identities.add(named.identity()));
        return identities;
    }

    void twoDisks(String kind, String otherKind) {
        for (Named one : kind(kind).values()) {
            for (Named other : kind(otherKind).values()) {
                assertThat(one.excludes(other)).as("%s and %s", one, other).isFalse();
            }
        }
    }

    /** What became of each domain's start. */
    Map<String, String> starts() {
        return starts;
    }

    /** What each agent said when it was, or was not, a member of its lockspace. */
    Map<String, String> agents() {
        return agents;
    }

    /** Of the volume group and the volume, as LVM itself says them. */
    String volumeUuids() {
        return volumeUuids;
    }
}
