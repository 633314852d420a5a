/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Several clusters of one kind of storage that are used with one lease directory, as the configuration names them:
 * {@code ID=WORD,WORD ID=WORD}. A word is a server's name or address, or the path of a {@code ceph.conf}; {@code default} stands for a
 * source that names neither.
 *
 * <p>Identities in the first cluster are those of hosts that know no clusters, so that a second one can be added while domains run. What
 * cannot be told to be in one cluster is in each of them: it takes the name of all.
 */
public final class Clusters {

    /** One cluster, or several that are not told apart. */
    public static final Clusters NONE = new Clusters(Map.of());

    private static final Pattern FSID =
            Pattern.compile("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}");
    private static final Pattern NAME = Pattern.compile("[0-9a-zA-Z][0-9a-zA-Z_.-]*");
    private static final Pattern ENTRY = Pattern.compile("([^\\s=]+)=([^\\s=]+)");

    private final Map<String, Set<String>> wordsOfId;

    @Override
    public boolean equals(Object other) {
        return other instanceof Clusters clusters && clusters.wordsOfId.equals(wordsOfId);
    }

    @Override
    public int hashCode() {
        return wordsOfId.hashCode();
    }

    @Override
    public String toString() {
        return wordsOfId.toString();
    }

    private Clusters(Map<String, Set<String>> wordsOfId) {
        this.wordsOfId = wordsOfId;
    }

    /**
     * Clusters of Ceph, by their fsid and their monitors.
     *
     * @param text as configured; empty for {@link #NONE}
     * @throws IllegalArgumentException with a sentence for people
     */
    public static Clusters ofCeph(String text) {
        return parse(text, FSID, "FSID=MONITOR,MONITOR");
    }

    /** Trusted pools of GlusterFS, by a name that operators give them and their servers. As {@link #ofCeph}. */
    public static Clusters ofGluster(String text) {
        return parse(text, NAME, "NAME=SERVER,SERVER");
    }

    private static Clusters parse(String text, Pattern id, String form) {
        Map<String, Set<String>> clusters = new LinkedHashMap<>();
        Set<String> seen = new TreeSet<>();
        for (String entry : text.strip().split("\\s+")) {
            if (entry.isEmpty()) {
                continue;
            }
            Matcher matcher = ENTRY.matcher(entry);
            if (!matcher.matches() || !id.matcher(matcher.group(1)).matches()) {
                throw new IllegalArgumentException("'" + entry + "' is not " + form);
            }
            Set<String> words = new LinkedHashSet<>();
            for (String word : matcher.group(2).split(",")) {
                String spelled = spelled(word);
                if (spelled.isEmpty() || !seen.add(spelled)) {
                    throw new IllegalArgumentException("'" + word + "' is empty or there twice");
                }
                words.add(spelled);
            }
            if (clusters.put(matcher.group(1).toLowerCase(Locale.ROOT), words) != null) {
                throw new IllegalArgumentException("cluster " + matcher.group(1) + " is there twice");
            }
        }
        return new Clusters(clusters);
    }

    /**
     * What goes before the name of an image: empty for the first cluster, {@code ID/} for another; all of them if it may be any.
     *
     * @param id of the cluster if the host knows it, or empty
     * @param words by which the source names the cluster: servers, a path of a configuration; none means the host's default
     */
    List<String> prefixes(String id, List<String> words) {
        List<String> all = new ArrayList<>();
        List<String> named = new ArrayList<>();
        Set<String> spelled = new TreeSet<>();
        words.forEach(word -> spelled.add(spelled(word)));
        if (spelled.isEmpty()) {
            spelled.add("default");
        }
        wordsOfId.forEach((cluster, known) -> {
            String prefix = all.isEmpty() ? "" : cluster + "/";
            all.add(prefix);
            boolean meant = id.isEmpty()
                    ? known.stream().anyMatch(spelled::contains)
                    : id.toLowerCase(Locale.ROOT).equals(cluster);
            if (meant) {
                named.add(prefix);
            }
        });
        if (all.isEmpty()) {
            return List.of("");
        }
        return named.size() == 1 ? named : all;
    }

    private static String spelled(String word) {
        return word.startsWith("/") ? word : ServerName.of(withoutPort(word));
    }

    /** {@code mon1:6789} and {@code [fd00::1]:6789} without the port; an address with several colons has none. */
    private static String withoutPort(String word) {
        int bracket = word.indexOf(']');
        if (word.startsWith("[") && bracket > 0) {
            return word.substring(0, bracket + 1);
        }
        int colon = word.indexOf(':');
        return colon >= 0 && colon == word.lastIndexOf(':') ? word.substring(0, colon) : word;
    }
}
