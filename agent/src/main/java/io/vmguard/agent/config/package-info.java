/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The agent's settings: one YAML file in, one immutable record out, or every problem of the file at once. Nothing else
 * in the agent knows keys, defaults or limits. Used by the composition root and the command line.
 */
@NullMarked
package io.vmguard.agent.config;

import org.jspecify.annotations.NullMarked;
