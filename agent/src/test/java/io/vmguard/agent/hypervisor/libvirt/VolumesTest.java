/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.vmguard.agent.hypervisor.VolumeResult;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the pool's XML says about a volume that has no path. */
class VolumesTest {

    private static final PoolDescription ISCSI =
            new PoolDescription("iscsi", "", List.of("iqn.2013-06.com.example:iscsi-pool"), List.of("store"));

    @Test
    void poolXmlGivesTypeNameAndDevicesOfTheSource() throws LibvirtFailure {
        PoolDescription pool = PoolDescription.parse("""
                <pool type='rbd'>
                  <name>local name</name>
                  <source>
                    <host name='mon1' port='6789'/>
                    <name>ceph-pool</name>
                    <auth type='ceph' username='admin'><secret uuid='2ec115d7-3a88-3ceb-bc12-0ac909a6fd87'/></auth>
                    <device path='/dev/a'/><device path='/dev/b'/>
                  </source>
                </pool>""");
        assertThat(pool)
                .isEqualTo(new PoolDescription("rbd", "ceph-pool", List.of("/dev/a", "/dev/b"), List.of("mon1")));
    }

    @Test
    void brokenPoolXmlIsAFailureAndNotACrash() {
        assertThatExceptionOfType(LibvirtFailure.class).isThrownBy(() -> PoolDescription.parse("<pool type='dir'>"));
        assertThatExceptionOfType(LibvirtFailure.class).isThrownBy(() -> PoolDescription.parse(""));
    }

    @Test
    void externalEntityIsNotRead() {
        assertThatExceptionOfType(LibvirtFailure.class).isThrownBy(() -> PoolDescription.parse("""
                <!DOCTYPE pool [<!ENTITY x SYSTEM "file:///etc/hostname">]>
                <pool type='rbd'><source><name>&x;</name></source></pool>"""));
    }

    @Test
    void directIscsiVolumeIsTargetAndLun() {
        assertThat(Volumes.iscsiLun(ISCSI, "unit:0:0:12"))
                .isEqualTo(new VolumeResult.NetworkSource(
                        "iscsi", "iqn.2013-06.com.example:iscsi-pool/12", List.of("store")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "unit:0:0", "unit:0:0:", "unit:0:0:1:2", "disk:0:0:1", "unit:0:0:x"})
    void oddIscsiVolumeNameIsNotGuessedAt(String volume) {
        assertThat(Volumes.iscsiLun(ISCSI, volume)).isInstanceOf(VolumeResult.CannotTell.class);
    }

    @Test
    void iscsiPoolWithoutExactlyOneTargetIsNotGuessedAt() {
        assertThat(Volumes.iscsiLun(new PoolDescription("iscsi", "", List.of(), List.of()), "unit:0:0:1"))
                .isInstanceOf(VolumeResult.CannotTell.class);
        assertThat(Volumes.iscsiLun(new PoolDescription("iscsi", "", List.of("a", "b"), List.of()), "unit:0:0:1"))
                .isInstanceOf(VolumeResult.CannotTell.class);
    }
}
