/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.identity.Finding.Keys;
import io.vmguard.agent.identity.Finding.ReadOnly;
import io.vmguard.agent.identity.Finding.Unidentified;
import io.vmguard.agent.identity.LeaseKey.Role;
import io.vmguard.agent.identity.StorageFacts.Node.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a block device is, from sysfs and the udev database: what is behind it, whatever it is called on this host. */
final class BlockDevices {

    /** Loop on partition on mapping on loop…: nobody stacks more. */
    private static final int MAX_LAYERS = 8;

    private static final int MAX_PATHS = 64;

    private static final Pattern NUMBER = Pattern.compile("[0-9]+:[0-9]+");
    private static final Pattern ISCSI_PATH =
            Pattern.compile("(?:.*-)?ip-.*-iscsi-(.+)-lun-([0-9a-fx]+)(?:-part[0-9]+)?");
    private static final Pattern LVM = Pattern.compile("LVM-([A-Za-z0-9]{32})([A-Za-z0-9]{32})(-.*)?");
    private static final Pattern KPARTX = Pattern.compile("part([0-9]+)-(.+)");

    private final StorageFacts facts;
    private final StorageClusters clusters;
    private final Function<String, Finding> files;

    /** @param files what a file is, for devices that show one */
    BlockDevices(StorageFacts facts, StorageClusters clusters, Function<String, Finding> files) {
        this.facts = facts;
        this.clusters = clusters;
        this.files = files;
    }

    /** The number of the device that a path leads to. */
    Optional<String> at(String path) {
        PathWalk.Place place = new PathWalk(facts).to(path);
        return place.node().kind() == Kind.BLOCK_DEVICE
                ? Optional.of(place.node().detail())
                : Optional.empty();
    }

    /** The path that the kernel has for a device; of this host alone. */
    Optional<String> node(String number) {
        return uevent("/sys/dev/block/" + number, "DEVNAME").map(name -> "/dev/" + name);
    }

    /** The UUID of the file system on a device, as blkid writes it. */
    Optional<String> fileSystemUuid(String number) {
        Optional<String> known = udev(number, "ID_FS_UUID");
        if (known.isPresent() || number.startsWith("0:")) {
            return known;
        }
        return facts.names("/dev/disk/by-uuid").stream()
                .filter(uuid -> at("/dev/disk/by-uuid/" + uuid).equals(Optional.of(number)))
                .findFirst();
    }

    /** @param number {@code MAJOR:MINOR} */
    Finding of(String number) {
        return of(number, 0);
    }

    /** A SCSI device by the kernel's address, {@code HOST:BUS:TARGET:UNIT}; also one that is no disk. */
    Finding scsi(String address) {
        String device = "/sys/bus/scsi/devices/" + address;
        List<String> disks = facts.names(device + "/block");
        Optional<String> number = disks.isEmpty() ? Optional.empty() : line(device + "/block/" + disks.get(0) + "/dev");
        if (number.isPresent()) {
            return of(number.get());
        }
        return line(device + "/wwid")
                .<Finding>map(wwid -> Keys.of(world(wwid)))
                .orElseGet(() -> new Unidentified("SCSI device " + address + " has no world-wide name here"));
    }

    private Finding of(String number, int layer) {
        if (layer > MAX_LAYERS || !NUMBER.matcher(number).matches()) {
            return new Unidentified("its devices are stacked more than " + MAX_LAYERS + " deep");
        }
        String sys = "/sys/dev/block/" + number;
        String name = uevent(sys, "DEVNAME").orElse("");
        if (name.isEmpty()) {
            return new Unidentified("this host's sysfs does not have device " + number);
        }
        if (uevent(sys, "DEVTYPE").equals(Optional.of("partition"))) {
            String part = uevent(sys, "PARTN").orElse(name);
            Optional<String> whole = line(sys + "/../dev");
            return whole.isEmpty()
                    ? new Unidentified("this host does not say of which device " + name + " is a partition")
                    : part(of(whole.get(), layer + 1), part);
        }
        Optional<String> dm = line(sys + "/dm/uuid");
        if (dm.isPresent() || name.startsWith("dm-")) {
            return mapped(number, dm.orElse(""), layer);
        }
        if (name.startsWith("rbd")) {
            return rbd(name.substring("rbd".length()));
        }
        if (name.startsWith("loop")) {
            return loop(sys, name);
        }
        if (name.startsWith("nbd")) {
            return nbd(sys, name);
        }
        return plain(number, sys, name);
    }

    /** A partition is its own; who uses the device as a whole uses all of its partitions. */
    private static Finding part(Finding whole, String part) {
        if (whole instanceof Keys keys) {
            return new Keys(part(keys.keys(), part), keys.note());
        }
        return whole instanceof Unidentified unknown
                ? new Unidentified(unknown.reason(), part(unknown.here(), part))
                : whole;
    }

