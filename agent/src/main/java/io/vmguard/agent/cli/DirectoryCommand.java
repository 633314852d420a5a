/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.lease.LeaseName;
import java.io.IOException;
import java.io.PrintWriter;
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

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Mixin
    private DirectoryOptions directory = new DirectoryOptions();

    @Mixin
    private OutputOption output = new OutputOption();

    /** The work, once it is known where. */
    abstract int run(Place place) throws IOException, InterruptedException;

    @Override
    public final Integer call() {
        try {
            Place place = directory.resolve();
            return leaseName(place.lockspace()).isPresent()
                    ? run(place)
                    : cannot("'" + place.lockspace() + "' cannot be the name of a lockspace");
        } catch (ConfigException e) {
            e.problems().forEach(this::complain);
            return CANNOT;
        } catch (IOException e) {
            return cannot(String.valueOf(e.getMessage()));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return cannot("interrupted");
        } finally {
            out().flush();
        }
    }

    PrintWriter out() {
        return spec.commandLine().getOut();
    }

    boolean isJson() {
        return output.isJson();
    }

    /** One line on standard error. */
    void complain(String text) {
        PrintWriter err = spec.commandLine().getErr();
        err.println("vmguard: " + OneLine.of(text));
        err.flush();
    }

    int cannot(String text) {
        complain(text);
        return CANNOT;
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
