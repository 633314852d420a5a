/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.deadman;

import java.util.List;

/**
 * How it stands with the deadman, a moment ago.
 *
 * @param running it shows signs of life
 * @param listed how many processes it would kill
 * @param problems one sentence each on what it cannot do; empty if it guards everything that the agent guards
 */
public record DeadmanView(boolean running, int listed, List<String> problems) {
    public DeadmanView {
        problems = List.copyOf(problems);
    }
}
