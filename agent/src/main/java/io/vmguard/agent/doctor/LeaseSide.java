/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.identity.MountPoint;
import io.vmguard.agent.identity.StorageFacts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Facts of the place where the leases are. Every one of them may hang with it. */
final class LeaseSide {
    private static final String DEVICE = "device";
    private static final Duration COMMAND_LIMIT = Duration.ofSeconds(5);
    private static final int LAYERS = 6;
    private static final Pattern POLLING = Pattern.compile("polling_interval\\s+\"?([0-9]{1,6})");
    private static final Pattern SESSION_TIMEOUT = Pattern.compile("(?m)^session_timeout ([0-9]{1,9})$");
    private static final Pattern AUTOCLOSE = Pattern.compile("(?m)^session_autoclose ([0-9]{1,9})$");

    private final AgentConfig config;
    private final StorageFacts facts;
    private final Commands commands;

    LeaseSide(AgentConfig config, StorageFacts facts, Commands commands) {
        this.config = config;
        this.facts = facts;
        this.commands = commands;
    }

    /** Of a directory its mount; of a device itself. */
    MountPoint mount() throws IOException {
        Path real = config.leaseDir().toRealPath();
        StorageFacts.Node node = facts.node(real.toString());
        if (node.kind() == StorageFacts.Node.Kind.BLOCK_DEVICE) {
            return new MountPoint(DEVICE, real.toString(), "", node.detail());
        }
        return MountPoint.of(facts, real.toString())
                .orElseThrow(() -> new IOException("this host does not say on which file system " + real + " is"));
    }

    FileSystemCheck.Facts fileSystem() throws IOException {
        MountPoint mount = mount();
        return new FileSystemCheck.Facts(config.leaseDir().toString(), mount.type(), mount.source());
    }

    /** By which name every host knows the lockspace; empty if it has none that goes beyond this host. */
    String identity(DomainLeases leases) throws IOException {
        Path real = config.leaseDir().toRealPath();
        String file = facts.node(real.toString()).kind() == StorageFacts.Node.Kind.BLOCK_DEVICE
                ? real.toString()
                : real.resolve(config.lockspace()).toString();
        DiskSpec disk = new DiskSpec("lockspace", "disk", false, false, false, new DiskSource.File(file));
        return leases.derive(new DomainSpec("doctor", null, List.of(disk))).leases().stream()
                .findFirst()
                .map(lease -> lease.identity())
                .orElse("");
    }

    StorageTimeoutsCheck.Facts timeouts(boolean willBeReset) throws IOException, InterruptedException {
        MountPoint mount = mount();
        Optional<String> map = multipathBelow(mount.device(), LAYERS);
        String queueing = "";
        long poll = 5;
        if (map.isPresent()) {
            queueing = queueing(map.get());
            Matcher interval =
                    POLLING.matcher(commands.run(COMMAND_LIMIT, List.of("multipathd", "show", "config", "local"))
                            .out());
            poll = interval.find() ? Long.parseLong(interval.group(1)) : poll;
        }
        return new StorageTimeoutsCheck.Facts(
                mount.type(),
                mount.options(),
                queueing,
                poll,
                mount.type().contains("ceph") ? cephTimes() : Optional.empty(),
                willBeReset,
                config.ioTimeout(),
                config.watchdogTimeout());
    }

    private String queueing(String map) throws IOException, InterruptedException {
        String maps = commands.run(COMMAND_LIMIT, List.of("multipathd", "show", "maps", "format", "%n %Q"))
                .out();
        return maps.lines()
                .filter(line -> line.startsWith(map + " "))
                .map(line -> line.substring(map.length()).strip())
                .findFirst()
                .orElseThrow(() -> new IOException("multipathd does not know its map " + map));
    }

    /** The first multipath map at or below a device, by its name. */
    private Optional<String> multipathBelow(String device, int layers) {
        String at = "/sys/dev/block/" + device;
        if (facts.text(at + "/dm/uuid").orElse("").startsWith("mpath-")) {
            return facts.text(at + "/dm/name").map(String::strip);
        }
        if (layers == 0) {
            return Optional.empty();
        }
        return facts.names(at + "/slaves").stream()
                .map(slave -> facts.text("/sys/class/block/" + slave + "/dev")
                        .orElse("")
                        .strip())
                .filter(number -> !number.isEmpty())
                .map(number -> multipathBelow(number, layers - 1))
                .flatMap(Optional::stream)
                .findFirst();
    }

    /** From the kernel, which needs no rights in the cluster for it. */
    private Optional<StorageTimeoutsCheck.CephTimes> cephTimes() {
        String clients = "/sys/kernel/debug/ceph";
        for (String client : facts.names(clients)) {
            String map = facts.text(clients + "/" + client + "/mdsmap").orElse("");
            Matcher timeout = SESSION_TIMEOUT.matcher(map);
            Matcher autoclose = AUTOCLOSE.matcher(map);
            if (timeout.find() && autoclose.find()) {
                return Optional.of(new StorageTimeoutsCheck.CephTimes(
                        Long.parseLong(timeout.group(1)), Long.parseLong(autoclose.group(1))));
            }
        }
        return Optional.empty();
    }

    FreeSpaceCheck.Facts space() throws IOException {
        long mib = 1 << 20;
        List<FreeSpaceCheck.Place> places = new ArrayList<>();
        if (!mount().type().equals(DEVICE)) {
            places.add(place("lease_dir", config.leaseDir(), 8 * mib, 256 * mib));
        }
        places.add(place("state_dir", existing(config.stateDir()), mib, 64 * mib));
        places.add(place("runtime_dir", existing(config.runtimeDir()), mib, 8 * mib));
        return new FreeSpaceCheck.Facts(places);
    }

    /** What does not exist yet would be made there. */
    private static Path existing(Path path) {
        Path at = path;
        while (!Files.exists(at) && at.getParent() != null) {
            at = at.getParent();
        }
        return at;
    }

    private static FreeSpaceCheck.Place place(String what, Path path, long least, long wanted) throws IOException {
        var store = Files.getFileStore(path);
        return new FreeSpaceCheck.Place(
                what, path.toString(), store.getUsableSpace(), store.getTotalSpace(), least, wanted);
    }
}
