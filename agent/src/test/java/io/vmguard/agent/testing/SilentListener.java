/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.Owner;
import java.util.Map;

/** News that do not arrive; who waits for some of them overrides these. */
public class SilentListener implements LockspaceListener {
    @Override
    public void joined(Owner owner, boolean resumed) {}

    @Override
    public void joinFailed(LeaseFault fault, String why) {}

    @Override
    public void renewalLate(String why) {}

    @Override
    public void renewalRecovered() {}

    @Override
    public void lost(LeaseFault fault, String why) {}

    @Override
    public void previousLifeLost(Map<LeaseName, LeaseUse> users) {}
}
