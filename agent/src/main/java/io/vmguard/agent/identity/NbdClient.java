/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.NetworkHost;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What the command line of a process that serves a {@code /dev/nbdN} says about what it is. */
final class NbdClient {

    /**
     * @param file that qemu-nbd shows; empty for a network disk
     */
    record Connection(String file, DiskSource.Network source) {}

    private NbdClient() {}

    /** @param commandLine words, each followed by a NUL */
    static Optional<Connection> connection(String commandLine) {
        List<String> words = List.of(commandLine.split("\0"));
        String program = words.get(0).replaceFirst(".*/", "");
        return switch (program) {
            case "nbd-client" -> client(words);
            case "rbd-nbd" -> rbd(words);
            case "qemu-nbd" -> qemu(words);
            default -> Optional.empty();
        };
    }

    /** {@code nbd-client HOST [PORT] DEVICE [-N NAME]}, {@code nbd-client -u SOCKET DEVICE}. */
    private static Optional<Connection> client(List<String> words) {
        List<String> plain = new ArrayList<>();
        String name = "";
        String socket = "";
        for (int i = 1; i < words.size(); i++) {
            String word = words.get(i);
            boolean more = i + 1 < words.size();
            if ((word.equals("-N") || word.equals("-name")) && more) {
                name = words.get(++i);
            } else if ((word.equals("-u") || word.equals("-unix")) && more) {
                socket = words.get(++i);
            } else if (List.of("-b", "-t", "-C", "-c", "-T", "-timeout", "-block-size", "-connections")
                    .contains(word)) {
                i++;
            } else if (!word.startsWith("-")) {
                plain.add(word);
            }
        }
        plain.removeIf(word -> word.startsWith("/dev/"));
        if (!socket.isEmpty()) {
            return Optional.of(network("nbd", name, List.of(new NetworkHost("", "", "unix", socket))));
        }
        return plain.isEmpty()
                ? Optional.empty()
                : Optional.of(network(
                        "nbd", name, List.of(NetworkHost.tcp(plain.get(0), plain.size() > 1 ? plain.get(1) : ""))));
    }

    /** {@code rbd-nbd map [options] POOL/IMAGE}. */
    private static Optional<Connection> rbd(List<String> words) {
        return words.stream()
                .skip(1)
                .filter(word -> word.contains("/") && !word.startsWith("-") && !word.startsWith("/"))
                .findFirst()
                .map(image -> network("rbd", image, List.of()));
    }

    /** {@code qemu-nbd -c DEVICE [options] FILE}: the file is the last word. */
    private static Optional<Connection> qemu(List<String> words) {
        String last = words.get(words.size() - 1);
        return last.startsWith("/") && !last.startsWith("/dev/nbd")
                ? Optional.of(new Connection(last, new DiskSource.Network("", "", List.of(), null)))
                : Optional.empty();
    }

    private static Connection network(String protocol, String name, List<NetworkHost> hosts) {
        return new Connection("", new DiskSource.Network(protocol, name, hosts, null));
    }
}
