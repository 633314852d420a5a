/* SPDX-License-Identifier: Apache-2.0 */
/** What the packages install beside the executable and make from its commands: manual pages, and what shells complete. */
@NullMarked
package io.vmguard.agent.manual;

import org.jspecify.annotations.NullMarked;
