/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.domain.DiskSource;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Port: what a volume of a storage pool is. The XML names only pool and volume, and the same names mean nothing on another host. */
public interface VolumeResolver {

    /**
     * @param pool name of the pool as written
     * @param volume name of the volume as written
     * @param mode {@code host} or {@code direct} for iSCSI pools, null if not given (libvirt: {@code host})
     * @return never null; answers within a bounded time, with {@link CannotTell} if need be, and does not throw
     */
    Resolution resolve(String pool, String volume, @Nullable String mode);

    /** What a volume turned out to be. */
    sealed interface Resolution {

        /** Calls the function of the case this is. */
        <T> T fold(Function<LocalPath, T> path, Function<Remote, T> remote, Function<CannotTell, T> cannotTell);
    }

    /** A file or block device on this host, by the path that QEMU gets. */
    record LocalPath(String path) implements Resolution {
        @Override
        public <T> T fold(Function<LocalPath, T> path, Function<Remote, T> remote, Function<CannotTell, T> cannotTell) {
            return path.apply(this);
        }
    }

    /** A network disk that QEMU opens itself. */
    record Remote(DiskSource.Network source) implements Resolution {
        @Override
        public <T> T fold(Function<LocalPath, T> path, Function<Remote, T> remote, Function<CannotTell, T> cannotTell) {
            return remote.apply(this);
        }
    }

    /** Not known; says why, in words that go on from {@code volume POOL/VOLUME: }. */
    record CannotTell(String reason) implements Resolution {
        @Override
        public <T> T fold(Function<LocalPath, T> path, Function<Remote, T> remote, Function<CannotTell, T> cannotTell) {
            return cannotTell.apply(this);
        }
    }
}
