/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.time.Duration;

/** A domain that is migrated between guarded hosts, with enough random bytes in its memory that this takes a while. */
final class Mover {
    private static final String FILL = "/images/fill";
    private static final Duration LONG = Duration.ofSeconds(60);

    final String name;
    private final String disk;
    /** Its {@code <on_lockfailure>}; empty if it says nothing. */
    private final String onLockFailure;

    private Mover(String name, String disk) {
        this(name, disk, "");
    }

    private Mover(String name, String disk, String onLockFailure) {
        this.name = name;
        this.disk = disk;
        this.onLockFailure = onLockFailure;
    }

    /** One with a disk of its own in {@code /images}, with a guest on it that writes. */
    static Mover onFile(String name, GuardedHost host) {
        String path = "/images/" + name + ".img";
        host.host.sh("test-guest make " + path).mustSucceed();
        return new Mover(name, "--file " + path);
    }

    /** The same on an image of the pool {@code rbd}, which no lock of QEMU's keeps from being written twice. */
    static Mover onRbd(String name, GuardedHost host, CephCluster ceph) {
        String path = "/etc/ceph/" + name + ".img";
        host.host.sh("test-guest make " + path).mustSucceed();
        ceph.rbd("import", "--no-progress", path, "rbd/" + name).mustSucceed();
        return new Mover(name, "--port " + ceph.monitorPort() + " --rbd rbd/" + name);
    }

    /** The same domain with this in its {@code <on_lockfailure>}. */
    Mover onLockFailure(String word) {
        return new Mover(name, disk, "<on_lockfailure>" + word + "</on_lockfailure>");
    }

    /** Makes what the guests' memories are filled with. All hosts must have {@code /images} in common. */
    static void fill(GuardedHost host) {
        host.host
                .sh("head -c 40M /dev/urandom > " + FILL + "; chmod 644 " + FILL)
                .mustSucceed();
    }

    /** Starts it and waits until it has its lease. */
    void start(GuardedHost on) {
        startUnguarded(on);
        on.awaitLeases(name, 1, LONG);
    }

    /** Starts it on a host whose agent does not run. */
    void startUnguarded(GuardedHost on) {
        on.host
                .sh("test-domain " + name + " " + disk + " | sed \"s|<domain type='qemu'>|<domain type='qemu'"
                        + " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>|;"
                        + " s|<on_crash>|" + onLockFailure + "<on_crash>|;"
                        + " s|^</domain>|<qemu:commandline><qemu:arg value='-device'/>"
                        + "<qemu:arg value='loader,file=" + FILL + ",addr=0x1000000,force-raw=on'/>"
                        + "</qemu:commandline></domain>|\" | virsh create /dev/stdin")
                .mustSucceed();
    }

    /** The same domain on another file. */
    Mover on(String path) {
        return new Mover(name, "--file " + path, onLockFailure);
    }

    /** @see GuardedHost#migrate */
    Running migrate(GuardedHost from, int port, String options) {
        return from.migrate(name, port, options);
    }

    /** Waits until its memory is being sent. */
    void awaitOnItsWay(GuardedHost from, GuardedHost to) {
        Eventually.await("memory to be sent", LONG, () -> isOnItsWay(from, to));
    }

    boolean isOnItsWay(GuardedHost from, GuardedHost to) {
        return to.hasQemu(name)
                && from.host
                        .sh("virsh domjobinfo " + name + " | grep -q 'Data processed'")
                        .ok();
    }

    /** Another domain tries to start on its disk. */
    Ran intruder(GuardedHost on) {
        return on.host.createDomain("intruder", disk.split(" "));
    }

    /** The shell command that prints such a domain. */
    String intruderXml(String intruder) {
        return "test-domain " + intruder + " " + disk;
    }
}
