/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import com.github.dockerjava.api.model.AccessMode;
import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Volume;
import com.sun.jna.Native;
import io.vmguard.lease.engine.LeaseEngine;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The lease engine of this checkout in a container, to be run there by {@link EngineServer}. */
final class EngineClassPath {
    private final List<Path> paths =
            List.of(whereFrom(LeaseEngine.class), whereFrom(Native.class), whereFrom(EngineServer.class));

    private static Path whereFrom(Class<?> type) {
        try {
            return Path.of(
                    type.getProtectionDomain().getCodeSource().getLocation().toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** What the container has to see. */
    List<Bind> binds() {
        return IntStream.range(0, paths.size())
                .mapToObj(i -> new Bind(paths.get(i).toString(), new Volume("/cp/" + i), AccessMode.ro))
                .toList();
    }

    /** For {@code java -cp} in it. */
    String inContainer() {
        return IntStream.range(0, paths.size()).mapToObj(i -> "/cp/" + i).collect(Collectors.joining(":"));
    }
}
