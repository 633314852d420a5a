/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.testing.FakeClock;
import io.vmguard.agent.testing.FakeHypervisor;
import io.vmguard.agent.testing.FakeImages;
import io.vmguard.agent.testing.TestDomain;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

final class ActiveDomainsTest {
    private final FakeClock clock = new FakeClock();
    private final FakeHypervisor hypervisor = new FakeHypervisor();
    private final AtomicInteger looks = new AtomicInteger();
    private final DomainLeases leases = domain -> {
        looks.incrementAndGet();
        return TestDomain.BY_NAME.derive(domain);
    };
    private final ActiveDomains domains = new ActiveDomains(hypervisor, leases, clock, new FakeImages(), Runnable::run);
    private final TestDomain demo = TestDomain.of("demo1", "/a", "/b");

    private void activate(TestDomain domain) {
        hypervisor.activate(domain.uuid(), domain.name(), domain.xml());
    }

    private List<ListedDomain> list() {
        return domains.list().orElseThrow();
    }

    @Test
    void theLeasesOfADomainWhoseXmlStaysAreNotDerivedAgain() {
        activate(demo);
        ListedDomain first = list().get(0);
        activate(TestDomain.of("demo2", "/c"));

        assertThat(list()).hasSize(2).contains(first);
        assertThat(looks).hasValue(2);
        assertThat(first.derivation()).isEqualTo(demo.derivation());
    }

    @Test
    void anotherXmlIsDerivedAtOnce() {
        activate(demo);
        list();
        TestDomain plugged = TestDomain.of("demo1", "/a", "/b", "/c");
        activate(plugged);

        assertThat(list()).extracting(ListedDomain::derivation).containsExactly(plugged.derivation());
    }

    @Test
    void storageIsLookedAtAgainAfterSomeMinutesAllTheSame() {
        activate(demo);
        list();
        clock.advance(Duration.ofMinutes(5));
        list();

        assertThat(looks).hasValue(2);
    }

    @Test
    void aDomainThatWasNotListedMeanwhileIsNew() {
        activate(demo);
        list();
        hypervisor.deactivate(demo.uuid());
        list();
        activate(demo);
        list();

        assertThat(looks).hasValue(2);
    }

    @Test
    void whatCouldNotBeDerivedIsTriedEachTime() {
        activate(TestDomain.of("demo1", "pool:p/v"));

        assertThat(list().get(0).derivation().refusals()).hasSize(1);
        list();
        assertThat(looks).hasValue(2);
    }

    @Test
    void aListThatFailsForgetsNothing() {
        activate(demo);
        list();
        hypervisor.silent(true);
        assertThat(domains.list()).isEmpty();
        hypervisor.silent(false);
        list();

        assertThat(looks).hasValue(1);
    }
}
