/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

/**
 * One row of the interoperability matrix, in one direction.
 *
 * @param id as in the matrix: {@code E13b}
 * @param direction who does what to whom
 * @param waitsUntilDead whether it takes the time after which a silent host is dead, 68 s or more
 */
record MatrixRow(String id, String direction, boolean waitsUntilDead, Body body) {
    /** What is done, on files of its own; it says what it saw, and throws if that is not what the matrix wants. */
    interface Body {
        void run(Site site) throws Exception;
    }

    static MatrixRow quick(String id, String direction, Body body) {
        return new MatrixRow(id, direction, false, body);
    }

    static MatrixRow slow(String id, String direction, Body body) {
        return new MatrixRow(id, direction, true, body);
    }
}
