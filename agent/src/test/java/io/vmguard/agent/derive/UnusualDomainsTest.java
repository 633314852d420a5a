/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import static io.vmguard.agent.derive.Derivations.UUID;
import static io.vmguard.agent.derive.Derivations.qcow2;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.identity.IdentityRules;
import io.vmguard.agent.identity.StorageClusters;
import io.vmguard.agent.testing.Images;
import io.vmguard.agent.testing.RecordedHost;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What few domains have, and what an image can be used through all the same. */
class UnusualDomainsTest {
    private static final String XFS = "fs:8d0a7c1e-5b5e-4f3f-9a52-0a1b2c3d4e5f";
    private static final IdentityRules PLAIN = new IdentityRules(false, false, StorageClusters.NONE);

    private final RecordedHost host = RecordedHost.of("node-a");

    @Test
    void withoutDomainLeasesNoneIsTakenAndTheStateOfAVirtualTpmHasItsOwn() throws Exception {
        String tpm = "<tpm model='tpm-crb'><backend type='emulator'/></tpm>";
        assertThat(Derivations.lines(derive(Derivations.settings(PLAIN, true), "", tpm)))
                .contains("domain domain exclusive domain:" + UUID)
                .noneMatch(line -> line.startsWith("tpm tpm"));
        assertThat(Derivations.lines(derive(Derivations.settings(PLAIN, false), "", tpm)))
                .anyMatch(line ->
                        line.startsWith("tpm tpm exclusive ") && line.endsWith("/var/lib/libvirt/swtpm/" + UUID))
                .noneMatch(line -> line.startsWith("domain"));
        Derivation bare = derive(Derivations.settings(PLAIN, false), "", "");
        assertThat(Derivations.lines(bare)).isEmpty();
    }

    // ---- images of block jobs

    @Test
    void whatIsBelowACopyIsOnlyRead() throws Exception {
        files("a", "copy", "base");
        String shallow =
                "<backingStore type='file'><format type='raw'/><source file='/vms/base'/><backingStore/></backingStore>"
                        + "<mirror type='file' job='copy'><format type='qcow2'/><source file='/vms/copy'/>"
                        + "<backingStore type='file'><format type='raw'/><source file='/vms/base'/><backingStore/></backingStore></mirror>";
        assertThat(Derivations.lines(disks(qcow2("/vms/a", "vda", shallow))))
                .containsExactly(
                        "vda disk exclusive " + XFS + "/a",
                        "vda written exclusive " + XFS + "/copy",
                        "vda backing shared " + XFS + "/base");
    }

    @Test
    void theCopyOfADiskThatIsOnlyReadIsWritten() throws Exception {
        files("a", "copy");
        String mirror = "<mirror type='file' job='copy'><format type='raw'/><source file='/vms/copy'/></mirror>";
        for (String readOnly : List.of("<disk device='disk'><readonly/>", "<disk device='cdrom'>")) {
            assertThat(Derivations.lines(disks(readOnly + "<source file='/vms/a'/><target dev='vda'/><backingStore/>"
                            + mirror + "</disk>")))
                    .contains("vda written exclusive " + XFS + "/copy")
                    .anyMatch(line -> line.startsWith("vda none: read-only"));
        }
    }

    @Test
    void theCopyOfADiskThatOthersWriteTooIsWrittenByOneAlone() throws Exception {
        files("a", "copy");
        String mirror =
                "<shareable/><mirror type='file' job='copy'><format type='raw'/><source file='/vms/copy'/></mirror>";
        assertThat(Derivations.lines(disks("<disk><source file='/vms/a'/><target dev='vda'/>" + mirror + "</disk>")))
                .contains("vda disk shared " + XFS + "/a", "vda written exclusive " + XFS + "/copy");
    }

    // ---- images whose data is elsewhere

    @Test
    void whereAnImageKeepsItsDataIsReadAlsoIfTheXmlTellsTheChain() throws Exception {
        host.image("/vms/a", Images.qcow2WithDataFile("a.data"));
        host.image("/var/lib/libvirt/images/a", Images.qcow2WithDataFile("a.data"));
        files("a.data", "base");
        String ended = "<backingStore/>";
        String named = "<backingStore type='file'><format type='raw'/><source file='/vms/base'/></backingStore>";
        for (String chain : List.of("", ended, named)) {
            assertThat(Derivations.lines(disks(qcow2("/vms/a", "vda", chain))))
                    .as(chain)
                    .contains("vda disk exclusive " + XFS + "/a", "vda written exclusive " + XFS + "/a.data");
        }
    }

    @Test
    void dataOfANameThatIsNotUnderstoodIsARefusal() throws Exception {
        host.image("/vms/a", Images.qcow2WithDataFile("json:{}"));
        files("a");
        assertThat(disks(qcow2("/vms/a", "vda", "<backingStore/>")).refusals())
                .singleElement()
                .extracting(Refusal::reason)
                .asString()
                .contains("/vms/a: its data is in what has a name of an unknown kind");
    }

