/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.hook.HookCalls;
import io.vmguard.agent.identity.StorageFacts;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Facts of libvirt: its files, its daemon, and what it says when it is asked. */
final class LibvirtSide {
    static final String STATUS = "/run/libvirt/qemu";
    static final String DEFINED = "/etc/libvirt/qemu";
    private static final String HOOKS = "/etc/libvirt/hooks";
    private static final Duration COMMAND_LIMIT = Duration.ofSeconds(5);
    private static final Duration PROBE_LIMIT = Duration.ofSeconds(15);

    private static final Pattern AUTH =
            Pattern.compile("<auth\\s[^>]*username=['\"]([^'\"]+)['\"][^>]*>\\s*<secret\\s([^>]*)/?>");
    private static final Pattern SECRET_NAME = Pattern.compile("(?:uuid|usage)=['\"]([^'\"]+)['\"]");

    private final StorageFacts facts;
    private final Commands commands;
    private final String uri;

    LibvirtSide(StorageFacts facts, Commands commands, String uri) {
        this.facts = facts;
        this.commands = commands;
        this.uri = uri;
    }

    HookFileCheck.Facts hookFile() throws IOException {
        List<String> places = List.of(HOOKS + "/qemu.d", HOOKS + "/qemu");
        Optional<String> hook = hook();
        if (hook.isEmpty()) {
            return new HookFileCheck.Facts(Optional.empty(), places, "", "");
        }
        PosixFileAttributes seen = Files.readAttributes(Path.of(hook.get()), PosixFileAttributes.class);
        return new HookFileCheck.Facts(
                hook,
                places,
                PosixFilePermissions.toString(seen.permissions()),
                seen.owner().getName());
    }

    /** The file that asks the agent. */
    private Optional<String> hook() {
        List<String> candidates = new ArrayList<>();
        facts.names(HOOKS + "/qemu.d").forEach(name -> candidates.add(HOOKS + "/qemu.d/" + name));
        candidates.add(HOOKS + "/qemu");
        return candidates.stream()
                .filter(file -> file.contains("vmguard") && facts.node(file).kind() == StorageFacts.Node.Kind.FILE
                        || facts.text(file).orElse("").contains("/v1/hook"))
                .findFirst();
    }

    HookActiveCheck.Facts hookActive(boolean mayAsk, String nonce, @Nullable Long lastCall)
            throws InterruptedException {
        Optional<String> asked = Optional.empty();
        String notAsked = mayAsk ? "" : "--no-probe";
        if (mayAsk) {
            try {
                asked = Optional.of(ask(nonce));
            } catch (IOException e) {
                notAsked = String.valueOf(e.getMessage());
            }
        }
        return new HookActiveCheck.Facts(asked, notAsked, daemonSince(), hookSince(), lastCall);
    }

    /**
     * Asks libvirt to start what cannot start: the hook is called before libvirt looks for the disk, and there is none. The agent refuses it
     * in any case, so that no QEMU is ever made.
     */
    private String ask(String nonce) throws IOException, InterruptedException {
        boolean kvm = facts.node("/dev/kvm").kind() != StorageFacts.Node.Kind.MISSING;
        String said = ask(nonce, kvm);
        // The device may be there and of no use, which libvirt says before it calls any hook: then emulated, as domains
        // there are.
        return kvm && said.contains("kvm") && !said.contains("vmguard: ") ? ask(nonce, false) : said;
    }

    private String ask(String nonce, boolean kvm) throws IOException, InterruptedException {
        Path xml = Files.createTempFile("vmguard-doctor", ".xml");
        try {
            Files.writeString(
                    xml,
                    HookProbe.xml(
                            HookCalls.PROBE_PREFIX + nonce,
                            UUID.nameUUIDFromBytes(nonce.getBytes(StandardCharsets.UTF_8)),
                            kvm));
            Commands.Result said =
                    commands.run(PROBE_LIMIT, List.of("virsh", "-q", "-c", uri, "create", xml.toString()));
            if (said.exit() == 0) {
                throw new IOException("libvirt says that it has started a domain without a disk");
            }
            return said.out().strip();
        } finally {
            Files.deleteIfExists(xml);
        }
    }

    /** When the daemon that has QEMU began, epoch seconds. */
    private @Nullable Long daemonSince() {
        Optional<Instant> since = ProcessHandle.allProcesses()
                .filter(process -> {
                    String name = facts.text("/proc/" + process.pid() + "/comm")
                            .orElse("")
                            .strip();
                    return name.equals("libvirtd") || name.equals("virtqemud");
                })
                .map(process -> process.info().startInstant())
                .flatMap(Optional::stream)
                .findFirst();
        return since.map(Instant::getEpochSecond).orElse(null);
    }

