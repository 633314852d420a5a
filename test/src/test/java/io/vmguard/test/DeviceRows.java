/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.SanlockHost.HELD;
import static io.vmguard.test.SanlockHost.IDLIVE;
import static io.vmguard.test.Site.LS;
import static io.vmguard.test.Site.OUR_ID;
import static io.vmguard.test.Site.R1;
import static io.vmguard.test.Site.SOON;
import static io.vmguard.test.Site.STOCK_ID;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LockspaceMaker;
import io.vmguard.lease.location.LeaseLocation;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;

/** Beyond the matrix: leases side by side on one device, which a stock host is told by path and offset. A file stands for the device. */
final class DeviceRows {
    static final List<MatrixRow> ROWS = List.of(
            MatrixRow.quick("B1", "we fill a device, stock is told the offset", DeviceRows::stockIsToldTheOffset),
            MatrixRow.quick("B2", "stock holds an area while we give others their names", DeviceRows::besideStock));

    private static final String DEVICE = "device";
    private static final int AREAS = 8;

    private DeviceRows() {}

    private static void stockIsToldTheOffset(Site site) throws IOException {
        fill(site);
        OurHost us = us(site);
        us.mustAcquire(R1);
        SanlockHost stock = stock(site);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
        us.mustRelease(R1);
        SanlockHost.Attempt held = stock.acquire(R1);
        assertThat(held.answer(SOON)).isEqualTo(HELD);
        assertThat(us.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
        held.release();
        us.acquireWithin(SOON, R1);
        long ghosts = stock.dump(DEVICE)
                .stdout()
                .lines()
                .filter(line -> line.contains("vmguard"))
                .count();
        site.saw(
                "each excludes the other at offset %d; sanlock's dump shows %d areas of ours", offset(site, 2), ghosts);
    }

    private static void besideStock(Site site) throws IOException {
        fill(site);
        OurHost us = us(site);
        us.mustAcquire(R1);
        us.mustRelease(R1);
        SanlockHost stock = stock(site);
        SanlockHost.Attempt held = stock.acquire(R1);
        assertThat(held.answer(SOON)).isEqualTo(HELD);
        for (int i = 2; i < AREAS; i++) {
            us.mustAcquire("R" + i);
        }
        stock.isAt("R2", DEVICE, offset(site, 3));
        assertThat(stock.acquire("R2").answer(SOON)).isEqualTo(IDLIVE);
        assertThat(us.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
        held.release();
        us.acquireWithin(SOON, R1);
        site.saw("%d areas named while stock held one; all held by us, then that too", AREAS - 2);
    }

    private static void fill(Site site) throws IOException {
        LeaseLayout layout = site.geometry().layout();
        try (RandomAccessFile file =
                new RandomAccessFile(site.leases().resolve(DEVICE).toFile(), "rw")) {
            file.setLength((AREAS + 1L) * layout.areaBytes());
        }
        assertThat(new LockspaceMaker(
                                new LeaseInspector(
                                        LeaseLocation.toLookAt(site.leases().resolve(DEVICE), site.clock)),
                                new LeaseLocation(
                                        site.leases().resolve(DEVICE),
                                        site.clock,
                                        new SecureRandom(),
                                        Duration.ofSeconds(5)))
                        .make(
                                new LeaseName(LS),
                                io.vmguard.lease.inspect.Geometry.all().stream()
                                        .filter(g -> g.sectorBytes() == layout.sectorBytes()
                                                && g.areaBytes() == layout.areaBytes())
                                        .findFirst()
                                        .orElseThrow(),
                                Site.TIMEOUTS,
                                Math.min(254, layout.maxHosts())))
                .isEmpty();
    }

    private static OurHost us(Site site) {
        OurHost us = site.closing(OurHost.open(
                site.leases().resolve(DEVICE), site.newLocal(), LS, Site.T, OptionalInt.of(OUR_ID), site.geometry()));
        us.join();
        us.awaitMember(SOON);
        return us;
    }

    private static SanlockHost stock(Site site) {
        SanlockHost stock = site.stock("stock");
        stock.isAt(LS, DEVICE, 0);
        stock.isAt(R1, DEVICE, offset(site, 2));
        stock.join(STOCK_ID);
        return stock;
    }

    private static long offset(Site site, int area) {
        return (long) area * site.geometry().areaBytes();
    }
}
