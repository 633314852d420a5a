/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * A message to wdmd, or its answer; host byte order.
 *
 * <pre>
 *   0 u32 magic, ignored      4 u32 command         8 u32 length, ignored    12 u32 flags, ignored
 *  16 u32 test interval      20 u32 fire timeout   24 u64 last keepalive     in answers
 *  32 u64 renewal            40 u64 expire                                   TEST_LIVE; seconds of CLOCK_MONOTONIC
 *  48     name, 128 bytes, zero padded                                       REGISTER
 * </pre>
 *
 * @param fireTimeout seconds from the last feeding of its device to the reset
 * @param lastKeepalive seconds of CLOCK_MONOTONIC
 */
record WdmdMessage(int command, int fireTimeout, long lastKeepalive, long renewal, long expire, String name) {
    static final int BYTES = 176;

    static final int REGISTER = 1;
    static final int REFCOUNT_SET = 2;
    static final int REFCOUNT_CLEAR = 3;
    static final int TEST_LIVE = 4;
    static final int STATUS = 5;
    /** Of newer ones only; older ones do not answer it. */
    static final int OPEN_WATCHDOG = 7;

    private static final int MAX_NAME_BYTES = 127;

    static WdmdMessage of(int command) {
        return new WdmdMessage(command, 0, 0, 0, 0, "");
    }

    static WdmdMessage register(String name) {
        return new WdmdMessage(REGISTER, 0, 0, 0, 0, name);
    }

    /** @param expireSeconds 0 ends the supervision */
    static WdmdMessage testLive(long renewalSeconds, long expireSeconds) {
        return new WdmdMessage(TEST_LIVE, 0, 0, renewalSeconds, expireSeconds, "");
    }

    static WdmdMessage openWatchdog(int fireTimeoutSeconds) {
        return new WdmdMessage(OPEN_WATCHDOG, fireTimeoutSeconds, 0, 0, 0, "");
    }

    byte[] encode() {
        ByteBuffer out = ByteBuffer.allocate(BYTES).order(ByteOrder.nativeOrder());
        out.putInt(4, command).putInt(20, fireTimeout).putLong(24, lastKeepalive);
        out.putLong(32, renewal).putLong(40, expire);
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        out.put(48, text, 0, Math.min(text.length, MAX_NAME_BYTES));
        return out.array();
    }

    static WdmdMessage decode(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(Arrays.copyOf(bytes, BYTES)).order(ByteOrder.nativeOrder());
        String name = new String(bytes, 48, 128, StandardCharsets.UTF_8).replaceFirst("\0.*", "");
        return new WdmdMessage(in.getInt(4), in.getInt(20), in.getLong(24), in.getLong(32), in.getLong(40), name);
    }
}
