/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.NetworkHost;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A name as QEMU takes it: a path, {@code PROTOCOL:…}, a URI, or {@code json:{…}}. Backing images are written so, and people write them
 * so.
 */
public final class ImageName {

    /** As in QEMU: a word before a colon that comes before any slash. */
    private static final Pattern PROTOCOL = Pattern.compile("([a-zA-Z0-9_+.-]+):(.*)", Pattern.DOTALL);

    private static final Pattern URI = Pattern.compile(
            "//(?:[^/@]*@)?(\\[[^\\]]*\\]|[^/:?]*)(?::([0-9]+))?(?:/([^?]*))?(?:\\?(.*))?", Pattern.DOTALL);

    private static final Pattern NBD_OLD = Pattern.compile("(\\[[^\\]]*\\]|[^:]*):([0-9]+)(?::exportname=(.*))?");

    /** {@code sheepdog://HOST/VDI}, and as it once was written, {@code sheepdog:HOST:PORT:VDI}. */
    private static final Pattern SHEEPDOG_SERVER = Pattern.compile("^(?://[^/]*/|[^:/]+:[0-9]+:)");

    /** Format and filter layers of QEMU: what they are of is inside. */
    private static final List<String> LAYERS = List.of("file", "image", "backing-file");

    /** What is below an image, or where its data is, told beside its header, which may say something else. */
    private static final Pattern OVERRIDE = Pattern.compile("(?:^|\\.)(?:backing|data-file)\\.");

    private static final int MAX_LAYERS = 16;

    private ImageName() {}

    /**
     * @param name as written
     * @param directory of the image that names it, for a relative path; absolute, without a slash at its end
     * @return empty if it is of no kind that is known
     */
    public static Optional<DiskSource> parse(String name, String directory) {
        if (name.startsWith("json:")) {
            return json(name.substring("json:".length()), directory);
        }
        Matcher protocol = PROTOCOL.matcher(name);
        boolean isPath = !protocol.matches() || name.indexOf('/') >= 0 && name.indexOf('/') < name.indexOf(':');
        if (isPath) {
            return name.isEmpty() ? Optional.empty() : Optional.of(path(name, directory));
        }
        String scheme = protocol.group(1);
        String rest = protocol.group(2);
        return switch (scheme) {
            case "file", "host_device", "host_cdrom" ->
                Optional.of(path(rest.startsWith("///") ? rest.substring(2) : rest, directory));
            case "rbd" -> Optional.of(network("rbd", rest.replaceFirst("^//(?:[^/@]*@)?", ""), List.of()));
            case "sheepdog" ->
                Optional.of(network("sheepdog", SHEEPDOG_SERVER.matcher(rest).replaceFirst(""), List.of()));
            case "nbd" -> rest.startsWith("//") || rest.isEmpty() ? uri(scheme, rest) : oldNbd(rest);
            default -> uri(scheme, rest);
        };
    }

    private static DiskSource path(String path, String directory) {
        String absolute = path.startsWith("/") ? path : directory + "/" + path;
        return new DiskSource.File(absolute);
    }

    private static DiskSource.Network network(String protocol, String name, List<NetworkHost> hosts) {
        return new DiskSource.Network(protocol, name, hosts, null);
    }

    private static Optional<DiskSource> oldNbd(String rest) {
        if (rest.startsWith("unix:")) {
            String[] parts = rest.substring("unix:".length()).split(":exportname=", 2);
            return Optional.of(network(
                    "nbd", parts.length > 1 ? parts[1] : "", List.of(new NetworkHost("", "", "unix", parts[0]))));
        }
        Matcher nbd = NBD_OLD.matcher(rest);
        return nbd.matches()
                ? Optional.of(network(
                        "nbd",
                        nbd.group(3) == null ? "" : nbd.group(3),
                        List.of(NetworkHost.tcp(nbd.group(1), nbd.group(2)))))
                : Optional.empty();
    }

    private static Optional<DiskSource> uri(String scheme, String rest) {
        Matcher uri = URI.matcher(rest);
        if (!uri.matches()) {
            return Optional.empty();
        }
        // What carries it is no part of what it is: gluster+rdma, nbds+unix, iSCSI over RDMA.
        String protocol = switch (scheme.replaceFirst("\\+.*", "")) {
            case "iser" -> "iscsi";
            case "nbds" -> "nbd";
            default -> scheme.replaceFirst("\\+.*", "");
        };
        String name = decoded(uri.group(3) == null ? "" : uri.group(3));
        String query = uri.group(4) == null ? "" : uri.group(4);
        Matcher socket = Pattern.compile("(?:^|&)socket=([^&]*)").matcher(query);
        NetworkHost host = scheme.endsWith("+unix") && socket.find()
                ? new NetworkHost("", "", "unix", decoded(socket.group(1)))
                : NetworkHost.tcp(uri.group(1), uri.group(2) == null ? "" : uri.group(2));
        return Optional.of(network(protocol, name, List.of(host)));
    }

    private static String decoded(String text) {
        try {
            return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            return text;
        }
    }

