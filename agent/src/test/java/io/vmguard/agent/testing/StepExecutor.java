/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.random.RandomGenerator;

/** Keeps what it is to execute until the test says so. */
public final class StepExecutor implements Executor {
    private final List<Runnable> tasks = new ArrayList<>();
    private boolean refusing;

    @Override
    public void execute(Runnable task) {
        if (refusing) {
            throw new RejectedExecutionException("no thread left");
        }
        tasks.add(task);
    }

    /** From now on every task is refused, or taken again. */
    public void refuse(boolean nowRefusing) {
        refusing = nowRefusing;
    }

    /** Runs what is there now, in order. Returns how many. */
    public int runAll() {
        List<Runnable> now = List.copyOf(tasks);
        tasks.clear();
        now.forEach(Runnable::run);
        return now.size();
    }

    /** Runs the one that came last; the others may be hanging. */
    public void runLast() {
        tasks.remove(tasks.size() - 1).run();
    }

    /** Runs one, whichever comes up. */
    public void runOne(RandomGenerator random) {
        if (!tasks.isEmpty()) {
            tasks.remove(random.nextInt(tasks.size())).run();
        }
    }
}
