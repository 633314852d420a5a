/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Two guarded hosts that share leases and images, each through file systems of its own: faults of the first one's storage are its own,
 * and QEMU's locks do not reach from one host to the other, so that nothing but vmguard keeps the second host from the disk.
 */
final class FaultPair implements AutoCloseable {
    static final Duration IO_TIMEOUT = Duration.ofSeconds(5);
    static final Duration WATCHDOG_TIMEOUT = Duration.ofSeconds(10);
    /** After a renewal's start: the leases are lost. */
    static final Duration LOST = IO_TIMEOUT.multipliedBy(8);
    /** After a renewal's start: others may take them. */
    static final Duration DEAD = LOST.plus(WATCHDOG_TIMEOUT);

    private static final String IMAGES = "/images";
    /** Not in /run, which may be full. */
    private static final String IMAGE_FAULT = "/var/tmp/image-fault";

    private static final int COUNTER_SECTOR = 100;
    private static final Duration SOON = Duration.ofSeconds(60);

    final GuardedHost a;
    final GuardedHost b;
    private final SharedDir leases;
    private final SharedDir images;
    private boolean discarded;
    private int rows;
    private String domain = "";

    private FaultPair(SharedDir leases, SharedDir images, GuardedHost a, GuardedHost b) {
        this.leases = leases;
        this.images = images;
        this.a = a;
        this.b = b;
    }

    static FaultPair start(int number) {
        SharedDir leases = SharedDir.create("leases");
        SharedDir images = SharedDir.create("images");
        String[] configuration = {
            "io_timeout: " + IO_TIMEOUT.toSeconds() + "s",
            "watchdog_timeout: " + WATCHDOG_TIMEOUT.toSeconds() + "s",
            "destroy_timeout: 3s",
            "hook_timeout: 5s",
            "watchdog: none"
        };
        CompletableFuture<GuardedHost> first =
                CompletableFuture.supplyAsync(() -> host("fault-a" + number, leases, images, configuration));
        GuardedHost b = null;
        try {
            b = host("fault-b" + number, leases, images, configuration);
            GuardedHost a = first.join();
            a.awaitReady();
            b.awaitReady();
            return new FaultPair(leases, images, a, b);
        } catch (AssertionError | RuntimeException e) {
            first.thenAccept(GuardedHost::close);
            if (b != null) {
                b.close();
            }
            throw e;
        }
    }

    private static GuardedHost host(String name, SharedDir leases, SharedDir images, String[] configuration) {
        GuardedHost host =
                GuardedHost.start(TestHost.named(name).bind(images, "/shared-images"), leases, configuration);
        host.host
                .sh("mkdir -p " + IMAGES + "; stall-dir /shared-images " + IMAGES + " " + IMAGE_FAULT)
                .mustSucceed();
        return host;
    }

    /** Makes a disk with a guest that stamps it, and starts it on the first host; returns its QEMU. */
    QemuProcess begin(String row) {
        domain = row + "-" + ++rows;
        a.host.sh("test-guest make " + disk()).mustSucceed();
        Eventually.await(
                "the domain to start",
                SOON,
                () -> a.host.createDomain(domain, "--file", disk())
                        .mustSucceed()
                        .ok());
        QemuProcess qemu = Eventually.get("the QEMU of " + domain, Duration.ofSeconds(5), () -> QemuProcess.of(domain));
        // Its BIOS needs seconds under emulation; a disk that is not written to yet shows nothing.
        Eventually.await("the first stamp", SOON, () -> stamp()[1] > 0);
        return qemu;
    }

    /** {@code ok} or one of the faults of stall-dir, for the images of the first host. */
    void images(String fault) {
        a.host.sh("echo " + fault + " > " + IMAGE_FAULT).mustSucceed();
    }

    String domain() {
        return domain;
    }

    String otherDomain() {
        return domain + "-other";
    }

