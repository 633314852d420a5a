/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Any bytes give a domain or one sentence with a position; nothing outside the document is read, and the work is bounded. */
class DomainXmlTest {

    private static final String DISK = "<disk><source file='/a'/><target dev='vda'/></disk>";

    @ParameterizedTest
    @CsvSource({
        "'',                                                POWEROFF, '',       true",
        "<on_lockfailure>poweroff</on_lockfailure>,         POWEROFF, poweroff, true",
        "<on_lockfailure> pause </on_lockfailure>,          PAUSE,    pause,    true",
        "<on_lockfailure>restart</on_lockfailure>,          RESTART,  restart,  true",
        "<on_lockfailure>ignore</on_lockfailure>,           IGNORE,   ignore,   true",
        "<on_lockfailure>PAUSE</on_lockfailure>,            POWEROFF, PAUSE,    false",
        "<on_lockfailure>explode</on_lockfailure>,          POWEROFF, explode,  false",
        "<on_lockfailure/>,                                 POWEROFF, '',       true",
        "<metadata><on_lockfailure>ignore</on_lockfailure></metadata>, POWEROFF, '', true",
    })
    void onLockFailureIsReadAndAnUnknownWordIsTheSafeOne(
            String element, OnLockFailure.Action action, String written, boolean understood) throws Exception {
        OnLockFailure read = DomainXml.parse(
                        ("<domain><name>a</name>" + element + "</domain>").getBytes(StandardCharsets.UTF_8))
                .onLockFailure();
        assertThat(read).isEqualTo(new OnLockFailure(action, written));
        assertThat(read.understood()).isEqualTo(understood);
    }

    @Test
    void aDomainWrittenByHandIsRead() throws Exception {
        DomainSpec domain = resource("demo1.xml");
        assertThat(domain.name()).isEqualTo("demo1");
        assertThat(domain.uuid()).isEqualTo(UUID.fromString("6f1c1c1e-0f0e-4a54-9c55-0d6a4f0f9a01"));
        assertThat(domain.disks())
                .extracting(DiskSpec::target)
                .containsExactly("vda", "sdb", "hdc", "hdd", "sdc", "fda", "fdb", "vdc", "vdd");
        assertThat(domain.disks())
                .extracting(DiskSpec::device)
                .containsExactly("disk", "lun", "cdrom", "cdrom", "cdrom", "floppy", "floppy", "disk", "disk");
        assertThat(domain.disks())
                .extracting(DiskSpec::source)
                .containsExactly(
                        new DiskSource.File("/var/lib/libvirt/images/demo.img"),
                        new DiskSource.Block("/dev/disk/by-id/wwn-0x5000c500a0b1c2d3"),
                        new DiskSource.File("/srv/iso/debian.iso"),
                        new DiskSource.File("/srv/iso/drivers.iso"),
                        new DiskSource.Empty(),
                        new DiskSource.File("/srv/floppies/answers.img"),
                        new DiskSource.Empty(),
                        new DiskSource.Directory("/srv/exchange"),
                        new DiskSource.File("/srv/scratch/base.qcow2"));
        assertThat(domain.disks().get(2).readOnly()).isTrue();
        assertThat(domain.disks().get(3).readOnly()).isFalse();
        assertThat(domain.disks().get(8).discardsWrites()).isTrue();
    }

    @Test
    void hostsAndSnapshotsOfANetworkDiskAreReadAsWritten() throws Exception {
        DomainSpec domain = resource("rbd-at-start.xml");
        assertThat(domain.disks().get(0).source())
                .isEqualTo(new DiskSource.Network(
                        "rbd",
                        "rbd/vm1",
                        List.of(
                                NetworkHost.tcp("mon1.example", "6789"),
                                NetworkHost.tcp("mon2.example", ""),
                                NetworkHost.tcp("2001:db8::3", "3300")),
                        null));
        assertThat(domain.disks().get(2).source())
                .isEqualTo(new DiskSource.Network("rbd", "rbd/golden", List.of(), "v12"));
    }

    @Test
    void onlyTheTopImageIsTheSourceNotABackingFileOrAMirror() throws Exception {
        assertThat(resource("rbd-at-start.xml").disks().get(3).source())
                .isEqualTo(new DiskSource.File("/srv/vm/db-3.snap1"));
    }

