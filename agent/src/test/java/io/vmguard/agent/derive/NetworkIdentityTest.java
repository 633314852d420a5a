/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.NetworkHost;
import io.vmguard.agent.identity.Identity;
import io.vmguard.agent.identity.LeaseKey;
import io.vmguard.agent.identity.StorageIdentifier;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Two ways to write one network disk are one identity; two disks are two. */
class NetworkIdentityTest {

    private static final StorageIdentifier IDENTIFIER = StorageIdentifier.byNameAlone();

    @ParameterizedTest
    @ValueSource(
            strings = {
                "pool/image",
                "pool//image",
                "/pool/image",
                "pool/image:id=admin:key=c2VjcmV0:conf=/etc/ceph/ceph.conf",
                "pool/image:mon_host=10.0.0.1\\:6789\\;10.0.0.2",
                "pool/im\\age"
            })
    void spellingsOfAnRbdImageAreOneIdentity(String name) {
        assertThat(identity("rbd", name)).isEqualTo("rbd:pool/image");
    }

    @ParameterizedTest
    @CsvSource({
        "pool/vm:1, rbd:pool/vm:1",
        "pool/vm:1:id=admin, rbd:pool/vm:1",
        "pool/vm\\:x=1, rbd:pool/vm:x=1",
        "pool/vm\\@1, rbd:pool/vm@1",
        "pool/ns/vm, rbd:pool/ns/vm",
        "Pool/VM, rbd:Pool/VM"
    })
    void namesOfRbdImagesKeepWhatBelongsToThem(String name, String identity) {
        assertThat(identity("rbd", name)).isEqualTo(identity);
    }

