/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.ImageChain;
import io.vmguard.agent.domain.ImageSpec;
import io.vmguard.agent.domain.OtherStorage;
import io.vmguard.agent.identity.BackingChain;
import io.vmguard.agent.identity.BackingChain.Chain;
import io.vmguard.agent.identity.Identity;
import io.vmguard.agent.identity.LeaseKey;
import io.vmguard.agent.identity.LeaseKey.Role;
import io.vmguard.agent.identity.StorageIdentifier;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** One derivation: collects the leases of one domain, and what stands in the way of them. */
final class DomainDerivation {

    private static final String SWTPM_STATE = "/var/lib/libvirt/swtpm/";
    private static final int MAX_NAME_BYTES = 48;
    /** The way out where nothing is wrong with the image: libvirt and QEMU keep to what the XML says of a chain. */
    private static final String NAME_THEM =
            ". Name them in the domain's XML (<backingStore>), or write <backingStore/> if there are none";
    /** Leases that come with those of a device: of one that is there twice, only its own are news. */
    private static final Set<String> BESIDE =
            Set.of(DiskLease.BACKING, DiskLease.ALIAS, DiskLease.COMPAT, DiskLease.WHOLE);

    private final VolumeResolver volumes;
    private final DeriverSettings settings;
    private final StorageIdentifier identifier;
    // By resource, not by identity: a file and a block device of one path share a lease.
    private final Map<String, DiskLease> leases = new LinkedHashMap<>();
    private final List<Unprotected> unprotected = new ArrayList<>();
    private final List<Refusal> refusals = new ArrayList<>();

    DomainDerivation(VolumeResolver volumes, DeriverSettings settings, StorageIdentifier identifier) {
        this.volumes = volumes;
        this.settings = settings;
        this.identifier = identifier;
    }

    Derivation result() {
        return new Derivation(List.copyOf(leases.values()), unprotected, refusals);
    }

    // ---- disks

    void disk(DiskSpec disk) {
        String target = disk.target();
        if (disk.source() instanceof DiskSource.Empty) {
            unprotected.add(new Unprotected(target, "no medium"));
        } else if (disk.readOnly() || disk.device().equals("cdrom")) {
            unprotected.add(new Unprotected(target, disk.readOnly() ? "read-only" : "read-only: cdrom"));
            blockJobs(disk);
        } else {
            // The image of a <transient/> disk is only read (libvirt puts the writes into a file of the run's own), but
            // a writer elsewhere would change it underneath.
            LeaseMode mode = disk.shareable() || disk.discardsWrites() ? LeaseMode.SHARED : LeaseMode.EXCLUSIVE;
            protect(target, DiskLease.DISK, mode, disk.source(), true);
            chain(disk, mode);
        }
    }

    /** One image and nothing of what it is built on. */
    void image(String target, DiskSource source, LeaseMode mode) {
        protect(target, DiskLease.DISK, mode, source, true);
    }

    private void chain(DiskSpec disk, LeaseMode mode) {
        String target = disk.target();
        ImageChain chain = disk.chain();
        blockJobs(disk);
        chain.dataFiles().forEach(file -> protect(target, DiskLease.WRITTEN, mode, file, true));
        chain.backing().forEach(image -> image(target, DiskLease.BACKING, LeaseMode.SHARED, image));
        if (identifier.facts().isEmpty()) {
            return;
        }
        BackingChain headers = new BackingChain(identifier.facts().get());
        ImageSpec top = local(new ImageSpec(disk.source(), chain.format()));
        int depth = chain.backing().size();
        if (chain.dataFiles().isEmpty() && (chain.ended() || depth > 0)) {
            // Where its data is, is nothing that the XML must say, even if it says what is below.
            found(disk, mode, headers.dataFiles(top));
        }
        if (!chain.ended()) {
            found(
                    disk,
                    mode,
                    headers.below(depth == 0 ? top : local(chain.backing().get(depth - 1)), depth));
        }
    }

    /** What running block jobs write, whoever else may use the disk. */
    private void blockJobs(DiskSpec disk) {
        String target = disk.target();
        disk.chain().written().forEach(image -> image(target, DiskLease.WRITTEN, LeaseMode.EXCLUSIVE, image));
        disk.chain().read().forEach(image -> image(target, DiskLease.BACKING, LeaseMode.SHARED, image));
    }

    private void image(String target, String role, LeaseMode mode, ImageSpec image) {
        protect(target, role, mode, image.source(), true);
        image.dataFiles().forEach(file -> protect(target, role, mode, file, true));
    }

    private void found(DiskSpec disk, LeaseMode mode, Chain chain) {
        String target = disk.target();
        chain.dataFiles().forEach(image -> protect(target, DiskLease.WRITTEN, mode, image.source(), true));
        chain.backing().forEach(image -> protect(target, DiskLease.BACKING, LeaseMode.SHARED, image.source(), true));
        chain.missing().ifPresent(reason -> {
            String text = "its backing images are not known: " + reason;
            if (!chain.broken()) {
                refusals.add(new Refusal(target, text + NAME_THEM));
            } else if (!disk.optional() || settings.identity().refuseUnidentified()) {
                refusals.add(new Refusal(target, text));
            } else {
                unprotected.add(new Unprotected(target + " backing", text)); // libvirt starts the domain without it
            }
        });
    }

