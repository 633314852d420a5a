/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** What {@code /proc/self/mountinfo} says; format: proc(5). */
final class MountTable {

    /**
     * One mount.
     *
     * @param device {@code MAJOR:MINOR} of its file system
     * @param root the path inside the file system that is seen at {@code point}; not {@code /} for a bind mount
     * @param source as its file system type means it
     * @param options of the file system, comma-separated
     */
    record Mount(
            String id,
            String parent,
            String device,
            String root,
            String point,
            String type,
            String source,
            String options) {

        /** Where an absolute path at or below {@link #point} is inside the file system. */
        String inside(String path) {
            String rest = point.equals("/") ? path : path.substring(point.length());
            String joined = (root.equals("/") ? "" : root) + (rest.equals("/") ? "" : rest);
            return joined.isEmpty() ? "/" : joined;
        }

        /** The other way round, of a path at or below {@link #root}. */
        String outside(String inside) {
            String rest = root.equals("/") ? inside : inside.substring(root.length());
            String joined = (point.equals("/") ? "" : point) + (rest.equals("/") ? "" : rest);
            return joined.isEmpty() ? "/" : joined;
        }

        Optional<String> option(String name) {
            for (String option : options.split(",")) {
                if (option.startsWith(name + "=")) {
                    return Optional.of(option.substring(name.length() + 1));
                }
            }
            return Optional.empty();
        }
    }

    private final List<Mount> all;
    private final Map<String, List<Mount>> children = new HashMap<>();
    private final @Nullable Mount top;

    private MountTable(List<Mount> mounts) {
        this.all = mounts;
        Map<String, Mount> byId = new HashMap<>();
        mounts.forEach(mount -> byId.put(mount.id(), mount));
        Mount root = null;
        for (Mount mount : mounts) {
            children.computeIfAbsent(mount.parent(), id -> new ArrayList<>()).add(mount);
            // The root of a host that runs from its initial file system is its own parent.
            boolean hasParent = !mount.parent().equals(mount.id()) && byId.containsKey(mount.parent());
            if (root == null && mount.point().equals("/") && !hasParent) {
                root = mount;
            }
        }
        this.top = root;
    }

    /** Lines that are none of this format are passed over. */
    static MountTable parse(String mountinfo) {
        List<Mount> mounts = new ArrayList<>();
        // The kernel does not escape a carriage return, which ends no line.
        for (String line : mountinfo.split("\n")) {
            // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
            String[] words = line.split(" ");
            int dash = 6;
            while (dash < words.length && !words[dash].equals("-")) {
                dash++;
            }
            if (dash + 2 < words.length) {
                mounts.add(new Mount(
                        words[0],
                        words[1],
                        words[2],
                        unescaped(words[3]),
                        unescaped(words[4]),
                        words[dash + 1],
                        unescaped(words[dash + 2]),
                        dash + 3 < words.length ? unescaped(words[dash + 3]) : ""));
            }
        }
        return new MountTable(mounts);
    }

    /**
     * The mount that a path is on, whose links and dots are resolved. Walks down from the root as the kernel does, for what is mounted
     * later over a directory hides what was mounted below it before.
     */
    Optional<Mount> of(String path) {
        Mount here = top;
        // Each step goes to a child; a table that leads in a circle is none of the kernel's.
        for (int steps = 0; here != null && steps < all.size(); steps++) {
            Mount next = below(here, path);
            if (next == null) {
                return Optional.of(here);
            }
            here = next;
        }
        return Optional.empty();
    }

    /** Every mount of one file system, in the table's order, which is that of their age. */
    List<Mount> ofDevice(String device) {
        return all.stream().filter(mount -> mount.device().equals(device)).toList();
    }

    /**
     * One path for all that lead to a file through the mounts of its file system: by the mount that shows most of it, and the oldest of
     * these. Of this host alone.
     */
    String byOldestMount(String path) {
        Optional<Mount> mount = of(path);
        String inside = mount.map(m -> m.inside(path)).orElse(path);
        return mount.stream()
                .flatMap(m -> ofDevice(m.device()).stream())
                .filter(m -> isAtOrBelow(inside, m.root()))
                .min(Comparator.comparingInt(m -> m.root().length()))
                .map(m -> m.outside(inside))
                .orElse(path);
    }

    private @Nullable Mount below(Mount here, String path) {
        Mount nearest = null;
        for (Mount child : children.getOrDefault(here.id(), List.of())) {
            boolean onTheWay = isAtOrBelow(path, child.point()) && isAtOrBelow(child.point(), here.point());
            if (onTheWay
                    && child != here
                    && (nearest == null
                            || child.point().length() < nearest.point().length())) {
                nearest = child;
            }
        }
        return nearest;
    }

    static boolean isAtOrBelow(String path, String directory) {
        return directory.equals("/")
                || path.equals(directory)
                || path.startsWith(directory) && path.charAt(directory.length()) == '/';
    }

    /** The kernel writes space, tab, newline and backslash, and for some file systems more, as a backslash and three octal digits. */
    static String unescaped(String word) {
        if (word.indexOf('\\') < 0) {
            return word;
        }
        byte[] in = word.getBytes(StandardCharsets.UTF_8);
        ByteBuffer out = ByteBuffer.allocate(in.length);
        for (int i = 0; i < in.length; i++) {
            if (in[i] == '\\' && i + 3 < in.length && isOctal(in[i + 1]) && isOctal(in[i + 2]) && isOctal(in[i + 3])) {
                out.put((byte) ((in[i + 1] - '0') * 64 + (in[i + 2] - '0') * 8 + (in[i + 3] - '0')));
                i += 3;
            } else {
                out.put(in[i]);
            }
        }
        return new String(out.array(), 0, out.position(), StandardCharsets.UTF_8);
    }

    private static boolean isOctal(byte digit) {
        return digit >= '0' && digit <= '7';
    }
}
