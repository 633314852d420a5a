/* SPDX-License-Identifier: Apache-2.0 */
/** The bottom: names, timeouts, results and the face that callers see. Depends on nothing below it. */
@NullMarked
package io.vmguard.lease;

import org.jspecify.annotations.NullMarked;
