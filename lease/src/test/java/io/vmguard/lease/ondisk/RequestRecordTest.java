/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A request and the bit that announces it, as a real daemon writes them. */
class RequestRecordTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;

    @Test
    void theDaemonsRequestIsReadAndWrittenAgain() {
        byte[] golden = Vectors.sector("s512/14-request-force.resource.off-000200");
        assertThat(RequestRecord.decode(golden, 0)).isEqualTo(new Decoded.Valid<>(new RequestRecord(4, 1)));
        assertThat(new RequestRecord(4, 1).sector(LAYOUT)).isEqualTo(golden);
    }

    @Test
    void aRecordIsReadWhereItLies() {
        byte[] area = LeaseArea.resource(LAYOUT, new LeaseName("space"), new LeaseName("res"), 8);
        assertThat(RequestRecord.decode(area, 512)).isEqualTo(new Decoded.Valid<>(RequestRecord.NONE));
        assertThat(RequestRecord.decode(area, 0)).isInstanceOf(Decoded.Corrupt.class);
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0x12, REQUEST_MAGIC, magic 0x08292012",
        "3, 0x00, REQUEST_MAGIC, magic 0x00292011",
        "6, 0x02, REQUEST_VERSION, major version 2",
        "7, 0x01, REQUEST_VERSION, major version 257",
    })
    void whatIsNoRequestIsSaidToBeNone(int offset, String value, LeaseFault fault, String why) {
        byte[] sector = new RequestRecord(4, 1).sector(LAYOUT);
        sector[offset] = Byte.decode(value);
        Decoded<RequestRecord> decoded = RequestRecord.decode(sector, 0);
        assertThat(decoded).isInstanceOf(Decoded.Corrupt.class);
        assertThat(((Decoded.Corrupt<RequestRecord>) decoded).fault()).isEqualTo(fault);
        assertThat(((Decoded.Corrupt<RequestRecord>) decoded).why()).contains(why);
    }

    @Test
    void aMinorVersionAndPaddingDoNotMatter() {
        byte[] sector = new RequestRecord(4, 2).sector(LAYOUT);
        sector[4] = 9;
        sector[20] = 77;
        assertThat(RequestRecord.decode(sector, 0)).isEqualTo(new Decoded.Valid<>(new RequestRecord(4, 2)));
    }

    @ParameterizedTest
    @CsvSource({"1, 256, 1", "2, 256, 2", "4, 256, 8", "8, 256, 128", "9, 257, 1", "2000, 505, 128"})
    void eachHostHasItsBit(long host, int offset, int bit) {
        byte[] sector = new byte[512];
        HostBitmap.mark(sector, Set.of(host));
        byte[] wanted = new byte[512];
        wanted[offset] = (byte) bit;
        assertThat(sector).isEqualTo(wanted);
        byte[] area = new byte[1024];
        System.arraycopy(sector, 0, area, 512, 512);
        for (long other = 1; other <= 2000; other++) {
            assertThat(HostBitmap.isMarked(area, 512, other)).isEqualTo(other == host);
        }
    }

    @Test
    void theDaemonsBitsAreThese() {
        assertThat(HostBitmap.isMarked(Vectors.sector("s512/14-request-force.lockspace.off-000000"), 0, 2))
                .isTrue();
        assertThat(HostBitmap.isMarked(Vectors.sector("s512/15-host-event.lockspace.off-000000"), 0, 4))
                .isTrue();
    }

    @Test
    void marksAreAddedToThoseThatAreThere() {
        byte[] sector = new byte[512];
        HostBitmap.mark(sector, Set.of(2L));
        HostBitmap.mark(sector, Set.of(2L, 4L));
        assertThat(sector[256]).isEqualTo((byte) 0x0A);
    }
}
