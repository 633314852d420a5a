/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import com.sun.jna.Platform;
import com.sun.jna.Pointer;
import java.util.Map;

/** The few calls of libc that we need, mapped directly. Each throws {@link LastErrorException} with errno on failure. */
final class Libc {
    static {
        Native.register(Libc.class, Platform.C_LIBRARY_NAME);
    }

    static final int O_RDONLY = 0;
    static final int O_RDWR = 2;
    static final int O_CREAT = 0x40;
    static final int O_EXCL = 0x80;
    static final int O_SYNC = 0x101000;
    static final int O_CLOEXEC = 0x80000;
    static final int LOCK_EX_NB = 2 | 4;
    static final int LOCK_UN = 8;
    static final int CLOCK_MONOTONIC = 1;
    static final int CLOCK_BOOTTIME = 7;

    static final int EPERM = 1;
    static final int ENOENT = 2;
    static final int EIO = 5;
    static final int EAGAIN = 11;
    static final int EACCES = 13;
    static final int EEXIST = 17;
    static final int ENOTDIR = 20;
    static final int EINVAL = 22;
    static final int ENOSPC = 28;
    static final int EROFS = 30;
    static final int EDQUOT = 122;

    /** It differs between architectures, unlike the rest. */
    static final int O_DIRECT = switch (System.getProperty("os.arch", "")) {
        case "aarch64", "arm" -> 0x10000;
        case "ppc64", "ppc64le" -> 0x20000;
        default -> 0x4000;
    };

    private static final Map<Integer, String> NAMES = Map.of(
            EPERM, "operation not permitted",
            ENOENT, "no such file or directory",
            EIO, "input/output error",
            EACCES, "permission denied",
            EINVAL, "direct I/O of 512-byte sectors is not possible here",
            ENOSPC, "no space left",
            EROFS, "the file system is read-only",
            EDQUOT, "the quota is used up",
            ENOTDIR, "not a directory");

    /** For those that an administrator can do something about. */
    private static final Map<Integer, String> WAYS_OUT = Map.of(
            EIO, ". Check the storage and the way to it",
            EINVAL, ". Put lease_dir on a file system with direct I/O, such as ext4, xfs or NFS",
            ENOSPC, ". Make room",
            EDQUOT, ". Make room",
            EROFS, ". Mount it read-write");

    /** Of a lease directory: who is root is seldom refused anything, except by a server or a security module. */
    private static final String FOR_ROOT =
            ". The agent is root: an NFS server must export the leases with no_root_squash, or they and"
                    + " their directory belong to the user that it takes root for; elsewhere see what SELinux or AppArmor has denied";

    private Libc() {}

    static native int open(String path, int flags, int mode) throws LastErrorException;

    static native int close(int fd) throws LastErrorException;

    static native long pread(int fd, Pointer buffer, long count, long offset) throws LastErrorException;

    static native long pwrite(int fd, Pointer buffer, long count, long offset) throws LastErrorException;

    static native int fsync(int fd) throws LastErrorException;

    static native int flock(int fd, int operation) throws LastErrorException;

    static native int link(String from, String to) throws LastErrorException;

    static native int clock_gettime(int clock, Pointer timespec) throws LastErrorException;

    /** Half a sentence for people, with the number for those who want to look it up, and the way out where there is one. */
    static String text(int errno) {
        return NAMES.getOrDefault(errno, "error") + " (errno " + errno + ")" + WAYS_OUT.getOrDefault(errno, "");
    }

    /** The same of a file of a lease directory. */
    static String leaseText(int errno) {
        return text(errno) + (errno == EACCES || errno == EPERM ? FOR_ROOT : "");
    }
}
