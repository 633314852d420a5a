/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A block device that hosts in containers can have: a loop device of this machine. It goes away with the host that made it, however
 * that ends.
 *
 * @param path the same on every host
 */
record LoopDevice(String path) {

    /** Not where the kernel of this machine has no loop devices. */
    static final boolean AVAILABLE = Files.exists(Path.of("/dev/loop-control"));

    /**
     * Makes one.
     *
     * @param host started with {@link TestHost.Builder#loopDevices}
     * @param file that it shows, on that host
     */
    static LoopDevice on(TestHost host, String file) {
        // Others on this machine may take the one that was free. It is given back by the kernel when nobody has it
        // open.
        String made = host.sh("""
                        for _ in 1 2 3 4 5; do
                            number=$(losetup -f | tr -dc 0-9)
                            device=/dev/loop$number
                            [ -e $device ] || mknod $device b 7 $number
                            losetup $device "%s" || continue
                            setsid sh -c 'exec 9<"$0"; losetup -d "$0"; exec sleep infinity' $device >/dev/null 2>&1 </dev/null &
                            echo $device
                            exit 0
                        done
                        exit 1""".formatted(file)).mustSucceed().stdout().strip();
        return new LoopDevice(made);
    }

    /** Lets another host, started in the same way, have it, too. */
    LoopDevice alsoOn(TestHost host) {
        String number = path.replaceAll("\\D", "");
        host.sh("[ -e " + path + " ] || mknod " + path + " b 7 " + number).mustSucceed();
        return this;
    }
}
