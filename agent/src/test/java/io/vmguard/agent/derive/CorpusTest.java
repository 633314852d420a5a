/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.identity.IdentityRules;
import io.vmguard.agent.identity.StorageClusters;
import io.vmguard.agent.testing.ProcessorTime;
import io.vmguard.agent.testing.RecordedHost;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * Every kind of source in libvirt's schema (domaincommon.rng, diskSource), on every device and with every modifier: what each must come
 * to follows from two rules beside the table, not from the code.
 */
class CorpusTest {
    private static final String XFS = "fs:8d0a7c1e-5b5e-4f3f-9a52-0a1b2c3d4e5f";
    private static final String NONE = "none: ";

    private record Source(String type, String xml, String expected) {}

    private record Case(String xml, String expected) {}

    private static final List<Source> SOURCES = List.of(
            new Source("file", "<source file='/vms/vm1.qcow2'/>", XFS + "/vm1.qcow2"),
            new Source(
                    "file", "<source file='/vms/vm1.qcow2' startupPolicy='optional' index='3'/>", XFS + "/vm1.qcow2"),
            new Source("file", "<source file='/vms/vm1.qcow2' fdgroup='g'/>", XFS + "/vm1.qcow2"),
            new Source(
                    "file",
                    "<source file='/vms/vm1.qcow2'><slices><slice type='storage' offset='0' size='1'/></slices>"
                            + "<seclabel model='dac' relabel='no'/><encryption format='luks'><secret type='passphrase' uuid='u'/></encryption></source>",
                    XFS + "/vm1.qcow2"),
            new Source("file", "<source file='/mnt/nas/vm1.qcow2'/>", "nfs:nas.example/export/vms/vm1.qcow2"),
            new Source("file", "<source file='/mnt/ceph/vm1.img'/>", "cephfs:vms/vm1.img"),
            new Source("file", "<source file='/mnt/gluster/dir/vm1.img'/>", "gluster:vol1/dir/vm1.img"),
            new Source("file", "<source file='/dev/rbd0'/>", "rbd:rbd/vm1"),
            new Source("file", "<source file='/run/vm1.img'/>", "file:/run/vm1.img"),
            new Source("file", "<source file=''/>", NONE + "no medium"),
            new Source("file", "", NONE + "no medium"),
            new Source(
                    "block",
                    "<source dev='/dev/vg1/data'/>",
                    "lvm:Q1w2E3r4T5y6U7i8O9p0A1s2D3f4G5h6/J7k8L9z0X1c2V3b4N5m6Q7w8E9r0T1y2"),
            new Source(
                    "block",
                    "<source dev='/dev/mapper/mpatha'><reservations managed='yes'/></source>",
                    "wwn:6001405abcdef0123456789abcdef012"),
            new Source("block", "<source dev='/dev/nvme0n1'/>", "wwn:0025385b71b0a1c2"),
            new Source("block", "<source dev='/dev/sde2'/>", "wwn:6001405abcdef0123456789abcdef012 partition 2"),
            new Source("block", "<source dev='/dev/loop0'/>", "nfs:nas.example/export/vms/vm1.qcow2"),
            new Source("block", "<source dev='/dev/rbd1'/>", NONE + "read-only snapshot"),
            new Source("block", "<source dev='/dev/drbd0'/>", "drbd:r0/0"),
            new Source("dir", "<source dir='/vms/templates'/>", XFS + "/templates"),
            new Source(
                    "network",
                    "<source protocol='rbd' name='rbd/vm1'><host name='m1' port='6789'/><host name='m2'/></source>",
                    "rbd:rbd/vm1"),
            new Source(
                    "network",
                    "<source protocol='rbd' name='rbd/ns/vm1'><config file='/etc/ceph/a.conf'/><auth username='a'><secret type='ceph' uuid='u'/></auth></source>",
                    "rbd:rbd/ns/vm1"),
            new Source(
                    "network",
                    "<source protocol='rbd' name='rbd/vm1'><snapshot name='s'/></source>",
                    NONE + "read-only snapshot"),
            new Source(
                    "network",
                    "<source protocol='iscsi' name='iqn.x:y/2'><host name='h' port='3260'/><initiator><iqn name='i'/></initiator></source>",
                    "iscsi:iqn.x:y/2"),
            new Source(
                    "network", "<source protocol='nbd' name='e' tls='yes'><host name='h'/></source>", "nbd:h:10809/e"),
            new Source(
                    "network",
                    "<source protocol='nbd'><host transport='unix' socket='/s'/><reconnect delay='10'/></source>",
                    "nbd+unix:/s"),
            new Source(
                    "network",
                    "<source protocol='gluster' name='v/p'><host name='a'/><host name='b' transport='rdma'/></source>",
                    "gluster:v/p"),
            new Source("network", "<source protocol='sheepdog' name='vdi'/>", "sheepdog:vdi"),
            new Source("network", "<source protocol='vxhs' name='ID'><host name='h' port='9999'/></source>", "vxhs:id"),
            new Source(
                    "network",
                    "<source protocol='ssh' name='/p'><host name='h'/><identity username='u' keyfile='k'/></source>",
                    "ssh:h:22/p"),
            new Source(
                    "network",
                    "<source protocol='nfs' name='/export/p'><host name='h'/><identity user='u' group='g'/></source>",
                    "nfs:h/export/p"),
            new Source(
                    "network",
                    "<source protocol='http' name='p' query='a=b'><host name='h'/><cookies><cookie name='c'>v</cookie></cookies></source>",
                    NONE + "http is a read-only protocol"),
            new Source(
                    "network",
                    "<source protocol='https' name='p'><host name='h'/><ssl verify='no'/></source>",
                    NONE + "https is a read-only protocol"),
            new Source(
                    "network",
                    "<source protocol='ftp' name='p'><host name='h'/></source>",
                    NONE + "ftp is a read-only protocol"),
            new Source(
                    "network",
                    "<source protocol='ftps' name='p'><host name='h'/></source>",
                    NONE + "ftps is a read-only protocol"),
            new Source(
                    "network",
                    "<source protocol='tftp' name='p'><host name='h'/></source>",
                    NONE + "tftp is a read-only protocol"),
            new Source("network", "<source protocol='newer' name='p/q'><host name='h'/></source>", "newer:p/q"),
            new Source("volume", "<source pool='fast' volume='vm1.qcow2'/>", XFS + "/vm1.qcow2"),
            new Source("volume", "<source pool='san' volume='unit:0:0:1' mode='direct'/>", "iscsi:iqn.x:y/1"),
            new Source(
                    "nvme",
                    "<source type='pci' managed='yes' namespace='1'><address domain='0' bus='1' slot='0' function='0'/></source>",
                    NONE + "nvme: a PCI device of this host, which no other host can reach"),
            new Source(
                    "vhostuser",
                    "<source type='unix' path='/s'><reconnect enabled='yes' timeout='1'/></source>",
                    NONE + "vhostuser: only the process behind the socket knows which disk this is"),
            new Source(
                    "vhostvdpa",
                    "<source dev='/dev/vhost-vdpa-0'/>",
                    NONE + "vhostvdpa: only the device of this host knows which disk this is"),
            new Source("newer", "<source array='a' lun='7'><auth username='x'/></source>", "newer:array=a,lun=7"));

