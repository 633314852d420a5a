/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import io.vmguard.agent.identity.StorageFacts.Node;
import io.vmguard.agent.identity.StorageFacts.Node.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Follows symbolic links and dots, one component at a time, as the kernel does; also where a path ends in nothing. */
final class PathWalk {

    /** As in the kernel. */
    private static final int MAX_LINKS = 40;

    /**
     * Where a path leads.
     *
     * @param real absolute, without links, dots and double slashes, as far as could be looked
     * @param node what is there
     * @param reason why it could not be looked further, or the storage's error; empty if all is well
     */
    record Place(String real, Node node, String reason) {}

    private final StorageFacts facts;
    private final Map<String, Node> seen = new HashMap<>();

    PathWalk(StorageFacts facts) {
        this.facts = facts;
    }

    /** @param path absolute */
    Place to(String path) {
        Deque<String> left = new ArrayDeque<>(parts(path));
        List<String> done = new ArrayList<>();
        Node node = new Node(Kind.DIRECTORY, "");
        int links = 0;
        while (!left.isEmpty()) {
            String part = left.pop();
            if (part.equals("..")) {
                if (!done.isEmpty()) {
                    done.remove(done.size() - 1);
                }
                node = new Node(Kind.DIRECTORY, "");
                continue;
            }
            done.add(part);
            String here = joined(done, List.of());
            node = look(here);
            switch (node.kind()) {
                case LINK -> {
                    if (++links > MAX_LINKS) {
                        return new Place(path, new Node(Kind.FAILED, ""), "its symbolic links lead in a circle");
                    }
                    List<String> target = parts(node.detail());
                    for (int i = target.size() - 1; i >= 0; i--) {
                        left.push(target.get(i));
                    }
                    if (node.detail().startsWith("/")) {
                        done.clear();
                    } else {
                        done.remove(done.size() - 1);
                    }
                    node = new Node(Kind.DIRECTORY, "");
                }
                case MISSING -> {
                    return new Place(joined(done, left), node, "there is no " + here);
                }
                case DENIED -> {
                    return new Place(joined(done, left), node, "looking at " + here + " is not permitted");
                }
                case FAILED -> {
                    return new Place(joined(done, left), node, here + ": " + node.detail());
                }
                default -> {
                    if (!left.isEmpty() && node.kind() != Kind.DIRECTORY) {
                        return new Place(joined(done, left), new Node(Kind.MISSING, ""), here + " is not a directory");
                    }
                }
            }
        }
        return new Place(joined(done, List.of()), node, "");
    }

    /** Most images of a host are in few directories. */
    private Node look(String path) {
        Node known = seen.get(path);
        if (known != null) {
            return known;
        }
        Node node = facts.node(path);
        if (node.kind() == Kind.DIRECTORY || node.kind() == Kind.LINK) {
            seen.put(path, node);
        }
        return node;
    }

    private static List<String> parts(String path) {
        List<String> parts = new ArrayList<>();
        for (String part : path.split("/")) {
            if (!part.isEmpty() && !part.equals(".")) {
                parts.add(part);
            }
        }
        return parts;
    }

    private static String joined(Iterable<String> done, Iterable<String> left) {
        StringBuilder path = new StringBuilder();
        done.forEach(part -> path.append('/').append(part));
        left.forEach(part -> path.append('/').append(part));
        return path.length() == 0 ? "/" : path.toString();
    }
}
