/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every way in which QEMU writes where an image is; forms: QEMU's block drivers' own documentation. */
class ImageNameTest {

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "/a/b.img | file:/a/b.img",
                "b.img | file:/dir/b.img",
                "../b.img | file:/dir/../b.img",
                "/a:b/c | file:/a:b/c",
                "./a:b | file:/dir/./a:b",
                "file:/a/b | file:/a/b",
                "file:///a/b | file:/a/b",
                "host_device:/dev/sda | file:/dev/sda",
                "rbd:pool/img:id=admin:mon_host=a\\:1 | rbd:pool/img",
                "nbd:host:10809:exportname=e | nbd:host:10809/e",
                "nbd:unix:/run/s:exportname=e | nbd+unix:/run/s/e",
                "nbd://host/e | nbd:host:10809/e",
                "nbd://[::1]:7/e | nbd:[0:0:0:0:0:0:0:1]:7/e",
                "nbd+unix:///e?socket=/run/s | nbd+unix:/run/s/e",
                "nbd+tls://host/e | nbd:host:10809/e",
                "iscsi://user%25pw@portal:3260/iqn.x:y/3 | iscsi:iqn.x:y/3",
                "gluster+tcp://gl1:24007/vol/a%20b | gluster:vol/a b",
                "ssh://user@h/a/b | ssh:h:22/a/b",
                "nfs://nas/export/a?uid=0 | nfs:nas/export/a",
                "https://h/a.iso | none",
                "json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"/x/y\"}} | file:/x/y",
                "json:{\"file.driver\":\"rbd\",\"file.pool\":\"p\",\"file.image\":\"i\",\"file.server.0.host\":\"m\"} | rbd:p/i",
                "json:{\"driver\":\"raw\",\"offset\":0,\"file\":{\"driver\":\"nbd\",\"server\":{\"type\":\"inet\",\"host\":\"h\",\"port\":\"1\"},\"export\":\"e\"}} | nbd:h:1/e",
                "json:{\"driver\":\"nbd\",\"server\":{\"type\":\"unix\",\"path\":\"/s\"}} | nbd+unix:/s",
                "json:{\"driver\":\"iscsi\",\"portal\":\"p:3260\",\"target\":\"iqn.x:y\",\"lun\":3} | iscsi:iqn.x:y/3",
                "json:{\"driver\":\"gluster\",\"volume\":\"v\",\"path\":\"a/b\",\"server\":[{\"type\":\"tcp\",\"host\":\"g\"}]} | gluster:v/a/b",
                "json:{\"driver\":\"nfs\",\"server\":{\"type\":\"inet\",\"host\":\"n\"},\"path\":\"/e/a\"} | nfs:n/e/a",
                "json:{\"driver\":\"rbd\",\"pool\":\"p\",\"namespace\":\"n\",\"image\":\"i\"} | rbd:p/n/i",
                "tarot://h/a | tarot:a",
                "host_cdrom:/dev/sr0 | file:/dev/sr0",
                "rbd:pool/img:conf=/etc/ceph/b.conf | rbd:pool/img",
                "rbd:pool/ns/img@snap | none",
                "iser://portal/iqn.x:y/3 | iscsi:iqn.x:y/3",
                "iscsi://portal/iqn.x:y/003 | iscsi:iqn.x:y/3",
                "nbds://host/e | nbd:host:10809/e",
                "nbds+unix:///e?socket=/run/s | nbd+unix:/run/s/e",
                "gluster+unix:///vol/a?socket=/run/glusterd.socket | gluster:vol/a",
                "sheepdog:vdi | sheepdog:vdi",
                "sheepdog:host:7000:vdi | sheepdog:vdi",
                "sheepdog://host:7000/vdi | sheepdog:vdi",
                "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"rbd\",\"filename\":\"rbd:p/i:id=a\"}} | rbd:p/i",
                "json:{\"driver\":\"rbd\",\"pool\":\"p\",\"image\":\"i\",\"conf\":\"/etc/ceph/b.conf\",\"server\":[{\"host\":\"m\",\"port\":\"1\"}]} | rbd:p/i",
                "json:{\"driver\":\"throttle\",\"throttle-group\":\"g\",\"file\":{\"driver\":\"host_device\",\"filename\":\"/dev/vg/x\"}} | file:/dev/vg/x",
                "json:{\"driver\":\"luks\",\"key-secret\":\"s\",\"file.filename\":\"/x/y\"} | file:/x/y"
            })
    void aNameIsTheImageThatQemuOpens(String name, String identity) {
        Identity found = StorageIdentifier.byNameAlone()
                .identify(ImageName.parse(name, "/dir").orElseThrow());
        assertThat(found instanceof Identity.Known known ? known.keys().get(0).identity() : "none")
                .isEqualTo(identity);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "json:",
                "json:{",
                "json:[]",
                "json:{\"driver\":\"teleport\"}",
                "json:{\"driver\":\"file\"}",
                "json:{\"file\":{\"file\":{\"file\":{}}}}",
                "fat:rw:/dir",
                "blkdebug::/x/y",
                "json:{\"driver\":\"quorum\",\"children\":[{\"driver\":\"file\",\"filename\":\"/x\"}]}",
                "json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"/x\"},\"backing\":{\"driver\":\"file\",\"filename\":\"/y\"}}",
                "json:{\"driver\":\"qcow2\",\"file.driver\":\"file\",\"file.filename\":\"/x\",\"data-file.driver\":\"file\",\"data-file.filename\":\"/y\"}",
                "nbd:nonsense",
                "null-co://x:y:z"
            })
    void aNameOfNoKnownKindIsNoImage(String name) {
        assertThat(ImageName.parse(name, "/dir")).isEmpty();
    }
}
