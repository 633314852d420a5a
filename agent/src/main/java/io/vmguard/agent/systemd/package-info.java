/* SPDX-License-Identifier: Apache-2.0 */
/** What the agent tells the service manager. The composition root uses it. */
@NullMarked
package io.vmguard.agent.systemd;

import org.jspecify.annotations.NullMarked;