    @Test
    void theDomainInsideAStatusFileIsRead() throws Exception {
        DomainSpec domain = resource("domstatus.xml");
        assertThat(domain.name()).isEqualTo("db-3");
        assertThat(domain.disks()).hasSize(1);
    }

    @Test
    void aUuidMayLackHyphensAndADomainMayLackTheUuid() throws Exception {
        assertThat(resource("unusual.xml").uuid()).isEqualTo(UUID.fromString("0b3cd5cc-52a4-4b2f-8d4e-7a1f52c4c0de"));
        assertThat(resource("protocols.xml").uuid()).isNull();
    }

    @Test
    void aSourceOfAnUnknownTypeKeepsAllThatMayTellItApart() throws Exception {
        DiskSource.Unknown source =
                (DiskSource.Unknown) resource("unusual.xml").disks().get(10).source();
        assertThat(source.type()).isEqualTo("fabric");
        assertThat(source.attributes()).hasToString("{array=A, lun=12, path@wwpn=50:01}");
    }

    @Test
    void aDiskWithoutTargetIsNamedByItsPosition() throws Exception {
        assertThat(resource("unusual.xml").disks().get(12).target()).isEqualTo("disk #13");
    }

    @Test
    void spaceCommentsCdataAndAttributeOrderDoNotMatter() throws Exception {
        DomainSpec plain = parse("<domain><name>a</name><devices><disk type='network' device='disk'>"
                + "<source protocol='rbd' name='p/i'><host name='h' port='1'/></source><target dev='vda' bus='virtio'/>"
                + "<readonly/></disk></devices></domain>");
        DomainSpec odd =
                parse("<?xml version='1.0'?><!-- x -->\n<domain\n><?pi x?><name><![CDATA[a]]></name>\n<devices>"
                        + "<!-- <disk/> --><disk\tdevice = \"disk\"\n type=\"network\"><readonly>\n</readonly><target bus='virtio'"
                        + " dev='vda'></target>text<source name='p&#x2f;i' protocol='rbd'>\n<!-- --><host port='1' name='h'>"
                        + "</host></source></disk></devices></domain>\n<!-- end -->");
        assertThat(odd).isEqualTo(plain);
    }

    @Test
    void aNamespaceOnTheRootChangesNothingAndForeignElementsAreNoDisks() throws Exception {
        String foreign = "<x:disk xmlns:x='urn:x'><source file='/b'/></x:disk>";
        String inside = "<disk xmlns:x='urn:x' x:type='block'><x:readonly/><source x:file='/b' file='/a'/>"
                + "<target dev='vda'/></disk>";
        DomainSpec plain = parse(domain(DISK));
        assertThat(parse(domain(foreign + inside))).isEqualTo(plain);
        assertThat(parse(domain(DISK).replace("<domain>", "<domain xmlns='urn:d'>")))
                .isEqualTo(plain);
        assertThat(parse(domain(DISK)
                        .replace("<domain>", "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>")))
                .isEqualTo(plain);
    }

    @Test
    void theDeclaredEncodingIsHonoured() throws Exception {
        String xml = "<?xml version='1.0' encoding='ISO-8859-1'?>" + domain(DISK.replace("/a", "/é"));
        assertThat(sourceOf(DomainXml.parse(xml.getBytes(StandardCharsets.ISO_8859_1))))
                .isEqualTo(new DiskSource.File("/é"));
    }

    @Test
    void aPathMayHoldNewlinesQuotesAndAnythingElseXmlCanSay() throws Exception {
        assertThat(sourceOf(parse(domain(DISK.replace("/a", "/a&#10;b&apos;&quot;&lt;&amp;\u2028\ud83d\ude00")))))
                .isEqualTo(new DiskSource.File("/a\nb'\"<&\u2028\ud83d\ude00"));
    }

