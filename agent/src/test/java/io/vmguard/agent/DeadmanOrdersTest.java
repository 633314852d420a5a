/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.deadman.Deadman;
import io.vmguard.agent.deadman.ListedProcess;
import io.vmguard.agent.guard.DomainView;
import io.vmguard.agent.guard.GuardView;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** Whom the deadman kills and whom it spares, by what the guard shows. */
class DeadmanOrdersTest {
    private static final UUID DOMAIN = new UUID(1, 2);

    private static DomainView domain(int pid, String state, String onLockFailure, boolean held) {
        return new DomainView(
                "d" + pid,
                DOMAIN.toString(),
                state,
                Optional.of(pid),
                100 + pid,
                List.of(new DomainView.LeaseView("vda", "file:/a", "one", held, 0)),
                onLockFailure,
                List.of());
    }

    private static Deadman.Orders orders(DomainView... domains) {
        return new DeadmanOrders(() -> view(domains)).get();
    }

    private static GuardView view(DomainView... domains) {
        return new GuardView(Arrays.asList(domains), 0, 0);
    }

    private static ListedProcess process(int pid) {
        return new ListedProcess(pid, 100 + pid, DOMAIN, "d" + pid);
    }

    @Test
    void whoHoldsALeaseOrIsBetweenTwoHostsMustNotOutliveTheMembership() {
        Deadman.Orders orders = orders(
                domain(1, "running", "poweroff", true),
                domain(2, "migrating", "poweroff", false),
                domain(3, "stopping", "restart", true));
        assertThat(orders.kill()).containsExactly(process(1), process(2), process(3));
        assertThat(orders.spare()).isEmpty();
    }

    @Test
    void whoStandsStillOrIsIgnoredByPermissionIsSpared() {
        Deadman.Orders orders = orders(domain(1, "paused", "pause", false), domain(2, "running", "ignore", true));
        assertThat(orders.kill()).isEmpty();
        assertThat(orders.spare()).containsExactly(process(1), process(2));
    }

    /** It was listed while its leases were on their way. */
    @Test
    void whoIsLeftBehindByAGuestThatRunsElsewhereIsSpared() {
        Deadman.Orders orders = orders(domain(1, "migrated", "poweroff", false));
        assertThat(orders.kill()).isEmpty();
        assertThat(orders.spare()).containsExactly(process(1));
    }

    /** Whoever was listed before stays so: only a process that is proved gone or spared leaves the list. */
    @Test
    void ofWhoHoldsNothingOrHasNoKnownProcessNothingIsSaid() {
        DomainView withoutPid = new DomainView(
                "d", DOMAIN.toString(), "starting", Optional.empty(), 0, List.of(), "poweroff", List.of());
        Deadman.Orders orders = orders(domain(1, "running", "poweroff", false), withoutPid);
        assertThat(orders.kill()).isEmpty();
        assertThat(orders.spare()).isEmpty();
    }

    @Test
    void theSameViewIsTheSameOrders() {
        AtomicReference<GuardView> view = new AtomicReference<>(view(domain(1, "running", "poweroff", true)));
        DeadmanOrders orders = new DeadmanOrders(view::get);
        Deadman.Orders before = orders.get();
        assertThat(orders.get()).isSameAs(before);
        view.set(view());
        assertThat(orders.get().kill()).isEmpty();
    }
}
