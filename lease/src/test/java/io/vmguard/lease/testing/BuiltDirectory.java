/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.testing;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.NoteSector;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.function.UnaryOperator;

/** A lease directory made sector by sector, in any state that hosts could have left it in, and in some that they could not. */
public final class BuiltDirectory {
    /** Lockspace of all that is built. */
    public static final LeaseName SPACE = new LeaseName("__LIBVIRT__DISKS__");

    private final Path dir;
    private final LeaseLayout layout;

    public BuiltDirectory(Path dir, LeaseLayout layout) {
        this.dir = dir;
        this.layout = layout;
    }

    /** A new lockspace in the file of its name. */
    public BuiltDirectory lockspace(int ioTimeoutSeconds) {
        return file(SPACE.value(), LeaseArea.lockspace(layout, SPACE, ioTimeoutSeconds));
    }

    /** The delta lease of a host. */
    public BuiltDirectory host(long id, long generation, String hostName, long timestamp) {
        LeaderRecord record = LeaderRecord.freeDelta(layout, SPACE, 10)
                .edit()
                .owner(new Owner(id, generation))
                .hostName(hostName)
                .timestamp(timestamp)
                .seal();
        return write(SPACE.value(), layout.deltaOffset(id), record.sector(layout));
    }

    /** A new resource; the file is sparse, as there may be thousands. */
    public BuiltDirectory resource(String name) {
        byte[] area = LeaseArea.resource(layout, SPACE, new LeaseName(name), layout.maxHosts());
        write(name, 0, Arrays.copyOf(area, 2 * layout.sectorBytes()));
        return write(name, layout.noteOffset(), new byte[layout.sectorBytes()]);
    }

    /** A changed leader of a resource. */
    public BuiltDirectory leader(String name, UnaryOperator<LeaderRecord.Editor> change) {
        byte[] sector = firstSector(name);
        return write(
                name, 0, change.apply(LeaderRecord.at(sector, 0).edit()).seal().sector(layout));
    }

    /** An exclusive hold with its note, as the owner leaves it on disk. */
    public BuiltDirectory held(String name, Owner owner, long lver, LeaseNote note) {
        leader(name, edit -> edit.owner(owner).lver(lver).timestamp(4000).writer(owner, 4000));
        return write(name, layout.noteOffset(), NoteSector.encode(layout, note, owner, lver));
    }

    /** The disk block of a host. */
    public BuiltDirectory block(String name, long hostId, DiskBlock block) {
        return write(name, layout.diskBlockOffset(hostId), block.sector(layout));
    }

    /** A file with just these bytes. */
    public BuiltDirectory file(String name, byte[] bytes) {
        try {
            Files.write(dir.resolve(name), bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return this;
    }

    /** Any bytes anywhere; the file is made and grows as needed. */
    public BuiltDirectory write(String name, long offset, byte[] bytes) {
        try (FileChannel channel =
                FileChannel.open(dir.resolve(name), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.wrap(bytes), offset);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return this;
    }

    private byte[] firstSector(String name) {
        try (InputStream in = Files.newInputStream(dir.resolve(name))) {
            return in.readNBytes(layout.sectorBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