    @Test
    void aDocumentTypeIsRefusedBeforeItsEntitiesHaveAnEffect(@TempDir Path dir) throws Exception {
        Path secret = Files.writeString(dir.resolve("secret"), "s3cret");
        DomainXmlException external = refused(
                "<!DOCTYPE domain [<!ENTITY x SYSTEM '" + secret.toUri() + "'>]>\n<domain><name>&x;</name></domain>");
        assertThat(external.reason()).contains("DOCTYPE");
        assertThat(external.getMessage()).startsWith("1:").doesNotContain("s3cret");
        assertThat(refused("<!DOCTYPE domain SYSTEM '" + secret.toUri() + "'><domain/>")
                        .reason())
                .contains("DOCTYPE");
        assertThat(refused("<!DOCTYPE d [<!ENTITY % p SYSTEM '" + secret.toUri() + "'> %p;]><d/>")
                        .reason())
                .contains("DOCTYPE");
    }

    @Test
    void entitiesThatGrowAreRefusedAtOnce() {
        StringBuilder bomb = new StringBuilder("<!DOCTYPE d [<!ENTITY e0 'xxxxxxxxxx'>");
        for (int i = 1; i < 40; i++) {
            bomb.append("<!ENTITY e" + i + " '" + ("&e" + (i - 1) + ";").repeat(10) + "'>");
        }
        bomb.append("]><domain><name>&e39;</name></domain>");
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(5),
                () -> assertThat(refused(bomb.toString()).reason()).contains("DOCTYPE"));
    }

    @Test
    void entitiesNobodyDeclaredAreRefusedInTextAndInAttributes() {
        assertThat(refused("<domain><name>a&x;b</name></domain>").reason()).contains("entity");
        assertThat(refused(domain("<disk><source file='/a&x;'/></disk>")).reason())
                .contains("entity");
    }

    @Test
    void fiftyMegabytesAreRefusedAfterReadingFour() {
        Endless input = new Endless(50L * 1024 * 1024);
        DomainXmlException e = catchThrowableOfType(DomainXmlException.class, () -> DomainXml.parse(input));
        assertThat(e.reason()).isEqualTo("it is larger than 4 MiB");
        assertThat(e.line()).isEqualTo(1);
        assertThat(input.given).isEqualTo(DomainXml.MAX_BYTES + 1L);
    }

    @Test
    void theLargestDocumentAllowedIsRead() throws Exception {
        String start = domain(DISK);
        String padding = " ".repeat(DomainXml.MAX_BYTES - start.length());
        assertThat(parse(start + padding).disks()).hasSize(1);
        assertThat(refused(start + padding + " ").reason()).contains("larger");
    }

    @Test
    void nestingIsBounded() throws Exception {
        String open = "<backingStore>";
        String close = "</backingStore>";
        String chain = "<disk><source file='/a'/>" + open.repeat(200) + close.repeat(200) + "</disk>";
        assertThat(parse(domain(chain)).disks()).hasSize(1);
        assertThat(refused(domain("<disk>" + open.repeat(100_000))).reason()).contains("more than 256 deep");
    }

    @Test
    void theNumberOfDisksIsBounded() throws Exception {
        assertThat(parse(domain(DISK.repeat(1024))).disks()).hasSize(1024);
        assertThat(refused(domain(DISK.repeat(1025))).reason()).isEqualTo("the domain has more than 1024 disks");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "hello",
                "{}",
                "<domain>",
                "<domain><name>a</name></domain><domain/>",
                "<domain><name>a</name></domain>x",
                "<domain><name>a</nam></domain>",
                "<domain name='a' name='b'/>",
                "<q:domain/>",
                "<domain/>",
                "<domain><name> </name></domain>",
                "<domain><name>a</name><uuid>nonsense</uuid></domain>",
                "<domain><name>a</name><uuid>6f1c1c1e-0f0e-4a54-9c55-0d6a4f0f9a0</uuid></domain>",
                "<domainsnapshot><domain><name>a</name></domain></domainsnapshot>",
                "<domstatus/>",
                "<domstatus><x><domain><name>a</name></domain></x></domstatus>",
                "<domstatus><domain><name>a</name></domain><domain><name>b</name></domain></domstatus>",
                "<?xml version='1.0' encoding='nope'?><domain><name>a</name></domain>",
                "<domain><name>a\0</name></domain>"
            })
    void whatIsNoDomainIsRefusedWithAPosition(String xml) {
        DomainXmlException e = refused(xml);
        assertThat(e.getMessage()).matches("[0-9]+:[0-9]+: .+").doesNotContain("http://", "\n", "[row,col]");
        assertThat(e.line()).isPositive();
        assertThat(e.column()).isPositive();
    }

    @Test
    void thePositionIsTheOneOfTheProblem() {
        DomainXmlException e = refused("<domain>\n  <name>a</name>\n  <oops>\n</domain>");
        assertThat(e.line()).isEqualTo(4);
    }

    @Test
    void bytesThatAreNotTextInTheirEncodingAreRefused() {
        byte[] xml = domain(DISK.replace("/a", "/é")).getBytes(StandardCharsets.ISO_8859_1);
        assertThat(catchThrowableOfType(DomainXmlException.class, () -> DomainXml.parse(xml))
                        .reason())
                .startsWith("not well-formed XML: ");
    }

    @Test
    void damagedDocumentsGiveADomainOrARefusalAndNothingElse() throws Exception {
        byte[] whole = bytes("rbd-at-start.xml");
        PrintStream stderr = System.err;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setErr(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try {
            parseDamaged(whole);
        } finally {
            System.setErr(stderr);
        }
        // libvirt shows a hook's stderr to the user: the parser must not write there.
        assertThat(printed.toString(StandardCharsets.UTF_8)).isEmpty();
    }

    private static void parseDamaged(byte[] whole) {
        for (int seed = 0; seed < 3000; seed++) {
            Random random = new Random(seed);
            byte[] damaged = whole.clone();
            for (int i = random.nextInt(6); i >= 0; i--) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
            }
            if (random.nextBoolean()) {
                damaged = Arrays.copyOf(damaged, random.nextInt(damaged.length));
            }
            try {
                DomainXml.parse(damaged);
            } catch (DomainXmlException e) {
                assertThat(e.line()).as("seed %d", seed).isPositive();
            } catch (RuntimeException e) {
                throw new AssertionError("seed " + seed, e);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"UTF-8", "UTF-16", "UTF-32", "IBM037", "UTF-7", "x-nothing"})
    void noDeclaredEncodingMakesTheParserThrowAnythingElse(String encoding) {
        String xml = "<?xml version='1.0' encoding='" + encoding + "'?>" + domain(DISK);
        for (String actual : List.of("UTF-8", "UTF-16BE", "UTF-16LE", "UTF-32", "IBM037")) {
            try {
                DomainXml.parse(xml.getBytes(Charset.forName(actual)));
            } catch (DomainXmlException e) {
                assertThat(e.reason()).isNotBlank();
            }
        }
    }

    private static String domain(String devices) {
        return "<domain><name>a</name><devices>" + devices + "</devices></domain>";
    }

    private static DiskSource sourceOf(DomainSpec domain) {
        return domain.disks().get(0).source();
    }

    private static DomainSpec parse(String xml) throws DomainXmlException {
        return DomainXml.parse(xml.getBytes(StandardCharsets.UTF_8));
    }

    private static DomainXmlException refused(String xml) {
        DomainXmlException e = catchThrowableOfType(DomainXmlException.class, () -> parse(xml));
        assertThat(e).as("refusal of %.200s", xml).isNotNull();
        return e;
    }

    private static DomainSpec resource(String name) throws IOException, DomainXmlException {
        return DomainXml.parse(new ByteArrayInputStream(bytes(name)));
    }

    private static byte[] bytes(String name) throws IOException {
        try (InputStream in = DomainXmlTest.class.getResourceAsStream("/domains/" + name)) {
            assertThat(in).as(name).isNotNull();
            return in.readAllBytes();
        }
    }

    /** A long input that counts what was taken from it. */
    private static final class Endless extends InputStream {
        private final long size;
        private long given;

        Endless(long size) {
            this.size = size;
        }

        @Override
        public int read() {
            return given++ < size ? ' ' : -1;
        }

        @Override
        public int read(byte[] into, int offset, int length) {
            int count = (int) Math.min(length, size - given);
            Arrays.fill(into, offset, offset + count, (byte) ' ');
            given += count;
            return count == 0 && length > 0 ? -1 : count;
        }
    }
}
