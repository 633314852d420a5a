/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.process.GuardedProcess;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What others see of the guard: made on its thread, when it may have changed, and read on any. */
final class PublishedView {
    private static final long VIEW_NANOS = Duration.ofSeconds(1).toNanos();
    private static final long VIEW_OF_MANY_NANOS = Duration.ofMillis(50).toNanos();

    private final GuardState state;
    private final Starts starts;
    private final Losses losses;
    /** When the view was made, and after how many messages. */
    private long publishedNanos;

    private long publishedAfter;
    private volatile Runnable onNews = () -> {};
    private volatile GuardView view = new GuardView(List.of(), 0, 0);

    PublishedView(GuardState state, Starts starts, Losses losses) {
        this.state = state;
        this.starts = starts;
        this.losses = losses;
    }

    /** Any thread. */
    GuardView view() {
        return view;
    }

    /** Called on the guard's thread, soon after the view may have changed. */
    void onNews(Runnable listener) {
        onNews = listener;
    }

    /**
     * What a message has changed is shown when no other one waits, or soon; what comes with time alone, if anything can, within a second.
     * Not at every tick: with hundreds of domains that would be most of what an idle agent does.
     */
    void publishWhenDue(long nowNanos, boolean settled) {
        long handled = state.loop.handled();
        long ageNanos = nowNanos - publishedNanos;
        boolean due = handled == publishedAfter
                ? !settled && ageNanos >= VIEW_NANOS
                : state.loop.quiet() || ageNanos >= VIEW_OF_MANY_NANOS;
        if (due || publishedNanos == 0) {
            boolean news = handled != publishedAfter;
            publishedNanos = nowNanos;
            publishedAfter = handled;
            publish();
            if (news) {
                onNews.run();
            }
        }
    }

    void publish() {
        view = new GuardView(state.runs.values().stream().map(this::view).toList(), starts.granted(), starts.refused());
    }

    private DomainView view(Run run) {
        List<DomainView.LeaseView> leases = run.wanted.entrySet().stream()
                .map(entry -> new DomainView.LeaseView(
                        entry.getValue().target(),
                        entry.getValue().identity(),
                        entry.getKey().value(),
                        run.holds(entry.getKey()),
                        entry.getValue().note().sinceEpochSeconds()))
                .toList();
        GuardedProcess process = run.process;
        Optional<Integer> pid = Optional.ofNullable(process).map(GuardedProcess::pid);
        long startTicks = process == null ? 0 : process.startTicks();
        String wish = losses.effective(run).name().toLowerCase(Locale.ROOT);
        return new DomainView(
                run.name, run.uuid.toString(), standing(run), pid, startTicks, leases, wish, run.problems);
    }

    private static String standing(Run run) {
        if (run.doomed) {
            return "stopping";
        }
        if (run.isLeftBehind()) {
            return "migrated";
        }
        if (run.isBetweenHosts()) {
            return "migrating";
        }
        return run.halted ? "paused" : run.phase == Phase.RUNNING ? "running" : "starting";
    }
}