    private static final List<String> DEVICES = List.of("", "disk", "lun", "cdrom", "floppy", "newer");
    private static final List<String> MODIFIERS =
            List.of("", "<readonly/>", "<shareable/>", "<transient/>", "<readonly/><shareable/>");

    @Test
    void everySourceOnEveryDeviceWithEveryModifierIsJudged() throws Exception {
        List<Case> cases = cases(null);
        assertThat(cases).hasSizeGreaterThan(1000);
        for (Case one : cases) {
            assertThat(judged(one.xml())).as(one.xml()).isEqualTo(one.expected());
        }
    }

    @Test
    void rewritingTheXmlNeverChangesWhatADiskIs() throws Exception {
        for (int seed = 0; seed < 3; seed++) {
            for (Case one : cases(new Random(seed))) {
                assertThat(judged(one.xml())).as("seed %d: %s", seed, one.xml()).isEqualTo(one.expected());
            }
        }
    }

    @Test
    void aThousandDomainsAreJudgedInTwoSeconds() throws Throwable {
        List<Case> cases = cases(null).subList(0, 1000);
        for (Case one : cases) {
            judged(one.xml());
        }
        Duration taken = ProcessorTime.of(() -> {
            for (Case one : cases) {
                judged(one.xml());
            }
        });
        assertThat(taken).isLessThan(Duration.ofSeconds(2));
    }

