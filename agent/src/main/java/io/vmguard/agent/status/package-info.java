/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One snapshot of the agent for status: what the API sends, the CLI prints and other programs read.
 */
@NullMarked
package io.vmguard.agent.status;

import org.jspecify.annotations.NullMarked;
