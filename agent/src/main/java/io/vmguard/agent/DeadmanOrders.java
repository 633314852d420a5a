/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.deadman.Deadman;
import io.vmguard.agent.deadman.ListedProcess;
import io.vmguard.agent.guard.DomainView;
import io.vmguard.agent.guard.GuardView;
import java.util.List;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The deadman's orders that follow from the guard's view: whose QEMU must not outlive the membership, and whose may. The same ones while
 * the view is the same. One thread, the deadman's.
 */
final class DeadmanOrders implements Supplier<Deadman.Orders> {
    private final Supplier<GuardView> guard;
    private @Nullable GuardView last;
    private Deadman.Orders orders = new Deadman.Orders(List.of(), List.of());

    DeadmanOrders(Supplier<GuardView> guard) {
        this.guard = guard;
    }

    @Override
    public Deadman.Orders get() {
        GuardView view = guard.get();
        if (view != last) {
            orders = orders(view);
            last = view;
        }
        return orders;
    }

    private static Deadman.Orders orders(GuardView view) {
        return new Deadman.Orders(
                processes(view, domain -> mustGo(domain) && !mayStay(domain)), processes(view, DeadmanOrders::mayStay));
    }

    private static List<ListedProcess> processes(GuardView view, Predicate<DomainView> which) {
        return view.domains().stream()
                .filter(domain -> domain.pid().isPresent() && domain.startTicks() > 0)
                .filter(which)
                .map(DeadmanOrders::listed)
                .toList();
    }

    private static boolean mustGo(DomainView domain) {
        return domain.holdsAny() || domain.state().equals("migrating");
    }

    /** It stands still without its leases, or another host has them and its guest, or it goes on without them by permission. */
    private static boolean mayStay(DomainView domain) {
        return domain.state().equals("paused")
                || domain.state().equals("migrated")
                || domain.onLockFailure().equals("ignore");
    }

    private static ListedProcess listed(DomainView domain) {
        return new ListedProcess(
                domain.pid().orElseThrow(), domain.startTicks(), UUID.fromString(domain.uuid()), domain.name());
    }
}
