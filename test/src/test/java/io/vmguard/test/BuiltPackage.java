/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.Stream;

/** The Debian package that {@code make deb} has built from this checkout. */
final class BuiltPackage {
    private BuiltPackage() {}

    /** The newest one, if there is any. */
    static Optional<Path> find() {
        Path target = Path.of("..", "target").toAbsolutePath().normalize();
        if (!Files.isDirectory(target)) {
            return Optional.empty();
        }
        try (Stream<Path> files = Files.list(target)) {
            return files.filter(f -> f.getFileName().toString().matches("vmguard_.*_all\\.deb"))
                    .max(Comparator.comparing(f -> f.toFile().lastModified()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
