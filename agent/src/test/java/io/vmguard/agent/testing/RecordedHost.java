/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.agent.identity.StorageFacts;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/**
 * A host of which only texts are there: a file in {@code /hosts}. A line {@code == PATH} begins a text, up to the next one;
 * {@code == link PATH -> TARGET}, {@code == block PATH MAJOR:MINOR}, {@code == file PATH}, {@code == dir PATH},
 * {@code == other PATH}, {@code == denied PATH} and {@code == failed PATH REASON} are single entries. Directories above anything are
 * there. In texts {@code \u2400} stands for a NUL.
 */
public final class RecordedHost implements StorageFacts {
    private final Map<String, String> texts = new HashMap<>();
    private final Map<String, Node> nodes = new HashMap<>();
    private final Map<String, byte[]> images = new HashMap<>();

    /** One with nothing but the root directory. */
    public RecordedHost() {
        nodes.put("/", new Node(Node.Kind.DIRECTORY, ""));
    }

    /** @param name of the file, without {@code .host} */
    public static RecordedHost of(String name) {
        try (InputStream in = RecordedHost.class.getResourceAsStream("/hosts/" + name + ".host")) {
            if (in == null) {
                throw new IllegalArgumentException("no such recording: " + name);
            }
            return new RecordedHost().and(new String(in.readAllBytes(), StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** With more of the same form. */
    public RecordedHost and(String recording) {
        for (String part : ("\n" + recording).split("\n== ")) {
            String head = part.lines().findFirst().orElse("").strip();
            int newline = part.indexOf('\n');
            String body = newline < 0 ? "" : part.substring(newline + 1);
            String[] words = head.split(" ");
            switch (words[0]) {
                case "" -> {
                    // What stands before the first part is for readers.
                }
                case "link" -> node(words[1], new Node(Node.Kind.LINK, words[3]));
                case "block" -> node(words[1], new Node(Node.Kind.BLOCK_DEVICE, words[2]));
                case "file" -> node(head.substring("file ".length()), new Node(Node.Kind.FILE, ""));
                case "dir" -> node(words[1], new Node(Node.Kind.DIRECTORY, ""));
                case "other" -> node(words[1], new Node(Node.Kind.OTHER, ""));
                case "denied" -> node(words[1], new Node(Node.Kind.DENIED, ""));
                case "failed" ->
                    node(
                            words[1],
                            new Node(Node.Kind.FAILED, String.join(" ", Arrays.copyOfRange(words, 2, words.length))));
                default -> {
                    if (words[0].startsWith("/")) {
                        texts.put(head, body.replace("\u2400", "\0"));
                        node(head, new Node(Node.Kind.FILE, ""));
                    }
                }
            }
        }
        return this;
    }

    /** With an image whose beginning these bytes are. */
    public RecordedHost image(String path, byte[] bytes) {
        images.put(path, bytes.clone());
        node(path, new Node(Node.Kind.FILE, ""));
        return this;
    }

    private void node(String path, Node node) {
        nodes.put(path, node);
        for (int slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
            nodes.putIfAbsent(path.substring(0, slash), new Node(Node.Kind.DIRECTORY, ""));
        }
    }

    @Override
    public Optional<String> text(String path) {
        return Optional.ofNullable(texts.get(path));
    }

    @Override
    public List<String> names(String directory) {
        TreeSet<String> names = new TreeSet<>();
        String prefix = directory + "/";
        nodes.keySet().stream()
                .filter(path -> path.startsWith(prefix))
                .forEach(path -> names.add(path.substring(prefix.length()).replaceFirst("/.*", "")));
        return List.copyOf(names);
    }

    @Override
    public Node node(String path) {
        return nodes.getOrDefault(path, new Node(Node.Kind.MISSING, ""));
    }

    @Override
    public Head head(String path, int length) {
        String at = path;
        for (int links = 0; node(at).kind() == Node.Kind.LINK && links < 40; links++) {
            String target = node(at).detail();
            at = target.startsWith("/") ? target : at.substring(0, at.lastIndexOf('/') + 1) + target;
        }
        byte[] bytes = images.get(at);
        if (bytes != null) {
            return new Bytes(Arrays.copyOf(bytes, Math.min(bytes.length, length)));
        }
        return switch (node(at).kind()) {
            case MISSING -> new Unreadable("there is no such file", false);
            case DENIED -> new Unreadable("reading it is not permitted", true);
            case FAILED -> new Unreadable("it cannot be read: " + node(at).detail(), false);
            default -> new Bytes(new byte[length]);
        };
    }
}
