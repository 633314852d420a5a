/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.identity.Finding.Keys;
import io.vmguard.agent.identity.Finding.Unidentified;
import io.vmguard.agent.identity.Identity.Known;
import io.vmguard.agent.identity.Identity.Refused;
import io.vmguard.agent.identity.Identity.Unneeded;
import io.vmguard.agent.identity.LeaseKey.Role;
import io.vmguard.agent.identity.PathWalk.Place;
import io.vmguard.agent.identity.StorageFacts.Node.Kind;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What an image or a device is, whatever it is called: the pure function from a source and the facts of this host to an
 * {@link Identity}.
 *
 * <p>Every doubt ends in a name that others have, too. Where one name cannot be known to be the one that another host has, all that it
 * may have are taken. One object serves one derivation; not thread-safe.
 */
public final class StorageIdentifier implements DiskSource.Cases<Identity> {

    private final IdentityRules rules;
    private final @Nullable StorageFacts facts;
    private final @Nullable PathWalk walk;
    private @Nullable String mountText;
    private MountTable mounts = MountTable.parse("");
    private int depth;

    public StorageIdentifier(IdentityRules rules, StorageFacts facts) {
        this.rules = rules;
        this.facts = facts;
        this.walk = new PathWalk(facts);
    }

    private StorageIdentifier(IdentityRules rules) {
        this.rules = rules;
        this.facts = null;
        this.walk = null;
    }

    /** One that knows no host: the path of a file or device is its name, as in libvirt's sanlock plug-in. */
    public static StorageIdentifier byNameAlone() {
        return new StorageIdentifier(IdentityRules.DEFAULT);
    }

    /** Never throws; volumes are to be resolved before. */
    public Identity identify(DiskSource source) {
        return source.fold(this);
    }

    /** A SCSI device of this host by the kernel's address. */
    public Identity identifyScsi(String address) {
        if (facts == null || address.isEmpty()) {
            return new Refused("its SCSI address is not known");
        }
        Finding finding = devices(facts).scsi(address);
        if (finding instanceof Keys keys) {
            return new Known(keys.keys(), keys.note(), Optional.empty());
        }
        Unidentified what = finding instanceof Unidentified unknown ? unknown : new Unidentified("it is read-only");
        Keys keys = Keys.of(LeaseKey.of("scsi", "scsi:" + address)).and(what.here());
        return rules.refuseUnidentified()
                ? new Refused(what.reason() + ", and on_unidentified is refuse")
                : new Known(keys.keys(), Optional.of(byPath(what.reason())), Optional.empty());
    }

    @Override
    public Identity empty(DiskSource.Empty source) {
        return new Unneeded("no medium");
    }

    @Override
    public Identity file(DiskSource.File source) {
        return path("file", source.path());
    }

    @Override
    public Identity block(DiskSource.Block source) {
        return path("block", source.path());
    }

    @Override
    public Identity directory(DiskSource.Directory source) {
        return path("dir", source.path());
    }

    @Override
    public Identity network(DiskSource.Network source) {
        return facts == null
                ? NetworkIdentity.of(source, rules.clusters())
                : NetworkIdentity.of(source, rules.clusters(), facts);
    }

    @Override
    public Identity volume(DiskSource.Volume source) {
        return new Refused("volume " + source.pool() + "/" + source.volume() + " is not resolved");
    }

    @Override
    public Identity nvme(DiskSource.Nvme source) {
        return new Unneeded("nvme: a PCI device of this host, which no other host can reach");
    }

    @Override
    public Identity vhostUser(DiskSource.VhostUser source) {
        return new Unneeded("vhostuser: only the process behind the socket knows which disk this is");
    }

    @Override
    public Identity vhostVdpa(DiskSource.VhostVdpa source) {
        return new Unneeded("vhostvdpa: only the device of this host knows which disk this is");
    }

    @Override
    public Identity unknown(DiskSource.Unknown source) {
        if (source.attributes().isEmpty()) {
            return new Refused("disk type " + source.type() + " is not known to this version of vmguard");
        }
        String identity = source.attributes().entrySet().stream()
                .map(entry -> entry.getKey() + "=" + entry.getValue())
                .collect(Collectors.joining(",", source.type() + ":", ""));
        return new Known(
                List.of(LeaseKey.of(source.type(), identity)),
                Optional.of("disk type " + source.type()
                        + " is not known to this version of vmguard: its source as written is" + " its identity"),
                Optional.empty());
    }