    private static Optional<DiskSource> json(String text, String directory) {
        try {
            JsonNode node = JsonMapper.builder().build().readTree(text);
            return node == null || !node.isObject() ? Optional.empty() : json(flat(node), directory);
        } catch (JsonProcessingException e) {
            return Optional.empty();
        }
    }

    /** QEMU takes {@code {"file": {"driver": …}}} and {@code {"file.driver": …}} as one. */
    private static Map<String, String> flat(JsonNode node) {
        Map<String, String> flat = new TreeMap<>();
        flatten("", node, flat, 0);
        return flat;
    }

    private static void flatten(String prefix, JsonNode node, Map<String, String> into, int depth) {
        if (depth > MAX_LAYERS) {
            return;
        }
        if (node.isObject()) {
            for (Map.Entry<String, JsonNode> field : node.properties()) {
                flatten(prefix + field.getKey() + ".", field.getValue(), into, depth + 1);
            }
        } else if (node.isArray()) {
            for (int i = 0; i < node.size(); i++) {
                flatten(prefix + i + ".", node.get(i), into, depth + 1);
            }
        } else if (!prefix.isEmpty()) {
            into.put(prefix.substring(0, prefix.length() - 1), node.asText());
        }
    }

    private static Optional<DiskSource> json(Map<String, String> all, String directory) {
        String prefix = "";
        for (int layer = 0; layer < MAX_LAYERS; layer++) {
            String at = prefix;
            Optional<String> inner = LAYERS.stream()
                    .filter(name -> all.keySet().stream().anyMatch(key -> key.startsWith(at + name + ".")))
                    .findFirst();
            if (inner.isEmpty()) {
                return protocol(at, all, directory);
            }
            prefix = at + inner.get() + ".";
        }
        return Optional.empty();
    }

    private static Optional<DiskSource> protocol(String at, Map<String, String> all, String directory) {
        String driver = all.getOrDefault(at + "driver", "");
        String fileName = all.getOrDefault(at + "filename", "");
        String path = all.getOrDefault(at + "path", "");
        List<NetworkHost> hosts = hosts(at, all);
        if (all.keySet().stream().anyMatch(key -> OVERRIDE.matcher(key).find())) {
            return Optional.empty();
        }
        return switch (driver) {
            case "rbd" -> {
                if (!fileName.isEmpty()) {
                    yield parse(fileName, directory);
                }
                String space = all.getOrDefault(at + "namespace", "");
                String name = all.getOrDefault(at + "pool", "") + "/" + (space.isEmpty() ? "" : space + "/")
                        + all.getOrDefault(at + "image", "");
                yield Optional.of(
                        new DiskSource.Network("rbd", name, hosts, all.get(at + "snapshot"), all.get(at + "conf")));
            }
            case "nbd" ->
                fileName.isEmpty()
                        ? Optional.of(network("nbd", all.getOrDefault(at + "export", ""), hosts))
                        : parse(fileName, directory);
            case "iscsi" ->
                Optional.of(network(
                        "iscsi",
                        all.getOrDefault(at + "target", "") + "/" + all.getOrDefault(at + "lun", "0"),
                        List.of(NetworkHost.tcp(all.getOrDefault(at + "portal", ""), ""))));
            case "gluster" -> Optional.of(network("gluster", all.getOrDefault(at + "volume", "") + "/" + path, hosts));
            case "ssh", "nfs" -> Optional.of(network(driver, path, hosts));
            case "sheepdog" -> Optional.of(network("sheepdog", all.getOrDefault(at + "vdi", ""), hosts));
            case "vxhs" -> Optional.of(network("vxhs", all.getOrDefault(at + "vdisk-id", ""), hosts));
            case "http", "https", "ftp", "ftps" ->
                Optional.of(network(driver, all.getOrDefault(at + "url", ""), hosts));
            case "", "file", "host_device", "host_cdrom", "raw", "qcow2" ->
                fileName.isEmpty() || fileName.startsWith("json:") ? Optional.empty() : parse(fileName, directory);
            default -> Optional.empty();
        };
    }

    private static List<NetworkHost> hosts(String at, Map<String, String> all) {
        List<NetworkHost> hosts = new ArrayList<>();
        for (String prefix : serverPrefixes(at, all)) {
            String socket = all.getOrDefault(prefix + "path", all.getOrDefault(prefix + "socket", ""));
            String host = all.getOrDefault(prefix + "host", "");
            if (!host.isEmpty()) {
                hosts.add(NetworkHost.tcp(host, all.getOrDefault(prefix + "port", "")));
            } else if (!socket.isEmpty() && !prefix.equals(at)) {
                hosts.add(new NetworkHost("", "", "unix", socket));
            }
        }
        return hosts;
    }

    private static List<String> serverPrefixes(String at, Map<String, String> all) {
        List<String> prefixes = new ArrayList<>(List.of(at, at + "server."));
        for (int i = 0; all.keySet().stream().anyMatch(startsWith(at + "server." + i + ".")); i++) {
            prefixes.add(at + "server." + i + ".");
        }
        return prefixes;
    }

    private static java.util.function.Predicate<String> startsWith(String prefix) {
        return key -> key.startsWith(prefix);
    }
}
