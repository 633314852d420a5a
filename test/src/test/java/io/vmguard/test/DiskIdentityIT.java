/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * One disk by two names is refused, two disks of one name both run: on real file systems, with real libvirt, QEMU and Ceph, on two
 * hosts that have each storage under paths of their own. Paths are not leased here ({@code compat: none}), so that nothing but the
 * identity can refuse.
 */
@NeedsTestImage
@SuppressWarnings("NullAway.Init") // set before the first test
class DiskIdentityIT {
    private static final String UUID = "5e1f8b51-0000-4444-8888-c0ffee000001";

    @RegisterExtension
    @Order(1)
    static final Storage STORAGE = new Storage();

    @RegisterExtension
    @Order(2)
    static final TwoHosts HOSTS = new TwoHosts(STORAGE::show, "io_timeout: 2s", "hook_timeout: 20s", "compat: none");

    private final GuardedHost a = HOSTS.a;
    private final GuardedHost b = HOSTS.b;

    /** A file system that both hosts have under other paths, one path that is storage of their own, and a Ceph cluster. */
    static final class Storage implements BeforeAllCallback, AfterAllCallback {
        private SharedDir files;
        private CephCluster ceph;

        @Override
        public void beforeAll(ExtensionContext context) {
            files = SharedDir.create("images");
            ceph = CephCluster.startWithFileSystem("vms");
        }

        void show(String host, TestHost.Builder builder) {
            boolean first = host.equals("node-a");
            builder.bind(files.directory("common"), first ? "/srv/a" : "/mnt/b")
                    .bind(files.directory("own-" + host), "/var/lib/own")
                    .ceph(ceph);
        }

        @Override
        public void afterAll(ExtensionContext context) {
            ceph.close();
            files.close();
        }
    }

    @BeforeAll
    static void prepare() {
        for (GuardedHost host : List.of(HOSTS.a, HOSTS.b)) {
            // Containers have no udev; this is what it would say of the file system, the same on both.
            host.host
                    .sh("set -e; number=$(awk '$5 == \"/var/lib/own\" { print $3 }' /proc/self/mountinfo);"
                            + " mkdir -p /run/udev/data; echo E:ID_FS_UUID=" + UUID + " > /run/udev/data/b$number;"
                            + " test-ceph secret")
                    .mustSucceed();
        }
        HOSTS.a.host.sh("mkdir -p /srv/a/dir").mustSucceed();
        STORAGE.ceph.rbd("namespace", "create", "rbd/space").mustSucceed();
        // One mounts the file system, the other a directory of it.
        HOSTS.b
                .host
                .sh("mkdir -p /srv/fs && ceph-fuse /srv/fs && mkdir -p /srv/fs/vms/leases")
                .mustSucceed();
        HOSTS.a
                .host
                .sh("mkdir -p /mnt/cephfs && ceph-fuse -r /vms -m 127.0.0.1:" + STORAGE.ceph.monitorPort()
                        + " /mnt/cephfs")
                .mustSucceed();
    }

    // ---- files

    @Test
    void aFileByLinkOrBindMountOrTheOtherHostsPathIsOneDisk() {
        a.host.sh("truncate -s 1M /srv/a/dir/file.img; mkdir -p /opt/bound; mount --bind /srv/a/dir /opt/bound;"
                        + " ln -s bound/file.img /opt/link.img")
                .mustSucceed();
        b.host.sh("mkdir -p /opt/bound; mount --bind /mnt/b/dir /opt/bound; ln -s /mnt/b/./dir/file.img /opt/link.img")
                .mustSucceed();
        start(a, "holder", "/srv/a/dir/file.img");
        List<String> names = List.of("/opt/bound/file.img", "/opt/link.img");
        names.forEach(name -> assertRefused(a, name, "holder", a));
        names.forEach(name -> assertRefused(b, name, "holder", a));
        assertRefused(b, "/mnt/b/dir/file.img", "holder", a);

        a.host.virsh("destroy", "holder").mustSucceed();
        Eventually.await(
                "the file to be free",
                TwoHosts.AT_ONCE,
                () -> start(b, "next", "/opt/link.img").ok());
        assertRefused(a, "/opt/bound/file.img", "next", b);
    }