    private @Nullable Long hookSince() {
        return hook().map(file -> {
                    try {
                        Object changed = Files.getAttribute(Path.of(file), "unix:ctime", LinkOption.NOFOLLOW_LINKS);
                        return changed instanceof FileTime time
                                ? time.toInstant().getEpochSecond()
                                : null;
                    } catch (IOException e) {
                        return null;
                    }
                })
                .orElse(null);
    }

    LockManagerCheck.Facts lockManager(String leaseDir, boolean compat) {
        LibvirtConf qemu =
                LibvirtConf.parse(facts.text("/etc/libvirt/qemu.conf").orElse(""));
        LibvirtConf sanlock =
                LibvirtConf.parse(facts.text("/etc/libvirt/qemu-sanlock.conf").orElse(""));
        return new LockManagerCheck.Facts(
                qemu.value("lock_manager").orElse(""),
                sanlock.value("disk_lease_dir").orElse(LibvirtConf.DEFAULT_SANLOCK_DIR),
                leaseDir,
                compat);
    }

    /** What runs here, by what libvirt has written of it. */
    List<DomainsCheck.Running> running(DomainLeases leases) throws IOException {
        List<DomainsCheck.Running> running = new ArrayList<>();
        for (String name : facts.names(STATUS)) {
            Optional<String> xml = name.endsWith(".xml") ? facts.text(STATUS + "/" + name) : Optional.empty();
            if (xml.isEmpty()) {
                continue;
            }
            DomainSpec domain;
            try {
                domain = DomainXml.parse(new ByteArrayInputStream(xml.get().getBytes(StandardCharsets.UTF_8)));
            } catch (DomainXmlException e) {
                throw new IOException(STATUS + "/" + name + ": " + e.reason(), e);
            }
            Derivation derivation = leases.derive(domain);
            running.add(new DomainsCheck.Running(
                    domain.name(),
                    String.valueOf(domain.uuid()),
                    derivation.leases().size(),
                    derivation.unprotected().stream()
                            .map(one -> new DomainsCheck.Hole(one.target(), one.reason()))
                            .toList(),
                    derivation.refusals().stream()
                            .map(one -> new DomainsCheck.Hole(one.target(), one.reason()))
                            .toList()));
        }
        return running;
    }

    /** Of running and defined domains. The keys are neither read nor asked for. */
    CephCapsCheck.Facts cephUsers() throws InterruptedException {
        Map<String, String> secrets = new TreeMap<>();
        for (String directory : List.of(STATUS, DEFINED)) {
            for (String name : facts.names(directory)) {
                if (name.endsWith(".xml")) {
                    secrets.putAll(
                            cephUsersIn(facts.text(directory + "/" + name).orElse("")));
                }
            }
        }
        List<CephCapsCheck.User> users = new ArrayList<>();
        for (Map.Entry<String, String> user : secrets.entrySet()) {
            String caps = "";
            String unknown = "";
            try {
                caps = caps(user.getKey());
            } catch (IOException e) {
                unknown = String.valueOf(e.getMessage());
            }
            users.add(new CephCapsCheck.User(user.getKey(), user.getValue(), caps, unknown));
        }
        return new CephCapsCheck.Facts(users);
    }

    /** User and name of the secret, of every {@code <auth>} with a secret for Ceph. */
    static Map<String, String> cephUsersIn(String xml) {
        Map<String, String> users = new TreeMap<>();
        Matcher auth = AUTH.matcher(xml);
        while (auth.find()) {
            Matcher secret = SECRET_NAME.matcher(auth.group(2));
            if (auth.group(2).contains("ceph") && secret.find()) {
                users.put(auth.group(1), secret.group(1));
            }
        }
        return users;
    }

    private String caps(String user) throws IOException, InterruptedException {
        Commands.Result said = commands.run(
                COMMAND_LIMIT,
                List.of("ceph", "--connect-timeout", "3", "auth", "get", "client." + user, "-f", "json"));
        int begins = said.out().indexOf('[');
        if (said.exit() != 0 || begins < 0) {
            // The answer of a success holds the key; that of a failure does not.
            throw new IOException(said.exit() == 0 ? "ceph's answer is not understood" : firstLine(said.out()));
        }
        JsonNode entries = new ObjectMapper().readTree(said.out().substring(begins));
        return entries.path(0).path("caps").path("mon").asText();
    }

    private static String firstLine(String text) {
        return text.lines().filter(line -> !line.isBlank()).findFirst().orElse("ceph says nothing");
    }
}
