/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.SanlockHost.HELD;
import static io.vmguard.test.Site.LS;
import static io.vmguard.test.Site.OUR_ID;
import static io.vmguard.test.Site.R1;
import static io.vmguard.test.Site.SOON;
import static io.vmguard.test.Site.STOCK_ID;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;

/** Rows F1 to F9: each side reads what the other writes, and refuses what is wrong with the same number. */
final class FormatRows {
    static final List<MatrixRow> ROWS = List.of(
            MatrixRow.quick("F1", "we decode and encode what stock daemons wrote", FormatRows::sameBytesBack),
            MatrixRow.quick("F2", "we initialise, stock joins and acquires", FormatRows::stockOnOurFiles),
            MatrixRow.quick("F3", "stock initialises, we join and acquire", FormatRows::weOnStockFiles),
            MatrixRow.quick("F4", "junk where nobody looks, both acquire", FormatRows::junkIsIgnored),
            MatrixRow.quick("F5", "bad disk block, both ask", FormatRows::badDiskBlock),
            MatrixRow.quick("F6", "bad leader, both ask", FormatRows::badLeader),
            MatrixRow.quick("F7", "short, missing and cleared, both ask", FormatRows::noLease),
            MatrixRow.quick("F8", "resource of the other geometry, both ask", FormatRows::otherGeometry),
            MatrixRow.quick("F9", "our note under stock operations", FormatRows::noteSurvives));

    private FormatRows() {}

    private static void sameBytesBack(Site site) {
        SanlockHost one = site.stockMember();
        SanlockHost two = site.stock("two");
        two.join(STOCK_ID + 1);
        SanlockHost.Attempt exclusive = one.acquire(R1);
        assertThat(exclusive.answer(SOON)).isEqualTo(HELD);
        int records = checkBytes(site);
        exclusive.release();
        SanlockHost.Attempt shared = two.acquireShared(R1);
        assertThat(shared.answer(SOON)).isEqualTo(HELD);
        SanlockHost.Attempt alsoShared = one.acquireShared(R1);
        assertThat(alsoShared.answer(SOON)).isEqualTo(HELD);
        records += checkBytes(site);
        shared.release();
        records += checkBytes(site);
        site.saw("%d records, byte for byte", records);
    }

    /** Every sector of both files that has a meaning. */
    private static int checkBytes(Site site) {
        LeaseLayout layout = site.geometry().layout();
        LeaseName lockspace = new LeaseName(LS);
        byte[] deltas = site.raw(LS).bytes();
        byte[] resource = site.raw(R1).bytes();
        for (int id = 1; id <= layout.maxHosts(); id++) {
            int delta = (int) layout.deltaOffset(id);
            same(LeaderRecord.decodeDelta(deltas, delta, lockspace), record -> record.sector(layout), deltas, delta);
            int block = (int) layout.diskBlockOffset(id);
            byte[] onDisk = Arrays.copyOfRange(resource, block, block + layout.sectorBytes());
            if (!Arrays.equals(onDisk, new byte[onDisk.length])) {
                same(DiskBlock.decode(resource, block), b -> b.sector(layout), resource, block);
            }
        }
        same(
                LeaderRecord.decodeResource(resource, 0, lockspace, new LeaseName(R1), 1),
                record -> record.sector(layout),
                resource,
                0);
        return 2 * layout.maxHosts() + 1;
    }

    private interface Encoder<T> {
        byte[] sector(T record);
    }

    private static <T> void same(Decoded<T> decoded, Encoder<T> encoder, byte[] area, int offset) {
        byte[] encoded = decoded.fold(encoder::sector, (fault, why) -> {
            throw new AssertionError("at offset " + offset + ": " + why);
        });
        assertThat(encoded)
                .as("sector at offset " + offset)
                .isEqualTo(Arrays.copyOfRange(area, offset, offset + encoded.length));
    }

    private static void stockOnOurFiles(Site site) {
        LeaseLayout layout = site.geometry().layout();
        OurHost us = site.us(OUR_ID);
        us.mustAcquire(R1);
        us.mustRelease(R1);
        us.close();
        SanlockHost stock = site.stock("stock");
        stock.join(STOCK_ID);
        SanlockHost.Attempt held = stock.acquire(R1);
        assertThat(held.answer(SOON)).isEqualTo(HELD);
        held.release();
        stock.leave(STOCK_ID);
        RawLease ourLockspace = site.raw(LS);
        RawLease ourResource = site.raw(R1);
        int numHosts = (int) ourResource.number(0, RawLease.NUM_HOSTS);

        Site theirs = site.closing(new Site(site.geometry()));
        SanlockHost founder = theirs.stock("founder");
        founder.initLockspace();
        founder.initResource(R1, numHosts);
        int last = layout.areaBytes() / layout.sectorBytes() - 1;
        // Since it was made, two hosts may have written their own sectors, and the leader; we keep notes in the last
        // one.
        int compared = same(ourLockspace, theirs.raw(LS), ourLockspace.deltaSector(OUR_ID), STOCK_ID - 1, last)
                + same(ourResource, theirs.raw(R1), 0, OUR_ID + 1, ourResource.blockSector(STOCK_ID), last);
        site.saw(
                "stock joined and acquired; %d untouched sectors as sanlock makes them for %d hosts",
                compared, numHosts);
    }

