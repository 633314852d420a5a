/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/** How a holder is asked to give a resource up. */
public enum RequestMode {
    /** At once: a stock holder is killed. */
    FORCE(1),
    /** In order: a stock holder's own way of stopping is used. */
    GRACEFUL(2);

    private final int code;

    RequestMode(int code) {
        this.code = code;
    }

    /** As on disk. */
    public int code() {
        return code;
    }
}