    private static List<LeaseKey> part(List<LeaseKey> whole, String part) {
        List<LeaseKey> all = new ArrayList<>();
        for (LeaseKey key : whole) {
            if (key.role() != Role.WHOLE) {
                all.add(LeaseKey.of("part", key.identity() + " partition " + part)
                        .as(key.role()));
            }
        }
        whole.forEach(key -> all.add(key.as(Role.WHOLE)));
        return all;
    }

    /** A device-mapper device; its UUID says what made it. */
    private Finding mapped(String number, String uuid, int layer) {
        Matcher lvm = LVM.matcher(uuid);
        Matcher kpartx = KPARTX.matcher(uuid);
        if (lvm.matches()) {
            return Keys.of(LeaseKey.of("lvm", "lvm:" + lvm.group(1) + "/" + lvm.group(2)));
        }
        if (uuid.startsWith("mpath-")) {
            return Keys.of(world(uuid.substring("mpath-".length()))).and(namesOfPaths(number));
        }
        List<String> below = facts.names("/sys/dev/block/" + number + "/slaves");
        Optional<String> only =
                below.size() == 1 ? line("/sys/class/block/" + below.get(0) + "/dev") : Optional.empty();
        if (only.isPresent()) {
            // An encrypted device, a partition that kpartx made, or a mapping of unknown making: what is below it.
            Finding lower = of(only.get(), layer + 1);
            return kpartx.matches() ? part(lower, kpartx.group(1)) : lower;
        }
        return uuid.isEmpty() || uuid.startsWith("CRYPT-")
                ? new Unidentified("its device-mapper device has no UUID, and not one device below it")
                : Keys.of(LeaseKey.of("dm", "dm:" + uuid));
    }

    /** The paths of a multipath device may have names beside its own. */
    private List<LeaseKey> namesOfPaths(String number) {
        List<LeaseKey> names = new ArrayList<>();
        facts.names("/sys/dev/block/" + number + "/slaves").stream()
                .limit(MAX_PATHS)
                .forEach(path -> {
                    Optional<String> of = line("/sys/class/block/" + path + "/dev");
                    of.ifPresent(n -> names.addAll(names(n, "/sys/dev/block/" + n)));
                });
        return names.stream().map(key -> key.as(Role.ALIAS)).distinct().toList();
    }

    private Finding rbd(String id) {
        String sys = "/sys/bus/rbd/devices/" + id + "/";
        Optional<String> pool = line(sys + "pool");
        Optional<String> image = line(sys + "name");
        if (pool.isEmpty() || image.isEmpty()) {
            return new Unidentified("this host does not say which image rbd" + id + " is");
        }
        if (!line(sys + "current_snap").orElse("-").equals("-")) {
            return new ReadOnly("read-only snapshot");
        }
        String space = line(sys + "pool_ns")
                .filter(ns -> !ns.isEmpty())
                .map(ns -> ns + "/")
                .orElse("");
        // An old kernel does not say of which cluster it is: then it may be of any.
        List<String> prefixes =
                clusters.ceph().prefixes(line(sys + "cluster_fsid").orElse("not told"), List.of());
        Identity.Known known = (Identity.Known) NetworkIdentity.rbd(prefixes, pool.get() + "/" + space + image.get());
        return new Keys(known.keys(), known.note());
    }

    /** The file it shows, as a whole: what part of it does not matter. */
    private Finding loop(String sys, String name) {
        Optional<String> file = facts.text(sys + "/loop/backing_file").map(text -> text.replaceFirst("\n$", ""));
        if (file.isEmpty() || !file.get().startsWith("/")) {
            return new Unidentified("nothing is behind " + name);
        }
        return file.get().endsWith(" (deleted)")
                ? new Unidentified("the file behind " + name + " has been deleted")
                : files.apply(file.get());
    }

    /** Its client's command line says what it is connected to. */
    private Finding nbd(String sys, String name) {
        String words = line(sys + "/pid")
                .flatMap(pid -> facts.text("/proc/" + pid + "/cmdline"))
                .orElse("");
        Optional<DiskSource> shown = NbdClient.connection(words);
        if (shown.isPresent() && shown.get() instanceof DiskSource.Network disk) {
            return network(disk);
        }
        return shown.isPresent() && shown.get() instanceof DiskSource.File file
                ? files.apply(file.path())
                : new Unidentified("this host does not say what " + name + " is connected to");
    }

    private Finding network(DiskSource.Network source) {
        Identity identity = NetworkIdentity.of(source, clusters, facts);
        if (identity instanceof Identity.Known known) {
            return new Keys(known.keys(), known.note());
        }
        return identity instanceof Identity.Unneeded unneeded
                ? new ReadOnly(unneeded.reason())
                : new Unidentified(((Identity.Refused) identity).reason());
    }

