/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.Stream;

/** The packages that {@code make deb} and {@code make rpm} have built from this checkout. */
final class BuiltPackage {
    /** What either may be in size: it is copied to every host of a fleet. */
    static final long MAX_BYTES = 15L << 20;

    /** A directory in the place of a file that the agent writes before it leaves its domains alone: then it does not. */
    static final String IN_THE_WAY_OF_A_STOP = "/run/vmguard/__LIBVIRT__DISKS__.membership.new";

    private BuiltPackage() {}

    /** The newest Debian package, if there is any. */
    static Optional<Path> find() {
        return newest("vmguard_.*_all\\.deb");
    }

    /** The newest RPM, if there is any. */
    static Optional<Path> findRpm() {
        return newest("vmguard-.*\\.noarch\\.rpm");
    }

    private static Optional<Path> newest(String pattern) {
        Path target = Path.of("..", "target").toAbsolutePath().normalize();
        if (!Files.isDirectory(target)) {
            return Optional.empty();
        }
        try (Stream<Path> files = Files.list(target)) {
            return files.filter(f -> f.getFileName().toString().matches(pattern))
                    .max(Comparator.comparing(f -> f.toFile().lastModified()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
