/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import static io.vmguard.agent.derive.Derivations.UUID;
import static io.vmguard.agent.derive.Derivations.qcow2;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.identity.IdentityRules;
import io.vmguard.agent.identity.StorageClusters;
import io.vmguard.agent.testing.Images;
import io.vmguard.agent.testing.RecordedHost;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Whole domains on a recorded host: backing images, modes, and everything beside disks. */
class HostDerivationTest {
    private static final String WAY_OUT =
            "Name them in the domain's XML (<backingStore>), or write <backingStore/> if there are none";

    private static final String XFS = "fs:8d0a7c1e-5b5e-4f3f-9a52-0a1b2c3d4e5f";
    private static final IdentityRules PLAIN = new IdentityRules(false, false, StorageClusters.NONE);

    private final RecordedHost host = RecordedHost.of("node-a");

    @Test
    void aChainIsLeasedFromTheTopDown() throws Exception {
        host.image("/vms/top.qcow2", Images.qcow2("templates/base.qcow2", "qcow2"));
        host.image("/var/lib/libvirt/images/top.qcow2", Images.qcow2("templates/base.qcow2", "qcow2"));
        host.image("/vms/templates/base.qcow2", Images.qcow2("", ""));
        assertThat(Derivations.lines(disks(qcow2("/vms/top.qcow2", "vda", ""))))
                .containsExactly(
                        "vda disk exclusive " + XFS + "/top.qcow2",
                        "vda backing shared " + XFS + "/templates/base.qcow2");
    }

    @Test
    void aChainInTheXmlIsTakenFromThere() throws Exception {
        String chain = "<backingStore type='file'><format type='qcow2'/><source file='/vms/a'/>"
                + "<backingStore type='network'><format type='raw'/><source protocol='rbd' name='rbd/base'><host name='m'/></source>"
                + "<backingStore/></backingStore></backingStore>";
        assertThat(Derivations.lines(disks(qcow2("/vms/top", "vda", chain))))
                .containsExactly(
                        "vda disk exclusive " + XFS + "/top",
                        "vda alias exclusive file:/vms/top",
                        "vda backing shared " + XFS + "/a",
                        "vda alias shared file:/vms/a",
                        "vda backing shared rbd:rbd/base");
    }

    @Test
    void twoDisksOnOneBaseShareItsLease() throws Exception {
        host.image("/vms/a", Images.qcow2("base", "raw"));
        host.image("/vms/b", Images.qcow2("base", "raw"));
        host.and(
                "== file /var/lib/libvirt/images/base\n== file /var/lib/libvirt/images/a\n== file /var/lib/libvirt/images/b");
        assertThat(Derivations.lines(disks(qcow2("/vms/a", "vda", "") + qcow2("/vms/b", "vdb", ""))))
                .containsExactly(
                        "vda disk exclusive " + XFS + "/a",
                        "vda backing shared " + XFS + "/base",
                        "vdb disk exclusive " + XFS + "/b");
    }

    @Test
    void aDiskThatWritesTheBaseOfAnotherIsRefused() throws Exception {
        host.image("/vms/a", Images.qcow2("base", "raw"));
        host.and("== file /var/lib/libvirt/images/base\n== file /var/lib/libvirt/images/a");
        Derivation derivation =
                disks(qcow2("/vms/a", "vda", "") + "<disk><source file='/vms/base'/><target dev='vdb'/></disk>");
        assertThat(derivation.refusals())
                .containsExactly(new Refusal(
                        "vdb",
                        "it is the same image as vda has (" + XFS + "/base), and only one of the two is shared"));
    }

    @Test
    void aBlockJobIntoTheChainTakesItsTargetExclusively() throws Exception {
        String chain = "<mirror type='file' job='active-commit'><format type='raw'/><source file='/vms/base'/></mirror>"
                + "<backingStore type='file'><format type='raw'/><source file='/vms/base'/><backingStore/></backingStore>";
        host.and("== file /var/lib/libvirt/images/base\n== file /var/lib/libvirt/images/a");
        assertThat(Derivations.lines(disks(qcow2("/vms/a", "vda", chain))))
                .containsExactly("vda disk exclusive " + XFS + "/a", "vda written exclusive " + XFS + "/base");
    }

