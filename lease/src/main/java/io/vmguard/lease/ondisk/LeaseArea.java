/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.LeaseName;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The bytes of whole new areas. */
public final class LeaseArea {
    private static final int REQUEST_MAGIC = 0x08292011;
    private static final int REQUEST_VERSION = 0x00010001;

    private LeaseArea() {}

    /** A new lockspace: every delta lease free. */
    public static byte[] lockspace(LeaseLayout layout, LeaseName name, int ioTimeoutSeconds) {
        byte[] area = new byte[layout.areaBytes()];
        byte[] free = LeaderRecord.freeDelta(layout, name, ioTimeoutSeconds).sector(layout);
        for (int id = 1; id <= layout.maxHosts(); id++) {
            System.arraycopy(free, 0, area, (int) layout.deltaOffset(id), free.length);
        }
        return area;
    }

    /** A new resource: free, no request, no ballots. */
    public static byte[] resource(LeaseLayout layout, LeaseName lockspace, LeaseName name, int numHosts) {
        byte[] area = new byte[layout.areaBytes()];
        byte[] leader =
                LeaderRecord.freeResource(layout, lockspace, name, numHosts).sector(layout);
        System.arraycopy(leader, 0, area, (int) layout.leaderOffset(), leader.length);
        ByteBuffer request = ByteBuffer.wrap(area).order(ByteOrder.LITTLE_ENDIAN);
        request.putInt((int) layout.requestOffset(), REQUEST_MAGIC);
        request.putInt((int) layout.requestOffset() + 4, REQUEST_VERSION);
        return area;
    }
}
