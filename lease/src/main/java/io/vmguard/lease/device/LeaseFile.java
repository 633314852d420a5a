/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device;

import io.vmguard.lease.step.IoOutcome;
import java.time.Duration;

/**
 * One open lease file: direct, synchronous, whole sectors.
 *
 * <p>Calls block until the I/O has ended, however long that takes: storage that hangs hangs the calling thread, and a write that was
 * begun is never "given up". So two writes to one sector are never under way at once, and a timed-out write has landed or failed by
 * the time anybody hears of it. Deadlines are watched by threads that do no I/O.
 */
public interface LeaseFile extends AutoCloseable {
    /**
     * Reads whole sectors.
     *
     * @param limit an I/O that took longer is reported as timed out, even though it ended
     */
    IoOutcome read(long offsetBytes, int lengthBytes, Duration limit);

    /** Writes exactly these bytes; durable on return of {@link IoOutcome.Done}. */
    IoOutcome write(long offsetBytes, byte[] bytes, Duration limit);

    /**
     * Whether the name under which it was opened still leads to this very file. Tools of others remove lease files that look unused;
     * a lease on a removed file excludes nobody.
     *
     * @return false in every doubt
     */
    boolean stillNamed();

    @Override
    void close();
}
