/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.Refusal;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.domain.OnLockFailure;
import io.vmguard.agent.hypervisor.ActiveDomain;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.ListResult;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** Lists the active domains and derives their leases. Blocks within limits; not for the guard's thread. */
public final class ActiveDomains {
    private static final Duration LIMIT = Duration.ofSeconds(10);

    private final Hypervisor hypervisor;
    private final DomainLeases leases;

    public ActiveDomains(Hypervisor hypervisor, DomainLeases leases) {
        this.hypervisor = hypervisor;
        this.leases = leases;
    }

    /** @return empty if libvirt does not say */
    Optional<List<ListedDomain>> list() {
        ListResult result = hypervisor.listActive(LIMIT);
        return result.fold(
                listed ->
                        Optional.of(listed.domains().stream().map(this::derived).toList()),
                cannotTell -> Optional.empty());
    }

    private ListedDomain derived(ActiveDomain domain) {
        try {
            DomainSpec spec = DomainXml.parse(domain.xml());
            return new ListedDomain(
                    domain.uuid(), domain.name(), leases.derive(spec), spec.onLockFailure(), domain.xml());
        } catch (DomainXmlException e) {
            Refusal refusal = new Refusal(domain.name(), "its XML cannot be read: " + e.reason());
            return new ListedDomain(
                    domain.uuid(),
                    domain.name(),
                    new Derivation(List.of(), List.of(), List.of(refusal)),
                    OnLockFailure.UNSAID,
                    domain.xml());
        }
    }
}
