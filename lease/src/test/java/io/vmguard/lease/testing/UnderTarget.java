/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDirFactory;

/** Temporary directories below {@code target}: a checkout lies on a real disk, {@code /tmp} often in memory without direct I/O. */
public final class UnderTarget implements TempDirFactory {
    @Override
    public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext extension) throws IOException {
        Path base = Files.createDirectories(Path.of("target", "leases").toAbsolutePath());
        return Files.createTempDirectory(base, "test-").toRealPath();
    }
}
