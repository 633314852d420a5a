/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.domain.NetworkHost;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which disks of realistic domains get which lease, which get none, and which stop a start. */
class LeaseDeriverTest {

    private static final VolumeResolver POOLS = (pool, volume, mode) -> switch (pool) {
        case "fast" -> new VolumeResolver.LocalPath("/pool/fast/" + volume);
        case "slow" ->
            new VolumeResolver.Remote(new DiskSource.Network(
                    "iscsi", "iqn.2013-07.com.example:store/1", List.of(NetworkHost.tcp("p", "3260")), null));
        default -> new VolumeResolver.CannotTell("there is no such pool");
    };

    @Test
    void writableDisksWithMediaAreLeasedAndOthersAreNot() throws Exception {
        assertThat(lines(derive("demo1.xml")))
                .containsExactly(
                        "vda exclusive file:/var/lib/libvirt/images/demo.img",
                        "sdb exclusive block:/dev/disk/by-id/wwn-0x5000c500a0b1c2d3",
                        "fda exclusive file:/srv/floppies/answers.img",
                        "vdc exclusive dir:/srv/exchange",
                        "vdd shared file:/srv/scratch/base.qcow2",
                        "hdc none: read-only",
                        "hdd none: read-only: cdrom",
                        "sdc none: no medium",
                        "fdb none: no medium");
    }

    @Test
    void anRbdImageIsNamedByPoolNamespaceAndImage() throws Exception {
        assertThat(lines(derive("rbd-at-start.xml")))
                .containsExactly(
                        "vda exclusive rbd:rbd/vm1",
                        "vdb exclusive rbd:rbd/tenant-7/data",
                        "vdd exclusive file:/srv/vm/db-3.snap1",
                        "vdd exclusive file:/srv/other/db-3.copy",
                        "vdd shared file:/srv/vm/db-3.qcow2",
                        "vdc none: read-only snapshot");
    }

    @Test
    void everyProtocolHasAnIdentityOrAReasonForNone() throws Exception {
        assertThat(lines(derive("protocols.xml")))
                .containsExactly(
                        "sda exclusive iscsi:iqn.2013-07.com.example:store/1",
                        "sdb exclusive iscsi:iqn.2013-07.com.example:other/0",
                        "vda exclusive nbd:nbd.example:10809/export1",
                        "vda exclusive nbd:nbd.example/export1",
                        "vdb exclusive nbd:[2001:db8:0:0:0:0:0:5]:20000",
                        "vdc exclusive nbd+unix:/run/nbd.sock/e",
                        "vdd exclusive gluster:vol1/a/b.img",
                        "vde exclusive sheepdog:vdi-1",
                        "vdf exclusive vxhs:eb90327c-8302-4725-9e1b-4e85ed4dc251",
                        "vdg exclusive ssh:files.example:22/srv/a.img",
                        "vdg exclusive ssh:files.example/srv/a.img",
                        "vdh exclusive nfs:nas.example/export/a.img",
                        "vdk exclusive quantum:pool/q1",
                        "vdi none: https is a read-only protocol",
                        "vdj none: tftp is a read-only protocol",
                        "vdl refused: the rbd source does not name POOL/IMAGE",
                        "vdm refused: the nbd source names no server");
    }

    @Test
    void unusualDisksAreLeasedExplainedOrRefusedButNeverPassedOver() throws Exception {
        assertThat(lines(derive("unusual.xml")))
                .containsExactly(
                        "vdd exclusive file:/pool/fast/v1",
                        "vde exclusive iscsi:iqn.2013-07.com.example:store/1",
                        "vdh shared file:/srv/shared.img",
                        "vdi exclusive file:/srv/twice.img",
                        "vdk exclusive fabric:array=A,lun=12,path@wwpn=50:01",
                        "disk #13 exclusive file:/srv/nameless.img",
                        "vda none: nvme: a PCI device of this host, which no other host can reach",
                        "vdb none: vhostuser: only the process behind the socket knows which disk this is",
                        "vdc none: vhostvdpa: only the device of this host knows which disk this is",
                        "vdg none: read-only",
                        "vdj none: same disk as vdi",
                        "vdf refused: volume gone/v3: there is no such pool",
                        "vdl refused: disk type telepathy is not known to this version of vmguard");
    }

    @Test
    void everyDiskIsInExactlyOneList() throws Exception {
        for (String name : List.of("demo1.xml", "rbd-at-start.xml", "protocols.xml", "unusual.xml", "domstatus.xml")) {
            Derivation derivation = derive(name);
            assertThat(derivation.leases().stream()
                                    .filter(lease -> lease.role().equals(DiskLease.DISK))
                                    .count()
                            + derivation.unprotected().size()
                            + derivation.refusals().size())
                    .as(name)
                    .isEqualTo(domain(name).disks().size());
        }
    }

