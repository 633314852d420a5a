/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

import java.util.List;
import java.util.function.Function;

/** What a volume of a storage pool stands for on this host. */
public sealed interface VolumeResult {

    /** Calls the function for the case that this is. */
    <R> R fold(
            Function<? super FilePath, ? extends R> file,
            Function<? super BlockPath, ? extends R> block,
            Function<? super NetworkSource, ? extends R> network,
            Function<? super CannotTell, ? extends R> cannotTell);

    /**
     * A file.
     *
     * @param path absolute, as the storage driver gives it
     */
    record FilePath(String path) implements VolumeResult {
        @Override
        public <R> R fold(
                Function<? super FilePath, ? extends R> file,
                Function<? super BlockPath, ? extends R> block,
                Function<? super NetworkSource, ? extends R> network,
                Function<? super CannotTell, ? extends R> cannotTell) {
            return file.apply(this);
        }
    }

    /**
     * A block device.
     *
     * @param path absolute, as the storage driver gives it
     */
    record BlockPath(String path) implements VolumeResult {
        @Override
        public <R> R fold(
                Function<? super FilePath, ? extends R> file,
                Function<? super BlockPath, ? extends R> block,
                Function<? super NetworkSource, ? extends R> network,
                Function<? super CannotTell, ? extends R> cannotTell) {
            return block.apply(this);
        }
    }

    /**
     * A disk that QEMU itself reaches over the network.
     *
     * @param protocol as in {@code <source protocol=…>}: {@code iscsi}, {@code rbd}
     * @param name as in {@code <source name=…>}: {@code IQN/LUN}, {@code POOL/IMAGE}
     * @param hosts of the pool, as in {@code <host name=…>}, in order; may be empty
     */
    record NetworkSource(String protocol, String name, List<String> hosts) implements VolumeResult {
        public NetworkSource {
            hosts = List.copyOf(hosts);
        }

        @Override
        public <R> R fold(
                Function<? super FilePath, ? extends R> file,
                Function<? super BlockPath, ? extends R> block,
                Function<? super NetworkSource, ? extends R> network,
                Function<? super CannotTell, ? extends R> cannotTell) {
            return network.apply(this);
        }
    }

    /**
     * The pool or volume is unknown, inactive or of a kind without a known meaning, or nobody answered in time.
     *
     * @param reason for people
     */
    record CannotTell(String reason) implements VolumeResult {
        @Override
        public <R> R fold(
                Function<? super FilePath, ? extends R> file,
                Function<? super BlockPath, ? extends R> block,
                Function<? super NetworkSource, ? extends R> network,
                Function<? super CannotTell, ? extends R> cannotTell) {
            return cannotTell.apply(this);
        }
    }
}
