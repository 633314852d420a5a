/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import java.util.List;

/**
 * What the guard knows, for status.
 *
 * @param refused starts refused since the agent started; in mode observe: that would have been
 */
public record GuardView(List<DomainView> domains, long granted, long refused) {}