    /** With the file or device in place of a volume. */
    private ImageSpec local(ImageSpec image) {
        return new ImageSpec(resolved(image.source()).orElse(image.source()), image.format());
    }

    private Optional<DiskSource> resolved(DiskSource source) {
        return source instanceof DiskSource.Volume volume
                ? volumes.resolve(volume.pool(), volume.volume(), volume.mode())
                        .fold(
                                local -> Optional.of(new DiskSource.File(local.path())),
                                remote -> Optional.of(remote.source()),
                                unknown -> Optional.empty())
                : Optional.of(source);
    }

    // ---- everything else

    void other(OtherStorage storage, @Nullable UUID uuid) {
        if (storage instanceof OtherStorage.Image image) {
            if (image.source() instanceof DiskSource.Empty) {
                boolean chosen = image.role().equals("nvram") || image.role().equals("pstore");
                unprotected.add(new Unprotected(
                        image.target(),
                        chosen
                                ? "libvirt chooses its path when the domain starts"
                                : "the XML does not say where it is"));
            } else if (image.readOnly()) {
                unprotected.add(new Unprotected(image.target(), "read-only"));
            } else {
                protect(image.target(), image.role(), mode(image.shareable()), image.source(), false);
            }
        } else if (storage instanceof OtherStorage.ScsiDevice device) {
            if (device.readOnly()) {
                unprotected.add(new Unprotected(device.target(), "read-only"));
            } else {
                take(
                        device.target(),
                        "hostdev",
                        mode(device.shareable()),
                        identifier.identifyScsi(device.address()),
                        false);
            }
        } else if (storage instanceof OtherStorage.VhostScsi vhost) {
            DiskSource source =
                    new DiskSource.Network("vhost-scsi", vhost.wwpn().toLowerCase(Locale.ROOT), List.of(), null);
            protect(vhost.target(), "hostdev", LeaseMode.EXCLUSIVE, source, false);
        } else if (storage instanceof OtherStorage.TpmState tpm) {
            tpm(tpm, uuid);
        } else if (storage instanceof OtherStorage.ExplicitLease lease) {
            explicit(lease);
        } else if (storage instanceof OtherStorage.Opaque opaque) {
            unprotected.add(new Unprotected(opaque.target(), reason(opaque.kind())));
        }
    }

    private static LeaseMode mode(boolean shareable) {
        return shareable ? LeaseMode.SHARED : LeaseMode.EXCLUSIVE;
    }

    private static String reason(OtherStorage.Opaque.Kind kind) {
        return switch (kind) {
            case PCI_DEVICE -> "a PCI device of this host; what is stored behind it cannot be seen";
            case USB_DEVICE -> "a USB device of this host";
            case MEDIATED_DEVICE -> "a mediated device of this host";
            case SHARED_DIRECTORY -> "a directory that is made to be shared";
            case MEMORY_FILE_SYSTEM -> "it is in memory";
            case PASSED_THROUGH_TPM -> "it is in a device of this host";
            case EXTERNAL_TPM -> "only the process behind its socket knows where its state is";
            case UNKNOWN_HOST_DEVICE -> "a host device of a kind that is not known to this version of vmguard";
            case CHARACTER_DEVICE -> "a stream of characters, nothing that a guest keeps its data in";
            case RECORDED_SOUND -> "a stream of sound, nothing that a guest keeps its data in";
            case SHARED_MEMORY -> "it is in memory, and made to be shared";
            case COMMAND_LINE -> "options for the hypervisor that libvirt does not read; storage in them is not seen";
        };
    }

    private void tpm(OtherStorage.TpmState tpm, @Nullable UUID uuid) {
        if (tpm.path().isPresent()) {
            protect(
                    tpm.target(),
                    "tpm",
                    LeaseMode.EXCLUSIVE,
                    new DiskSource.Directory(tpm.path().get()),
                    false);
        } else if (uuid == null) {
            unprotected.add(
                    new Unprotected(tpm.target(), "its state is kept under the domain's uuid, and the XML has none"));
        } else if (settings.domainLease()) {
            unprotected.add(new Unprotected(
                    tpm.target(), "its state is kept under the domain's uuid, which the lease on that guards"));
        } else {
            protect(tpm.target(), "tpm", LeaseMode.EXCLUSIVE, new DiskSource.Directory(SWTPM_STATE + uuid), false);
        }
    }

