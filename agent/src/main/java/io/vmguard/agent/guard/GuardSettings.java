/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import java.time.Duration;

/**
 * What the guard is told.
 *
 * @param observe refuse and kill nothing, only say so
 * @param destroyUnprotected a domain found running whose disk is leased by somebody else is destroyed, not only reported
 * @param answerLimit how long a start may wait for its answer
 * @param destroyLimit how long libvirt gets to destroy a domain before SIGKILL
 * @param nodeName this host, as people know it
 */
public record GuardSettings(
        boolean observe, boolean destroyUnprotected, Duration answerLimit, Duration destroyLimit, String nodeName) {}
