/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.ReadOnlyDirectory;
import io.vmguard.lease.inspect.LeaseInspector.Depth;
import io.vmguard.lease.inspect.ResourceInspection.State;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.BuiltDirectory;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How much a look through a large lease directory reads, counted; and how long it took, printed. */
class InspectionCostTest {
    private static final int RESOURCES = 2_000;
    private static final int LOCKSPACE_BYTES = 1 << 20;
    private static final LeaseNote NOTE = new LeaseNote("demo1", "u", "vda", "node-a", 1);

    @TempDir(factory = UnderTarget.class)
    Path dir;

    @Test
    void eachResourceCostsOneSmallReadAndOneMoreIfHeld() throws IOException {
        BuiltDirectory built = new BuiltDirectory(dir, LeaseLayout.SECTOR_512)
                .lockspace(10)
                .host(1, 1, "node-a", 1000)
                .host(6, 1, "node-b", 1000);
        for (int i = 0; i < RESOURCES; i++) {
            String name = String.format("%032x", i);
            built.resource(name);
            if (i % 2 == 0) {
                built.held(name, new Owner(1 + i % 4 / 2 * 5, 1), 3, NOTE);
            }
        }
        LinuxClock clock = new LinuxClock();
        CountingFiles files = new CountingFiles(new ReadOnlyDirectory(dir, clock));
        long startedNanos = clock.bootNanos();
        DirectoryInspection directory = new LeaseInspector(files).inspect(Depth.HOLDERS);
        long tookMillis = (clock.bootNanos() - startedNanos) / 1_000_000;
        System.out.println("inspecting " + RESOURCES + " resources, half of them held: " + tookMillis + " ms, "
                + files.bytes.get() / RESOURCES + " bytes and " + files.reads.get() / (double) RESOURCES
                + " reads each");
        assertThat(directory.resources().stream().filter(r -> r.state() == State.EXCLUSIVE))
                .hasSize(RESOURCES / 2);
        assertThat(directory.resources()).allMatch(r -> r.findings().isEmpty());
        // A head of the lockspace in the pass, then the lockspace itself three times: in the pass, for its resources,
        // after them.
        assertThat(files.bytes.get())
                .isEqualTo(RESOURCES * 4096L + RESOURCES / 2 * 512L + 3 * (LOCKSPACE_BYTES + 4096));
        assertThat(files.reads.get()).isEqualTo(RESOURCES + RESOURCES / 2 + 3 * 2);
        assertThat(files.mostOpen.get()).isLessThanOrEqualTo(9);
        assertThat(files.open.get()).isZero();
    }
}
