/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.location;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.step.IoOutcome;
import java.time.Duration;

/** One area of an open device, as if it were a file of its own: what lies outside of it cannot be reached. */
final class AreaFile implements LeaseFile {
    private final LeaseFile device;
    private final long base;
    private final int areaBytes;

    /** @param device closed with this */
    AreaFile(LeaseFile device, long base, int areaBytes) {
        this.device = device;
        this.base = base;
        this.areaBytes = areaBytes;
    }

    @Override
    public IoOutcome read(long offsetBytes, int lengthBytes, Duration limit) {
        return isInside(offsetBytes, lengthBytes)
                ? device.read(base + offsetBytes, lengthBytes, limit)
                : outside(offsetBytes, lengthBytes);
    }

    @Override
    public IoOutcome write(long offsetBytes, byte[] bytes, Duration limit) {
        return isInside(offsetBytes, bytes.length)
                ? device.write(base + offsetBytes, bytes, limit)
                : outside(offsetBytes, bytes.length);
    }

    private boolean isInside(long offset, int length) {
        return offset >= 0 && offset + length <= areaBytes;
    }

    private IoOutcome outside(long offset, int length) {
        return new IoOutcome.Failed(
                LeaseFault.SHORT, length + " bytes at offset " + offset + " are not in an area of " + areaBytes);
    }

    @Override
    public boolean stillNamed() {
        return device.stillNamed();
    }

    @Override
    public void close() {
        device.close();
    }
}
