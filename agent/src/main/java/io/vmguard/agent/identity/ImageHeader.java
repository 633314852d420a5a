/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What the beginning of an image says about other images. Takes any bytes. Formats: QEMU's docs/interop/qcow2.rst, qed_spec.rst; VMDK's
 * descriptor.
 *
 * <pre>
 * qcow2, big endian          0 magic "QFI\xfb"   4 version   8 offset and 16 length of the backing file's name
 *                           72 incompatible features (version 3; bit 2: data file)   100 length of the header (version 3)
 *                           then extensions: type, length, data padded to 8 bytes; 0xE2792ACA format, 0x44415441 data file
 * qed, little endian         0 magic "QED\0"   16 features (bit 0: backing file)   56 offset and 60 length of its name
 * vmdk                       0 magic "KDMV" or "COWD", or a descriptor in text; parentFileNameHint="…" in the first 32 KiB,
 *                           and a line for each file with its data: RW SECTORS KIND "NAME" [OFFSET]
 * </pre>
 *
 * @param format {@code qcow2}, {@code qed}, {@code vmdk}, or {@code raw} for everything else
 * @param backing the backing file's name as written
 * @param backingFormat its format, if the image says so
 * @param dataFiles where the data is, if it is not in the image: one of a qcow2 image, any number of a vmdk descriptor
 * @param problem why nothing of this can be believed; empty if all is well
 */
record ImageHeader(
        String format,
        Optional<String> backing,
        Optional<String> backingFormat,
        List<String> dataFiles,
        String problem) {
    ImageHeader {
        dataFiles = List.copyOf(dataFiles);
    }

    /** All that names can be in: libvirt looks no further either. */
    static final int LENGTH = 33 * 1024;

    private static final int MAX_NAME = 1023;
    private static final int QCOW_MAGIC = 0x514649fb;
    private static final int QED_MAGIC = 0x51454400;
    private static final int EXTENSION_FORMAT = 0xE2792ACA;
    private static final int EXTENSION_DATA_FILE = 0x44415441;
    private static final long FEATURE_DATA_FILE = 4;
    private static final String DESCRIPTOR = "# Disk DescriptorFile";
    private static final Pattern EXTENT =
            Pattern.compile("^[ \t]*RW[ \t]+[0-9]+[ \t]+[A-Z]+[ \t]+\"([^\"]+)\"", Pattern.MULTILINE);
    private static final String PARENT_HINT = "parentFileNameHint=\"";

    static ImageHeader parse(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        int magic = bytes.length < 4 ? 0 : in.getInt(0);
        if (magic == QCOW_MAGIC) {
            return qcow(in);
        }
        if (magic == QED_MAGIC) {
            return qed(in.order(ByteOrder.LITTLE_ENDIAN));
        }
        String start = new String(bytes, 0, Math.min(bytes.length, 64), StandardCharsets.ISO_8859_1);
        return start.startsWith("KDMV") || start.startsWith("COWD") || start.startsWith(DESCRIPTOR)
                ? vmdk(bytes)
                : new ImageHeader("raw", Optional.empty(), Optional.empty(), List.of(), "");
    }

    private static ImageHeader bad(String format, String problem) {
        return new ImageHeader(format, Optional.empty(), Optional.empty(), List.of(), problem);
    }

    private static ImageHeader qcow(ByteBuffer in) {
        if (in.limit() < 72) {
            return bad("qcow2", "its header ends too early");
        }
        int version = in.getInt(4);
        long nameOffset = in.getLong(8);
        int nameLength = in.getInt(16);
        if (version < 1 || version > 3) {
            return bad("qcow2", "its header is of version " + version);
        }
        Optional<String> backing = Optional.empty();
        if (nameOffset != 0 && nameLength != 0) {
            backing = name(in, nameOffset, nameLength);
            if (backing.isEmpty()) {
                return bad("qcow2", "its header does not hold the name of its backing image");
            }
        }
        if (version == 1) {
            return new ImageHeader("qcow", backing, Optional.empty(), List.of(), "");
        }
        if (version == 3 && in.limit() < 104) {
            return bad("qcow2", "its header ends too early");
        }
        boolean outside = version == 3 && (in.getLong(72) & FEATURE_DATA_FILE) != 0;
        long at = version == 3 ? Integer.toUnsignedLong(in.getInt(100)) : 72;
        Optional<String> format = Optional.empty();
        Optional<String> dataFile = Optional.empty();
        while (at >= 72 && at + 8 <= in.limit()) {
            int type = in.getInt((int) at);
            long length = Integer.toUnsignedLong(in.getInt((int) at + 4));
            if (type == 0 || at + 8 + length > in.limit()) {
                break;
            }
            if (type == EXTENSION_FORMAT) {
                format = name(in, at + 8, length);
            } else if (type == EXTENSION_DATA_FILE) {
                dataFile = name(in, at + 8, length);
            }
            at += 8 + (length + 7) / 8 * 8;
        }
        return outside && dataFile.isEmpty()
                ? bad("qcow2", "its data is in another file, which its header does not name")
                : new ImageHeader(
                        "qcow2", backing, format, outside ? dataFile.stream().toList() : List.of(), "");
    }

    private static ImageHeader qed(ByteBuffer in) {
        if (in.limit() < 64) {
            return bad("qed", "its header ends too early");
        }
        boolean hasBacking = (in.getLong(16) & 1) != 0;
        boolean raw = (in.getLong(16) & 4) != 0;
        if (!hasBacking) {
            return new ImageHeader("qed", Optional.empty(), Optional.empty(), List.of(), "");
        }
        Optional<String> backing =
                name(in, Integer.toUnsignedLong(in.getInt(56)), Integer.toUnsignedLong(in.getInt(60)));
        return backing.isEmpty()
                ? bad("qed", "its header does not hold the name of its backing image")
                : new ImageHeader("qed", backing, raw ? Optional.of("raw") : Optional.empty(), List.of(), "");
    }

    private static ImageHeader vmdk(byte[] bytes) {
        String text = new String(bytes, StandardCharsets.UTF_8);
        List<String> dataFiles = List.of();
        // A descriptor inside of an image names that very image, by the name that it once had.
        if (text.startsWith(DESCRIPTOR)) {
            if (bytes.length >= LENGTH) {
                return bad("vmdk", "its descriptor is longer than " + LENGTH / 1024 + " KiB");
            }
            dataFiles = EXTENT.matcher(text)
                    .results()
                    .map(extent -> extent.group(1))
                    .distinct()
                    .toList();
        }
        int hint = text.indexOf(PARENT_HINT);
        if (hint < 0) {
            return new ImageHeader("vmdk", Optional.empty(), Optional.empty(), dataFiles, "");
        }
        int end = text.indexOf('"', hint + PARENT_HINT.length());
        return end < 0
                ? bad("vmdk", "its descriptor does not hold the name of its parent")
                : new ImageHeader(
                        "vmdk",
                        Optional.of(text.substring(hint + PARENT_HINT.length(), end)),
                        Optional.of("vmdk"),
                        dataFiles,
                        "");
    }

    private static Optional<String> name(ByteBuffer in, long offset, long length) {
        if (offset < 0 || length <= 0 || length > MAX_NAME || offset + length > in.limit()) {
            return Optional.empty();
        }
        return Optional.of(new String(in.array(), (int) offset, (int) length, StandardCharsets.UTF_8));
    }
}