    @Test
    void dataThatTheXmlNamesIsWrittenWhereverTheImageIs() throws Exception {
        files("data", "base", "base.data");
        String store = "<dataStore type='file'><format type='raw'/><source file='/vms/data'/></dataStore>";
        for (String source : List.of(
                "type='network'><source protocol='nbd' name='a'><host name='h'/>" + store,
                "type='volume'><source pool='p' volume='v'>" + store,
                "type='newer'><source id='1'>" + store)) {
            assertThat(Derivations.lines(disks("<disk " + source
                            + "</source><driver type='qcow2'/><target dev='vda'/><backingStore/></disk>")))
                    .as(source)
                    .contains("vda written exclusive " + XFS + "/data");
        }
    }

    @Test
    void aChainIsReadOnBelowAnImageWhoseDataIsElsewhere() throws Exception {
        files("a", "base.data", "root");
        host.image("/vms/base", Images.qcow2("root", "raw"));
        files("base");
        String backing = "<backingStore type='file'><format type='qcow2'/><source file='/vms/base'>"
                + "<dataStore type='file'><format type='raw'/><source file='/vms/base.data'/></dataStore></source></backingStore>";
        assertThat(Derivations.lines(disks(qcow2("/vms/a", "vda", backing))))
                .contains(
                        "vda backing shared " + XFS + "/base",
                        "vda backing shared " + XFS + "/base.data",
                        "vda backing shared " + XFS + "/root");
    }

    @Test
    void aBackingImageOfAFormatThatTheXmlDoesNotSayIsLookedInto() throws Exception {
        files("a", "root");
        host.image("/vms/base", Images.qcow2("root", "raw"));
        files("base");
        assertThat(Derivations.lines(disks(
                        qcow2("/vms/a", "vda", "<backingStore type='file'><source file='/vms/base'/></backingStore>"))))
                .contains("vda backing shared " + XFS + "/base", "vda backing shared " + XFS + "/root");
    }

    // ---- what the XML leaves out

    @Test
    void aSnapshotWithoutANameIsNone() throws Exception {
        assertThat(Derivations.lines(
                        disks("<disk type='network'><source protocol='rbd' name='rbd/vm1'><snapshot name=''/>"
                                + "<config file=''/></source><target dev='vda'/></disk>")))
                .containsExactly("vda disk exclusive rbd:rbd/vm1");
    }

    @Test
    void aDiskOfAnUnknownTypeWithoutASourceIsNoEmptyDrive() throws Exception {
        assertThat(Derivations.lines(disks("<disk type='newer'><target dev='vda'/></disk>")))
                .containsExactly("vda refused: disk type newer is not known to this version of vmguard");
    }

    @Test
    void theOrderOfEqualElementsOfAnUnknownSourceDoesNotMatter() throws Exception {
        String one = "<path>/a</path>";
        String two = "<path>/b</path>";
        assertThat(Derivations.lines(newer(one + two))).isEqualTo(Derivations.lines(newer(two + one)));
        assertThat(Derivations.lines(newer(one + two))).isNotEqualTo(Derivations.lines(newer(one)));
    }

    private Derivation newer(String children) throws DomainXmlException {
        return disks("<disk type='newer'><source>" + children + "</source><target dev='vda'/></disk>");
    }

    @Test
    void aMemoryModuleWithoutAFileSaysSo() throws Exception {
        assertThat(Derivations.lines(derive(
                        Derivations.settings(PLAIN, false),
                        "<os><nvram/></os>",
                        "<memory model='nvdimm'><target><size>1</size></target></memory>")))
                .containsExactly(
                        "nvram none: libvirt chooses its path when the domain starts",
                        "memory #1 none: the XML does not say where it is");
    }

    // ---- firmware and devices

    @Test
    void flashIsWritableUnlessItIsSaidNotToBe() throws Exception {
        files("both.fd");
        assertThat(Derivations.lines(os("<loader type='pflash'>/vms/both.fd</loader>")))
                .containsExactly("loader loader exclusive " + XFS + "/both.fd");
        for (String readOnly : List.of(
                "<loader readonly='yes' type='pflash'>/vms/both.fd</loader>",
                "<loader type='rom'>/vms/both.fd</loader>",
                "<loader>/vms/both.fd</loader>",
                "<loader type='pflash'/>")) {
            assertThat(Derivations.lines(os(readOnly))).as(readOnly).isEmpty();
        }
    }

    private Derivation os(String inner) throws DomainXmlException {
        return derive(Derivations.settings(PLAIN, false), "<os>" + inner + "</os>", "");
    }

