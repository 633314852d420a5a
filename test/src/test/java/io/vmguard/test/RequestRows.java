/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.SanlockHost.HELD;
import static io.vmguard.test.SanlockHost.IDLIVE;
import static io.vmguard.test.Site.OUR_ID;
import static io.vmguard.test.Site.R1;
import static io.vmguard.test.Site.SOON;
import static io.vmguard.test.Site.STOCK_ID;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.RequestResult;
import io.vmguard.lease.ondisk.LeaderRecord;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;

/** Rows Q1 to Q5: requests, lock value blocks, libvirt's own lock manager, the making of files. */
final class RequestRows {
    static final List<MatrixRow> ROWS = List.of(
            MatrixRow.quick("Q1", "stock requests what we hold", RequestRows::stockRequests),
            MatrixRow.quick("Q2", "we request by force what stock holds", RequestRows::weForce),
            MatrixRow.quick("Q2", "we request in order what stock holds", RequestRows::weAskInOrder),
            MatrixRow.quick("Q2b", "we are to request what may not be", RequestRows::refusedRequests),
            MatrixRow.quick("Q3", "stock's lock value block beside our note", RequestRows::lockValueBlock),
            MatrixRow.quick("Q4", "libvirt with sanlock and we, one disk path", RequestRows::libvirtWithSanlock),
            MatrixRow.quick("Q5", "we make files while others look", RequestRows::neverUninitialised),
            MatrixRow.quick("Q5", "a stock host makes a file while we ask", RequestRows::waitsForTheCreator));

    private RequestRows() {}

    private static void stockRequests(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        us.mustAcquire(R1);
        Site.awaitStatus(stock, OUR_ID, "LIVE");
        assertThat(stock.requestByForce(R1)).isZero();
        long from = site.clock.bootNanos();
        us.awaitEvent("requested " + R1 + " FORCE", SOON);
        double seconds = site.secondsSince(from);
        // What a user of ours would do.
        us.mustRelease(R1);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw("we are told after %.1f s, give it up, stock acquires", seconds);
    }

    private static void weForce(Site site) {
        request(site, RequestMode.FORCE);
    }

    private static void weAskInOrder(Site site) {
        request(site, RequestMode.GRACEFUL);
    }

