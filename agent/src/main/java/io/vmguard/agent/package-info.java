/* SPDX-License-Identifier: Apache-2.0 */
/** The composition root: wires everything below by hand and decides nothing. */
@NullMarked
package io.vmguard.agent;

import org.jspecify.annotations.NullMarked;
