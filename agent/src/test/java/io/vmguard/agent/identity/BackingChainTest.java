/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.ImageSpec;
import io.vmguard.agent.identity.BackingChain.Chain;
import io.vmguard.agent.testing.Images;
import io.vmguard.agent.testing.RecordedHost;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Backing images from headers as qemu-img writes them, and from bytes that nobody should have written. */
class BackingChainTest {

    private final RecordedHost host = new RecordedHost();

    @Test
    void aChainIsReadToItsEnd() {
        host.image("/i/top", Images.qcow2("mid.qcow2", "qcow2"));
        host.image("/i/mid.qcow2", Images.qcow2("/b/base.qed", "qed"));
        host.image("/b/base.qed", Images.qed("base.raw", true));
        host.image("/b/base.raw", new byte[512]);
        Chain chain = chain("/i/top", "qcow2");
        assertThat(chain.backing())
                .containsExactly(
                        new ImageSpec(new DiskSource.File("/i/mid.qcow2"), "qcow2"),
                        new ImageSpec(new DiskSource.File("/b/base.qed"), "qed"),
                        new ImageSpec(new DiskSource.File("/b/base.raw"), "raw"));
        assertThat(chain.missing()).isEmpty();
    }

    @Test
    void anImageWithoutBackingHasAnEmptyChain() {
        host.image("/i/top", Images.qcow2("", ""));
        assertThat(chain("/i/top", "qcow2"))
                .isEqualTo(new Chain(java.util.List.of(), java.util.List.of(), Optional.empty(), false));
    }

    /** The guest writes the content of a raw image: it must not be able to name other images. */
    @ParameterizedTest
    @ValueSource(strings = {"raw", ""})
    void aRawImageIsNotLookedInto(String format) {
        host.image("/i/top", Images.qcow2("/etc/shadow", "raw"));
        assertThat(chain("/i/top", format).backing()).isEmpty();
    }

    @Test
    void aBackingImageOfUnsaidFormatIsLookedInto() {
        host.image("/i/top", Images.qcow2("mid", ""));
        host.image("/i/mid", Images.qcow2("base", "raw"));
        host.image("/i/base", new byte[512]);
        assertThat(chain("/i/top", "qcow2").backing()).hasSize(2);
    }

    @Test
    void aVmdkNamesItsParent() {
        host.image("/i/top.vmdk", Images.vmdk("parent.vmdk"));
        host.image("/i/parent.vmdk", Images.vmdk(""));
        assertThat(chain("/i/top.vmdk", "vmdk").backing())
                .containsExactly(new ImageSpec(new DiskSource.File("/i/parent.vmdk"), "vmdk"));
    }

    @Test
    void dataOutsideOfAnImageIsWrittenLikeTheImage() {
        host.image("/i/top", Images.qcow2WithDataFile("top.data"));
        assertThat(chain("/i/top", "qcow2").dataFiles())
                .containsExactly(new ImageSpec(new DiskSource.File("/i/top.data"), "raw"));
    }

    /** Whatever else has the data as a disk of its own, writes what this one does. */
    @Test
    void theDataOfADescriptorIsWrittenLikeTheImage() {
        host.image("/i/top.vmdk", """
                # Disk DescriptorFile
                version=1
                createType="twoGbMaxExtentFlat"
                RW 4192256 FLAT "top-f001.vmdk" 0
                RW 2048 FLAT "/data/top-f002.vmdk" 0
                RDONLY 2048 ZERO
                """.getBytes(java.nio.charset.StandardCharsets.UTF_8));
        assertThat(chain("/i/top.vmdk", "vmdk").dataFiles())
                .containsExactly(
                        new ImageSpec(new DiskSource.File("/i/top-f001.vmdk"), "raw"),
                        new ImageSpec(new DiskSource.File("/data/top-f002.vmdk"), "raw"));
        host.image(
                "/i/top.vmdk",
                java.util.Arrays.copyOf(
                        "# Disk DescriptorFile".getBytes(java.nio.charset.StandardCharsets.UTF_8), 40_000));
        assertThat(chain("/i/top.vmdk", "vmdk").broken()).isTrue();
    }

