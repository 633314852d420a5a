/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Looks at lease areas without joining anything and without writing a byte; for tools, which explain what they see to people. One class
 * writes: who makes a lockspace must have looked before.
 */
@NullMarked
package io.vmguard.lease.inspect;

import org.jspecify.annotations.NullMarked;
