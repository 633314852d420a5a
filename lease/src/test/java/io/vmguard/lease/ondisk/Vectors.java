/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.step.Step;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** The sectors that real sanlock daemons wrote, in the order of their names. */
public final class Vectors {
    /**
     * One whole sector.
     *
     * @param name of its file, without folder and suffix
     */
    public record Vector(String name, Step.Area area, int offset, byte[] sector) {
        private static Vector of(Path file) {
            String name = file.getFileName().toString().replace(".bin", "");
            return new Vector(
                    name,
                    name.contains(".lockspace.") ? Step.Area.LOCKSPACE : Step.Area.RESOURCE,
                    Integer.parseInt(name.substring(name.indexOf(".off-") + 5), 16),
                    read(file));
        }

        /** The sector with zeroes where the daemon let uninitialised memory through: the padding of the request and the mode. */
        public byte[] meaningful() {
            byte[] bytes = sector.clone();
            if (area == Step.Area.RESOURCE && offset > 0) {
                int padding = offset == bytes.length ? 20 : 132;
                Arrays.fill(bytes, padding, padding + 4, (byte) 0);
            }
            return bytes;
        }

        @Override
        public String toString() {
            return name;
        }
    }

    private Vectors() {}

    /** All of a folder whose names begin so. */
    public static List<Vector> of(String folder, String prefix) {
        try (Stream<Path> files = Files.list(root().resolve(folder))) {
            return files.filter(file -> file.getFileName().toString().startsWith(prefix))
                    .sorted()
                    .map(Vector::of)
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Every one of every folder. */
    public static List<Vector> all() {
        return Stream.of("s512", "s4096", "writes512")
                .flatMap(folder -> of(folder, "").stream())
                .toList();
    }

    /** One sector by folder and name. */
    public static byte[] sector(String path) {
        return read(root().resolve(path + ".bin"));
    }

    private static byte[] read(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path root() {
        URL readme = Objects.requireNonNull(Vectors.class.getResource("/vectors/README.md"));
        try {
            return Objects.requireNonNull(Path.of(readme.toURI()).getParent());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }
}
