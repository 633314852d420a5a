/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** libvirt's own configuration files: {@code key = value}, strings in quotes, {@code #} for comments. Lists are passed over. */
public final class LibvirtConf {
    /** Of {@code disk_lease_dir}, where nothing else is said. */
    public static final String DEFAULT_SANLOCK_DIR = "/var/lib/libvirt/sanlock";

    private static final Pattern ENTRY =
            Pattern.compile("(?m)^[ \\t]*([a-z0-9_]+)[ \\t]*=[ \\t]*(?:\"([^\"\\n]*)\"|'([^'\\n]*)'|([^\"'\\[\\s#]+))");

    private final Map<String, String> values;

    private LibvirtConf(Map<String, String> values) {
        this.values = values;
    }

    /** The last of several values counts, as with libvirt. */
    public static LibvirtConf parse(String text) {
        Map<String, String> values = new HashMap<>();
        Matcher entry = ENTRY.matcher(text);
        while (entry.find()) {
            for (int group = 2; group <= 4; group++) {
                if (entry.group(group) != null) {
                    values.put(entry.group(1), entry.group(group));
                }
            }
        }
        return new LibvirtConf(values);
    }

    public Optional<String> value(String key) {
        return Optional.ofNullable(values.get(key));
    }
}
