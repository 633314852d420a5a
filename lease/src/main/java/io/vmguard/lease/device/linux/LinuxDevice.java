/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import com.sun.jna.LastErrorException;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.device.LeaseDevice;
import io.vmguard.lease.device.LeaseStore.Opened;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A block device behind {@code O_DIRECT}. */
public final class LinuxDevice implements LeaseDevice {
    private static final int TYPE_MASK = 0xF000;
    private static final int BLOCK_DEVICE = 0x6000;
    private static final int REGULAR_FILE = 0x8000;

    private final Path path;
    private final LeaseClock clock;

    public LinuxDevice(Path path, LeaseClock clock) {
        this.path = path;
        this.clock = clock;
    }

    /** Whether this is a block device, or a plain file that can stand for one; false also in every doubt. */
    public static boolean is(Path path) {
        try {
            int type = (Integer) Files.getAttribute(path, "unix:mode") & TYPE_MASK;
            return type == BLOCK_DEVICE || type == REGULAR_FILE;
        } catch (IOException e) {
            return false;
        }
    }

    @Override
    public Opened open(boolean toWrite) {
        try {
            DirectFile file =
                    toWrite ? new DirectFile(path.toString(), 0, 0, clock) : DirectFile.toRead(path.toString(), clock);
            return new Opened.Ready(file, false);
        } catch (LastErrorException e) {
            LeaseFault fault = e.getErrorCode() == Libc.ENOENT ? LeaseFault.MISSING : LeaseFault.IO;
            return new Opened.Refused(fault, path + ": " + Libc.text(e.getErrorCode()));
        }
    }

    @Override
    public long bytes() throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            return channel.size();
        }
    }

    @Override
    public String where() {
        return path.toString();
    }

    /** A file may stand for a device; far more often it is the path of a lockspace or of a lease, where its directory is meant. */
    @Override
    public String doubt() {
        return Files.isRegularFile(path)
                ? ". It is a file, neither a directory nor a block device: is lease_dir right? The directory that it is in is "
                        + path.toAbsolutePath().getParent()
                : "";
    }
}
