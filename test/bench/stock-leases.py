#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""stock-leases.py: what the sanlock daemon here needs for leases; prints nanoseconds.

usage: stock-leases.py make LOCKSPACE DIR NAME...        a resource file each, as libvirt's plug-in has them made
       stock-leases.py rounds LOCKSPACE DIR N NAME...    N times: all of them, one after the other, then back. One line each
       stock-leases.py storm LOCKSPACE DIR DISKS NAME... one process for DISKS of them each, all at once. One line
"""

import os
import sys
import time

import sanlock

AREA = 1 << 20


def lease(lockspace, directory, name):
    return lockspace.encode(), name.encode(), [("%s/%s" % (directory, name), 0)]


def make(lockspace, directory, *names):
    for name in names:
        with open("%s/%s" % (directory, name), "wb") as made:
            made.truncate(AREA)
        sanlock.write_resource(*lease(lockspace, directory, name))


def rounds(lockspace, directory, count, *names):
    leases = [lease(lockspace, directory, name) for name in names]
    connection = sanlock.register()
    for _ in range(int(count)):
        begun = time.monotonic_ns()
        for each in leases:
            sanlock.acquire(*each, slkfd=connection)
        for each in leases:
            sanlock.release(*each, slkfd=connection)
        print(time.monotonic_ns() - begun)


def storm(lockspace, directory, disks, *names):
    disks = int(disks)
    ready_out, ready_in = os.pipe()
    go_out, go_in = os.pipe()
    done_out, done_in = os.pipe()
    leave_out, leave_in = os.pipe()
    children = 0
    for first in range(0, len(names), disks):
        children += 1
        if os.fork() == 0:
            os.close(go_in)
            os.close(leave_in)
            connection = sanlock.register()
            os.write(ready_in, b".")
            os.read(go_out, 1)
            for name in names[first : first + disks]:
                sanlock.acquire(*lease(lockspace, directory, name), slkfd=connection)
            os.write(done_in, b".")
            os.read(leave_out, 1)  # until the last one has its leases; the end of a process gives them back
            os._exit(0)
    await_all(ready_out, children)
    begun = time.monotonic_ns()
    os.close(go_in)
    await_all(done_out, children)
    print(time.monotonic_ns() - begun)
    os.close(leave_in)
    for _ in range(children):
        os.wait()


def await_all(pipe, count):
    while count > 0:
        count -= len(os.read(pipe, count))


if __name__ == "__main__":
    {"make": make, "rounds": rounds, "storm": storm}[sys.argv[1]](*sys.argv[2:])
