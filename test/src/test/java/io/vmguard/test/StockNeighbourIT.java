/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * A fleet on its way from libvirt-sanlock to vmguard: two hosts with the package in its default settings and one with stock libvirt
 * and sanlock, on one lease directory.
 */
@NeedsTestImage
@SuppressWarnings("NullAway.Init") // set before the first test
class StockNeighbourIT {
    @RegisterExtension
    @Order(1)
    static final Storage STORAGE = new Storage();

    @RegisterExtension
    @Order(2)
    static final TwoHosts HOSTS = new TwoHosts(STORAGE::show, "io_timeout: 2s", "hook_timeout: 20s");

    private static TestHost stock;
    /** Null where there is none. */
    private static @Nullable LoopDevice device;

    private final GuardedHost a = HOSTS.a;
    private final GuardedHost c = HOSTS.b;

    /**
     * One directory of images, of one path everywhere: all that stock hosts can see as one. The stock host has it through a file system
     * of its own, which QEMU's file locks do not reach through: libvirt takes sanlock's leases only when QEMU has opened its disks.
     */
    static final class Storage implements BeforeAllCallback, AfterAllCallback {
        private SharedDir images;
        private CephCluster ceph;

        @Override
        public void beforeAll(ExtensionContext context) {
            images = SharedDir.create("images");
            ceph = CephCluster.start();
        }

        void show(String host, TestHost.Builder builder) {
            builder.bind(images, host.equals("stock") ? "/real" : "/images").ceph(ceph);
            if (LoopDevice.AVAILABLE) {
                builder.loopDevices();
            }
        }

        @Override
        public void afterAll(ExtensionContext context) {
            ceph.close();
            images.close();
        }
    }

    @BeforeAll
    static void startStockHost() {
        TestHost.Builder builder = TestHost.named("stock").bind(HOSTS.leases(), "/shared-leases");
        STORAGE.show("stock", builder);
        stock = builder.start();
        stock.sh("""
                mkdir -p /images && stall-dir /real /images /run/fault
                printf '%s\\n' 'auto_disk_leases = 1' 'host_id = 200' 'io_timeout = 2' 'disk_lease_dir = "/shared-leases"' \\
                    >/etc/libvirt/qemu-sanlock.conf
                echo 'lock_manager = "sanlock"' >>/etc/libvirt/qemu.conf
                systemctl start sanlock && systemctl restart libvirtd && testhost-ready 60""").mustSucceed();
        HOSTS.a
                .host
                .sh("truncate -s 1M /images/file.img /images/block.img; chmod 666 /images/*; test-ceph secret")
                .mustSucceed();
        HOSTS.b.host.sh("test-ceph secret").mustSucceed();
        if (LoopDevice.AVAILABLE) {
            HOSTS.a.host.sh("truncate -s 4M /images/behind.img").mustSucceed();
            device = LoopDevice.on(HOSTS.a.host, "/images/behind.img")
                    .alsoOn(HOSTS.b.host)
                    .alsoOn(stock);
        }
        STORAGE.ceph.rbd("create", "--size", "4M", "rbd/one").mustSucceed();
    }

    @AfterAll
    static void stopStockHost() {
        if (stock != null) {
            stock.close();
        }
    }

    @AfterEach
    void endWhatRunsOnTheStockHost() {
        stock.sh("for d in $(virsh list --name); do virsh destroy $d; done").mustSucceed();
    }

    @Test
    void aFileThatOurDomainHasIsRefusedByTheStockHost() {
        TwoHosts.create(a, "ours", "/images/file.img").mustSucceed();
        assertLockRefused(stock.createDomain("theirs", "--file", "/images/file.img"));
        a.host.virsh("destroy", "ours").mustSucceed();
        startsOnStock("--file", "/images/file.img");
    }

    @Test
    void aFileThatAStockDomainHasIsRefusedByUs() {
        startsOnStock("--file", "/images/file.img");
        for (GuardedHost host : new GuardedHost[] {a, c}) {
            assertThat(TwoHosts.create(host, "ours", "/images/file.img")
                            .mustFail()
                            .stderr())
                    .contains("is in use by");
        }
        stock.virsh("destroy", "theirs").mustSucceed();
        Eventually.await(
                "the file to be free",
                Duration.ofSeconds(30),
                () -> TwoHosts.create(c, "ours", "/images/file.img")
                        .mustSucceed()
                        .ok());
    }

    /** The lease is that of the path, whatever the XML says is there. */
    @Test
    void aFileThatAStockDomainHasIsRefusedByUsAsABlockDeviceToo() {
        startsOnStock("--file", "/images/block.img");
        assertThat(c.host.createDomain("ours", "--block", "/images/block.img")
                        .mustFail()
                        .stderr())
                .contains("is in use by");
    }

