/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.NetworkHost;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** What the command line of a process that serves a {@code /dev/nbdN} says about what it is. */
final class NbdClient {

    /** Options of each program whose value is the next word; of all other options the next word is none of theirs. */
    private static final Set<String> CLIENT_VALUES = Set.of(
            "-b",
            "-block-size",
            "-t",
            "-timeout",
            "-C",
            "-connections",
            "-T",
            "-N",
            "-name",
            "-u",
            "-unix",
            "-F",
            "-certfile",
            "-K",
            "-keyfile",
            "-A",
            "-cacertfile",
            "-H",
            "-tlshostname",
            "-y",
            "-priority",
            "-i",
            "-ident",
            "-c",
            "-check");

    private static final Set<String> RBD_VALUES = Set.of(
            "-p",
            "--pool",
            "--namespace",
            "--image",
            "--snap",
            "--device",
            "-d",
            "-m",
            "--mon-host",
            "--mon_host",
            "-c",
            "--conf",
            "--cluster",
            "-n",
            "--name",
            "-i",
            "--id",
            "-k",
            "--keyring",
            "-K",
            "--keyfile",
            "--timeout",
            "--io-timeout",
            "--reattach-timeout",
            "--max_part",
            "--max-part",
            "--nbds_max",
            "--nbds-max",
            "--encryption-format",
            "--encryption-passphrase-file",
            "--cookie",
            "--snap-id",
            "-o",
            "--options");

    private static final Set<String> QEMU_VALUES = Set.of(
            "-b",
            "--bind",
            "-o",
            "--offset",
            "-p",
            "--port",
            "-k",
            "--socket",
            "-P",
            "--partition",
            "-c",
            "--connect",
            "-e",
            "--shared",
            "-f",
            "--format",
            "-l",
            "--load-snapshot",
            "--cache",
            "--aio",
            "--discard",
            "--detect-zeroes",
            "-x",
            "--export-name",
            "-D",
            "--description",
            "-B",
            "--bitmap",
            "--object",
            "--tls-creds",
            "--tls-hostname",
            "--tls-authz",
            "-T",
            "--trace",
            "--pid-file",
            "--selinux-label",
            "--handshake-limit");

    /** Begins no path that anybody has. */
    private static final String RELATIVE = "\0";

    private NbdClient() {}

    /**
     * The disk, or the file that qemu-nbd shows; empty if it is not told.
     *
     * @param commandLine words, each followed by a NUL
     */
    static Optional<DiskSource> connection(String commandLine) {
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
    private static Optional<DiskSource> client(List<String> words) {
        List<String> plain = plain(words, CLIENT_VALUES);
        plain.removeIf(word -> word.startsWith("/dev/"));
        String name = after(words, "-N", "-name").orElse("");
        Optional<String> socket = after(words, "-u", "-unix");
        if (socket.isPresent()) {
            return Optional.of(network("nbd", name, List.of(new NetworkHost("", "", "unix", socket.get()))));
        }
        return plain.isEmpty()
                ? Optional.empty()
                : Optional.of(network(
                        "nbd", name, List.of(NetworkHost.tcp(plain.get(0), plain.size() > 1 ? plain.get(1) : ""))));
    }

    /** {@code rbd-nbd map [options] [POOL/]IMAGE}, or both by options; the pool is {@code rbd} without word of it. */
    private static Optional<DiskSource> rbd(List<String> words) {
        List<String> plain = plain(words, RBD_VALUES);
        Optional<String> image = plain.size() > 1 ? Optional.of(plain.get(1)) : after(words, "--image");
        if (plain.isEmpty() || !List.of("map", "attach").contains(plain.get(0)) || image.isEmpty()) {
            return Optional.empty();
        }
        String name = image.get();
        if (name.indexOf('/') < 0) {
            String space = after(words, "--namespace").map(ns -> ns + "/").orElse("");
            name = after(words, "-p", "--pool").orElse("rbd") + "/" + space + name;
        }
        List<NetworkHost> monitors = after(words, "-m", "--mon-host", "--mon_host").stream()
                .flatMap(list -> List.of(list.split("[;, ]+")).stream())
                .map(monitor -> NetworkHost.tcp(monitor, ""))
                .toList();
        // A cluster has its name from its configuration: /etc/ceph/NAME.conf.
        String config = after(words, "-c", "--conf")
                .or(() -> after(words, "--cluster").map(cluster -> "/etc/ceph/" + cluster + ".conf"))
                .orElse(null);
        String snapshot = after(words, "--snap").orElse(null);
        return Optional.of(new DiskSource.Network("rbd", name, monitors, snapshot, config));
    }

    /**
     * {@code qemu-nbd -c DEVICE [options] FILE}. What it shows may also be named as QEMU names images. A relative path says nothing: it was
     * of a directory that the process has left for the root.
     */
    private static Optional<DiskSource> qemu(List<String> words) {
        List<String> plain = plain(words, QEMU_VALUES);
        if (plain.size() != 1 || words.contains("--image-opts")) {
            return Optional.empty();
        }
        return ImageName.parse(plain.get(0), RELATIVE)
                .filter(source -> !(source instanceof DiskSource.File file)
                        || !file.path().startsWith(RELATIVE + "/"));
    }

    /** What is neither an option nor the value of one, without the program's own name. */
    private static List<String> plain(List<String> words, Set<String> withValues) {
        List<String> plain = new ArrayList<>();
        for (int i = 1; i < words.size(); i++) {
            String word = words.get(i);
            if (withValues.contains(word)) {
                i++;
            } else if (!word.startsWith("-") && !word.isEmpty()) {
                plain.add(word);
            }
        }
        return plain;
    }

    private static Optional<String> after(List<String> words, String... options) {
        for (int i = 1; i < words.size(); i++) {
            for (String option : options) {
                if (words.get(i).equals(option) && i + 1 < words.size()) {
                    return Optional.of(words.get(i + 1));
                }
                if (words.get(i).startsWith(option + "=")) {
                    return Optional.of(words.get(i).substring(option.length() + 1));
                }
            }
        }
        return Optional.empty();
    }

    private static DiskSource.Network network(String protocol, String name, List<NetworkHost> hosts) {
        return new DiskSource.Network(protocol, name, hosts, null);
    }
}
