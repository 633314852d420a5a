/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.agent.status.StatusReport;
import java.util.List;

/** A status in which every part has something to say; the same as {@code status/report.json}. */
public final class SampleReport {
    private SampleReport() {}

    /** @param ready whether it is of an agent that can grant starts */
    public static StatusReport of(boolean ready) {
        return of(ready, "/var/lib/vmguard/leases");
    }

    /** Of an agent that is a member in this lease directory. */
    public static StatusReport in(String dir) {
        return of(true, dir);
    }

    private static StatusReport of(boolean ready, String dir) {
        return new StatusReport(
                1,
                new StatusReport.Agent("0.1.0", 4711, "enforce", "node-a", 3725, 12, 3),
                ready,
                new StatusReport.LockspaceStatus(
                        "__LIBVIRT__DISKS__",
                        dir,
                        ready ? "member" : "joining",
                        ready ? "" : "no such directory: /var/lib/vmguard/leases",
                        ready ? 1L : null,
                        ready ? 7L : null,
                        "0123abcd-4567cdef.node-a",
                        10,
                        ready ? 3.2 : null,
                        ready ? 76.8 : null,
                        140,
                        List.of()),
                new StatusReport.Watchdog("wdmd", "armed", true, 60L, 3.1, ""),
                new StatusReport.Libvirt("qemu:///system", false, "cannot connect"),
                new StatusReport.Hook(15, 61.5),
                List.of(
                        new StatusReport.Host(1, 7, "node-a", "0123abcd-4567cdef.node-a", "live", true, 3.2, null),
                        new StatusReport.Host(2, 1, "node-b", "89abcdef-01234567.node-b", "fail", false, 91.0, 49.5)),
                List.of(new StatusReport.Domain(
                        "demo1",
                        "6f1c1c1e-0f0e-4a54-9c55-0d6a4f0f9a01",
                        "running",
                        1234,
                        List.of(
                                new StatusReport.Lease(
                                        "vda",
                                        "rbd:rbd/vm1",
                                        "rbd-746858f073523546f745135cf50b4e21edac40f0",
                                        true,
                                        1_767_225_600L,
                                        42),
                                new StatusReport.Lease("vdb", "file:/b", "b1", false, 1_767_225_600L, 42)),
                        "pause",
                        List.of("vdb is in use elsewhere"))),
                List.of(
                        new StatusReport.Deadline("a warning", 40.0, ready ? 36.8 : null),
                        new StatusReport.Deadline("SIGKILL", 85.0, ready ? 81.8 : null)),
                List.of("domain demo1 is not fully protected"));
    }
}
