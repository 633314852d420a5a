/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Beginnings of images, laid out as qemu-img lays them out. */
public final class Images {
    private static final int SIZE = 4096;
    private static final int BACKING_NAME = 512;

    private Images() {}

    /** @param backing empty for none; {@code format} empty if unsaid */
    public static byte[] qcow2(String backing, String format) {
        ByteBuffer image = header(0);
        int at = 104;
        if (!format.isEmpty()) {
            at = extension(image, at, 0xE2792ACA, format);
        }
        image.putInt(at, 0);
        if (!backing.isEmpty()) {
            byte[] name = backing.getBytes(StandardCharsets.UTF_8);
            image.putLong(8, BACKING_NAME);
            image.putInt(16, name.length);
            image.put(BACKING_NAME, name);
        }
        return image.array();
    }

    public static byte[] qcow2WithDataFile(String dataFile) {
        ByteBuffer image = header(4);
        image.putInt(extension(image, 104, 0x44415441, dataFile), 0);
        return image.array();
    }

    private static ByteBuffer header(long incompatibleFeatures) {
        ByteBuffer image = ByteBuffer.allocate(SIZE);
        image.putInt(0, 0x514649fb).putInt(4, 3).putInt(20, 16).putLong(24, 1L << 30);
        image.putLong(72, incompatibleFeatures).putInt(96, 4).putInt(100, 104);
        return image;
    }

    private static int extension(ByteBuffer image, int at, int type, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        image.putInt(at, type).putInt(at + 4, bytes.length).put(at + 8, bytes);
        return at + 8 + (bytes.length + 7) / 8 * 8;
    }

    public static byte[] qed(String backing, boolean raw) {
        ByteBuffer image = ByteBuffer.allocate(SIZE).order(ByteOrder.LITTLE_ENDIAN);
        byte[] name = backing.getBytes(StandardCharsets.UTF_8);
        image.putInt(0, 0x00444551).putInt(4, 65536).putInt(8, 4).putInt(12, 1);
        image.putLong(16, raw ? 5 : 1).putInt(56, 64).putInt(60, name.length).put(64, name);
        return image.array();
    }

    public static byte[] vmdk(String parent) {
        ByteBuffer image = ByteBuffer.allocate(SIZE);
        image.put(0, "KDMV".getBytes(StandardCharsets.US_ASCII));
        String descriptor = "# Disk DescriptorFile\nversion=1\nCID=12345678\n"
                + (parent.isEmpty() ? "" : "parentFileNameHint=\"" + parent + "\"\n")
                + "createType=\"monolithicSparse\"\n";
        image.put(512, descriptor.getBytes(StandardCharsets.UTF_8));
        return image.array();
    }
}
