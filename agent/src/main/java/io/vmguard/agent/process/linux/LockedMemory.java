/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import com.sun.jna.Library;
import com.sun.jna.Native;
import java.util.Optional;

/** Keeps this process's memory out of swap, so that shortage of memory does not hold it up ({@code man 2 mlockall}). */
public final class LockedMemory {
    private static final int MCL_CURRENT = 1;
    private static final int MCL_FUTURE = 2;
    /** What the JVM only reserves does not become real by it. */
    private static final int MCL_ONFAULT = 4;

    private LockedMemory() {}

    interface Memory extends Library {
        int mlockall(int flags);
    }

    /** @return empty if it is locked; otherwise why not. What was locked before stays so */
    public static Optional<String> lock() {
        try {
            Memory memory = Native.load("c", Memory.class);
            return memory.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0
                    ? Optional.empty()
                    : Optional.of("mlockall failed with errno " + Native.getLastError());
        } catch (LinkageError e) {
            return Optional.of("mlockall cannot be called: " + e);
        }
    }
}