    private static List<Case> cases(Random random) {
        List<Case> cases = new ArrayList<>();
        for (Source source : SOURCES) {
            for (String device : DEVICES) {
                for (String modifier : MODIFIERS) {
                    cases.add(new Case(xml(source, device, modifier, random), expected(source, device, modifier)));
                }
            }
        }
        return cases;
    }

    private static String expected(Source source, String device, String modifier) {
        boolean empty = source.expected().equals(NONE + "no medium");
        if (empty || modifier.contains("readonly")) {
            return empty ? source.expected() : NONE + "read-only";
        }
        if (device.equals("cdrom")) {
            return NONE + "read-only: cdrom";
        }
        return source.expected().startsWith(NONE)
                ? source.expected()
                : (modifier.isEmpty() ? "exclusive " : "shared ") + source.expected();
    }

    private static String xml(Source source, String device, String modifier, Random random) {
        List<String> parts = new ArrayList<>(List.of(
                source.xml(),
                modifier,
                "<driver name='qemu' type='raw' cache='none' io='native'/>",
                "<target dev='vda' bus='virtio'/>",
                "<address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/>",
                "<iotune><read_bytes_sec>1</read_bytes_sec></iotune>",
                "<x:source xmlns:x='urn:x' file='/etc/shadow'/>"));
        if (random != null) {
            Collections.shuffle(parts, random);
        }
        String disk = "<disk type='" + source.type() + "'" + (device.isEmpty() ? "" : " device='" + device + "'") + ">"
                + String.join("", parts) + "</disk>";
        String xml = "<domain type='kvm'><name>a</name><metadata><disk type='file'/></metadata><devices>" + disk
                + "</devices></domain>";
        return random == null ? xml : rewritten(xml, random);
    }

    private static final Pattern TAG = Pattern.compile("<([a-z:_]+)((?: [a-zA-Z:]+='[^']*')*)(/?)>");
    private static final Pattern ATTRIBUTE = Pattern.compile(" ([a-zA-Z:]+)='([^']*)'");

    /** Another order of attributes, other quotes, space and comments. */
    private static String rewritten(String xml, Random random) {
        return TAG.matcher(xml).replaceAll(tag -> {
            List<String> attributes = ATTRIBUTE
                    .matcher(tag.group(2))
                    .results()
                    .map(a -> " " + space(random) + a.group(1) + space(random) + "="
                            + (random.nextBoolean() ? "'" + a.group(2) + "'" : "\"" + a.group(2) + "\""))
                    .collect(Collectors.toCollection(ArrayList::new));
            Collections.shuffle(attributes, random);
            boolean text = tag.group(1).equals("name")
                    || tag.group(1).startsWith("read_")
                    || tag.group(1).equals("cookie");
            String comment = !text && random.nextInt(4) == 0 ? "<!-- <source file='/x'/> -->" : "";
            return Matcher.quoteReplacement(comment + "<" + tag.group(1) + String.join("", attributes) + space(random)
                    + tag.group(3) + ">" + (text ? "" : space(random)));
        });
    }

    private static String space(Random random) {
        return List.of("", " ", "\n", "\t ").get(random.nextInt(4));
    }

    private static final RecordedHost HOST = RecordedHost.of("node-a");

    private static final LeaseDeriver DERIVER = LeaseDeriver.onHost(
            (pool, volume, mode) -> pool.equals("fast")
                    ? new VolumeResolver.LocalPath("/vms/" + volume)
                    : new VolumeResolver.Remote(
                            new io.vmguard.agent.domain.DiskSource.Network("iscsi", "iqn.x:y/1", List.of(), null)),
            new DeriverSettings(new IdentityRules(false, false, StorageClusters.NONE), false, "ours", "/leases"),
            () -> HOST);

    private static String judged(String xml) throws DomainXmlException {
        Derivation derivation = DERIVER.derive(DomainXml.parse(xml.getBytes(StandardCharsets.UTF_8)));
        if (!derivation.refusals().isEmpty()) {
            return "refused: " + derivation.refusals();
        }
        if (derivation.leases().isEmpty()) {
            assertThat(derivation.unprotected()).hasSize(1);
            return NONE + derivation.unprotected().get(0).reason();
        }
        DiskLease lease = derivation.leases().get(0);
        return lease.mode().word() + " " + lease.identity();
    }
}
