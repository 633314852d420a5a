/* SPDX-License-Identifier: Apache-2.0 */
/** What tests on real files need: a place that takes direct I/O, mounts, waiting with a limit. */
@NullMarked
package io.vmguard.lease.testing;

import org.jspecify.annotations.NullMarked;
