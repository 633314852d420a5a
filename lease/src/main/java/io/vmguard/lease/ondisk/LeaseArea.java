/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.LeaseName;

/** The bytes of whole new areas. */
public final class LeaseArea {
    private LeaseArea() {}

    /** A new lockspace under rules of its own. Under the stock rules it is what sanlock makes, byte for byte. */
    public static byte[] lockspace(LeaseLayout layout, LeaseName name, int ioTimeoutSeconds, LockspaceRules rules) {
        byte[] area = lockspace(layout, name, ioTimeoutSeconds);
        if (!rules.equals(LockspaceRules.stock(layout))) {
            byte[] sector = rules.sector(layout);
            System.arraycopy(sector, 0, area, (int) layout.noteOffset(), sector.length);
        }
        return area;
    }

    /** A new lockspace under the stock rules: every delta lease free. */
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
        byte[] request = RequestRecord.NONE.sector(layout);
        System.arraycopy(request, 0, area, (int) layout.requestOffset(), request.length);
        return area;
    }
}