    @Test
    void aVolumeIsTheSameDiskAsTheFileItResolvesTo() throws Exception {
        Derivation derivation =
                deriveDisks("<disk type='volume'><source pool='fast' volume='v1'/><target dev='vda'/></disk>"
                        + "<disk type='file'><source file='/pool/fast/v1'/><target dev='vdb'/></disk>");
        assertThat(derivation.leases()).hasSize(1);
        assertThat(derivation.unprotected()).containsExactly(new Unprotected("vdb", "same disk as vda"));
    }

    @Test
    void readOnlyWinsOverShareable() throws Exception {
        assertThat(lines(deriveDisks("<disk><source file='/a'/><target dev='vda'/><shareable/><readonly/></disk>")))
                .containsExactly("vda none: read-only");
    }

    @Test
    void aShareableDiskThatNeedsNoLeaseIsNotRefused() throws Exception {
        assertThat(lines(deriveDisks("<disk type='network'><source protocol='http' name='a'><host name='h'/></source>"
                        + "<target dev='vda'/><shareable/></disk>")))
                .containsExactly("vda none: http is a read-only protocol");
    }

    @Test
    void anUnknownDeviceCountsAsWritable() throws Exception {
        assertThat(lines(deriveDisks("<disk device='hologram'><source file='/a'/><target dev='vda'/></disk>")))
                .containsExactly("vda exclusive file:/a");
    }

    @Test
    void aDomainWithoutDisksNeedsNothing() throws Exception {
        assertThat(lines(deriveDisks(""))).isEmpty();
    }

    @Test
    void theLabelOfALeaseStaysOnOneLine() {
        DiskLease lease =
                new DiskLease("vda", LeaseMode.EXCLUSIVE, "file:/a\n\u001b[31mb\u202ec é", "x", DiskLease.DISK);
        assertThat(lease.label()).isEqualTo("vda (file:/a\\n\\u001b[31mb\\u202ec é)");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/a&#10;b",
                "/a b/\u00e9\u4e2d\ud83d\ude00",
                "relative",
                "/a/../b//c",
                "rbd:rbd/vm1",
                "&#9;",
                "%s%n{}",
                "/\ufffd"
            })
    void anyPathGetsANameThatFitsTheFormat(String path) throws Exception {
        DiskLease lease = deriveDisks("<disk><source file='" + path + "'/><target dev='vda'/></disk>")
                .leases()
                .get(0);
        assertThat(lease.resource()).matches("[0-9a-f]{32}");
        assertThat(lease.label()).doesNotContain("\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"rbd", "a-very-long-protocol", "ÄÖÜ", "NBD2", ".", "/", "..//", " "})
    void anyNetworkNameFitsTheFormatAndIsNoMd5(String protocol) throws Exception {
        DiskLease lease = deriveDisks("<disk type='network'><source protocol='" + protocol
                        + "' name='p/i'/><target dev='vda'/></disk>")
                .leases()
                .get(0);
        assertThat(lease.resource()).matches("[a-z0-9]{1,7}-[0-9a-f]{40}").hasSizeLessThanOrEqualTo(48);
    }

    private static List<String> lines(Derivation derivation) {
        List<String> lines = new ArrayList<>();
        derivation.leases().forEach(l -> lines.add(l.target() + " " + l.mode().word() + " " + l.identity()));
        derivation.unprotected().forEach(u -> lines.add(u.target() + " none: " + u.reason()));
        derivation.refusals().forEach(r -> lines.add(r.target() + " refused: " + r.reason()));
        return lines;
    }

    private static Derivation derive(String resource) throws IOException, DomainXmlException {
        return LeaseDeriver.byName(POOLS).derive(domain(resource));
    }

    private static Derivation deriveDisks(String disks) throws DomainXmlException {
        String xml = "<domain><name>a</name><devices>" + disks + "</devices></domain>";
        return LeaseDeriver.byName(POOLS).derive(DomainXml.parse(xml.getBytes(StandardCharsets.UTF_8)));
    }

    private static DomainSpec domain(String resource) throws IOException, DomainXmlException {
        try (InputStream in = LeaseDeriverTest.class.getResourceAsStream("/domains/" + resource)) {
            assertThat(in).as(resource).isNotNull();
            return DomainXml.parse(in);
        }
    }
}
