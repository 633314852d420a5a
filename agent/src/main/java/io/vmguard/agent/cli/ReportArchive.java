/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * The zip file of a report. A report is wanted most when storage hangs: each part is had on a thread of its own, within a limit, and a
 * lease directory that has not answered once is not asked again.
 */
final class ReportArchive implements AutoCloseable {
    private static final int MOST_CHARS = 8 << 20;

    /**
     * One file in it.
     *
     * @param reads whether it reads the lease directory, which may hang
     * @param text what is in the file; called when it is its turn
     */
    record Part(String name, boolean reads, Callable<String> text) {
        Part(String name, Callable<String> text) {
            this(name, false, text);
        }
    }

    private final ZipOutputStream zip;
    private final PrintWriter out;
    private final Duration partLimit;
    private boolean hangs;

    /**
     * @param file closed with this
     * @param out told of each part before it is had
     */
    ReportArchive(OutputStream file, PrintWriter out, Duration partLimit) {
        this.zip = new ZipOutputStream(file, StandardCharsets.UTF_8);
        this.out = out;
        this.partLimit = partLimit;
    }

    /** Has these parts, one after the other. What cannot be had says so in it. */
    void pack(List<Part> parts) throws IOException, InterruptedException {
        for (Part part : parts) {
            out.println("  " + part.name());
            out.flush();
            zip.putNextEntry(new ZipEntry("vmguard-report/" + part.name()));
            zip.write(Redaction.of(text(part)).getBytes(StandardCharsets.UTF_8));
            zip.closeEntry();
        }
    }

    /** A look at the lease directory that is no part; empty if it does not succeed. */
    <R> Optional<R> look(Callable<R> look) throws InterruptedException {
        if (hangs) {
            return Optional.empty();
        }
        try {
            return Optional.of(within(look));
        } catch (InterruptedException e) {
            throw e;
        } catch (Exception e) {
            hangs = e instanceof TimeoutException;
            return Optional.empty();
        }
    }

    private String text(Part part) throws InterruptedException {
        String text;
        try {
            text = part.reads() && hangs
                    ? "left out: the lease directory has not answered before\n"
                    : within(part.text());
        } catch (InterruptedException e) {
            throw e;
        } catch (TimeoutException e) {
            hangs |= part.reads();
            text = "could not be had: no answer within " + partLimit.toSeconds() + " s\n";
        } catch (Exception e) {
            text = "could not be had: " + e.getMessage() + "\n";
        }
        return text.length() <= MOST_CHARS
                ? text
                : "(the beginning is left out)\n" + text.substring(text.length() - MOST_CHARS);
    }

    private <R> R within(Callable<R> work) throws Exception {
        FutureTask<R> task = new FutureTask<>(work);
        Thread thread = new Thread(task, "vmguard-report");
        thread.setDaemon(true);
        thread.start();
        try {
            return task.get(partLimit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        }
    }

    @Override
    public void close() throws IOException {
        zip.close();
    }
}