    /** Compares two files, without the sectors that may differ. */
    private static int same(RawLease ours, RawLease theirs, int... without) {
        byte[] our = ours.bytes();
        byte[] their = theirs.bytes();
        int size = ours.sector(0).length;
        int compared = 0;
        for (int i = 0; i < our.length / size; i++) {
            int sector = i;
            if (Arrays.stream(without).noneMatch(w -> w == sector)) {
                byte[] expected = Arrays.copyOfRange(their, i * size, (i + 1) * size);
                if (expected[0] == 0x11 && expected[3] == 0x08) {
                    // A request record of sanlock's own has a few bytes of whatever was in its memory.
                    Arrays.fill(expected, 20, 24, (byte) 0);
                }
                assertThat(Arrays.copyOfRange(our, i * size, (i + 1) * size))
                        .as("sector " + i)
                        .isEqualTo(expected);
                compared++;
            }
        }
        return compared;
    }

    private static void weOnStockFiles(Site site) {
        site.stockFounder();
        OurHost us = site.us();
        long lver = us.mustAcquire(R1).lease().lver();
        us.mustRelease(R1);
        site.saw("joined as %s, acquired version %d", us.owner(), lver);
    }

    private static void junkIsIgnored(Site site) {
        SanlockHost stock = site.stockMember();
        LeaseLayout layout = site.geometry().layout();
        int sector = site.geometry().sectorBytes();
        Random random = new Random(4);
        RawLease resource = site.raw(R1);
        long block = layout.diskBlockOffset(200);
        resource.write(block + 56, junk(random, 128 - 56));
        resource.write(block + 132, junk(random, 4));
        resource.write(block + 144, junk(random, sector - 144));
        resource.write(layout.requestOffset() + 20, junk(random, sector - 20));
        int unused = 0;
        // The last sector is for our notes; the one before the others may be the lock value block.
        for (int i = layout.maxHosts() + 3; i < layout.areaBytes() / sector - 1; i++, unused++) {
            resource.write((long) i * sector, junk(random, sector));
        }
        for (int i = layout.maxHosts(); i < layout.areaBytes() / sector - 1; i++, unused++) {
            site.raw(LS).write((long) i * sector, junk(random, sector));
        }

        OurHost us = site.us();
        us.mustAcquire(R1);
        us.mustRelease(R1);
        SanlockHost.Attempt held = stock.acquire(R1);
        assertThat(held.answer(SOON)).isEqualTo(HELD);
        held.release();
        us.acquireWithin(SOON, R1);
        site.saw("acquired by both with junk in a block, the request record and %d unused sectors", unused);
    }

    private static byte[] junk(Random random, int length) {
        byte[] junk = new byte[length];
        random.nextBytes(junk);
        return junk;
    }

    private static void badDiskBlock(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us();
        site.raw(R1).write(site.geometry().layout().diskBlockOffset(200), new byte[] {1});
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(LeaseFault.DBLOCK_CHECKSUM.code());
        String why = us.mustNotTell(LeaseFault.DBLOCK_CHECKSUM, R1).why();
        assertThat(why).contains(site.leases().resolve(R1).toString(), "host id 200");
        site.saw("stock -214, we -214: %s", why.replace(site.leases().toString(), "..."));
    }

