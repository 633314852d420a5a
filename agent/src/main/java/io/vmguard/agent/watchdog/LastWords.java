/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog;

/** Leaves word of an impending reset where somebody finds it afterwards. Never blocks, never throws. */
@FunctionalInterface
public interface LastWords {
    /** @param text one line */
    void say(String text);
}
