/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import io.vmguard.agent.domain.OtherStorage.ExplicitLease;
import io.vmguard.agent.domain.OtherStorage.Image;
import io.vmguard.agent.domain.OtherStorage.Opaque;
import io.vmguard.agent.domain.OtherStorage.ScsiDevice;
import io.vmguard.agent.domain.OtherStorage.TpmState;
import io.vmguard.agent.domain.OtherStorage.VhostScsi;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads the elements beside {@code <disk>} that storage hangs on. */
final class OtherXml {

    /** Types of file systems that are one image, not a directory. */
    private static final Set<String> FILE_SYSTEM_IMAGES = Set.of("file", "block", "volume");

    private final XmlCursor cursor;
    private final List<OtherStorage> found = new ArrayList<>();
    private int hostDevices;
    private int memories;
    private int fileSystems;
    private int tpms;
    private int sharedMemories;
    private final Map<String, Integer> characterDevices = new HashMap<>();
    private final Set<String> characterPaths = new HashSet<>();

    OtherXml(XmlCursor cursor) {
        this.cursor = cursor;
    }

    List<OtherStorage> found() {
        return found;
    }

    /** In {@code <os>}: firmware that can be written, and its variables. */
    void os() throws DomainXmlException {
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            if (cursor.name().equals("nvram")) {
                nvram();
            } else if (cursor.name().equals("varstore")) {
                image("varstore", "nvram", cursor.attribute("path", ""));
            } else if (cursor.name().equals("loader")) {
                // Flash is writable without word of it; of firmware that libvirt chooses itself it says that it is not.
                boolean writable = !cursor.attribute("readonly", "").equals("yes")
                        && cursor.attribute("type", "").equals("pflash");
                String path = cursor.text().strip();
                if (writable && !path.isEmpty()) {
                    found.add(new Image("loader", "loader", false, false, new DiskSource.File(path)));
                }
            }
        }
    }

    private void nvram() throws DomainXmlException {
        String type = cursor.attribute("type", "file");
        StringBuilder text = new StringBuilder();
        DiskSource source = null;
        int own = cursor.depth();
        while (cursor.nextChildOrText(own, text)) {
            if (cursor.name().equals("source") && source == null) {
                source = SourceXml.read(cursor, type);
            }
        }
        String path = text.toString().strip();
        if (source == null && !path.isEmpty()) {
            source = new DiskSource.File(path);
        }
        found.add(new Image("nvram", "nvram", false, false, source == null ? new DiskSource.Empty() : source));
    }

    /** In {@code <devices>}. True if the element was one of these, and has been read to its end. */
    boolean device() throws DomainXmlException {
        switch (cursor.name()) {
            case "hostdev" -> hostDevice();
            case "memory" -> memory();
            case "filesystem" -> fileSystem();
            case "tpm" -> tpm();
            case "pstore" -> persistentStore();
            case "lease" -> lease();
            case "serial", "parallel", "console", "channel", "smartcard", "redirdev" -> characters(cursor.name());
            case "audio" -> audio();
            case "shmem" -> found.add(new Opaque("shmem #" + ++sharedMemories, Opaque.Kind.SHARED_MEMORY));
            default -> {
                return false;
            }
        }
        return true;
    }

    private void hostDevice() throws DomainXmlException {
        String mode = cursor.attribute("mode", "subsystem");
        String type = cursor.attribute("type", "");
        String target = "hostdev #" + ++hostDevices;
        boolean readOnly = false;
        boolean shareable = false;
        DiskSource iscsi = null;
        String wwpn = "";
        String host = "";
        String address = "";
        String block = "";
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            switch (cursor.name()) {
                case "readonly" -> readOnly = true;
                case "shareable" -> shareable = true;
                case "source" -> {
                    if (cursor.attribute("protocol", "").equals("iscsi")) {
                        iscsi = SourceXml.read(cursor, "network");
                        continue;
                    }
                    wwpn = cursor.attribute("wwpn", "");
                    int inSource = cursor.depth();
                    while (cursor.nextChild(inSource)) {
                        switch (cursor.name()) {
                            case "adapter" ->
                                host = cursor.attribute("name", "").replaceFirst("^scsi_host", "");
                            case "address" ->
                                address = cursor.attribute("bus", "0") + ":" + cursor.attribute("target", "0") + ":"
                                        + cursor.attribute("unit", "0");
                            case "block", "char" -> block = cursor.text().strip();
                            default -> {
                                // vendor and product of a USB device, or a newer libvirt's
                            }
                        }
                    }
                }
                default -> {
                    // Where it is in the guest.
                }
            }
        }
        if (mode.equals("capabilities")) {
            DiskSource source = block.isEmpty() ? new DiskSource.Empty() : new DiskSource.Block(block);
            found.add(
                    type.equals("storage")
                            ? new Image(target, "hostdev", readOnly, shareable, source)
                            : new Opaque(target, Opaque.Kind.UNKNOWN_HOST_DEVICE));
        } else if (type.equals("scsi")) {
            found.add(
                    iscsi != null
                            ? new Image(target, "hostdev", readOnly, shareable, iscsi)
                            : new ScsiDevice(
                                    target,
                                    host.isEmpty() || address.isEmpty() ? "" : host + ":" + address,
                                    readOnly,
                                    shareable));
        } else if (type.equals("scsi_host")) {
            found.add(new VhostScsi(target, wwpn));
        } else {
            found.add(new Opaque(
                    target,
                    switch (type) {
                        case "pci" -> Opaque.Kind.PCI_DEVICE;
                        case "usb" -> Opaque.Kind.USB_DEVICE;
                        case "mdev" -> Opaque.Kind.MEDIATED_DEVICE;
                        default -> Opaque.Kind.UNKNOWN_HOST_DEVICE;
                    }));
        }
    }

    private void memory() throws DomainXmlException {
        String model = cursor.attribute("model", "");
        String target = "memory #" + ++memories;
        String path = "";
        boolean readOnly = false;
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            boolean isSource = cursor.name().equals("source");
            boolean isTarget = cursor.name().equals("target");
            int inside = cursor.depth();
            while ((isSource || isTarget) && cursor.nextChild(inside)) {
                if (isSource && cursor.name().equals("path")) {
                    path = cursor.text().strip();
                } else if (isTarget && cursor.name().equals("readonly")) {
                    readOnly = true;
                }
            }
        }
        // Other models (dimm, virtio-mem, sgx) name no storage; their path, if any, is of huge pages.
        if (model.equals("nvdimm") || model.equals("virtio-pmem")) {
            DiskSource source = path.isEmpty() ? new DiskSource.Empty() : new DiskSource.File(path);
            found.add(new Image(target, "memory", readOnly, false, source));
        }
    }

    private void fileSystem() throws DomainXmlException {
        String type = cursor.attribute("type", "mount");
        String target = "filesystem #" + ++fileSystems;
        boolean readOnly = false;
        DiskSource source = null;
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            if (cursor.name().equals("readonly")) {
                readOnly = true;
            } else if (cursor.name().equals("source") && FILE_SYSTEM_IMAGES.contains(type)) {
                source = SourceXml.read(cursor, type);
            }
        }
        if (source != null) {
            found.add(new Image(target, "filesystem", readOnly, false, source));
        } else {
            found.add(new Opaque(
                    target, type.equals("ram") ? Opaque.Kind.MEMORY_FILE_SYSTEM : Opaque.Kind.SHARED_DIRECTORY));
        }
    }

    private void tpm() throws DomainXmlException {
        String target = tpms++ == 0 ? "tpm" : "tpm #" + tpms;
        String type = "";
        String path = null;
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            if (cursor.name().equals("backend")) {
                type = cursor.attribute("type", "");
                int inside = cursor.depth();
                while (cursor.nextChild(inside)) {
                    path = cursor.name().equals("source") && path == null
                            ? nullIfEmpty(cursor.attribute("path", ""))
                            : path;
                }
            }
        }
        found.add(
                type.equals("emulator")
                        ? new TpmState(target, Optional.ofNullable(path))
                        : new Opaque(
                                target,
                                type.equals("external") ? Opaque.Kind.EXTERNAL_TPM : Opaque.Kind.PASSED_THROUGH_TPM));
    }

    /** A serial port and the like, if a file or a device of the host is behind it. */
    private void characters(String kind) throws DomainXmlException {
        String target = kind + " #" + characterDevices.merge(kind, 1, Integer::sum);
        String type = cursor.attribute("type", "");
        List<String> paths = new ArrayList<>();
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            if (cursor.name().equals("log")) {
                paths.add(cursor.attribute("file", ""));
            } else if (cursor.name().equals("source") && (type.equals("file") || type.equals("dev"))) {
                paths.add(cursor.attribute("path", ""));
            }
        }
        paths.removeIf(String::isEmpty);
        // libvirt writes the first serial port down as a console, too.
        if (characterPaths.addAll(paths)) {
            found.add(new Opaque(target, Opaque.Kind.CHARACTER_DEVICE));
        }
    }

    private static @Nullable String nullIfEmpty(String text) {
        return text.isEmpty() ? null : text;
    }

    /** Sound of the guest, if it is recorded. */
    private void audio() {
        if (cursor.attribute("type", "").equals("file")) {
            found.add(new Opaque("audio #" + cursor.attribute("id", "1"), Opaque.Kind.RECORDED_SOUND));
        }
    }

    /** Where a guest's kernel writes its last words. */
    private void persistentStore() throws DomainXmlException {
        String path = "";
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            if (cursor.name().equals("path")) {
                path = cursor.text().strip();
            }
        }
        image("pstore", "pstore", path);
    }

    private void image(String target, String role, String path) {
        found.add(new Image(
                target, role, false, false, path.isEmpty() ? new DiskSource.Empty() : new DiskSource.File(path)));
    }

    private void lease() throws DomainXmlException {
        String lockspace = "";
        String key = "";
        String path = "";
        String offset = "0";
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            switch (cursor.name()) {
                case "lockspace" -> lockspace = cursor.text().strip();
                case "key" -> key = cursor.text().strip();
                case "target" -> {
                    path = cursor.attribute("path", "");
                    offset = cursor.attribute("offset", "0");
                }
                default -> {
                    // Nothing else belongs here.
                }
            }
        }
        found.add(new ExplicitLease("lease " + key, lockspace, key, path, offset));
    }
}