    @Test
    void twoFilesOfOnePathAreTwoDisks() {
        for (GuardedHost host : List.of(a, b)) {
            host.host.sh("truncate -s 1M /var/lib/own/vm.img").mustSucceed();
        }
        start(a, "here", "/var/lib/own/vm.img");
        start(b, "there", "/var/lib/own/vm.img");
        assertRefused(a, "/var/lib/own/vm.img", "here", a);
        assertRefused(b, "/var/lib/own/vm.img", "there", b);
    }

    @Test
    void aVolumeIsWhatItsPoolsDirectoryIsNotWhatThePoolIsCalled() {
        a.host.sh("mkdir -p /srv/a/pool && virsh pool-create-as fast dir --target /srv/a/pool"
                        + " && virsh vol-create-as fast one.raw 1M --format raw")
                .mustSucceed();
        b.host.sh("virsh pool-create-as slow dir --target /mnt/b/pool").mustSucceed();
        for (GuardedHost host : List.of(a, b)) {
            host.host
                    .sh("mkdir -p /var/lib/own/pool && virsh pool-create-as same dir --target /var/lib/own/pool"
                            + " && virsh vol-create-as same one.raw 1M --format raw")
                    .mustSucceed();
        }
        a.host.createDomain("holder", "--xml", volume("fast", "one.raw")).mustSucceed();
        assertInUse(b.host.createDomain("intruder", "--xml", volume("slow", "one.raw")), "holder", a);
        assertRefused(b, "/mnt/b/pool/one.raw", "holder", a);
        // Where the processors are busy, libvirt may not be loaded within the time that a look at storage has.
        Eventually.await("explain to know the volume", Duration.ofSeconds(60), () -> {
            String said = a.host.sh("vmguard explain --on holder").mustSucceed().stdout();
            return said.contains("/pool/one.raw") && !said.contains("REFUSED");
        });

        a.host.createDomain("here", "--xml", volume("same", "one.raw")).mustSucceed();
        b.host.createDomain("there", "--xml", volume("same", "one.raw")).mustSucceed();
    }

    /** Not even a bind mount makes two of it on one host; other mount points on other hosts do, which the note says. */
    @Test
    void aFileOnAFuseFileSystemThatNobodyKnowsIsItsPath() {
        a.host.sh("mkdir -p /srv/a/fuse/sub /fuse /opt/fuse && truncate -s 1M /srv/a/fuse/sub/file.img"
                        + " && stall-dir /srv/a/fuse /fuse /run/fuse-fault && mount --bind /fuse/sub /opt/fuse")
                .mustSucceed();
        b.host.sh("mkdir -p /fuse && stall-dir /mnt/b/fuse /fuse /run/fuse-fault")
                .mustSucceed();
        start(a, "holder", "/fuse/sub/file.img");
        assertRefused(b, "/fuse/sub/file.img", "holder", a);
        assertRefused(a, "/opt/fuse/file.img", "holder", a);

        assertThat(explain(b, "", "--file", "/fuse/sub/file.img"))
                .contains(
                        "\"identity\":\"file:/fuse/sub/file.img\"",
                        "has no UUID that this host knows: its path is its name");
        assertThat(explain(b, "on_unidentified: refuse", "--file", "/fuse/sub/file.img"))
                .contains("\"refused\"", "on_unidentified is refuse");
    }

    // ---- Ceph

