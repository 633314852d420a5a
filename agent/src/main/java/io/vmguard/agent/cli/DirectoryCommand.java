/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.derive.FileTrouble;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.inspect.DirectoryInspection;
import io.vmguard.lease.inspect.ResourceInspection;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** A command about one lease directory: finds out which, and says what is wrong with the question. */
abstract class DirectoryCommand implements Callable<Integer> {
    static final int PROBLEM = 1;
    static final int CANNOT = 2;
    static final int NO_AGENT = 3;

    private static final Duration PATIENCE = Duration.ofSeconds(10);

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Mixin
    private DirectoryOptions directory = new DirectoryOptions();

    @Mixin
    private OutputOption output = new OutputOption();

    /** The work, once it is known where. */
    abstract int run(Place place) throws IOException, InterruptedException;

    /** How long it waits on purpose; empty if it does not wait for the storage itself. */
    Optional<Duration> waits() {
        return Optional.of(Duration.ZERO);
    }

    @Override
    public final Integer call() {
        try {
            Place place = directory.resolve();
            return leaseName(place.lockspace()).isPresent()
                    ? runOrSayWhatKeepsIt(place)
                    : cannot("'" + place.lockspace() + "' cannot be the name of a lockspace");
        } catch (ConfigException e) {
            e.problems().forEach(this::complain);
            return CANNOT;
        } catch (IOException e) {
            return cannot(FileTrouble.of(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return cannot("interrupted");
        } finally {
            out().flush();
        }
    }

    private int runOrSayWhatKeepsIt(Place place) throws IOException, InterruptedException {
        Optional<Duration> waits = waits();
        if (waits.isEmpty()) {
            return run(place);
        }
        PrintWriter err = spec.commandLine().getErr();
        Patience patience = patience(place.dir(), waits.get(), err);
        try {
            return run(place);
        } finally {
            patience.over();
        }
    }

    /** Of one who reads a lease directory, beside the time that it waits on purpose. */
    static Patience patience(Path dir, Duration waits, PrintWriter err) {
        return Patience.begin(
                waits.plus(PATIENCE),
                err,
                "vmguard: waiting for storage for " + PATIENCE.toSeconds() + " s now: " + OneLine.of(dir.toString())
                        + ", or what is asked about, hangs or is slow. Meanwhile: vmguard status, dmesg");
    }

    PrintWriter out() {
        return spec.commandLine().getOut();
    }

    boolean isJson() {
        return output.isJson();
    }

    /** One line on standard error. */
    void complain(String text) {
        Complaint.print(spec.commandLine().getErr(), text);
    }

    int cannot(String text) {
        complain(text);
        return CANNOT;
    }

    /**
     * What keeps a command from telling anything about a whole directory, or about some of its files: one sentence.
     *
     * @return empty if every file could be read
     */
    static Optional<String> unreadable(DirectoryInspection directory) {
        List<ResourceInspection> unread = directory.resources().stream()
                .filter(lease -> lease.state() == ResourceInspection.State.UNREADABLE)
                .toList();
        return unread.stream()
                .flatMap(lease -> lease.findings().stream())
                .findFirst()
                .map(first -> (unread.size() == 1 ? "a file" : unread.size() + " files") + " of " + directory.where()
                        + " cannot be read, so whether they are held cannot be told: " + first.file() + ": "
                        + first.what()
                        + (first.what().contains("permission denied") ? ". Run this as root" : ""));
    }

    /** Empty if it can be no lease's. */
    static Optional<LeaseName> leaseName(String text) {
        try {
            return Optional.of(new LeaseName(text));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }
}