    /** What a path is does not depend on the type that the XML gives it: a device may be written as a file. */
    private Identity path(String kind, String path) {
        if (path.isEmpty()) {
            return new Refused("the " + kind + " source names no path");
        }
        LeaseKey written = LeaseKey.ofPath(kind, path, Role.IDENTITY);
        if (facts == null || walk == null) {
            return new Known(List.of(written), Optional.empty(), Optional.empty());
        }
        if (!path.startsWith("/")) {
            return unidentified(written, List.of(), new Unidentified("its path is not absolute"));
        }
        Place place = walk.to(path);
        if (place.node().kind() == Kind.FAILED) {
            return new Refused(place.reason());
        }
        Finding finding = finding(facts, place);
        if (finding instanceof Finding.ReadOnly readOnly) {
            return new Unneeded(readOnly.reason());
        }
        if (finding instanceof Unidentified unidentified) {
            return unidentified(written, hereBy(facts, place), unidentified);
        }
        Keys keys = (Keys) finding;
        if (!place.reason().isEmpty()) {
            if (rules.refuseUnidentified() && place.node().kind() == Kind.DENIED) {
                return new Refused(place.reason() + ", and on_unidentified is refuse");
            }
            // What could not be looked at may be a link; what is not there may be a file system that is mounted late.
            return known(keys.and(List.of(written.as(Role.ALIAS))), Optional.of(place.reason()), path);
        }
        return known(rules.compat() ? keys.and(List.of(written.as(Role.COMPAT))) : keys, keys.note(), path);
    }

    private static Known known(Keys keys, Optional<String> note, String path) {
        return new Known(keys.keys(), note, Optional.of(path));
    }

    /** @param others paths that lead to it too */
    private Identity unidentified(LeaseKey written, List<String> others, Unidentified what) {
        if (rules.refuseUnidentified()) {
            return new Refused(what.reason() + ", and on_unidentified is refuse");
        }
        int colon = written.identity().indexOf(':');
        String kind = written.identity().substring(0, colon);
        Keys keys = Keys.of(written)
                .and(others.stream()
                        .map(path -> LeaseKey.ofPath(kind, path, Role.ALIAS))
                        .toList())
                .and(what.here());
        return known(
                keys, Optional.of(byPath(what.reason())), written.identity().substring(colon + 1));
    }

    /**
     * The path without links, and the one that all paths to this place have in common on this host: of what has no better name, bind
     * mounts and device nodes of another name must not make two.
     */
    private List<String> hereBy(StorageFacts host, Place place) {
        String real = place.real();
        return List.of(
                real,
                place.node().kind() == Kind.BLOCK_DEVICE
                        ? devices(host).node(place.node().detail()).orElse(real)
                        : mounts(host).byOldestMount(real));
    }

    private static String byPath(String reason) {
        return reason + ": its path is its name";
    }

    private Finding finding(StorageFacts host, Place place) {
        return switch (place.node().kind()) {
            case BLOCK_DEVICE -> devices(host).of(place.node().detail());
            case OTHER -> new Unidentified("it is neither a file nor a block device");
            default ->
                isDevicePath(place)
                        ? new Unidentified(place.reason())
                        : new FileSystems(host, devices(host), mounts(host), rules.clusters()).of(place.real());
        };
    }

    /** Not there now; and what will be there is not what the file system of device nodes is. */
    private static boolean isDevicePath(Place place) {
        return place.node().kind() != Kind.FILE && place.real().startsWith("/dev/");
    }

    private BlockDevices devices(StorageFacts host) {
        return new BlockDevices(host, rules.clusters(), path -> behind(host, path));
    }

    /** The file that a loop device or qemu-nbd shows. */
    private Finding behind(StorageFacts host, String path) {
        PathWalk current = walk == null ? new PathWalk(host) : walk;
        if (++depth > 8) {
            return new Unidentified("its devices are stacked too deep");
        }
        Place place = current.to(path);
        Finding finding = place.reason().isEmpty()
                ? finding(host, place)
                : new Unidentified("the file behind it: " + place.reason());
        depth--;
        return finding instanceof Unidentified unidentified && !rules.refuseUnidentified()
                ? new Keys(
                                List.of(LeaseKey.ofPath("file", place.real(), Role.IDENTITY)),
                                Optional.of(byPath(unidentified.reason())))
                        .and(hereBy(host, place).stream()
                                .map(by -> LeaseKey.ofPath("file", by, Role.ALIAS))
                                .toList())
                        .and(unidentified.here())
                : finding;
    }

    /** Read after the path was walked, for that may have mounted something. */
    private MountTable mounts(StorageFacts host) {
        String text = host.text("/proc/self/mountinfo").orElse("");
        if (!text.equals(mountText)) {
            mountText = text;
            mounts = MountTable.parse(text);
        }
        return mounts;
    }

    /** Whether two paths lead to one place on this host. */
    public boolean samePath(String one, String other) {
        return walk == null
                ? one.equals(other)
                : one.startsWith("/")
                        && walk.to(one).real().equals(walk.to(other).real());
    }

    /** The facts that this decides on; empty for {@link #byNameAlone}. */
    public Optional<StorageFacts> facts() {
        return Optional.ofNullable(facts);
    }
}
