/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.LeaseDeriver;
import io.vmguard.agent.derive.VolumeResolver;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.UUID;

/** A domain with file disks {@code vda}, {@code vdb}, … that all parts of a test mean by the same name. */
public record TestDomain(String name, UUID uuid, List<String> disks, String onLockFailure) {
    /** Volumes of pools are not known here. */
    public static final VolumeResolver NO_POOLS =
            (pool, volume, mode) -> new VolumeResolver.CannotTell("no pools here");

    /** Leases without a look at any storage. */
    public static final DomainLeases BY_NAME = LeaseDeriver.byName(NO_POOLS);

    private static final String SHARED = "shared:";

    /**
     * @param disks paths; one that begins with {@code pool:} is a volume that nobody can resolve, one with {@code shared:} before its
     *     path is shareable
     */
    public static TestDomain of(String name, String... disks) {
        return new TestDomain(name, UUID.nameUUIDFromBytes(name.getBytes(StandardCharsets.UTF_8)), List.of(disks), "");
    }

    /** The same with an {@code <on_lockfailure>}. */
    public TestDomain onLockFailure(String word) {
        return new TestDomain(name, uuid, disks, word);
    }

    /** What libvirt gives to its hooks and lists. */
    public String xml() {
        StringBuilder xml = new StringBuilder("<domain type='kvm'><name>")
                .append(name)
                .append("</name><uuid>")
                .append(uuid)
                .append("</uuid>")
                .append(onLockFailure.isEmpty() ? "" : "<on_lockfailure>" + onLockFailure + "</on_lockfailure>")
                .append("<devices>");
        char letter = 'a';
        for (String disk : disks) {
            boolean shared = disk.startsWith(SHARED);
            xml.append(
                            disk.startsWith("pool:")
                                    ? "<disk type='volume' device='disk'><source pool='p' volume='v'/>"
                                    : "<disk type='file' device='disk'><source file='"
                                            + (shared ? disk.substring(SHARED.length()) : disk) + "'/>")
                    .append(shared ? "<shareable/>" : "")
                    .append("<target dev='vd")
                    .append(letter++)
                    .append("'/></disk>");
        }
        return xml.append("</devices></domain>").toString();
    }

    public DomainSpec spec() {
        try {
            return DomainXml.parse(xml().getBytes(StandardCharsets.UTF_8));
        } catch (DomainXmlException e) {
            throw new IllegalStateException(e);
        }
    }

    public Derivation derivation() {
        return BY_NAME.derive(spec());
    }

    /** Its leases, in the order of its disks. */
    public List<LeaseName> resources() {
        return derivation().leases().stream()
                .map(lease -> new LeaseName(lease.resource()))
                .toList();
    }

    /** The lease of its only or first disk. */
    public LeaseName resource() {
        return resources().get(0);
    }

    /** What an earlier agent wrote beside the lease of its first disk. */
    public LeaseNote note() {
        return new LeaseNote(name, uuid.toString(), "vda (file:" + disks.get(0) + ")", "node-a", 1_767_000_000L);
    }
}
