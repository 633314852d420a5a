/* SPDX-License-Identifier: Apache-2.0 */
/** How a protocol machine talks to the world: it asks for one read, write or pause at a time and is told the outcome. No I/O, no clock, no thread, so that a simulator can run the shipping machines. */
@NullMarked
package io.vmguard.lease.step;

import org.jspecify.annotations.NullMarked;
