/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.derive.OneLine;
import java.io.InputStream;
import picocli.CommandLine.Command;

/** The question before a hot-plug, which libvirt asks nobody. */
@Command(
        name = "attach-check",
        description = {
            "Ask whether a device may be plugged into a running domain.",
            "The agent takes its leases as at a start and gives them back at once, so a yes is true for that moment only: to have it"
                    + " last until the device is there, see vmguard reserve."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:it may be plugged in",
            "1:refused, with the reason and who has it",
            "2:wrong usage or configuration, or no usable device XML",
            "3:cannot be told, or the agent does not answer"
        })
public final class AttachCheckCommand extends DeviceQuestion {
    /** @param in standard input */
    public AttachCheckCommand(InputStream in) {
        super(in);
    }

    @Override
    String path() {
        return "/v1/device/check";
    }

    @Override
    String yes(String domain) {
        return "it may be plugged into " + OneLine.of(domain) + " now";
    }
}
