/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The first minutes on a host: what has to be changed, said before it is done, and done step by step.
 */
@NullMarked
package io.vmguard.agent.setup;

import org.jspecify.annotations.NullMarked;