    @Test
    void firmwareVariablesMemoryAndFileSystemsMayBeFilesAndDevices() throws Exception {
        files("vars", "nv", "tree.img");
        assertThat(Derivations.lines(derive(
                        Derivations.settings(PLAIN, false),
                        "<os><nvram type='file' format='raw'><source file='/vms/vars'/></nvram></os>",
                        "<memory model='virtio-pmem'><source><path>/vms/nv</path></source><target><size>1</size></target></memory>"
                                + "<memory model='nvdimm'><source><path>/vms/ro</path></source><target><readonly/></target></memory>"
                                + "<filesystem type='file'><source file='/vms/tree.img'/></filesystem>"
                                + "<filesystem type='block'><source dev='/dev/vg1/data'/></filesystem>"
                                + "<filesystem type='ram'><source usage='1'/></filesystem>")))
                .containsExactly(
                        "nvram nvram exclusive " + XFS + "/vars",
                        "memory #1 memory exclusive " + XFS + "/nv",
                        "filesystem #1 filesystem exclusive " + XFS + "/tree.img",
                        "filesystem #2 filesystem exclusive lvm:Q1w2E3r4T5y6U7i8O9p0A1s2D3f4G5h6/J7k8L9z0X1c2V3b4N5m6Q7w8E9r0T1y2",
                        "memory #2 none: read-only",
                        "filesystem #3 none: it is in memory");
        assertThat(Derivations.lines(os("<nvram type='block'><source dev='/dev/vg1/data'/></nvram>")))
                .singleElement()
                .asString()
                .startsWith("nvram nvram exclusive lvm:");
    }

    @Test
    void optionsForTheCommandLineAndForDevicesAreBothNamed() throws Exception {
        String xml =
                "<domain xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><name>a</name><q:commandline><q:arg value='-x'/>"
                        + "<q:arg value='-y'/></q:commandline><q:override><q:device alias='vda'><q:frontend>"
                        + "<q:property name='drive' type='string' value='x'/></q:frontend></q:device></q:override></domain>";
        assertThat(LeaseDeriver.byName((pool, volume, mode) -> new VolumeResolver.CannotTell("none"))
                        .derive(DomainXml.parse(xml.getBytes(StandardCharsets.UTF_8)))
                        .unprotected())
                .extracting(Unprotected::target)
                .containsExactly("qemu:commandline", "qemu:override");
    }

    @Test
    void streamsToFilesAndMemoryThatIsSharedAreNamed() throws Exception {
        String stream = " none: a stream of characters, nothing that a guest keeps its data in";
        assertThat(Derivations.lines(derive(
                        Derivations.settings(PLAIN, false),
                        "",
                        "<smartcard mode='passthrough' type='dev'><source path='/dev/ttyS1'/></smartcard>"
                                + "<redirdev bus='usb' type='file'><source path='/vms/usb.log'/></redirdev>"
                                + "<redirdev bus='usb' type='spicevmc'/>"
                                + "<smartcard mode='host'/>"
                                + "<audio id='1' type='file' path='/vms/sound.wav'/><audio id='2' type='alsa'/>"
                                + "<shmem name='one'><model type='ivshmem-plain'/></shmem>")))
                .containsExactly(
                        "smartcard #1" + stream,
                        "redirdev #1" + stream,
                        "audio #1 none: a stream of sound, nothing that a guest keeps its data in",
                        "shmem #1 none: it is in memory, and made to be shared");
    }

    @Test
    void aVolumeShownAsAFileSystemIsTheVolume() throws Exception {
        files("fs.img");
        assertThat(Derivations.lines(derive(
                        Derivations.settings(PLAIN, false),
                        "",
                        "<filesystem type='volume'><source pool='p' volume='fs.img'/><target dir='/'/></filesystem>")))
                .containsExactly("filesystem #1 filesystem exclusive " + XFS + "/fs.img");
    }

    // ---- one disk by two names in one domain

    @Test
    void eachPathByWhichADomainHasADiskIsLeasedForStockHosts() throws Exception {
        files("a");
        host.and("== link /var/lib/libvirt/images/link -> a");
        Derivation twice = derive(
                Derivations.settings(IdentityRules.DEFAULT, false),
                "",
                "<disk><source file='/vms/a'/><target dev='vda'/></disk>"
                        + "<disk><source file='/vms/link'/><target dev='vdb'/></disk>");
        assertThat(Derivations.lines(twice))
                .contains(
                        "vda compat exclusive file:/vms/a",
                        "vdb compat exclusive file:/vms/link",
                        "vdb none: same disk as vda");
    }

    /** Files of {@code /vms}, which is a link. */
    private void files(String... names) {
        for (String name : names) {
            host.and("== file /vms/" + name + "\n== file /var/lib/libvirt/images/" + name);
        }
    }

    private Derivation disks(String disks) throws DomainXmlException {
        return derive(Derivations.settings(PLAIN, false), "", disks);
    }

    private Derivation derive(DeriverSettings settings, String os, String devices) throws DomainXmlException {
        return LeaseDeriver.onHost(
                        (pool, volume, mode) -> new VolumeResolver.LocalPath("/vms/" + volume), settings, () -> host)
                .derive(Derivations.domain(os, devices));
    }
}
