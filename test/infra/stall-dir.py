#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""stall-dir: a pass-through FUSE file system whose faults are steered by a control file.

usage: stall-dir [--foreground] SOURCE MOUNTPOINT CONTROL

Shows the directory SOURCE at MOUNTPOINT. Before every operation the text in CONTROL is read (a missing or empty file
means ok):

  ok         pass everything through
  stall      take every operation and hold it until the text changes
  stallw     the same, for operations that change something
  delay MS   carry out every operation MS milliseconds late; a fault that has begun by then befalls it
  delayw MS  the same, for operations that change something
  late MS    fail writes with EIO after MS milliseconds, and carry them out all the same MS milliseconds after that, as
             a path to storage does that is given up with requests in its queue
  eio        fail every operation with EIO
  eiow       the same, for operations that change something
  enospc     fail operations that change something with ENOSPC
  erofs      fail operations that change something with EROFS

A file name behind it (stallw NAME, late 300 NAME) leaves all other files alone.

A held operation cannot be interrupted: its caller is in uninterruptible sleep, as on a dead NFS server. Held
operations are carried out, late, once the text changes.

Several mounts of one SOURCE, each with a CONTROL of its own, give several hosts one shared directory that can fail for
each of them alone. Names and attributes are not cached, so each mount sees at once what the others did; data is seen
at once by O_DIRECT readers, and by others from their next open on.

