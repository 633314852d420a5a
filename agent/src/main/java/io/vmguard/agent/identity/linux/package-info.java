/* SPDX-License-Identifier: Apache-2.0 */
/** What this Linux host says of its storage. Named by the root and by nobody else. */
@NullMarked
package io.vmguard.agent.identity.linux;

import org.jspecify.annotations.NullMarked;