    @Test
    void aChainThatIsBrokenOrCannotBeReadIsRefused() throws Exception {
        host.image("/vms/a", Images.qcow2("a", "qcow2"));
        host.and("== file /var/lib/libvirt/images/a\n== denied /vms/b\n== file /var/lib/libvirt/images/b");
        assertThat(disks(qcow2("/vms/a", "vda", "") + qcow2("/vms/b", "vdb", ""))
                        .refusals())
                .containsExactly(
                        new Refusal("vda", "its backing images are not known: its backing images lead in a circle"),
                        new Refusal(
                                "vdb",
                                "its backing images are not known: /vms/b: reading it is not permitted. " + WAY_OUT));
        assertThat(disks(layeredRbd("")).refusals())
                .containsExactly(new Refusal(
                        "vdc",
                        "its backing images are not known: the header of a qcow2 image that is neither a file nor a block device is not read. "
                                + WAY_OUT));
    }

    @Test
    void anUnreadableImageIsNoHindranceWhereTheXmlSaysWhatIsBelow() throws Exception {
        host.and("== denied /vms/b\n== file /var/lib/libvirt/images/b\n== file /var/lib/libvirt/images/base");
        Derivation nothingBelow = disks(qcow2("/vms/b", "vdb", "<backingStore/>") + layeredRbd("<backingStore/>"));
        assertThat(nothingBelow.refusals()).isEmpty();
        assertThat(Derivations.lines(nothingBelow))
                .containsExactly("vdb disk exclusive " + XFS + "/b", "vdc disk exclusive rbd:pool/image");
        Derivation named = disks(qcow2(
                "/vms/b",
                "vdb",
                "<backingStore type='file'><format type='raw'/>"
                        + "<source file='/vms/base'/><backingStore/></backingStore>"));
        assertThat(named.refusals()).isEmpty();
        assertThat(Derivations.lines(named))
                .containsExactly("vdb disk exclusive " + XFS + "/b", "vdb backing shared " + XFS + "/base");
    }

    @Test
    void anUnreadableRawImageHasNothingBelowIt() throws Exception {
        host.and("== denied /vms/b\n== file /var/lib/libvirt/images/b");
        assertThat(disks("<disk><driver type='raw'/><source file='/vms/b'/><target dev='vdb'/></disk>"
                                + "<disk type='network'><driver type='raw'/>"
                                + "<source protocol='rbd' name='pool/image'/><target dev='vdc'/></disk>")
                        .refusals())
                .isEmpty();
    }

    private static String layeredRbd(String inner) {
        return "<disk type='network'><driver type='qcow2'/><source protocol='rbd' name='pool/image'/><target dev='vdc'/>"
                + inner + "</disk>";
    }

    @Test
    void compatIsHeldForDisksAndNotForFirmware() throws Exception {
        DeriverSettings settings = Derivations.settings(IdentityRules.DEFAULT, true);
        Derivation derivation = derive(
                settings,
                "<os><nvram>/vms/vm1.qcow2</nvram></os>",
                "<disk><source file='/vms/templates/base.qcow2'/><target dev='vda'/></disk>");
        assertThat(Derivations.lines(derivation))
                .containsExactly(
                        "vda disk exclusive " + XFS + "/templates/base.qcow2",
                        "vda compat exclusive file:/vms/templates/base.qcow2",
                        "nvram nvram exclusive " + XFS + "/vm1.qcow2",
                        "domain domain exclusive domain:" + UUID);
        assertThat(derivation.leases()).extracting(DiskLease::resource).contains("dom-" + UUID);
    }