    @Test
    void anRbdImageIsOneDiskHoweverItsClusterIsReached() {
        STORAGE.ceph.rbd("create", "--size", "4M", "rbd/one").mustSucceed();
        STORAGE.ceph.rbd("snap", "create", "--no-progress", "rbd/one@snap").mustSucceed();
        String port = Integer.toString(STORAGE.ceph.monitorPort());
        String monitor = "<host name='127.0.0.1' port='" + port + "'/>";
        String dead = "<host name='127.0.0.9' port='6789'/>";
        a.host.createDomain("holder", "--xml", rbd("rbd/one", monitor)).mustSucceed();
        for (String other : List.of(
                rbd("rbd/one", "<host name='localhost' port='" + port + "'/>"),
                rbd("rbd/one", dead + monitor),
                rbd("rbd/one", "<config file='/etc/ceph/ceph.conf'/>"),
                rbd("rbd//one", ""),
                rbd("rbd/one:id=libvirt:conf=/etc/ceph/ceph.conf", ""),
                rbd("rbd/one:mon_host=127.0.0.1\\:" + port, ""))) {
            assertInUse(b.host.createDomain("intruder", "--xml", other), "holder", a);
        }
        assertThat(explain(b, "", "--xml", rbd("rbd/one", monitor + "<snapshot name='snap'/>")))
                .contains("read-only snapshot")
                .doesNotContain("rbd:rbd/one");

        a.host.virsh("destroy", "holder").mustSucceed();
        // The other way round, and the way to the cluster that b has really works.
        Eventually.await(
                "the image to be free",
                TwoHosts.AT_ONCE,
                () -> b.host.createDomain("next", "--xml", rbd("rbd/one", "<config file='/etc/ceph/ceph.conf'/>"))
                        .mustSucceed()
                        .ok());
        assertInUse(a.host.createDomain("intruder", "--xml", rbd("rbd/one", monitor)), "next", b);
    }

    /** A libvirt that does not know namespaces, such as 9.0, lets the start fail in QEMU; the lease of the other image does not. */
    @Test
    void imagesOfOneNameInTwoNamespacesAreTwoDisks() {
        STORAGE.ceph.rbd("create", "--size", "4M", "rbd/two").mustSucceed();
        STORAGE.ceph.rbd("create", "--size", "4M", "rbd/space/two").mustSucceed();
        a.host.createDomain("outside", "--xml", rbd("rbd/two", "")).mustSucceed();
        Ran inside = b.host.createDomain("inside", "--xml", rbd("rbd/space/two", ""));
        assertThat(inside.output()).doesNotContain("is in use by").containsAnyOf("space/two", "created from");
        assertThat(explain(b, "", "--xml", rbd("rbd/space/two", ""))).contains("\"identity\":\"rbd:rbd/space/two\"");
    }

    @Test
    void imagesOfOneNameInTwoPoolsAreTwoDisks() {
        STORAGE.ceph
                .sh("ceph osd pool create other 4 && rbd pool init other"
                        + " && ceph auth caps client.libvirt mon 'profile rbd' osd 'profile rbd'"
                        + " && rbd create --size 4M rbd/three && rbd create --size 4M other/three")
                .mustSucceed();
        a.host.createDomain("first", "--xml", rbd("rbd/three", "")).mustSucceed();
        b.host.createDomain("second", "--xml", rbd("other/three", "")).mustSucceed();
        assertInUse(a.host.createDomain("intruder", "--xml", rbd("other/three", "")), "second", b);
    }

    @Test
    void aFileOnCephFsIsOneDiskWhereverAndAsWhateverItIsMounted() {
        a.host.sh(
                        "truncate -s 1M /mnt/cephfs/file.img; mkdir -p /mnt/cephfs/vms; truncate -s 1M /mnt/cephfs/vms/file.img;"
                                + " mkdir -p /opt/ceph && mount --bind /mnt/cephfs /opt/ceph")
                .mustSucceed();
        b.host.sh("mkdir -p /opt/ceph && mount --bind /srv/fs/vms /opt/ceph").mustSucceed();
        start(a, "holder", "/mnt/cephfs/file.img");
        assertRefused(b, "/srv/fs/vms/file.img", "holder", a);
        assertRefused(b, "/opt/ceph/file.img", "holder", a);
        assertRefused(a, "/opt/ceph/file.img", "holder", a);
        // The same path inside of what each has mounted is not the same file.
        start(b, "other", "/srv/fs/vms/vms/file.img");
        assertRefused(a, "/mnt/cephfs/vms/file.img", "other", b);
    }

