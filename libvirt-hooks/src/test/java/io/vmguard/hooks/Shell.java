/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.hooks;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The shells that `/bin/sh` is on the systems the hook runs on. */
enum Shell {
    DASH("dash"),
    BASH("bash", "--posix"),
    BUSYBOX("busybox", "sh");

    private final List<String> command;

    Shell(String... command) {
        this.command = List.of(command);
    }

    /** By its absolute path, so that a test may take PATH away from the hook. */
    List<String> command() {
        List<String> absolute = new ArrayList<>(command);
        absolute.set(0, find(command.get(0)).orElseThrow().toString());
        return absolute;
    }

    boolean isInstalled() {
        return find(command.get(0)).isPresent();
    }

    static Optional<Path> find(String program) {
        return Stream.of(System.getenv("PATH").split(":"))
                .map(directory -> Path.of(directory, program))
                .filter(Files::isExecutable)
                .findFirst();
    }
}
