/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.domain.DomainSpec;

/** Which leases a domain needs. Any thread; answers, with refusals if need be, and does not throw. */
@FunctionalInterface
public interface DomainLeases {

    Derivation derive(DomainSpec domain);
}