    // ---- chains, shared disks, many disks

    @Test
    void aBaseImageIsSharedByTwoDomainsAndNobodyWritesIt() {
        a.host.sh("cd /srv/a/dir && qemu-img create -q -f qcow2 base.qcow2 1M && for i in 1 2; do"
                        + " qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top$i.qcow2; done; chmod 666 *.qcow2")
                .mustSucceed();
        a.host.createDomain("first", "--xml", disk("qcow2", "/srv/a/dir/top1.qcow2", ""))
                .mustSucceed();
        b.host.createDomain("second", "--xml", disk("qcow2", "/mnt/b/dir/top2.qcow2", ""))
                .mustSucceed();
        for (GuardedHost host : List.of(a, b)) {
            String base = (host == a ? "/srv/a" : "/mnt/b") + "/dir/base.qcow2";
            assertThat(host.host
                            .createDomain("intruder", "--xml", disk("qcow2", base, ""))
                            .mustFail()
                            .stderr())
                    .contains("(fs:" + UUID)
                    .containsPattern("base\\.qcow2\\) is in use by .*(first|second)");
        }
    }

    /**
     * A server that takes root for nobody lets QEMU's user read what the agent may not. Here the agent is root without the rights that set
     * root apart, before an image of QEMU's user.
     */
    @Test
    void aChainThatRootMayNotReadIsReadAsItsOwner() {
        a.host.sh("mkdir /srv/a/squashed && cd /srv/a/squashed && truncate -s 1M base.img"
                        + " && qemu-img create -q -f qcow2 -b base.img -F raw top.qcow2"
                        + " && chown -R libvirt-qemu: . && chmod 700 . && chmod 600 *")
                .mustSucceed();
        String top = disk("qcow2", "/srv/a/squashed/top.qcow2", "");
        try {
            restartedWith(a, "CAP_KILL CAP_SYS_PTRACE");
            assertThat(a.host.createDomain("layered", "--xml", top).mustFail().stderr())
                    .contains(
                            "its backing images are not known: /srv/a/squashed/top.qcow2: looking at it is not permitted",
                            "write <backingStore/> if there are none");
            restartedWith(a, "CAP_KILL CAP_SYS_PTRACE CAP_SETUID CAP_SETGID");
            a.host.createDomain("layered", "--xml", top).mustSucceed();
            assertThat(TwoHosts.create(b, "intruder", "/mnt/b/squashed/base.img")
                            .mustFail()
                            .stderr())
                    .containsPattern("squashed/base\\.img\\) is in use by .*node-a");
        } finally {
            // Before the restart: on a slow machine that takes longer than leases of this io_timeout last.
            a.host.sh("virsh destroy layered");
            Eventually.await(
                    "its leases to be given back",
                    Duration.ofSeconds(30),
                    () -> a.statusJson().contains("\"domains\":[]"));
            a.host.sh("rm -r " + RIGHTS + "; systemctl daemon-reload; systemctl restart vmguard")
                    .mustSucceed();
            a.awaitReady();
        }
    }

    private static final String RIGHTS = "/run/systemd/system/vmguard.service.d";

    private static void restartedWith(GuardedHost host, String capabilities) {
        host.host
                .sh("mkdir -p " + RIGHTS
                        + "; printf '%s\n' '[Service]' 'CapabilityBoundingSet=' 'CapabilityBoundingSet=" + capabilities
                        + "' >" + RIGHTS + "/rights.conf; systemctl daemon-reload; systemctl restart vmguard")
                .mustSucceed();
        host.awaitReady();
    }

