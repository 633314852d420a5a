/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Where the blocks of a disk are: one record per value of {@code <disk type=…>} in libvirt's schema, one for a drive
 * without a medium and one for whatever a newer libvirt adds.
 */
public sealed interface DiskSource {

    /** Calls the one method of {@code cases} that belongs to this kind of source; a new kind breaks every caller's build. */
    <T> T fold(Cases<T> cases);

    /** What to do with each kind of source. */
    interface Cases<T> {
        T empty(Empty source);

        T file(File source);

        T block(Block source);

        T directory(Directory source);

        T network(Network source);

        T volume(Volume source);

        T nvme(Nvme source);

        T vhostUser(VhostUser source);

        T vhostVdpa(VhostVdpa source);

        T unknown(Unknown source);
    }

    /** No medium: no {@code <source>}, or one whose address is missing or the empty string, which libvirt takes as missing. */
    record Empty() implements DiskSource {
        @Override
        public <T> T fold(Cases<T> cases) {
            return cases.empty(this);
        }
    }

    /** {@code type='file'}; the path as written. */
    record File(String path) implements DiskSource {
        @Override
        public <T> T fold(Cases<T> cases) {
            return cases.file(this);
        }
    }

    /** {@code type='block'}; the path of the device as written. */
    record Block(String path) implements DiskSource {
        @Override
        public <T> T fold(Cases<T> cases) {
            return cases.block(this);
        }
    }

    /** {@code type='dir'}: a directory shown to the guest as a FAT file system. */
    record Directory(String path) implements DiskSource {
        @Override
        public <T> T fold(Cases<T> cases) {
            return cases.directory(this);
        }
    }

    /**
     * {@code type='network'}.
     *
     * @param protocol as written, for instance {@code rbd}
     * @param name the image, export or path on the server; empty if missing, which NBD allows
     * @param hosts in document order, possibly none
     * @param snapshot name in {@code <snapshot>}, if there is one
     * @param config path in {@code <config file=…>}, if there is one
     */
    record Network(
            String protocol,
            String name,
            List<NetworkHost> hosts,
            @Nullable String snapshot,
            @Nullable String config) implements DiskSource {
        public Network {
            hosts = List.copyOf(hosts);
        }

        /** One without a configuration of its own. */
        public Network(String protocol, String name, List<NetworkHost> hosts, @Nullable String snapshot) {
            this(protocol, name, hosts, snapshot, null);
        }

        @Override
        public <T> T fold(Cases<T> cases) {
            return cases.network(this);
        }
    }

    /**
     * {@code type='volume'}: libvirt never translates these, not even in the XML it gives to hooks.
     *
     * @param pool name of the storage pool, empty if missing
     * @param volume name of the volume in it, empty if missing
     * @param mode {@code host} or {@code direct}, for iSCSI pools
     */
    record Volume(String pool, String volume, @Nullable String mode) implements DiskSource {
        @Override
        public <T> T fold(Cases<T> cases) {
            return cases.volume(this);
        }
    }

    /** {@code type='nvme'}: a namespace of a PCI device handed to QEMU as a whole. */
    record Nvme() implements DiskSource {
        @Override
        public <T> T fold(Cases<T> cases) {
            return cases.nvme(this);
        }
    }

    /** {@code type='vhostuser'}: another process serves the disk on this socket. */
    record VhostUser(String socket) implements DiskSource {
        @Override
        public <T> T fold(Cases<T> cases) {
            return cases.vhostUser(this);
        }
    }

    /** {@code type='vhostvdpa'}: a vDPA device of the host. */
    record VhostVdpa(String device) implements DiskSource {
        @Override
        public <T> T fold(Cases<T> cases) {
            return cases.vhostVdpa(this);
        }
    }

    /**
     * A type this version does not know.
     *
     * @param type the word in {@code <disk type=…>}
     * @param attributes what the source says: {@code attribute}, {@code child@attribute} or {@code child} (its text) to value, sorted,
     *     without what only says how to reach it (hosts, secrets, indexes)
     */
    record Unknown(String type, SortedMap<String, String> attributes) implements DiskSource {
        public Unknown {
            attributes = Collections.unmodifiableSortedMap(new TreeMap<>(attributes));
        }

        @Override
        public <T> T fold(Cases<T> cases) {
            return cases.unknown(this);
        }
    }
}