    @Test
    void anRbdSnapshotInTheNameIsReadOnly() {
        assertThat(IDENTIFIER.identify(new DiskSource.Network("rbd", "pool/vm@snap:id=admin", List.of(), null)))
                .isEqualTo(new Identity.Unneeded("read-only snapshot"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "image", "/", "pool/", "pool/@snap", ":id=admin"})
    void anRbdNameWithoutPoolAndImageIsRefused(String name) {
        assertThat(IDENTIFIER.identify(new DiskSource.Network("rbd", name, List.of(), null)))
                .isInstanceOf(Identity.Refused.class);
    }

    @ParameterizedTest
    @CsvSource({
        "IQN.2013-07.Com.Example:Store, iscsi:iqn.2013-07.com.example:store/0",
        "iqn.2013-07.com.example:store/, iscsi:iqn.2013-07.com.example:store/0",
        "iqn.2013-07.com.example:store/00, iscsi:iqn.2013-07.com.example:store/0",
        "iqn.2013-07.com.example:store/007, iscsi:iqn.2013-07.com.example:store/7",
        "iqn.2013-07.com.example:store/10, iscsi:iqn.2013-07.com.example:store/10"
    })
    void anIscsiDiskIsTargetAndLun(String name, String identity) {
        assertThat(identity("iscsi", name)).isEqualTo(identity);
    }

    @ParameterizedTest
    @CsvSource({
        "Host, '', host:10809",
        "host., 0, host:10809",
        "host, 010809, host:10809",
        "2001:DB8::1, 5, [2001:db8:0:0:0:0:0:1]:5",
        "[2001:db8:0::1], 5, [2001:db8:0:0:0:0:0:1]:5",
        "2001:0db8:0000::0001, 5, [2001:db8:0:0:0:0:0:1]:5",
        "FE80::1%eth0, 5, [fe80:0:0:0:0:0:0:1]:5",
        "::ffff:192.0.2.7, 5, 192.0.2.7:5",
        "192.0.2.7, 5, 192.0.2.7:5",
        "not:an:address, 5, not:an:address:5",
        "1:2:3, 5, [1:2:3]:5"
    })
    void aServerHasOneSpelling(String host, String port, String expected) {
        DiskSource.Network source = new DiskSource.Network("nbd", "e", List.of(NetworkHost.tcp(host, port)), null);
        assertThat(identity(source)).isEqualTo("nbd:" + expected + "/e");
    }

    @Test
    void nbdExportsOfDifferentServersPortsAndSocketsDiffer() {
        assertThat(List.of(
                        identity(nbd("e", NetworkHost.tcp("a", ""))),
                        identity(nbd("e", NetworkHost.tcp("b", ""))),
                        identity(nbd("e", NetworkHost.tcp("a", "1"))),
                        identity(nbd("f", NetworkHost.tcp("a", ""))),
                        identity(nbd("", NetworkHost.tcp("a", ""))),
                        identity(nbd("e", new NetworkHost("", "", "unix", "/a")))))
                .doesNotHaveDuplicates();
    }

    @Test
    void whatAServerCallsByOneNameIsOneDiskOnEachOfItsPorts() {
        NetworkHost usual = NetworkHost.tcp("a", "");
        NetworkHost other = NetworkHost.tcp("a", "1");
        assertThat(excludes(nbd("e", usual), nbd("e", other))).isTrue();
        assertThat(excludes(nbd("e", usual), nbd("f", other))).isFalse();
        assertThat(excludes(nbd("e", usual), nbd("e", NetworkHost.tcp("b", "1"))))
                .isFalse();
        assertThat(excludes(ssh("/vms/a", usual), ssh("/vms//a", other))).isTrue();
        assertThat(excludes(ssh("/vms/a", usual), ssh("/vms/b", usual))).isFalse();
    }

    /** qemu-nbd and others serve one disk on each port, without a name. */
    @Test
    void anExportWithoutANameIsToldByItsPort() {
        assertThat(excludes(nbd("", NetworkHost.tcp("a", "1")), nbd("", NetworkHost.tcp("a", "2"))))
                .isFalse();
    }

    private static boolean excludes(DiskSource.Network one, DiskSource.Network other) {
        Set<String> resources = resources(one);
        resources.retainAll(resources(other));
        return !resources.isEmpty();
    }

    private static DiskSource.Network ssh(String path, NetworkHost host) {
        return new DiskSource.Network("ssh", path, List.of(host), null);
    }

    @ParameterizedTest
    @ValueSource(strings = {"rbd", "iscsi", "gluster", "sheepdog", "vxhs", "quantum"})
    void theHostsOfAClusterAreNoPartOfTheIdentity(String protocol) {
        String none = identity(new DiskSource.Network(protocol, "a/1", List.of(), null));
        String some = identity(new DiskSource.Network(
                protocol,
                "a/1",
                List.of(NetworkHost.tcp("x", "1"), new NetworkHost("", "", "unix", "/run/x.sock")),
                null));
        assertThat(some).isEqualTo(none);
    }

    @Test
    void anUnknownProtocolWithoutNameIsKnownByItsServersInAnyOrder() {
        NetworkHost one = NetworkHost.tcp("one", "1");
        NetworkHost two = NetworkHost.tcp("TWO", "2");
        assertThat(identity(new DiskSource.Network("quantum", "", List.of(two, one), null)))
                .isEqualTo(identity(new DiskSource.Network("quantum", "", List.of(one, two), null)))
                .isEqualTo("quantum:one,two");
    }

    /** Random rewritings of one XML: order, ports, presence and spelling of hosts, attribute order, quotes, space, comments. */
    @ParameterizedTest
    @CsvSource({
        "rbd, rbd/vm1, rbd:rbd/vm1",
        "iscsi, iqn.2013-07.com.example:store/3, iscsi:iqn.2013-07.com.example:store/3",
        "gluster, vol/a.img, gluster:vol/a.img",
        "sheepdog, vdi, sheepdog:vdi",
        "quantum, a/b, quantum:a/b"
    })
    void rewritingTheXmlNeverChangesTheIdentity(String protocol, String name, String identity) throws Exception {
        for (int seed = 0; seed < 300; seed++) {
            String xml = new Rewriting(new Random(seed)).domain(protocol, name);
            Derivation derivation = LeaseDeriver.byName(
                            (pool, volume, mode) -> new VolumeResolver.CannotTell("not asked"))
                    .derive(DomainXml.parse(xml.getBytes(StandardCharsets.UTF_8)));
            assertThat(derivation.leases())
                    .as("seed %d: %s", seed, xml)
                    .singleElement()
                    .satisfies(lease -> assertThat(lease.identity()).isEqualTo(identity))
                    .satisfies(lease -> assertThat(lease.target()).isEqualTo("vda"));
        }
    }

    private record Rewriting(Random random) {

        String domain(String protocol, String name) {
            List<String> inDisk = new ArrayList<>(List.of(
                    element("source", List.of("protocol", protocol, "name", name), hosts()),
                    element("target", List.of("dev", "vda", "bus", "virtio"), ""),
                    element("driver", List.of("name", "qemu", "type", "raw"), "")));
            Collections.shuffle(inDisk, random);
            String disk = element("disk", List.of("type", "network", "device", "disk"), String.join(space(), inDisk));
            return element("domain", List.of("type", "kvm"), "<name>a</name>" + element("devices", List.of(), disk));
        }

        private String hosts() {
            List<String> all = new ArrayList<>();
            for (String host : List.of("mon1.example", "mon2.example", "2001:db8::3")) {
                if (random.nextInt(4) > 0) {
                    String spelled = random.nextBoolean() ? host : host.toUpperCase(Locale.ROOT);
                    all.add(element(
                            "host",
                            random.nextBoolean()
                                    ? List.of("name", spelled)
                                    : List.of("name", spelled, "port", Integer.toString(random.nextInt(65536))),
                            ""));
                }
            }
            Collections.shuffle(all, random);
            return String.join(space(), all);
        }

        private String element(String name, List<String> attributes, String content) {
            List<String> written = new ArrayList<>();
            for (int i = 0; i < attributes.size(); i += 2) {
                String quote = random.nextBoolean() ? "'" : "\"";
                written.add(" " + space(false) + attributes.get(i) + space(false) + "=" + space(false) + quote
                        + attributes.get(i + 1) + quote);
            }
            Collections.shuffle(written, random);
            String start = "<" + name + String.join("", written) + space(false);
            return content.isEmpty() && random.nextBoolean()
                    ? start + "/>"
                    : start + ">" + space() + content + space() + "</" + name + space(false) + ">";
        }

        private String space() {
            return space(true);
        }

        private String space(boolean commentAllowed) {
            return List.of("", " ", "\n\t", commentAllowed ? "<!-- <host name='x'/> -->" : "  ")
                    .get(random.nextInt(4));
        }
    }

    private static DiskSource.Network nbd(String export, NetworkHost host) {
        return new DiskSource.Network("nbd", export, List.of(host), null);
    }

    private static String identity(String protocol, String name) {
        return identity(new DiskSource.Network(protocol, name, List.of(), null));
    }

    private static Set<String> resources(DiskSource.Network source) {
        return ((Identity.Known) IDENTIFIER.identify(source))
                .keys().stream().map(LeaseKey::resource).collect(Collectors.toCollection(TreeSet::new));
    }

    private static String identity(DiskSource.Network source) {
        Identity identity = IDENTIFIER.identify(source);
        if (identity instanceof Identity.Known known) {
            return known.keys().get(0).identity();
        }
        return identity instanceof Identity.Unneeded unneeded
                ? "none: " + unneeded.reason()
                : "refused: " + ((Identity.Refused) identity).reason();
    }
}