    String disk() {
        return IMAGES + "/" + domain + ".img";
    }

    /** Tries to start another domain on the same disk on the second host. */
    Ran takeOver() {
        return b.host.createDomain(otherDomain(), "--file", disk());
    }

    /** The run that wrote last, and how often it has written: what the storage itself has, past every cache of the hosts. */
    long[] stamp() throws IOException {
        Path file = images.resolve(domain + ".img");
        ByteBuffer sector = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            channel.read(sector, COUNTER_SECTOR * 512L);
        }
        return new long[] {Integer.toUnsignedLong(sector.getInt(4)), Integer.toUnsignedLong(sector.getInt(0))};
    }

    void pause(Duration length) {
        try {
            boolean ignored = new CountDownLatch(1).await(length.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
    }

    /** Has the agent of the first host read its wall clock through libfaketime, which leaves the other clocks alone. */
    void fakeWallClock() {
        a.host.sh(
                        Duration.ofMinutes(3),
                        "f=/etc/systemd/system/vmguard.service.d/wall-clock.conf; test -e $f && exit 0; "
                                + "lib=$(find /usr/lib -name libfaketimeMT.so.1 | head -1); test -n \"$lib\" || exit 1; "
                                + "echo +0 > /etc/vmguard-faketime; mkdir -p ${f%/*}; "
                                + "printf '[Service]\\nEnvironment=LD_PRELOAD=%s FAKETIME_TIMESTAMP_FILE=/etc/vmguard-faketime "
                                + "FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1\\n' $lib > $f; "
                                + "systemctl daemon-reload; systemctl restart vmguard")
                .mustSucceed();
        awaitReady();
    }

    /** Moves that clock. */
    void wallClock(String offset) {
        a.host.sh("echo '" + offset + "' > /etc/vmguard-faketime").mustSucceed();
    }

    /** Gives the agent so little memory that the kernel kills it, then its usual share. */
    void outOfMemory() {
        String pid = a.host.property("vmguard", "MainPID");
        a.host.sh("g=$(sed -n 's,^[0-9]*:memory:,,p' /proc/" + pid + "/cgroup); "
                + "if [ -n \"$g\" ]; then f=/sys/fs/cgroup/memory$g/memory.limit_in_bytes; else "
                + "f=/sys/fs/cgroup$(sed -n 's,^0::,,p' /proc/" + pid + "/cgroup)/memory.max; fi; "
                + "for m in 64 32 16 8; do echo ${m}M > $f; sleep 0.5; kill -0 " + pid + " 2>/dev/null || break; done; "
                + "echo -1 > $f 2>/dev/null || echo max > $f; kill -KILL " + pid + " 2>/dev/null; true");
    }

    /** Ends both domains and waits until both hosts are as before; false if this pair cannot be used again. */
    boolean settle() {
        if (discarded) {
            return false;
        }
        try {
            for (GuardedHost host : List.of(a, b)) {
                host.host.sh(
                        "systemctl start --no-block vmguard libvirtd; for d in $(virsh list --name); do virsh destroy $d; done");
            }
            awaitReady();
            return true;
        } catch (AssertionError e) {
            System.out.println("a pair of hosts did not settle, another one is taken: " + e.getMessage());
            return false;
        }
    }

    private void awaitReady() {
        for (GuardedHost host : List.of(a, b)) {
            Eventually.await(
                    "ready again",
                    Duration.ofSeconds(90),
                    () -> host.statusJson().contains("\"ready\":true")
                            && host.statusJson().contains("\"domains\":[]"));
        }
    }

    /** It is of no use after this row. */
    void discard() {
        discarded = true;
    }

    String journal() {
        return a.host.run("journalctl", "--no-pager", "-b", "-u", "vmguard", "-u", "vmguard-deadman", "-n", "120")
                .output();
    }

    @Override
    public void close() {
        a.close();
        b.close();
        leases.close();
        images.close();
    }
}
