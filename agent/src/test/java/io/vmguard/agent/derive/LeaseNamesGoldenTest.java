/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.NetworkHost;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Names that are on disks out there. A change here makes two versions blind to each other's leases; see
 * docs/adr/0004-lease-names.md before touching one. The MD5s were made with {@code printf %s PATH | md5sum}, the rest
 * with {@code printf %s IDENTITY | sha256sum}.
 */
class LeaseNamesGoldenTest {

    @ParameterizedTest
    @CsvSource({
        // The first one is the example in libvirt's own documentation of its sanlock plug-in.
        "/var/lib/libvirt/images/demo.img, bfa0240911bc17753e0b473688822159",
        "/dev/vg0/lv-root, 259eead4e23f978917c201e5754abc83",
        "/srv/vm//x/../é.qcow2, 54448fab394828ffe38833b7fc44ada7"
    })
    void aPathHasTheNameThatLibvirtGivesIt(String path, String resource) {
        assertThat(resource(new DiskSource.File(path))).isEqualTo(resource);
        assertThat(resource(new DiskSource.Block(path))).isEqualTo(resource);
        assertThat(resource(new DiskSource.Directory(path))).isEqualTo(resource);
    }

    @ParameterizedTest
    @CsvSource({
        "rbd, rbd/vm1, rbd:rbd/vm1, rbd-746858f073523546f745135cf50b4e21edac40f0",
        "rbd, rbd/ns/vm1, rbd:rbd/ns/vm1, rbd-a4c4225272ac30c2516a0d16bfe26136c54ae364",
        "iscsi, iqn.2013-07.com.example:store, iscsi:iqn.2013-07.com.example:store/0, iscsi-dbfa1597d4ff5c0d8a27e69c2f34493ed4133b44",
        "gluster, vol1/vm1.img, gluster:vol1/vm1.img, gluster-e7be93210a75be42c70ea8703ed0da132e700d5a",
        "sheepdog, vdi-1, sheepdog:vdi-1, sheepdo-1328cf2d79ad271b35a897f6830a155934e0044e",
        "vxhs, eb90327c-8302-4725-9e1b-4e85ed4dc251, vxhs:eb90327c-8302-4725-9e1b-4e85ed4dc251, vxhs-56bc4d1eaae51d66868ff66f96a97433f693f61e",
        "nbd, vm1, nbd:server.example:10809/vm1, nbd-18d6a2255ca535dc3590bc88f6db65d6b7a6cd5e",
        "ssh, /srv/vm1.img, ssh:server.example:22/srv/vm1.img, ssh-f149cbd51a7966b42ca31b193de143699dcde782",
        "nfs, /srv/vm1.img, nfs:server.example/srv/vm1.img, nfs-0ba2e6b06b67b0a1553d91a8e4a91c001da52387",
        "somethingnew, a/b, somethingnew:a/b, somethi-9b7b6448f31d0f94e5d012a0e6a34833c22542c8"
    })
    void aNetworkDiskHasAFixedName(String protocol, String name, String identity, String resource) {
        DiskLease lease =
                lease(new DiskSource.Network(protocol, name, List.of(NetworkHost.tcp("server.example", "")), null));
        assertThat(lease.identity()).isEqualTo(identity);
        assertThat(lease.resource()).isEqualTo(resource);
    }

    @Test
    void aFileCalledLikeANetworkIdentityHasAnotherName() {
        assertThat(resource(new DiskSource.File("rbd:rbd/vm1")))
                .isNotEqualTo(resource(new DiskSource.Network("rbd", "rbd/vm1", List.of(), null)));
    }

    private static String resource(DiskSource source) {
        return lease(source).resource();
    }

    private static DiskLease lease(DiskSource source) {
        DiskSpec disk = new DiskSpec("vda", "disk", false, false, false, source);
        return LeaseDeriver.byName((pool, volume, mode) -> new VolumeResolver.CannotTell("not asked"))
                .derive(new DomainSpec("a", null, List.of(disk)))
                .leases()
                .get(0);
    }
}
