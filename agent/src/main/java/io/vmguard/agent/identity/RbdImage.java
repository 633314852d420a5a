/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The name of an RBD disk: {@code POOL/IMAGE} or {@code POOL/NAMESPACE/IMAGE}, in the forms that QEMU's own file names
 * allow ({@code POOL/IMAGE@SNAPSHOT:id=admin:conf=/etc/ceph/ceph.conf}, special characters after a backslash).
 *
 * <p>Two spellings of one image must not become two identities; the opposite, a refused start that would have been
 * harmless, costs less.
 *
 * @param path the parts joined by single slashes; at least pool and image, or empty if it is neither
 * @param snapshot the name ends in {@code @SNAPSHOT}
 * @param clusterWords what its options say about the cluster: monitors, and the path of a configuration
 */
record RbdImage(String path, boolean snapshot, List<String> clusterWords) {

    /** QEMU takes what follows a colon as options only as KEY=VALUE; a colon before anything else is part of the name. */
    private static final Pattern OPTIONS = Pattern.compile("(?<!\\\\):[A-Za-z0-9_. -]+=");

    private static final Pattern SNAPSHOT = Pattern.compile("(?<!\\\\)@[^/]*$");
    private static final Pattern SEPARATOR = Pattern.compile("(?<!\\\\):");
    private static final Pattern ESCAPED = Pattern.compile("\\\\(.)", Pattern.DOTALL);

    static RbdImage parse(String name) {
        Matcher options = OPTIONS.matcher(name);
        String image = options.find() ? name.substring(0, options.start()) : name;
        Matcher snapshot = SNAPSHOT.matcher(image);
        boolean hasSnapshot = snapshot.find();
        String bare = hasSnapshot ? image.substring(0, snapshot.start()) : image;
        List<String> parts = new ArrayList<>();
        for (String part : bare.split("/")) {
            // An empty namespace is the default one: pool//image is pool/image.
            if (!part.isEmpty()) {
                parts.add(ESCAPED.matcher(part).replaceAll("$1"));
            }
        }
        return new RbdImage(
                parts.size() < 2 ? "" : String.join("/", parts),
                hasSnapshot,
                clusterWords(name.substring(image.length())));
    }

    private static List<String> clusterWords(String options) {
        List<String> words = new ArrayList<>();
        for (String option : SEPARATOR.split(options)) {
            int equals = option.indexOf('=');
            String value = equals < 0
                    ? ""
                    : ESCAPED.matcher(option.substring(equals + 1)).replaceAll("$1");
            if (option.startsWith("conf=")) {
                words.add(value);
            } else if (option.startsWith("mon_host=")) {
                words.addAll(List.of(value.split("[;, ]+")));
            }
        }
        words.removeIf(String::isEmpty);
        return List.copyOf(words);
    }
}
