/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.step.Step;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * A lease area made from a few bytes, as a fuzzer gives them: a sound one, with anything put over any part of it.
 *
 * <pre>
 * 0 what is there at first: a lockspace, a resource, zeroes, a resource index, a resource of a later kind
 * 1 geometry, mostly one of the small areas
 * 2 length of the file: whole, two bytes of sectors, or more than an area
 * then patches: sector (u16)   begin in it / 2 (u8)   length (u8)   checksum to put right (u8)   bytes
 * </pre>
 */
public record AnyArea(LeaseLayout layout, byte[] bytes) {
    /** Names in the vectors, and in every area made here. */
    public static final LeaseName SPACE = new LeaseName("__LIBVIRT__DISKS__");

    public static final LeaseName RESOURCE = new LeaseName("9ba8f0215a51a6dc0aa077c427b749c8");

    private static final int KINDS = 5;
    /** The fuzzer is to be fast; it can write another number there. */
    private static final int FEW_HOSTS = 32;
    /** Large areas are slow, and no decoder is another one for them. */
    private static final int[] GEOMETRIES = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 2, 3, 4};

    private static final Map<Integer, byte[]> TEMPLATES = new TreeMap<>();

    /** Any bytes will do. */
    public static AnyArea of(byte[] program) {
        ByteBuffer in = ByteBuffer.wrap(program).order(ByteOrder.LITTLE_ENDIAN);
        int kind = u8(in) % KINDS;
        int geometry = GEOMETRIES[u8(in) % GEOMETRIES.length];
        LeaseLayout layout = LeaseLayout.all().get(geometry);
        byte[] area = template(kind, geometry).clone();
        int size = u8(in) % 4;
        if (size == 3) {
            area = Arrays.copyOf(area, Math.min(area.length, (u8(in) | u8(in) << 8) * 512));
        } else if (size == 2) {
            area = Arrays.copyOf(area, area.length + 4096);
        }
        while (in.hasRemaining()) {
            patch(in, area, layout);
        }
        return new AnyArea(layout, area);
    }

    /** As large as an area, whatever the file's length. */
    public byte[] whole() {
        return Arrays.copyOf(bytes, layout.areaBytes());
    }

    private static void patch(ByteBuffer in, byte[] area, LeaseLayout layout) {
        int sector = (u8(in) | u8(in) << 8) % (layout.areaBytes() / layout.sectorBytes()) * layout.sectorBytes();
        int begin = sector + 2 * u8(in);
        int length = u8(in);
        int checksum = u8(in);
        for (int i = 0; i < length && in.hasRemaining(); i++) {
            byte value = in.get();
            if (begin + i < area.length) {
                area[begin + i] = value;
            }
        }
        if (sector + layout.sectorBytes() <= area.length) {
            seal(area, sector, checksum);
        }
    }

    private static void seal(byte[] area, int sector, int checksum) {
        ByteBuffer out = ByteBuffer.wrap(area).order(ByteOrder.LITTLE_ENDIAN);
        switch (checksum % 4) {
            case 1 -> out.putInt(sector + 168, SanlockChecksum.ofLeader(area, sector));
            case 2 -> out.putInt(sector + 48, SanlockChecksum.ofDiskBlock(area, sector));
            case 3 -> {
                CRC32C crc = new CRC32C();
                crc.update(area, sector, 508);
                out.putInt(sector + 508, (int) crc.getValue());
            }
            default -> {} // as it is
        }
    }

    private static byte[] template(int kind, int geometry) {
        synchronized (TEMPLATES) {
            return TEMPLATES.computeIfAbsent(
                    kind * LeaseLayout.all().size() + geometry,
                    key -> template(kind, LeaseLayout.all().get(geometry)));
        }
    }

    private static byte[] template(int kind, LeaseLayout layout) {
        byte[] area = switch (kind) {
            case 0 -> LeaseArea.lockspace(layout, SPACE, 10);
            case 2 -> new byte[layout.areaBytes()];
            default -> LeaseArea.resource(layout, SPACE, RESOURCE, FEW_HOSTS);
        };
        ByteBuffer out = ByteBuffer.wrap(area).order(ByteOrder.LITTLE_ENDIAN);
        if (kind == 3) {
            out.putInt(0, LeaderRecord.INDEX_MAGIC);
        } else if (kind == 4) {
            out.putInt(4, 0x00070001);
        }
        return area;
    }

    private static int u8(ByteBuffer in) {
        return in.hasRemaining() ? in.get() & 0xFF : 0;
    }

    /** Programs that lay what real daemons wrote over free areas, one for each stage of their histories; and some oddities. */
    public static Stream<byte[]> seeds() {
        Map<String, List<Vectors.Vector>> stages = new TreeMap<>();
        for (Vectors.Vector vector : Vectors.all()) {
            String stage = vector.sector().length
                    + vector.name().substring(0, vector.name().indexOf(".off-"));
            stages.computeIfAbsent(stage, key -> new ArrayList<>()).add(vector);
        }
        Stream<byte[]> sound = stages.values().stream().map(AnyArea::program);
        byte[] ones = new byte[255];
        Arrays.fill(ones, (byte) 0xFF);
        List<byte[]> odd = new ArrayList<>();
        for (int kind = 0; kind < KINDS; kind++) {
            odd.add(new byte[] {(byte) kind, 1});
            odd.add(new byte[] {(byte) kind, 0, 3, 5, 0});
            odd.add(new byte[] {(byte) kind, 13, 2});
            for (int checksum = 0; checksum < 4; checksum++) {
                odd.add(with(new byte[] {(byte) kind, 0, 0}, patch(0, 16, checksum, ones, 0, 32)));
                odd.add(with(new byte[] {(byte) kind, 0, 0}, patch(2, 0, checksum, ones, 0, 255)));
            }
        }
        return Stream.concat(sound, odd.stream());
    }

    private static byte[] program(List<Vectors.Vector> stage) {
        Vectors.Vector first = stage.get(0);
        boolean small = first.sector().length == 512;
        byte kind = (byte) (first.area() == Step.Area.LOCKSPACE ? 0 : 1);
        // The vectors with large sectors are of areas of 1 MiB, the second geometry.
        byte[] program = {kind, (byte) (small ? 0 : 1), 0};
        for (Vectors.Vector vector : stage) {
            int sector = vector.offset() / vector.sector().length;
            program = with(program, patch(sector, 0, 0, vector.sector(), 0, 255));
            program = with(program, patch(sector, 256, 0, vector.sector(), 256, 8));
        }
        return program;
    }

    private static byte[] patch(int sector, int begin, int checksum, byte[] from, int offset, int length) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(sector);
        out.write(sector >> 8);
        out.write(begin / 2);
        out.write(length);
        out.write(checksum);
        out.write(from, offset, length);
        return out.toByteArray();
    }

    private static byte[] with(byte[] one, byte[] more) {
        byte[] both = Arrays.copyOf(one, one.length + more.length);
        System.arraycopy(more, 0, both, one.length, more.length);
        return both;
    }
}