    private static void badLeader(Site site) throws IOException {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        byte[] sound = site.raw(R1).bytes();
        Map<LeaseFault, Consumer<RawLease.Leader>> damages = new LinkedHashMap<>();
        damages.put(
                LeaseFault.MAGIC,
                leader -> leader.word(RawLease.MAGIC, 0x12345678).writeSealed());
        damages.put(
                LeaseFault.VERSION,
                leader -> leader.word(RawLease.VERSION, 0x00070004).writeSealed());
        damages.put(
                LeaseFault.LOCKSPACE,
                leader -> leader.text(RawLease.SPACE_NAME, "OTHER").writeSealed());
        damages.put(
                LeaseFault.RESOURCE,
                leader -> leader.text(RawLease.RESOURCE_NAME, "OTHER").writeSealed());
        damages.put(
                LeaseFault.NUM_HOSTS,
                leader -> leader.number(RawLease.NUM_HOSTS, 8).writeSealed());
        damages.put(
                LeaseFault.CHECKSUM, leader -> leader.number(RawLease.LVER, 5).writeUnsealed());
        List<Integer> codes = new ArrayList<>();
        for (Map.Entry<LeaseFault, Consumer<RawLease.Leader>> damage : damages.entrySet()) {
            Files.write(site.leases().resolve(R1), sound);
            damage.getValue().accept(site.raw(R1).leader(0));
            byte[] before = site.raw(R1).bytes();
            age(site, R1);
            assertThat(stock.acquire(R1).answer(SOON))
                    .as("sanlock on " + damage.getKey())
                    .isEqualTo(damage.getKey().code());
            us.mustNotTell(damage.getKey(), R1);
            assertThat(site.raw(R1).bytes()).as("nobody writes").isEqualTo(before);
            codes.add(damage.getKey().code());
        }
        site.saw("both sides %s", codes);
    }

    /** As if made an hour ago: we give a young file time to be finished by its creator. */
    private static void age(Site site, String resource) throws IOException {
        long hourAgo = site.clock.wallSeconds() - 3600;
        Files.setLastModifiedTime(
                site.leases().resolve(resource), FileTime.from(hourAgo, java.util.concurrent.TimeUnit.SECONDS));
    }

    private static void noLease(Site site) throws IOException {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us();
        Files.write(site.leases().resolve("short"), new byte[site.geometry().sectorBytes()]);
        age(site, "short");
        assertThat(stock.acquire("short").answer(SOON)).isEqualTo(LeaseFault.SHORT.code());
        us.mustNotTell(LeaseFault.SHORT, "short");

        assertThat(stock.acquire("missing").answer(SOON)).isEqualTo(LeaseFault.MISSING.code());
        us.mustAcquire("missing"); // ours makes what is not there

        stock.initResource("cleared");
        stock.clearResource("cleared");
        age(site, "cleared");
        assertThat(stock.acquire("cleared").answer(SOON)).isEqualTo(LeaseFault.MAGIC.code());
        us.mustNotTell(LeaseFault.MAGIC, "cleared");
        site.saw("short: both -90; missing: stock -2, we make it; cleared: both -223");
    }

    private static void otherGeometry(Site site) throws IOException {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us();
        Geometry other = site.geometry().other();
        byte[] area = LeaseArea.resource(
                other.layout(),
                new LeaseName(LS),
                new LeaseName("other"),
                other.layout().maxHosts());
        Files.write(site.leases().resolve("other"), area);

        assertThat(us.mustNotTell(LeaseFault.GEOMETRY, "other").undetermined()).isFalse();
        assertThat(Files.readAllBytes(site.leases().resolve("other"))).isEqualTo(area);
        assertThat(stock.acquire("other").answer(SOON)).isEqualTo(LeaseFault.DBLOCK_CHECKSUM.code());
        site.saw("we -225 and write nothing; stock -214");
    }

    private static void noteSurvives(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us();
        us.mustAcquire(R1);
        int last = site.geometry().areaBytes() / site.geometry().sectorBytes() - 1;
        RawLease resource = site.raw(R1);
        byte[] none = new byte[site.geometry().sectorBytes()];
        // It follows the answer, so it may take a moment.
        Eventually.await("our note", SOON, () -> !Arrays.equals(resource.sector(last), none));
        byte[] note = resource.sector(last);
        assertThat(entries(stock.dump(R1)))
                .as("one leader, our block, no ghost")
                .hasSizeBetween(1, 2);

        us.mustRelease(R1);
        SanlockHost.Attempt exclusive = stock.acquire(R1);
        assertThat(exclusive.answer(SOON)).isEqualTo(HELD);
        assertThat(exclusive.convert(true)).isZero();
        assertThat(exclusive.convert(false)).isZero();
        exclusive.release();
        SanlockHost.Attempt shared = stock.acquireShared(R1);
        assertThat(shared.answer(SOON)).isEqualTo(HELD);
        shared.release();

        assertThat(resource.sector(last)).isEqualTo(note);
        Ran dump = stock.dump(R1);
        assertThat(dump.output()).doesNotContain("ERROR", "invalid");
        assertThat(entries(dump)).noneMatch(entry -> entry.startsWith("000ff") || entry.startsWith("000fe"));
        Ran lockspace = stock.dump(LS);
        assertThat(entries(lockspace))
                .hasSize(2)
                .anyMatch(e -> e.contains(us.view().hostName()));
        site.saw("note intact after 5 stock operations; dump shows no ghost");
    }

    /** Lines of a dump below its heading. */
    private static List<String> entries(Ran dump) {
        return dump.stdout().lines().skip(1).toList();
    }
}
