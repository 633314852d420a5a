/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Runs examinations side by side, each on a thread of its own that is left alone when its limit is over: it may never return. */
public final class Doctor {
    private final List<Examination<?>> examinations;

    Doctor(List<Examination<?>> examinations) {
        this.examinations = List.copyOf(examinations);
    }

    /** Of the checks, in their order. */
    List<String> names() {
        return examinations.stream().map(Examination::name).toList();
    }

    /** Takes as long as the longest limit at most, for all of them begin at once. */
    public DoctorReport examine() throws InterruptedException {
        List<CompletableFuture<Finding>> running = new ArrayList<>();
        for (Examination<?> examination : examinations) {
            CompletableFuture<Finding> finding = new CompletableFuture<>();
            Thread thread = new Thread(() -> run(examination, finding), "vmguard-doctor-" + examination.name());
            thread.setDaemon(true);
            thread.start();
            running.add(finding);
        }
        List<Finding> findings = new ArrayList<>();
        for (int i = 0; i < examinations.size(); i++) {
            findings.add(await(examinations.get(i), running.get(i)));
        }
        Verdict worst = findings.stream()
                .map(finding -> Verdict.valueOf(finding.verdict().toUpperCase(Locale.ROOT)))
                .reduce(Verdict.GREEN, Verdict::or);
        return new DoctorReport(DoctorReport.FORMAT, worst.word(), findings);
    }

    private static void run(Examination<?> examination, CompletableFuture<Finding> finding) {
        try {
            finding.complete(examination.run());
        } catch (Exception e) {
            finding.complete(examination.cannotTell(sentence(e)));
        }
    }

    /** Some exceptions of the platform have a path for their whole message. */
    private static String sentence(Exception e) {
        String message = e.getMessage();
        if (e instanceof NoSuchFileException) {
            return message + " does not exist";
        }
        return message == null
                ? e.toString()
                : e instanceof AccessDeniedException ? message + ": permission denied" : message;
    }

    private static Finding await(Examination<?> examination, CompletableFuture<Finding> finding)
            throws InterruptedException {
        try {
            return finding.get(examination.limit().toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            return examination.cannotTell(
                    "no answer within " + examination.limit().toSeconds() + " s");
        } catch (ExecutionException e) {
            return examination.cannotTell(String.valueOf(e.getCause()));
        }
    }
}
