/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the agent leaves for the deadman, its second process: until when the leases are good, and which processes to kill after that.
 * The format is docs/runtime-files.md. Only the composition root wires it.
 */
@NullMarked
package io.vmguard.agent.deadman;

import org.jspecify.annotations.NullMarked;