    /** Held as a lock manager would, if it is one of ours: in this lockspace, in the file of its name. */
    private void explicit(OtherStorage.ExplicitLease lease) {
        String key = lease.key();
        int bytes = key.getBytes(StandardCharsets.UTF_8).length;
        String problem = "";
        if (bytes == 0 || bytes > MAX_NAME_BYTES || key.startsWith(".") || key.indexOf('/') >= 0) {
            problem = "its key cannot be the name of a lease";
        } else if (key.equals(settings.lockspace())) {
            problem = "its key is the name of the lockspace";
        } else if (!lease.lockspace().isEmpty() && !lease.lockspace().equals(settings.lockspace())) {
            problem = "it is in lockspace " + lease.lockspace() + ", and this host's is " + settings.lockspace();
        } else if (!lease.offset().matches("0+|0x0+")) {
            problem = "it is at offset " + lease.offset() + " of its file, and leases here are at 0";
        } else if (!identifier.samePath(lease.path(), settings.leaseDir() + "/" + key)) {
            problem = "it is in " + lease.path() + ", and leases here are in " + settings.leaseDir() + "/KEY";
        }
        if (problem.isEmpty()) {
            add(new DiskLease(lease.target(), LeaseMode.EXCLUSIVE, "lease:" + key, key, DiskLease.LEASE));
        } else {
            refusals.add(new Refusal(lease.target(), "it cannot be held by this host: " + problem));
        }
    }

    /** A domain without a disk must not run twice either. */
    void domain(@Nullable UUID uuid) {
        if (!settings.domainLease()) {
            return;
        }
        if (uuid == null) {
            unprotected.add(new Unprotected("domain", "the XML has no uuid"));
        } else {
            add(new DiskLease("domain", LeaseMode.EXCLUSIVE, "domain:" + uuid, "dom-" + uuid, DiskLease.DOMAIN));
        }
    }

    // ---- leases

    /** @param compat hosts with libvirt's sanlock plug-in would lock it, too */
    private void protect(String target, String role, LeaseMode mode, DiskSource source, boolean compat) {
        if (source instanceof DiskSource.Volume volume) {
            volume(target, role, mode, volume, compat);
        } else {
            take(target, role, mode, identifier.identify(source), compat);
        }
    }

    private void volume(String target, String role, LeaseMode mode, DiskSource.Volume volume, boolean compat) {
        if (volume.pool().isEmpty() || volume.volume().isEmpty()) {
            refusals.add(new Refusal(target, "the volume source does not name a pool and a volume"));
            return;
        }
        Identity identity = volumes.resolve(volume.pool(), volume.volume(), volume.mode())
                .fold(
                        local -> identifier.identify(new DiskSource.File(local.path())),
                        remote -> identifier.identify(remote.source()),
                        unknown -> new Identity.Refused(
                                "volume " + volume.pool() + "/" + volume.volume() + ": " + unknown.reason()));
        take(target, role, mode, identity, compat);
    }

    private void take(String target, String role, LeaseMode mode, Identity identity, boolean compat) {
        if (identity instanceof Identity.Unneeded unneeded) {
            // What a backing image needs no lease for is no news.
            if (!role.equals(DiskLease.BACKING)) {
                unprotected.add(new Unprotected(target, unneeded.reason()));
            }
        } else if (identity instanceof Identity.Refused refused) {
            refusals.add(new Refusal(target, refused.reason()));
        } else {
            Identity.Known known = (Identity.Known) identity;
            if (add(lease(target, role, mode, known.keys().get(0), known.note()))) {
                known.keys().stream()
                        .skip(1)
                        .filter(key -> compat || key.role() != Role.COMPAT)
                        .forEach(key -> add(lease(target, role, mode, key, Optional.empty())));
            }
        }
    }

    private static DiskLease lease(String target, String role, LeaseMode mode, LeaseKey key, Optional<String> note) {
        return new DiskLease(
                target,
                key.role() == Role.WHOLE ? LeaseMode.SHARED : mode,
                key.identity(),
                key.resource(),
                switch (key.role()) {
                    case IDENTITY -> role;
                    case ALIAS -> DiskLease.ALIAS;
                    case COMPAT -> DiskLease.COMPAT;
                    case WHOLE -> DiskLease.WHOLE;
                },
                note);
    }

    /** @return whether its further names are needed too */
    private boolean add(DiskLease lease) {
        DiskLease first = leases.putIfAbsent(lease.resource(), lease);
        if (first == null) {
            return true;
        }
        boolean same = first.target().equals(lease.target());
        if (first.mode() == lease.mode()) {
            if (!same && !BESIDE.contains(lease.role())) {
                unprotected.add(new Unprotected(lease.target(), "same disk as " + first.target()));
            }
            return !same; // stock hosts may know it by the other of its paths
        }
        if (same && lease.mode() == LeaseMode.EXCLUSIVE) {
            leases.put(lease.resource(), lease); // a block job writes into a backing image of its own disk
            return true;
        }
        if (!same) {
            refusals.add(new Refusal(
                    lease.target(),
                    "it is the same image as " + first.target() + " has (" + lease.identity()
                            + "), and only one of the two is shared"));
        }
        return false;
    }
}
