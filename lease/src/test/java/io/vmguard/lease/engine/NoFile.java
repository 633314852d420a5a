/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.step.IoOutcome;
import java.time.Duration;

/** Stands where a simulated host has no file: the simulator does its I/O. */
enum NoFile implements LeaseFile {
    INSTANCE;

    @Override
    public IoOutcome read(long offsetBytes, int lengthBytes, Duration limit) {
        throw new AssertionError("the simulator does the I/O");
    }

    @Override
    public IoOutcome write(long offsetBytes, byte[] bytes, Duration limit) {
        throw new AssertionError("the simulator does the I/O");
    }

    @Override
    public boolean stillNamed() {
        return true;
    }

    @Override
    public void close() {}
}