    private Finding plain(String number, String sys, String name) {
        List<LeaseKey> names = names(number, sys);
        if (names.isEmpty()) {
            return new Unidentified(
                    name + " has no world-wide name and no serial number that this host knows", List.of(nodeKey(name)));
        }
        return Keys.of(names.get(0).as(Role.IDENTITY))
                .and(names.stream().skip(1).map(key -> key.as(Role.ALIAS)).toList());
    }

    /** Of this host alone. */
    private static LeaseKey nodeKey(String name) {
        return LeaseKey.ofPath("block", "/dev/" + name, Role.ALIAS);
    }

    /** Every name of a device that is not mapped from others; the strongest first. */
    private List<LeaseKey> names(String number, String sys) {
        List<LeaseKey> names = new ArrayList<>();
        // NVMe namespaces, then SCSI devices.
        line(sys + "/wwid").or(() -> line(sys + "/device/wwid")).ifPresent(wwid -> names.add(world(wwid)));
        if (names.isEmpty()) {
            udev(number, "ID_WWN_WITH_EXTENSION").ifPresent(wwn -> names.add(world(wwn)));
        }
        links(number, "drbd/by-res/").ifPresent(res -> names.add(LeaseKey.of("drbd", "drbd:" + res)));
        udev(number, "MD_UUID").ifPresent(uuid -> names.add(LeaseKey.of("md", "md:" + uuid)));
        links(number, "zvol/").ifPresent(volume -> names.add(LeaseKey.of("zfs", "zfs:" + volume)));
        line(sys + "/device/uid").ifPresent(uid -> names.add(LeaseKey.of("dasd", "dasd:" + uid)));
        line(sys + "/device/uuid").ifPresent(uuid -> names.add(LeaseKey.of("pmem", "pmem:" + uuid)));
        Optional<String> serial = udev(number, "ID_SERIAL").or(() -> line(sys + "/serial"));
        boolean scsi = udev(number, "ID_BUS").equals(Optional.of("scsi"));
        serial.filter(text -> !text.isEmpty())
                .ifPresent(text -> names.add(scsi ? world(text) : LeaseKey.of("serial", "serial:" + text)));
        udev(number, "ID_PATH")
                .map(ISCSI_PATH::matcher)
                .filter(Matcher::matches)
                .ifPresent(iscsi -> {
                    String lun = iscsi.group(2).startsWith("0x")
                            ? iscsi.group(2)
                            : NetworkIdentity.iscsi(iscsi.group(1) + "/" + iscsi.group(2))
                                    .replaceFirst(".*/", "");
                    String identity = "iscsi:" + NetworkIdentity.iscsi(iscsi.group(1) + "/" + lun);
                    names.add(LeaseKey.of("iscsi", identity));
                });
        return names;
    }

    /**
     * A world-wide name in one spelling, however it was found out: sysfs writes {@code naa.6001405…}, udev {@code 0x6001405…}, multipath
     * and scsi_id {@code 36001405…}, NVMe {@code eui.…}, {@code nvme.…} or {@code uuid.…}.
     */
    static LeaseKey world(String text) {
        String name = text.strip().toLowerCase(Locale.ROOT);
        String bare = name.replaceFirst("^(naa\\.|eui\\.|0x)", "");
        boolean hex = bare.matches("[0-9a-f]+");
        if (hex && name.equals(bare) && (bare.length() == 17 || bare.length() == 33)) {
            bare = bare.substring(1); // scsi_id puts the kind of the name in front: 3 naa, 2 eui
        }
        if (!hex) {
            bare = bare.replaceFirst("^(t10\\.|1(?=[a-z]))", "").replaceAll("[\\s_]+", "_");
        }
        return LeaseKey.of("wwn", "wwn:" + bare);
    }

    private Optional<String> links(String number, String prefix) {
        return facts.text("/run/udev/data/b" + number)
                .orElse("")
                .lines()
                .filter(line -> line.startsWith("S:" + prefix))
                .map(line -> line.substring(2 + prefix.length()))
                .sorted()
                .findFirst();
    }

    private Optional<String> udev(String number, String property) {
        return value(facts.text("/run/udev/data/b" + number), "E:" + property + "=");
    }

    private Optional<String> uevent(String sys, String property) {
        return value(facts.text(sys + "/uevent"), property + "=");
    }

    private static Optional<String> value(Optional<String> text, String prefix) {
        return text.flatMap(all -> all.lines()
                .filter(line -> line.startsWith(prefix))
                .map(line -> line.substring(prefix.length()))
                .findFirst());
    }

    private Optional<String> line(String path) {
        return facts.text(path).map(String::strip).filter(text -> !text.isEmpty());
    }
}