    @Test
    void aChainOnANetworkDiskIsWhatTheXmlSaysOrRefused() {
        a.host.sh("cd /var/tmp && qemu-img create -q -f qcow2 layered.qcow2 1M"
                        + " && qemu-nbd --fork --persistent --shared=4 -f raw -x layered -k /var/tmp/layered.sock"
                        + " --pid-file=/var/tmp/layered.pid layered.qcow2 && chmod 666 layered.sock")
                .mustSucceed();
        try {
            assertThat(a.host.createDomain("layered", "--xml", layeredNbd(""))
                            .mustFail()
                            .stderr())
                    .contains(
                            "the header of a qcow2 image that is neither a file nor a block device is not read. Name them");
            // So libvirt and QEMU take it, too: without this element QEMU would read on by itself.
            a.host.createDomain("layered", "--xml", layeredNbd("<backingStore/>"))
                    .mustSucceed();
        } finally {
            a.host.sh("virsh destroy layered; kill $(cat /var/tmp/layered.pid)");
        }
    }

    private static String layeredNbd(String below) {
        return "<disk type='network' device='disk'><driver name='qemu' type='qcow2'/><source protocol='nbd' name='layered'>"
                + "<host transport='unix' socket='/var/tmp/layered.sock'/></source>" + below
                + "<target dev='vda' bus='virtio'/></disk>";
    }

    @Test
    void sharedAndExclusiveUsersOfOneDiskAreKeptApartWithNames() {
        a.host.sh("truncate -s 1M /srv/a/dir/shared.img; chmod 666 /srv/a/dir/shared.img")
                .mustSucceed();
        String onA = disk("raw", "/srv/a/dir/shared.img", "<shareable/>");
        String onB = disk("raw", "/mnt/b/dir/shared.img", "<shareable/>");
        a.host.createDomain("first", "--xml", onA).mustSucceed();
        b.host.createDomain("second", "--xml", onB).mustSucceed();
        assertThat(TwoHosts.create(b, "exclusive", "/mnt/b/dir/shared.img")
                        .mustFail()
                        .stderr())
                .containsPattern("is in use by .*(first|second)");
        a.host.virsh("destroy", "first").mustSucceed();
        b.host.virsh("destroy", "second").mustSucceed();
        Eventually.await(
                "the disk to be free",
                TwoHosts.AT_ONCE,
                () -> start(b, "exclusive", "/mnt/b/dir/shared.img").ok());
        assertInUse(a.host.createDomain("first", "--xml", onA), "exclusive", b);
    }

    @Test
    void sixtyFourDisksAreTakenAllOrNone() {
        a.host.sh("mkdir -p /srv/a/many && cd /srv/a/many && for i in $(seq 64); do truncate -s 1M $i.img; done")
                .mustSucceed();
        String disks = IntStream.rangeClosed(1, 64)
                .mapToObj(i ->
                        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/srv/a/many/" + i
                                + ".img'/><target dev='sd" + (i <= 26 ? "" : "" + (char) ('a' + (i - 27) / 26))
                                + (char) ('a' + (i - 1) % 26) + "' bus='scsi'/></disk>")
                .collect(Collectors.joining("", "<controller type='scsi' index='0' model='virtio-scsi'/>", ""));
        start(b, "holder", "/mnt/b/many/64.img");
        assertInUse(a.host.createDomain("wide", "--xml", disks), "holder", b);
        start(b, "first", "/mnt/b/many/1.img");
        b.host.virsh("destroy", "holder").mustSucceed();
        b.host.virsh("destroy", "first").mustSucceed();
        Eventually.await(
                "all disks to be free",
                TwoHosts.AT_ONCE,
                () -> a.host.createDomain("wide", "--xml", disks).mustSucceed().ok());
        a.awaitLeases("wide", 64, Duration.ofSeconds(30));
        assertRefused(b, "/mnt/b/many/64.img", "wide", a);
    }

    // ---- a lease directory on CephFS

    @Test
    void leasesOnCephFsKeepTwoHostsApart() {
        Stream.of(a, b)
                .forEach(host -> host.host
                        .sh("dd if=/dev/zero of=" + leasesOnCephFs(host)
                                + "/probe-$(hostname) bs=512 count=1 oflag=direct")
                        .mustSucceed());
        Stream.of(a, b).forEach(DiskIdentityIT::startSecondAgent);
        try {
            Stream.of(a, b)
                    .forEach(host -> Eventually.await(
                            "the second agent of " + host.host.name(),
                            Duration.ofSeconds(60),
                            () -> host.host
                                    .sh("grep -q 'member of lockspace' /second/log")
                                    .mustSucceed()
                                    .ok()));
            ask(a, "one").mustSucceed();
            assertThat(ask(b, "two").mustFail().output()).contains("is in use by domain one on host node-a");
        } finally {
            Stream.of(a, b)
                    .forEach(host -> host.host
                            .sh("kill $(cat /second/pid); tail -n 20 /second/log")
                            .mustSucceed());
        }
    }

