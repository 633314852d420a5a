/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import com.sun.jna.Pointer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** The kernel's watchdog interface, {@code Documentation/watchdog/watchdog-api.rst}. */
final class LinuxDriver implements Driver {
    private static final Path SYSFS = Path.of("/sys/class/watchdog");
    private static final int TYPE = 'W';
    private static final int INFO_BYTES = 40;
    private static final int INT_BYTES = 4;
    private static final int WDIOS_DISABLECARD = 1;

    // The direction bits of an ioctl number differ between architectures.
    private static final boolean OLD_NUMBERS = System.getProperty("os.arch", "").startsWith("ppc");
    private static final long READ = OLD_NUMBERS ? 2L << 29 : 2L << 30;
    private static final long READ_WRITE = OLD_NUMBERS ? 6L << 29 : 3L << 30;
    private static final NativeLong GETSUPPORT = number(READ, 0, INFO_BYTES);
    private static final NativeLong SETOPTIONS = number(READ, 4, INT_BYTES);
    private static final NativeLong KEEPALIVE = number(READ, 5, INT_BYTES);
    private static final NativeLong SETTIMEOUT = number(READ_WRITE, 6, INT_BYTES);
    private static final NativeLong GETTIMEOUT = number(READ, 7, INT_BYTES);

    private final Libc libc = Libc.load();
    private final Path device;

    LinuxDriver(Path device) {
        this.device = device;
    }

    private static NativeLong number(long direction, int command, int bytes) {
        return new NativeLong(direction | (long) bytes << 16 | (long) TYPE << 8 | command);
    }

    @Override
    public Optional<String> attribute(String name) {
        String file = String.valueOf(device.getFileName());
        // The one without a number is the first one's second name.
        Path attribute =
                SYSFS.resolve(file.equals("watchdog") ? "watchdog0" : file).resolve(name);
        try {
            return Optional.of(
                    Files.readString(attribute, StandardCharsets.US_ASCII).strip());
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    @Override
    public boolean exists() {
        return Files.exists(device);
    }

    @Override
    public int open() {
        return result(libc.open(device.toString(), Libc.O_WRONLY | Libc.O_CLOEXEC));
    }

    @Override
    public int options(int fd) {
        try (Memory info = new Memory(INFO_BYTES)) {
            info.clear();
            int result = result(libc.ioctl(fd, GETSUPPORT, info));
            return result < 0 ? result : info.getInt(0) & Integer.MAX_VALUE;
        }
    }

    @Override
    public int setTimeout(int fd, int seconds) {
        return number(fd, SETTIMEOUT, seconds);
    }

    @Override
    public int timeout(int fd) {
        return number(fd, GETTIMEOUT, 0);
    }

    private int number(int fd, NativeLong request, int value) {
        try (Memory number = new Memory(INT_BYTES)) {
            number.setInt(0, value);
            int result = result(libc.ioctl(fd, request, number));
            return result < 0 ? result : number.getInt(0);
        }
    }

    @Override
    public int keepAlive(int fd) {
        return result(libc.ioctl(fd, KEEPALIVE, Pointer.NULL));
    }

    @Override
    public int writeByte(int fd) {
        return result(libc.write(fd, new byte[1], new NativeLong(1)).intValue());
    }

    @Override
    public int disable(int fd) {
        try (Memory number = new Memory(INT_BYTES)) {
            number.setInt(0, WDIOS_DISABLECARD);
            return result(libc.ioctl(fd, SETOPTIONS, number));
        }
    }

    @Override
    public int writeMagic(int fd) {
        return result(libc.write(fd, new byte[] {'V'}, new NativeLong(1)).intValue());
    }

    @Override
    public void close(int fd) {
        libc.close(fd);
    }

    private static int result(int returned) {
        return returned < 0 ? -Math.max(1, Native.getLastError()) : returned;
    }
}