    @Test
    void everythingBesideDisksIsLeasedOrExplained() throws Exception {
        assertThat(Derivations.lines(derive(
                        Derivations.settings(PLAIN, true),
                        "<os><loader readonly='no' type='pflash'>/vms/vm1.qcow2</loader>"
                                + "<varstore template='/usr/share/vars.json' path='/vms/vars'/>"
                                + "<nvram type='network'><source protocol='iscsi' name='iqn.x:y/4'><host name='h'/></source></nvram></os>",
                        "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host2'/>"
                                + "<address bus='0' target='0' unit='1'/></source></hostdev>"
                                + "<hostdev type='scsi'><source protocol='iscsi' name='iqn.x:y/5'><host name='h'/></source></hostdev>"
                                + "<hostdev type='scsi_host'><source protocol='vhost' wwpn='naa.5123456789ABCDE0'/></hostdev>"
                                + "<hostdev type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>"
                                + "<hostdev type='usb'><source><vendor id='0x1'/></source></hostdev>"
                                + "<hostdev type='mdev' model='vfio-pci'><source><address uuid='x'/></source></hostdev>"
                                + "<memory model='nvdimm'><source><path>/vms/nv</path></source><target><size>1</size></target></memory>"
                                + "<memory model='dimm'><target><size>1</size></target></memory>"
                                + "<filesystem type='mount'><driver type='virtiofs'/><source dir='/x'/></filesystem>"
                                + "<tpm model='tpm-crb'><backend type='emulator'/></tpm>"
                                + "<tpm><backend type='passthrough'/></tpm>"
                                + "<tpm><backend type='external'><source type='unix' mode='connect' path='/s'/></backend></tpm>"
                                + "<tpm><backend type='emulator'><source type='dir' path='/vms/tpm'/></backend></tpm>"
                                + "<pstore backend='acpi-erst'><path>/vms/erst</path><size>1</size></pstore>"
                                + "<lease><lockspace>ours</lockspace><key>k1</key><target path='/leases/k1'/></lease>"
                                + "<lease><lockspace>theirs</lockspace><key>k2</key><target path='/leases/k2'/></lease>"
                                + "<lease><lockspace>ours</lockspace><key>k3</key><target path='/leases/k3' offset='1048576'/></lease>"
                                + "<lease><lockspace>ours</lockspace><key>k4</key><target path='/else/k4'/></lease>")))
                .containsExactly(
                        "loader loader exclusive " + XFS + "/vm1.qcow2",
                        "varstore nvram exclusive " + XFS + "/vars",
                        "varstore alias exclusive file:/vms/vars",
                        "nvram nvram exclusive iscsi:iqn.x:y/4",
                        "hostdev #1 hostdev exclusive wwn:6001405abcdef0123456789abcdef012",
                        "hostdev #1 alias exclusive iscsi:iqn.2013-07.com.example:store/1",
                        "hostdev #2 hostdev exclusive iscsi:iqn.x:y/5",
                        "hostdev #3 hostdev exclusive vhost-scsi:naa.5123456789abcde0",
                        "memory #1 memory exclusive " + XFS + "/nv",
                        "memory #1 alias exclusive file:/vms/nv",
                        "tpm #4 tpm exclusive " + XFS + "/tpm",
                        "tpm #4 alias exclusive dir:/vms/tpm",
                        "pstore pstore exclusive " + XFS + "/erst",
                        "pstore alias exclusive file:/vms/erst",
                        "lease k1 lease exclusive lease:k1",
                        "domain domain exclusive domain:" + UUID,
                        "hostdev #4 none: a PCI device of this host; what is stored behind it cannot be seen",
                        "hostdev #5 none: a USB device of this host",
                        "hostdev #6 none: a mediated device of this host",
                        "filesystem #1 none: a directory that is made to be shared",
                        "tpm none: its state is kept under the domain's uuid, which the lease on that guards",
                        "tpm #2 none: it is in a device of this host",
                        "tpm #3 none: only the process behind its socket knows where its state is",
                        "lease k2 refused: it cannot be held by this host: it is in lockspace theirs, and this host's is ours",
                        "lease k3 refused: it cannot be held by this host: it is at offset 1048576 of its file, and leases here are at 0",
                        "lease k4 refused: it cannot be held by this host: it is in /else/k4, and leases here are in /leases/KEY");
    }

    @Test
    void optionsForQemuAreNamed() throws Exception {
        String xml = "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>a</name>"
                + "<qemu:commandline><qemu:arg value='-drive'/></qemu:commandline></domain>";
        assertThat(deriver(Derivations.settings(PLAIN, false))
                        .derive(DomainXml.parse(xml.getBytes(StandardCharsets.UTF_8)))
                        .unprotected())
                .extracting(Unprotected::target)
                .containsExactly("qemu:commandline");
    }

    @Test
    void propertiesThatOverrideTheDevicesOfLibvirtAreNamed() throws Exception {
        String xml =
                "<domain xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><name>a</name><q:override><q:device alias='vda'>"
                        + "<q:frontend><q:property name='drive' type='string' value='x'/></q:frontend></q:device></q:override></domain>";
        assertThat(deriver(Derivations.settings(PLAIN, false))
                        .derive(DomainXml.parse(xml.getBytes(StandardCharsets.UTF_8)))
                        .unprotected())
                .extracting(Unprotected::target)
                .containsExactly("qemu:override");
    }

    @Test
    void aDeviceThatIsHandedOverTwiceIsNamedTwice() throws Exception {
        String device = "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host2'/>"
                + "<address bus='0' target='0' unit='1'/></source></hostdev>";
        assertThat(Derivations.lines(derive(Derivations.settings(PLAIN, false), "", device + device)))
                .contains("hostdev #2 none: same disk as hostdev #1");
    }

