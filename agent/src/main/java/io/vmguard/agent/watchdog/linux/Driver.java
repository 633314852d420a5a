/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import java.util.Optional;

/**
 * The system calls on one watchdog device. What returns an {@code int} returns the negative error number if it fails. No method throws;
 * a driver that hangs hangs the caller.
 */
interface Driver {
    /** Bits of {@link #options}, see {@code linux/watchdog.h}. */
    int WDIOF_SETTIMEOUT = 0x0080;

    int WDIOF_MAGICCLOSE = 0x0100;
    int WDIOF_KEEPALIVEPING = 0x8000;

    /** What sysfs says about it; empty where it says nothing. Nothing is opened that would start it. */
    Optional<String> attribute(String name);

    /** Whether the device file is there. */
    boolean exists();

    /** Opens it, which starts it. */
    int open();

    /** What it can do. */
    int options(int fd);

    /** Sets the timeout in seconds and feeds it; returns the one that it has now. */
    int setTimeout(int fd, int seconds);

    /** The timeout in seconds. */
    int timeout(int fd);

    /** Feeds it. */
    int keepAlive(int fd);

    /** Feeds a device that has no call for it. */
    int writeByte(int fd);

    /** Stops it, whoever else has it open. */
    int disable(int fd);

    /** Says that the next close is meant: the last one stops it. */
    int writeMagic(int fd);

    /** Closes it. */
    void close(int fd);
}