Without --foreground the command returns once the file system is mounted. `umount MOUNTPOINT` ends it.
"""

import argparse
import errno
import os
import stat
import threading
import time

try:
    from fusepy import FUSE, FuseOSError, Operations, fuse_get_context
except ImportError:
    from fuse import FUSE, FuseOSError, Operations, fuse_get_context

POLL_SECONDS = 0.02

CHANGES = frozenset(
    "chmod chown create fsync link mkdir mknod rename rmdir symlink truncate unlink utimens write".split()
)

# What is passed on of a caller's flags. Its O_DIRECT has done its work in the kernel, where the request went past the
# page cache; buffers here are not aligned for it. O_APPEND too: the kernel sends the offset.
OPEN_FLAGS = ~(os.O_DIRECT | os.O_APPEND)

# The kernel ends a file's life with these; failing or holding them would only leak what belongs to a closed file.
NEVER_FAULTY = frozenset("init destroy release releasedir flush".split())

STAT_FIELDS = (
    "st_atime st_blocks st_ctime st_dev st_gid st_ino st_mode st_mtime st_nlink st_rdev st_size st_uid".split()
)
STATVFS_FIELDS = (
    "f_bavail f_bfree f_blocks f_bsize f_favail f_ffree f_files f_flag f_frsize f_namemax".split()
)


class Control:
    """The control file: says, for one operation, when to go on and how."""

    def __init__(self, path):
        self.path = path

    def read(self, path):
        """The mode for this file, and its time in seconds."""
        try:
            with open(self.path, encoding="ascii") as control:
                mode, *rest = control.read().split() or ["ok"]
        except OSError:
            return "ok", 0
        seconds = float(rest.pop(0)) / 1000 if rest and rest[0].isdigit() else 0
        if rest and rest[0] != os.path.basename(path):
            return "ok", 0
        return mode, seconds

    def pass_through(self, path, changes):
        """Return when the operation may be carried out; raise the error that it is to fail with."""
        mode, seconds = self.read(path)
        if mode == "delay" or (mode == "delayw" and changes):
            time.sleep(seconds)
            mode, _ = self.read(path)
        while mode == "stall" or (mode == "stallw" and changes):
            time.sleep(POLL_SECONDS)
            mode, _ = self.read(path)
        if mode == "eio" or (mode == "eiow" and changes):
            raise FuseOSError(errno.EIO)
        elif mode == "enospc" and changes:
            raise FuseOSError(errno.ENOSPC)
        elif mode == "erofs" and changes:
            raise FuseOSError(errno.EROFS)


class StallDir(Operations):
    """Every operation, after its turn at the gate, done on the same name below the source directory."""

    def __init__(self, source, control):
        self.source = source
        self.control = control

    def __call__(self, operation, *arguments):
        if operation not in NEVER_FAULTY:
            self.control.pass_through(str(arguments[0]), operation in CHANGES)
        return super().__call__(operation, *arguments)

    def real(self, path):
        return self.source + path

    def owned(self, path):
        """Give what was just made to the caller; this process is root."""
        uid, gid, _ = fuse_get_context()
        os.lchown(self.real(path), uid, gid)

    # Reading. Permissions are checked by the kernel (default_permissions).

    def getattr(self, path, info=None):
        found = os.lstat(self.real(path)) if info is None else os.fstat(info.fh)
        return {field: getattr(found, field) for field in STAT_FIELDS}

    def readdir(self, path, fh):
        return [".", ".."] + os.listdir(self.real(path))

    def readlink(self, path):
        return os.readlink(self.real(path))

    def statfs(self, path):
        found = os.statvfs(self.real(path))
        return {field: getattr(found, field) for field in STATVFS_FIELDS}

    def open(self, path, info):
        info.fh = os.open(self.real(path), info.flags & OPEN_FLAGS)
        return 0

    def read(self, path, size, offset, info):
        return os.pread(info.fh, size, offset)

    def flush(self, path, info):
        return 0

    def release(self, path, info):
        os.close(info.fh)

    # Changing

    def create(self, path, mode, info):
        # Without O_EXCL this opens a file that another mount has made in the meantime; with it, it must not.
        info.fh = os.open(self.real(path), info.flags & OPEN_FLAGS | os.O_CREAT, stat.S_IMODE(mode))
        self.owned(path)
        return 0

    def mknod(self, path, mode, dev):
        os.mknod(self.real(path), mode, dev)
        self.owned(path)

    def write(self, path, data, offset, info):
        mode, seconds = self.control.read(path)
        if mode == "late":
            self.write_late(os.dup(info.fh), bytes(data), offset, 2 * seconds)
            time.sleep(seconds)
            raise FuseOSError(errno.EIO)
        return os.pwrite(info.fh, data, offset)

    @staticmethod
    def write_late(file, data, offset, seconds):
        """Carry out a write that its caller no longer waits for, on a file that may be closed by then."""

        def write():
            os.pwrite(file, data, offset)
            os.close(file)

        threading.Timer(seconds, write).start()

    def truncate(self, path, length, info=None):
        os.truncate(self.real(path) if info is None else info.fh, length)

    def fsync(self, path, datasync, info):
        if datasync:
            os.fdatasync(info.fh)
        else:
            os.fsync(info.fh)

    def fsyncdir(self, path, datasync, fh):
        directory = os.open(self.real(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def link(self, target, source):
        os.link(self.real(source), self.real(target), follow_symlinks=False)

    def symlink(self, target, source):
        os.symlink(source, self.real(target))
        self.owned(target)

    def unlink(self, path):
        os.unlink(self.real(path))

    def rename(self, old, new):
        os.rename(self.real(old), self.real(new))

    def mkdir(self, path, mode):
        os.mkdir(self.real(path), mode)
        self.owned(path)

    def rmdir(self, path):
        os.rmdir(self.real(path))

    def chmod(self, path, mode):
        os.chmod(self.real(path), stat.S_IMODE(mode))

    def chown(self, path, uid, gid):
        os.lchown(self.real(path), uid, gid)

    def utimens(self, path, times=None):
        os.utime(self.real(path), times, follow_symlinks=False)


def main():
    parser = argparse.ArgumentParser(
        prog="stall-dir", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--foreground", action="store_true")
    parser.add_argument("source")
    parser.add_argument("mountpoint")
    parser.add_argument("control")
    arguments = parser.parse_args()
    # In the background the daemon works in the root directory.
    source = os.path.realpath(arguments.source)
    os.umask(0)  # the kernel has applied the caller's
    control = Control(os.path.abspath(arguments.control))
    FUSE(
        StallDir(source, control),
        os.path.abspath(arguments.mountpoint),
        foreground=arguments.foreground,
        nothreads=False,
        fsname="stall-dir",
        raw_fi=True,
        allow_other=True,
        default_permissions=True,
        big_writes=True,
        use_ino=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
        hard_remove=True,
    )


if __name__ == "__main__":
    main()