    private static String leasesOnCephFs(GuardedHost host) {
        return host == HOSTS.a ? "/mnt/cephfs/leases" : "/srv/fs/vms/leases";
    }

    private static void startSecondAgent(GuardedHost host) {
        String lines = String.join(
                "\\n",
                "lease_dir: " + leasesOnCephFs(host),
                "host_id: " + (host == HOSTS.a ? 1 : 2),
                "io_timeout: 2s",
                "max_hosts: 8",
                "watchdog: none",
                "mode: enforce",
                "on_unprotected: report",
                "state_dir: /second/state",
                "runtime_dir: /second/run",
                "socket: /second/run/agent.sock");
        host.host
                .sh("mkdir -p /second/run /second/state && printf '" + lines + "\\n' > /second/vmguard.yaml;"
                        + " vmguard agent --config /second/vmguard.yaml > /second/log 2>&1 & echo $! > /second/pid")
                .mustSucceed();
    }

    /** A start of a domain with one disk of a name of its own; libvirt does not come into it. */
    private static Ran ask(GuardedHost host, String domain) {
        return host.host.sh("test-domain " + domain + " --rbd rbd/asked | VMGUARD_SOCKET=/second/run/agent.sock"
                + " sh /usr/share/vmguard/qemu-hook " + domain + " prepare begin -");
    }

    // ---- words

    private static Ran start(GuardedHost host, String domain, String path) {
        return TwoHosts.create(host, domain, path).mustSucceed();
    }

    private static void assertRefused(GuardedHost asked, String path, String byDomain, GuardedHost onHost) {
        assertInUse(TwoHosts.create(asked, "intruder", path), byDomain, onHost);
    }

    private static void assertInUse(Ran started, String byDomain, GuardedHost onHost) {
        assertThat(started.mustFail().stderr())
                .contains("is in use by domain " + byDomain + " on host " + onHost.host.name());
    }

    private static String volume(String pool, String name) {
        return "<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='" + pool + "' volume='"
                + name + "'/><target dev='vda' bus='virtio'/></disk>";
    }

    private static String disk(String format, String path, String more) {
        return "<disk type='file' device='disk'><driver name='qemu' type='" + format + "' cache='none'/><source file='"
                + path + "'/><target dev='vda' bus='virtio'/>" + more + "</disk>";
    }

    private static String rbd(String name, String inSource) {
        return "<disk type='network' device='disk'><driver name='qemu' type='raw'/><auth username='libvirt'>"
                + "<secret type='ceph' uuid='6d9c5f0e-6a5b-4c39-9d4a-6f1f5b0c7a01'/></auth><source protocol='rbd' name='"
                + name + "'>" + inSource + "</source><target dev='vda' bus='virtio'/></disk>";
    }

    /** @param rule a line of configuration in place of {@code compat: none} */
    private static String explain(GuardedHost host, String rule, String... options) {
        String quoted = Stream.of(options).map(o -> "\"" + o + "\"").collect(Collectors.joining(" "));
        String command = "printf '%s\\n' 'compat: none' '" + rule + "' > /tmp/explain.yaml; test-domain asked " + quoted
                + " | vmguard explain --config /tmp/explain.yaml --format json -";
        // Where the processors are busy, a look at storage may take longer than it is given.
        return Eventually.get("explain to have its answers", Duration.ofSeconds(60), () -> {
            String said = host.host.sh(command).mustSucceed().stdout();
            return said.contains("its storage has not answered") ? Optional.empty() : Optional.of(said);
        });
    }
}