    private static void request(Site site, RequestMode mode) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        Site.awaitStatus(us, STOCK_ID, HostStatus.LIVE);
        SanlockHost.Attempt theirs = stock.acquire(R1);
        assertThat(theirs.answer(SOON)).isEqualTo(HELD);
        RequestResult result = us.request(R1, mode);
        assertThat(result).isInstanceOf(RequestResult.Asked.class);
        assertThat(((RequestResult.Asked) result).holder().hostId()).isEqualTo(STOCK_ID);
        long from = site.clock.bootNanos();
        Eventually.await("stock to end the user of its lease", SOON, theirs::ended);
        double seconds = site.secondsSince(from);
        us.acquireWithin(SOON, R1);
        assertThat(stock.run("sanlock", "client", "status").mustSucceed().stdout())
                .as("the daemon itself is well")
                .contains("daemon");
        site.saw("its user ended after %.1f s, then ours", seconds);
    }

    private static void refusedRequests(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        Site.awaitStatus(us, STOCK_ID, HostStatus.LIVE);
        RawLease resource = site.raw(R1);
        byte[] before = resource.sector(1);
        assertThat(us.request(R1, RequestMode.FORCE)).isInstanceOf(RequestResult.Free.class);
        SanlockHost.Attempt shared = stock.acquireShared(R1);
        assertThat(shared.answer(SOON)).isEqualTo(HELD);
        assertThat(us.request(R1, RequestMode.FORCE))
                .as("shared: the leader is free")
                .isInstanceOf(RequestResult.Free.class);

        // The state that kills a stock daemon: a leader of its own beside its own mark.
        resource.leader(0)
                .number(RawLease.TIMESTAMP, site.clock.monotonicSeconds())
                .number(RawLease.OWNER_ID, STOCK_ID)
                .number(RawLease.OWNER_GENERATION, 1)
                .writeSealed();
        assertThat(us.request(R1, RequestMode.FORCE)).isInstanceOf(RequestResult.Refused.class);
        assertThat(resource.sector(1)).as("the request record").isEqualTo(before);

        // Somebody asks for a later version already.
        resource.leader(0).number(RawLease.TIMESTAMP, 0).writeSealed();
        shared.release();
        SanlockHost.Attempt theirs = stock.acquire(R1);
        assertThat(theirs.answer(SOON)).isEqualTo(HELD);
        ByteBuffer later = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(0, 99);
        resource.write(site.geometry().layout().requestOffset() + 8, later.array());
        byte[] asked = resource.sector(1);
        assertThat(us.request(R1, RequestMode.FORCE)).isInstanceOf(RequestResult.Refused.class);
        assertThat(resource.sector(1)).isEqualTo(asked);
        assertThat(theirs.answer()).hasValue(HELD);
        site.saw("free, shared, marked, later version: refused, the request record unchanged");
    }

    private static void lockValueBlock(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        us.mustAcquire(R1);
        RawLease resource = site.raw(R1);
        int last = site.geometry().areaBytes() / site.geometry().sectorBytes() - 1;
        byte[] none = new byte[site.geometry().sectorBytes()];
        Eventually.await("our note", SOON, () -> !Arrays.equals(resource.sector(last), none));
        us.mustRelease(R1);
        byte[] note = resource.sector(last);

        String lease = stock.resourceTuple(R1);
        stock.python(
                        "fd = sanlock.register(); sanlock.acquire(%1$s, slkfd=fd, lvb=True);"
                                + " sanlock.set_lvb(%1$s, b'value'); sanlock.release(%1$s, slkfd=fd)",
                        lease)
                .mustSucceed();
        us.acquireWithin(SOON, R1);
        us.mustRelease(R1);
        Ran read = stock.python(
                        "fd = sanlock.register(); sanlock.acquire(%1$s, slkfd=fd, lvb=True);"
                                + " print(sanlock.get_lvb(%1$s, 5)); sanlock.release(%1$s, slkfd=fd)",
                        lease)
                .mustSucceed();
        assertThat(read.stdout()).contains("value");
        assertThat(resource.sector(last)[4]).as("our note").isEqualTo(note[4]);
        long size = site.leases().resolve(R1).toFile().length();
        site.saw("both intact; the file has %d bytes", size);
    }

    private static void libvirtWithSanlock(Site site) {
        if (site.geometry() != Geometry.SECTORS_512) {
            site.saw("not applicable: libvirt's plug-in makes 512/1M and nothing else");
            return;
        }
        String lockspace = "__LIBVIRT__DISKS__";
        String lease = "9f6c72b18849d8810c8fe450b786e262"; // md5 of the path
        SharedDir images = site.closing(SharedDir.create("images"));
        TestHost libvirt = site.closing(TestHost.named("libvirt")
                .bind(site.leases(), "/leases")
                .bind(images, "/images")
                .start());
        libvirt.sh("""
                printf '%s\\n' 'auto_disk_leases = 1' 'host_id = 1' 'io_timeout = 1' 'disk_lease_dir = "/leases"' \\
                    >/etc/libvirt/qemu-sanlock.conf
                echo 'lock_manager = "sanlock"' >>/etc/libvirt/qemu.conf
                systemctl start sanlock && systemctl restart libvirtd && testhost-ready 60
                test-guest make /images/vm1.img""").mustSucceed();
        OurHost us = site.closing(
                OurHost.open(site.leases().path(), site.newLocal(), lockspace, Site.T, OptionalInt.of(OUR_ID)));
        Eventually.await(
                "libvirt's lockspace", SOON, () -> Files.exists(site.leases().resolve(lockspace)));
        us.join();
        us.awaitMember(SOON);

        us.mustAcquire(lease);
        Ran refused = libvirt.createDomain("demo1", "--file", "/images/vm1.img").mustFail();
        us.mustRelease(lease);
        libvirt.createDomain("demo1", "--file", "/images/vm1.img").mustSucceed();
        AcquireResult.HeldBy by = us.mustBeRefused(lease);
        assertThat(by.owner().hostId()).isEqualTo(1);
        libvirt.virsh("destroy", "demo1").mustSucceed();
        us.acquireWithin(SOON, lease);
        site.saw(
                "its start refused (%s); ours refused while it runs",
                refused.stderr().strip().lines().reduce("", (first, last) -> last));
    }

    private static void neverUninitialised(Site site) throws IOException {
        site.stockFounder();
        OurHost us = site.us(OUR_ID);
        CountDownLatch over = new CountDownLatch(1);
        CompletableFuture<Integer> watcher = CompletableFuture.supplyAsync(() -> watch(site, over));
        int files = 30;
        for (int i = 0; i < files; i++) {
            us.mustAcquire("made-" + i);
        }
        over.countDown();
        int looks = watcher.join();
        assertThat(looks).isPositive();
        try (var names = Files.list(site.leases().path())) {
            assertThat(names).noneMatch(name -> name.getFileName().toString().endsWith(".tmp"));
        }
        site.saw("%d files made, %d looks at them, none saw one unfinished", files, looks);
    }

    /** Looks at every lease file again and again; how often. */
    private static int watch(Site site, CountDownLatch over) {
        int looks = 0;
        while (over.getCount() > 0) {
            try (var names = Files.list(site.leases().path())) {
                for (Path file : names.filter(n -> n.getFileName().toString().startsWith("made-"))
                        .toList()) {
                    byte[] head = new byte[LeaderRecord.BYTES];
                    try (var in = Files.newInputStream(file)) {
                        assertThat(in.readNBytes(head, 0, head.length)).isEqualTo(head.length);
                    }
                    assertThat(LeaderRecord.at(head, 0).magic()).isEqualTo(LeaderRecord.PAXOS_MAGIC);
                    assertThat(Files.size(file)).isEqualTo(site.geometry().areaBytes());
                    looks++;
                }
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        }
        return looks;
    }

    private static void waitsForTheCreator(Site site) throws IOException {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        Path go = site.leases().resolve("go");
        Path ready = site.leases().resolve("ready");
        Running creator = stock.spawnInitResource("slow", ready.getFileName(), go.getFileName());
        Eventually.await("the creator to be ready", SOON, () -> Files.exists(ready));
        // As libvirt does it: the name first, the bytes later.
        Path file = Files.createFile(site.leases().resolve("slow"));
        CompletableFuture<AcquireResult> ours = CompletableFuture.supplyAsync(() -> us.acquire("slow"));
        Files.write(file, new byte[site.geometry().areaBytes()]);
        assertThat(ours).isNotDone();
        Files.createFile(go);
        creator.awaitEnd(SOON).mustSucceed();
        assertThat(ours.join()).isInstanceOf(AcquireResult.Acquired.class);
        assertThat(stock.acquire("slow").answer(SOON)).isEqualTo(IDLIVE);
        site.saw("we wait for its creator, then acquire");
    }
}
