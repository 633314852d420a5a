/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.Optional;

/** What a domain can write to beside its disks, as written. {@code target} names the element for people. */
public sealed interface OtherStorage {
    /** The target of an image that a block job is making. */
    String NEW_IMAGE = "new image";

    String target();

    /**
     * An image or a device: firmware variables, a memory module, a SCSI device reached by iSCSI, a file shown as a file system.
     *
     * @param role {@code nvram}, {@code loader}, {@code memory}, {@code pstore}, {@code hostdev}, {@code filesystem}
     */
    record Image(String target, String role, boolean readOnly, boolean shareable, DiskSource source)
            implements OtherStorage {}

    /**
     * A SCSI device of the host, handed to the guest.
     *
     * @param address {@code HOST:BUS:TARGET:UNIT} as the kernel names it; empty if the XML does not say
     */
    record ScsiDevice(String target, String address, boolean readOnly, boolean shareable) implements OtherStorage {}

    /** A target of the host's own SCSI target subsystem. */
    record VhostScsi(String target, String wwpn) implements OtherStorage {}

    /**
     * The state of an emulated TPM.
     *
     * @param path where it is, if the XML says so
     */
    record TpmState(String target, Optional<String> path) implements OtherStorage {}

    /** What is behind it cannot be seen from here. */
    record Opaque(String target, Kind kind) implements OtherStorage {
        /** Why. */
        public enum Kind {
            PCI_DEVICE,
            USB_DEVICE,
            MEDIATED_DEVICE,
            SHARED_DIRECTORY,
            MEMORY_FILE_SYSTEM,
            PASSED_THROUGH_TPM,
            /** Emulated by a process that libvirt does not start. */
            EXTERNAL_TPM,
            UNKNOWN_HOST_DEVICE,
            /** A file or a device of the host, for a serial port or a console. */
            CHARACTER_DEVICE,
            /** A file of the host that the guest's sound goes to. */
            RECORDED_SOUND,
            SHARED_MEMORY,
            /** Options for the hypervisor that libvirt does not read either. */
            COMMAND_LINE
        }
    }

    /**
     * A {@code <lease>} for a lock manager.
     *
     * @param lockspace empty if missing
     * @param path the file that it is in; empty if missing
     * @param offset in that file, 0 if missing; empty if it is no number
     */
    record ExplicitLease(String target, String lockspace, String key, String path, String offset)
            implements OtherStorage {}
}