    @Test
    void dataOutsideMayHaveAnyNameThatQemuTakes() {
        host.image("/i/top", Images.qcow2WithDataFile("nbd://host/data"));
        assertThat(chain("/i/top", "qcow2").dataFiles())
                .extracting(ImageSpec::source)
                .hasOnlyElementsOfType(DiskSource.Network.class);
        host.image("/i/top", Images.qcow2WithDataFile("json:{}"));
        assertThat(chain("/i/top", "qcow2").broken()).isTrue();
    }

    @Test
    void anImageOnTheNetworkEndsWhatCanBeRead() {
        host.image("/i/top", Images.qcow2("rbd:pool/base@snap:id=admin", "raw"));
        assertThat(chain("/i/top", "qcow2").missing()).isEmpty();
        host.image("/i/top", Images.qcow2("nbd://host/e", "qcow2"));
        assertThat(chain("/i/top", "qcow2").missing())
                .hasValue("the header of a qcow2 image that is neither a file nor a block device is not read");
        assertThat(chain("/i/top", "qcow2").broken()).isFalse();
    }

    @Test
    void aCircleIsBroken() {
        host.image("/i/a", Images.qcow2("b", "qcow2"));
        host.image("/i/b", Images.qcow2("a", "qcow2"));
        assertBroken("/i/a", "lead in a circle");
    }

    @Test
    void aChainThatIsTooLongIsBroken() {
        for (int i = 0; i <= BackingChain.MAX_DEPTH + 1; i++) {
            host.image("/i/" + i, Images.qcow2(Integer.toString(i + 1), "qcow2"));
        }
        assertBroken("/i/0", "more than 200");
    }

    @Test
    void aMissingImageIsBroken() {
        host.image("/i/top", Images.qcow2("gone", "qcow2"));
        assertBroken("/i/top", "/i/gone: there is no such file");
        assertBroken("/i/nothing", "/i/nothing: there is no such file");
    }

    @Test
    void anImageThatMayNotBeReadIsUnknownButNotBroken() {
        host.and("== denied /i/top");
        assertThat(chain("/i/top", "qcow2").missing()).isPresent();
        assertThat(chain("/i/top", "qcow2").broken()).isFalse();
    }

    @Test
    void anImageThatGivesAnErrorIsBroken() {
        host.and("== failed /i/top Input/output error");
        assertBroken("/i/top", "Input/output error");
    }

    @ParameterizedTest
    @CsvSource({"16, 2000000000", "16, 70000", "4, 9"})
    void aHeaderThatCannotBeIsBroken(int offset, int value) {
        byte[] image = Images.qcow2("base", "raw");
        java.nio.ByteBuffer.wrap(image).putInt(offset, value);
        host.image("/i/top", image);
        assertThat(chain("/i/top", "qcow2").broken()).isTrue();
    }

    @Test
    void anyBytesGiveAnAnswer() {
        Random random = new Random(7);
        for (int i = 0; i < 20_000; i++) {
            byte[] image = i % 2 == 0 ? Images.qcow2("/a/base.img", "raw") : Images.qed("/a/base.img", false);
            for (int changes = 0; changes < 4; changes++) {
                image[random.nextInt(128)] = (byte) random.nextInt();
            }
            byte[] cut = java.util.Arrays.copyOf(image, random.nextInt(image.length));
            assertThat(ImageHeader.parse(cut).format()).isNotEmpty();
        }
    }

    private void assertBroken(String top, String reason) {
        Chain chain = chain(top, "qcow2");
        assertThat(chain.broken()).isTrue();
        assertThat(chain.missing()).hasValueSatisfying(text -> assertThat(text).contains(reason));
    }

    private Chain chain(String top, String format) {
        return new BackingChain(host).below(new ImageSpec(new DiskSource.File(top), format), 0);
    }
}
