/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.LifecycleMethodExecutionExceptionHandler;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;
import org.opentest4j.TestAbortedException;

/**
 * Adds to the message of a failed test how the journals of its hosts ended: the summary at the end of a run, often all that is kept of it,
 * repeats messages and nothing else.
 */
final class LastWords implements TestExecutionExceptionHandler, LifecycleMethodExecutionExceptionHandler {
    /** More of a message would push the rest out of what is kept. */
    private static final int HEAD_LINES = 14;

    private static final int TAIL_LINES = 6;

    private final Supplier<Stream<TestHost>> hosts;

    /** @param hosts asked when something has failed; null for one that is not there yet */
    LastWords(Supplier<Stream<TestHost>> hosts) {
        this.hosts = hosts;
    }

    @Override
    public void handleTestExecutionException(ExtensionContext context, Throwable failure) throws Throwable {
        throw told(failure);
    }

    @Override
    public void handleBeforeEachMethodExecutionException(ExtensionContext context, Throwable failure) throws Throwable {
        throw told(failure);
    }

    @Override
    public void handleAfterEachMethodExecutionException(ExtensionContext context, Throwable failure) throws Throwable {
        throw told(failure);
    }

    private Throwable told(Throwable failure) {
        return failure instanceof TestAbortedException ? failure : with(failure, hosts.get());
    }

    /** The same failure, at the same place, with more to say. */
    static AssertionError with(Throwable failure, Stream<TestHost> hosts) {
        List<String> lines = new ArrayList<>(shortened(String.valueOf(failure.getMessage())));
        if (!(failure instanceof AssertionError)) {
            lines.add(0, failure.getClass().getName());
        }
        hosts.filter(Objects::nonNull).map(LastWords::of).forEach(lines::add);
        AssertionError told = new AssertionError(String.join("\n", lines), failure.getCause());
        told.setStackTrace(failure.getStackTrace());
        Stream.of(failure.getSuppressed()).forEach(told::addSuppressed);
        return told;
    }

    private static List<String> shortened(String message) {
        List<String> lines = message.lines().toList();
        if (lines.size() <= HEAD_LINES + TAIL_LINES) {
            return lines;
        }
        List<String> parts = new ArrayList<>(lines.subList(0, HEAD_LINES));
        parts.add("... " + (lines.size() - HEAD_LINES - TAIL_LINES) + " lines ...");
        parts.addAll(lines.subList(lines.size() - TAIL_LINES, lines.size()));
        return parts;
    }

    private static String of(TestHost host) {
        try {
            return host.lastWords();
        } catch (RuntimeException | AssertionError e) {
            return host.name() + " does not say: " + e.getMessage();
        }
    }
}
