/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.LeaseName;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;

/** The live XML of a running domain, whose devices the test changes. */
final class LiveXml {
    final String name;
    final UUID uuid;
    private final List<String> disks = new ArrayList<>();
    private String jobs = "";

    LiveXml(TestDomain domain) {
        this.name = domain.name();
        this.uuid = domain.uuid();
    }

    /** A file with its backing images, the nearest first; they have the indexes 2, 3, …. */
    static String disk(String target, String file, String... backing) {
        return "<disk type='file' device='disk'>" + source(file, " index='1'") + chain(2, backing) + "<target dev='"
                + target + "'/><alias name='dev-" + target + "'/></disk>";
    }

    /** The same with a block job that writes into a further image. */
    static String mirrored(String target, String file, String job, String mirror, String... backing) {
        return disk(target, file, backing)
                .replace(
                        "<target",
                        "<mirror type='file' job='" + job + "'><format type='qcow2'/>" + source(mirror, " index='9'")
                                + "</mirror><target");
    }

    static String floppy(String file) {
        return "<disk type='file' device='floppy'>" + (file.isEmpty() ? "" : source(file, " index='1'"))
                + "<backingStore/><target dev='fda' bus='fdc'/><alias name='dev-fda'/></disk>";
    }

    static String emptyCdrom(String target) {
        return "<disk type='file' device='cdrom'><target dev='" + target + "'/><readonly/></disk>";
    }

    static String rbd(String target, String image) {
        return "<disk type='network' device='disk'><source protocol='rbd' name='" + image + "'/><target dev='" + target
                + "'/><alias name='dev-" + target + "'/></disk>";
    }

    private static String source(String file, String index) {
        return "<source file='" + file + "'" + index + "/>";
    }

    /** A backing image has its index in itself, and not in its source like the others. */
    private static String chain(int index, String... files) {
        return files.length == 0
                ? "<backingStore/>"
                : "<backingStore type='file' index='" + index + "'><format type='qcow2'/>" + source(files[0], "")
                        + chain(index + 1, Arrays.copyOfRange(files, 1, files.length)) + "</backingStore>";
    }

    LiveXml disks(String... all) {
        disks.clear();
        disks.addAll(List.of(all));
        return this;
    }

    /** The {@code <blockjobs>} of its status file. */
    LiveXml jobs(String... all) {
        jobs = all.length == 0 ? "" : "<blockjobs active='yes'>" + String.join("", all) + "</blockjobs>";
        return this;
    }

    String xml() {
        return "<domain type='kvm'><name>" + name + "</name><uuid>" + uuid + "</uuid><devices>" + String.join("", disks)
                + "</devices></domain>";
    }

    /** libvirt shows it like this from now on. */
    void toLibvirt(GuardBench bench) {
        bench.hypervisor.activate(uuid, name, xml());
    }

    /** Its status file is like this now. */
    void toStatusFile(GuardBench bench) {
        bench.guard.status(status());
    }

    DomainStatus status() {
        String xml = "<domstatus state='running' pid='1'>" + jobs + xml() + "</domstatus>";
        try {
            return DomainXml.parseStatus(xml.getBytes(StandardCharsets.UTF_8));
        } catch (DomainXmlException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Both, and all that follows from it. */
    void show(GuardBench bench) {
        toLibvirt(bench);
        toStatusFile(bench);
        bench.settle();
    }

    DomainSpec spec() {
        return status().domain();
    }

    /** The lease of a file, whoever has it. */
    static LeaseName lease(String file) {
        return TestDomain.of("any", file).resource();
    }
}
