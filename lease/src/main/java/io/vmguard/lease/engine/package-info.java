/* SPDX-License-Identifier: Apache-2.0 */
/** The engine for real machines: threads, files, the local record, and the rule that a late membership is lost. */
@NullMarked
package io.vmguard.lease.engine;

import org.jspecify.annotations.NullMarked;