    @Test
    void aBlockDeviceThatOurDomainHasIsRefusedByTheStockHost() {
        String path = blockDevice();
        a.host.createDomain("ours", "--block", path).mustSucceed();
        assertLockRefused(stock.createDomain("theirs", "--block", path));
        a.host.virsh("destroy", "ours").mustSucceed();
        startsOnStock("--block", path);
    }

    @Test
    void aBlockDeviceThatAStockDomainHasIsRefusedByUs() {
        String path = blockDevice();
        startsOnStock("--block", path);
        for (GuardedHost host : new GuardedHost[] {a, c}) {
            assertThat(host.host
                            .createDomain("ours", "--block", path)
                            .mustFail()
                            .stderr())
                    .contains("is in use by");
        }
        stock.virsh("destroy", "theirs").mustSucceed();
        Eventually.await(
                "the device to be free",
                Duration.ofSeconds(30),
                () -> c.host.createDomain("ours", "--block", path).mustSucceed().ok());
    }

    private static String blockDevice() {
        if (device == null) {
            System.err.println("SKIPPED in StockNeighbourIT: block devices, for this machine has no loop devices");
        }
        Assumptions.assumeTrue(device != null, "no loop devices");
        return device.path();
    }

    /** Stock does not lock network disks; between our hosts they are. */
    @Test
    void anRbdDiskIsGuardedBetweenOurHosts() {
        String port = Integer.toString(STORAGE.ceph.monitorPort());
        a.host.createDomain("ours", "--port", port, "--rbd", "rbd/one").mustSucceed();
        assertThat(c.host.createDomain("intruder", "--port", port, "--rbd", "rbd/one")
                        .mustFail()
                        .stderr())
                .contains("is in use by domain ours on host node-a");
    }

    /** A lease that the XML names, of whatever the operator means by it: once made by stock's tool, once by us. */
    @Test
    void aLeaseElementIsTheSameLeaseOnBothKindsOfHosts() {
        stock.sh("truncate -s 1M /shared-leases/stock-made && sanlock direct init -r"
                        + " __LIBVIRT__DISKS__:stock-made:/shared-leases/stock-made:0")
                .mustSucceed();
        for (String key : new String[] {"stock-made", "our-own"}) {
            String onA = lease("__LIBVIRT__DISKS__", key, "/leases/" + key, "0");
            String elsewhere = lease("__LIBVIRT__DISKS__", key, "/shared-leases/" + key, "0");
            a.host.createDomain("ours", "--xml", onA).mustSucceed();
            assertThat(c.host.createDomain("intruder", "--xml", elsewhere)
                            .mustFail()
                            .stderr())
                    .contains("(lease:" + key + ") is in use by domain ours on host node-a");
            assertLockRefused(stock.createDomain("theirs", "--xml", elsewhere));
            a.host.virsh("destroy", "ours").mustSucceed();
            startsOnStock("--xml", elsewhere);
            for (GuardedHost host : new GuardedHost[] {a, c}) {
                assertThat(host.host
                                .createDomain("ours", "--xml", host == a ? onA : elsewhere)
                                .mustFail()
                                .stderr())
                        .contains("(lease:" + key + ") is in use by");
            }
            stock.virsh("destroy", "theirs").mustSucceed();
            Eventually.await(
                    "the lease to be free",
                    Duration.ofSeconds(30),
                    () -> c.host.createDomain("ours", "--xml", elsewhere).ok());
            c.host.virsh("destroy", "ours").mustSucceed();
        }
    }

    /** Stock would look there; we have our leases in one place, and say so instead of starting a domain without. */
    @Test
    void aLeaseElementThatIsNotOfThisPlaceIsRefused() {
        for (String[] wrong : new String[][] {
            {
                lease("other", "key", "/leases/key", "0"),
                "it is in lockspace other, and this host's is __LIBVIRT__DISKS__"
            },
            {
                lease("__LIBVIRT__DISKS__", "key", "/images/key", "0"),
                "it is in /images/key, and leases here are in /leases"
            },
            {lease("__LIBVIRT__DISKS__", "key", "/leases/key", "1048576"), "it is at offset 1048576 of its file"},
            {
                lease("__LIBVIRT__DISKS__", "__LIBVIRT__DISKS__", "/leases/__LIBVIRT__DISKS__", "0"),
                "the name of the lockspace"
            }
        }) {
            assertThat(a.host.createDomain("ours", "--xml", wrong[0]).mustFail().stderr())
                    .contains("it cannot be held by this host", wrong[1]);
        }
    }

    private static String lease(String lockspace, String key, String path, String offset) {
        return "<lease><lockspace>" + lockspace + "</lockspace><key>" + key + "</key><target path='" + path
                + "' offset='" + offset + "'/></lease>";
    }

    private static void startsOnStock(String... options) {
        Eventually.await(
                "the stock host to start it",
                Duration.ofSeconds(30),
                () -> stock.createDomain("theirs", options).mustSucceed().ok());
    }

    private static void assertLockRefused(Ran start) {
        assertThat(start.mustFail().stderr()).containsIgnoringCase("acquire lock");
    }
}
