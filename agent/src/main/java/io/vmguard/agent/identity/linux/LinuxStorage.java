/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity.linux;

import io.vmguard.agent.identity.StorageFacts;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * The facts of this host, read when they are asked for. Any thread. A call can hang for as long as the storage behind its path does,
 * unkillably; nothing here limits that.
 */
public final class LinuxStorage implements StorageFacts {

    /** A mount table of thousands of containers has a few MiB. */
    private static final int MAX_TEXT_BYTES = 16 * 1024 * 1024;

    private static final int MAX_NAMES = 100_000;

    private static final int TYPE_MASK = 0xF000;
    private static final int BLOCK = 0x6000;

    @Override
    public Optional<String> text(String path) {
        try (InputStream in = Files.newInputStream(Path.of(path))) {
            return Optional.of(new String(in.readNBytes(MAX_TEXT_BYTES), StandardCharsets.UTF_8));
        } catch (IOException | InvalidPathException e) {
            return Optional.empty();
        }
    }

    @Override
    public List<String> names(String directory) {
        List<String> names = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(Path.of(directory))) {
            for (Path entry : entries) {
                if (names.size() == MAX_NAMES) {
                    break;
                }
                names.add(String.valueOf(entry.getFileName()));
            }
        } catch (IOException | InvalidPathException | java.nio.file.DirectoryIteratorException e) {
            return List.of();
        }
        names.sort(null);
        return names;
    }

    @Override
    public Node node(String path) {
        try {
            Path at = Path.of(path);
            Map<String, Object> seen = Files.readAttributes(at, "unix:mode,rdev", LinkOption.NOFOLLOW_LINKS);
            int mode = (Integer) Objects.requireNonNull(seen.get("mode"));
            return switch (mode & TYPE_MASK) {
                case 0x8000 -> new Node(Node.Kind.FILE, "");
                case 0x4000 -> new Node(Node.Kind.DIRECTORY, "");
                case 0xA000 ->
                    new Node(Node.Kind.LINK, Files.readSymbolicLink(at).toString());
                case BLOCK -> new Node(Node.Kind.BLOCK_DEVICE, number((Long) Objects.requireNonNull(seen.get("rdev"))));
                default -> new Node(Node.Kind.OTHER, "");
            };
        } catch (NoSuchFileException e) {
            return new Node(Node.Kind.MISSING, "");
        } catch (AccessDeniedException e) {
            return new Node(Node.Kind.DENIED, "");
        } catch (FileSystemException e) {
            return failed(e);
        } catch (IOException | InvalidPathException e) {
            return new Node(Node.Kind.FAILED, String.valueOf(e.getMessage()));
        }
    }

    private static Node failed(FileSystemException e) {
        String reason = String.valueOf(e.getReason());
        // The JDK has no exception of its own for these.
        return switch (reason) {
            case "Not a directory" -> new Node(Node.Kind.MISSING, "");
            case "Operation not permitted" -> new Node(Node.Kind.DENIED, "");
            default -> new Node(Node.Kind.FAILED, reason);
        };
    }

    /** As {@code makedev(3)} packs it. */
    static String number(long device) {
        long major = (device >>> 8 & 0xfff) | (device >>> 32 & ~0xfffL);
        long minor = (device & 0xff) | (device >>> 12 & ~0xffL);
        return major + ":" + (minor & 0xffffffffL);
    }

    /** Read as root; where that is refused, as with {@code root_squash} of NFS, as the owner of what refused. */
    @Override
    public Head head(String path, int length) {
        Path image;
        try {
            image = Path.of(path);
        } catch (InvalidPathException e) {
            return new Unreadable("it cannot be looked at: " + e.getMessage(), false);
        }
        Head head = read(image, length);
        if (!(head instanceof Unreadable unreadable) || !unreadable.denied()) {
            return head;
        }
        return FileOwner.nearest(image)
                .flatMap(owner -> owner.call(() -> read(image, length)).map(again -> asOwner(unreadable, owner, again)))
                .orElse(head);
    }

    /** What the owner was told; if that is no as well, why that may be. */
    static Head asOwner(Unreadable asRoot, FileOwner owner, Head again) {
        return again instanceof Unreadable unreadable && unreadable.denied()
                ? new Unreadable(
                        asRoot.reason() + ", neither to root nor to the owner, user "
                                + Integer.toUnsignedString(owner.user())
                                + " (a server with root_squash takes root for nobody: give it to the user that QEMU runs as)",
                        true)
                : again;
    }

    private static Head read(Path image, int length) {
        try {
            int type = (Integer) Files.getAttribute(image, "unix:mode") & TYPE_MASK;
            if (type != 0x8000 && type != BLOCK) {
                return new Unreadable("it is neither a file nor a block device", false);
            }
        } catch (NoSuchFileException e) {
            return new Unreadable("there is no such file", false);
        } catch (AccessDeniedException e) {
            return new Unreadable("looking at it is not permitted", true);
        } catch (IOException e) {
            return new Unreadable("it cannot be looked at: " + e.getMessage(), false);
        }
        // Not opened before it is known to be no pipe, which would wait for a writer.
        try (InputStream in = Files.newInputStream(image)) {
            return new Bytes(in.readNBytes(length));
        } catch (NoSuchFileException | FileNotFoundException e) {
            return new Unreadable("there is no such file", false);
        } catch (AccessDeniedException e) {
            return new Unreadable("reading it is not permitted", true);
        } catch (IOException e) {
            String reason = String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT);
            return new Unreadable("it cannot be read: " + reason, false);
        }
    }
}
