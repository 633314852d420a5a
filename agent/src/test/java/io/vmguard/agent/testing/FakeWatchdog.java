/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.agent.watchdog.Watchdog;
import io.vmguard.agent.watchdog.WatchdogView;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** A watchdog that resets nothing. It answers at once with what is laid down, or not before it is told to. */
public final class FakeWatchdog implements Watchdog {
    private final List<CompletableFuture<Answer>> waiting = new ArrayList<>();
    private Answer answer = new Answer.Armed();
    private boolean holdBack;
    private boolean armed;
    private int disarmed;

    /** What it says from now on. */
    public void answer(Answer word) {
        answer = word;
    }

    /** From now on it keeps its answers to itself. */
    public void holdBack() {
        holdBack = true;
    }

    /** Answers all who wait, and from now on at once. */
    public void answerAll() {
        holdBack = false;
        List<CompletableFuture<Answer>> all = List.copyOf(waiting);
        waiting.clear();
        all.forEach(future -> future.complete(word()));
    }

    private Answer word() {
        armed = answer instanceof Answer.Armed;
        return answer;
    }

    /** Whether it is, after all that was said. */
    public boolean armed() {
        return armed;
    }

    /** How often it was disarmed. */
    public int disarmedCalls() {
        return disarmed;
    }

    @Override
    public CompletableFuture<Answer> arm() {
        CompletableFuture<Answer> future = new CompletableFuture<>();
        if (holdBack) {
            waiting.add(future);
        } else {
            future.complete(word());
        }
        return future;
    }

    @Override
    public void disarm() {
        armed = false;
        disarmed++;
    }

    @Override
    public WatchdogView view() {
        return new WatchdogView("fake", WatchdogView.State.DISARMED, Optional.empty(), Optional.empty(), "");
    }
}
