/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity.linux;

import com.sun.jna.Library;
import com.sun.jna.Native;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * To whom a file belongs, as whom it may be looked at. A server that takes root for nobody ({@code root_squash}) lets the owner read, which
 * is the user that QEMU runs as; libvirt does the same to read the chain.
 */
record FileOwner(int user, int group) {

    /** Changes the calling thread alone, and nothing but its file accesses; see {@code man 2 setfsuid}. */
    private interface Libc extends Library {
        /** What it was before; it says of no failure. */
        int setfsuid(int user);

        int setfsgid(int group);
    }

    private static final int ASK = -1;

    /** Of the file, or of the closest directory above it that may be looked at: it is the one that refuses to go on. */
    static Optional<FileOwner> nearest(Path file) {
        for (Path at = file; at != null; at = at.getParent()) {
            try {
                Map<String, Object> seen = Files.readAttributes(at, "unix:uid,gid");
                return Optional.of(new FileOwner(id(seen, "uid"), id(seen, "gid")));
            } catch (AccessDeniedException e) {
                // The one above may say more.
            } catch (IOException e) {
                return Optional.empty();
            }
        }
        return Optional.empty();
    }

    private static int id(Map<String, Object> attributes, String name) {
        return (Integer) Objects.requireNonNull(attributes.get(name));
    }

    /**
     * Calls {@code look} with the rights of this user and group, on this thread.
     *
     * @return empty if this process may not do so
     */
    <T> Optional<T> call(Supplier<T> look) {
        Libc libc = Native.load("c", Libc.class);
        int ownGroup = libc.setfsgid(group);
        try {
            int ownUser = libc.setfsuid(user);
            try {
                boolean changed = libc.setfsuid(ASK) == user && libc.setfsgid(ASK) == group;
                return changed ? Optional.of(look.get()) : Optional.empty();
            } finally {
                libc.setfsuid(ownUser);
            }
        } finally {
            libc.setfsgid(ownGroup);
        }
    }
}