    @Test
    void filesAndDevicesBehindSerialPortsAreNamedOnceEach() throws Exception {
        String stream = " none: a stream of characters, nothing that a guest keeps its data in";
        assertThat(Derivations.lines(derive(
                        Derivations.settings(PLAIN, false),
                        "",
                        "<serial type='pty'><source path='/dev/pts/1'/></serial>"
                                + "<serial type='file'><source path='/vms/one.log'/></serial>"
                                + "<console type='file'><source path='/vms/one.log'/></console>"
                                + "<console type='pty'><log file='/vms/two.log'/></console>"
                                + "<parallel type='dev'><source path='/dev/parport0'/></parallel>"
                                + "<channel type='unix'><source mode='bind' path='/run/s'/></channel>")))
                .containsExactly("serial #2" + stream, "console #2" + stream, "parallel #1" + stream);
    }

    @Test
    void sixtyFourDisksHaveSixtyFourIdentities() throws Exception {
        StringBuilder xml = new StringBuilder();
        for (int i = 0; i < 64; i++) {
            xml.append("<disk><source file='/vms/d")
                    .append(i)
                    .append("'/><target dev='vd")
                    .append(i)
                    .append("'/></disk>");
        }
        assertThat(disks(xml.toString()).leases())
                .filteredOn(l -> l.role().equals(DiskLease.DISK))
                .hasSize(64);
    }

    @Test
    void anImageOfASnapshotOrACopyHasTheNameThatItWillHaveAsADisk() throws Exception {
        Derivation image = deriver(Derivations.settings(IdentityRules.DEFAULT, true))
                .image("vda", new DiskSource.File("/vms/vm1.qcow2"), LeaseMode.EXCLUSIVE);
        Derivation disk = derive(
                Derivations.settings(IdentityRules.DEFAULT, false),
                "",
                "<disk><source file='/vms/vm1.qcow2'/><target dev='vda'/></disk>");
        assertThat(image.leases()).isEqualTo(disk.leases());
    }

    @Test
    void storageThatHangsIsARefusal() throws Exception {
        CountDownLatch never = new CountDownLatch(1);
        ThreadPoolExecutor one = new ThreadPoolExecutor(0, 1, 1, TimeUnit.SECONDS, new SynchronousQueue<>());
        StorageLeases hanging = new BoundedLeases(
                new StorageLeases() {
                    @Override
                    public Derivation derive(DomainSpec domain) {
                        return hang();
                    }

                    @Override
                    public Derivation disk(DiskSpec disk) {
                        return hang();
                    }

                    @Override
                    public Derivation image(String target, DiskSource source, LeaseMode mode) {
                        return hang();
                    }

                    private Derivation hang() {
                        try {
                            never.await();
                        } catch (InterruptedException e) {
                            Thread.currentThread().interrupt();
                        }
                        return new Derivation(List.of(), List.of(), List.of());
                    }
                },
                one,
                Duration.ofMillis(20));
        DomainSpec domain = domain("");
        assertThat(hanging.derive(domain).refusals())
                .extracting(Refusal::reason)
                .singleElement()
                .asString()
                .contains("not answered");
        assertThat(hanging.derive(domain).refusals())
                .extracting(Refusal::reason)
                .singleElement()
                .asString()
                .contains("still wait");
        assertThat(hanging.image("vdb", new DiskSource.File("/a"), LeaseMode.EXCLUSIVE)
                        .refusals())
                .singleElement()
                .extracting(Refusal::target)
                .isEqualTo("vdb");
        assertThat(hanging.disk(domain("<disk><source file='/a'/><target dev='vdc'/></disk>")
                                .disks()
                                .get(0))
                        .refusals())
                .singleElement()
                .extracting(Refusal::target)
                .isEqualTo("vdc");
        never.countDown();
        one.shutdown();
    }

    private static DomainSpec domain(String devices) throws DomainXmlException {
        String xml = "<domain><name>a</name><devices>" + devices + "</devices></domain>";
        return DomainXml.parse(xml.getBytes(StandardCharsets.UTF_8));
    }

    private Derivation disks(String disks) throws DomainXmlException {
        return derive(Derivations.settings(PLAIN, false), "", disks);
    }

    private Derivation derive(DeriverSettings settings, String os, String devices) throws DomainXmlException {
        return deriver(settings).derive(Derivations.domain(os, devices));
    }

    private LeaseDeriver deriver(DeriverSettings settings) {
        return LeaseDeriver.onHost(
                (pool, volume, mode) -> new VolumeResolver.CannotTell("no pools"), settings, () -> host);
    }
}
