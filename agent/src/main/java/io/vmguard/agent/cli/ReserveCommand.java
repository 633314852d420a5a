/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.derive.OneLine;
import java.io.InputStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Leases for a device before it is plugged in. */
@Command(
        name = "reserve",
        description = {
            "Take the leases of a device that is about to be plugged into a running domain.",
            "They are held for some time for the device to show up. Then they are the domain's as any other; else they are given back."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:its leases are held: plug it in",
            "1:refused, with the reason and who has it; nothing is held",
            "2:wrong usage or configuration, or no usable device XML",
            "3:cannot be told, or the agent does not answer"
        })
public final class ReserveCommand extends DeviceQuestion {
    private static final int LONGEST_SECONDS = 600;

    @Option(
            names = "--seconds",
            paramLabel = "N",
            description = "How long they are held, 1 to 600 (default: ${DEFAULT-VALUE}).")
    private int seconds = 60;

    /** @param in standard input */
    public ReserveCommand(InputStream in) {
        super(in);
    }

    @Override
    String problem() {
        return seconds >= 1 && seconds <= LONGEST_SECONDS ? "" : "--seconds must be from 1 to " + LONGEST_SECONDS;
    }

    @Override
    String path() {
        return "/v1/device/reserve?seconds=" + seconds;
    }

    @Override
    String yes(String domain) {
        return "its leases are held for " + OneLine.of(domain) + " for " + seconds + " s";
    }
}
