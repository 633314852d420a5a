/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Whether something resets this machine when nothing else ends a writer. Devices are not opened for this: that would arm them. */
final class WatchdogCheck implements Check<WatchdogCheck.Facts> {
    private static final String NOT_PROMISED =
            ": a machine that freezes, or a QEMU that hangs in dead storage, is not stopped before others may take its leases";

    /**
     * A device.
     *
     * @param identity what its driver calls itself; empty if sysfs does not say
     * @param timeoutSeconds its present timeout, the longest it can have if that is known
     * @param holder who has it open; empty if nobody has
     */
    record Device(
            String path,
            String identity,
            @Nullable Long timeoutSeconds,
            @Nullable Long maxTimeoutSeconds,
            boolean usable,
            String holder) {}

    /**
     * @param choice {@code watchdog} of the configuration: auto, wdmd, none or a device
     * @param wdmd whether wdmd's socket is there
     * @param ours what the agent says that it uses or has armed; empty without an agent
     * @param problem what the agent says is wrong with it; may be empty
     */
    record Facts(
            String choice,
            List<Device> devices,
            boolean wdmd,
            boolean observe,
            String ours,
            String problem,
            boolean armed,
            long watchdogTimeoutSeconds) {}

    @Override
    public String name() {
        return "watchdog";
    }

    @Override
    public String why() {
        return "killing needs a kernel that runs and a QEMU that can die; where one of them does not, only a reset ends the writing in time";
    }

    @Override
    public Judgement judge(Facts facts) {
        if (facts.armed()) {
            return Judgement.green(facts.ours() + " is armed");
        }
        if (facts.observe()) {
            return Judgement.green("none is used in mode observe");
        }
        return switch (facts.choice()) {
            case "none" ->
                Judgement.yellow(
                        "none is configured" + NOT_PROMISED,
                        "watchdog: auto, and modprobe softdog where there is no hardware");
            case "wdmd" ->
                facts.wdmd()
                        ? Judgement.green("wdmd answers at its socket")
                        : Judgement.red(
                                "wdmd does not run, and starts that need a lease are refused without it",
                                "systemctl enable --now wdmd");
            case "auto" -> auto(facts);
            default -> device(facts);
        };
    }

    private static Judgement auto(Facts facts) {
        if (facts.wdmd()) {
            return Judgement.green("wdmd will be used");
        }
        Optional<Device> free =
                facts.devices().stream().filter(WatchdogCheck::free).findFirst();
        if (free.isEmpty()) {
            String what = facts.devices().isEmpty()
                    ? "neither wdmd nor a watchdog device is there"
                    : "every watchdog device is taken: " + taken(facts.devices());
            return Judgement.yellow(
                    what + NOT_PROMISED,
                    facts.devices().isEmpty()
                            ? "modprobe softdog (and list it in /etc/modules-load.d), or set up wdmd"
                            : "RuntimeWatchdogSec= of systemd or another daemon has it: give vmguard one of its own, or use wdmd");
        }
        return fits(free.get(), facts, false);
    }

    private static Judgement device(Facts facts) {
        Optional<Device> chosen = facts.devices().stream()
                .filter(device -> device.path().equals(facts.choice()))
                .findFirst();
        if (chosen.isEmpty()) {
            return Judgement.red(
                    facts.choice() + " is not there, and starts that need a lease are refused without it",
                    "modprobe its driver, or choose another: ls /dev/watchdog*");
        }
        if (!chosen.get().usable()) {
            return Judgement.red(facts.choice() + " may not be opened", "Run the doctor and the agent as root");
        }
        if (!free(chosen.get())) {
            return Judgement.red(
                    facts.choice() + " is taken by " + chosen.get().holder()
                            + ", and starts that need a lease are refused without it",
                    "RuntimeWatchdogSec= of systemd, wdmd or another daemon has it: only one can");
        }
        return fits(chosen.get(), facts, true);
    }

    private static boolean free(Device device) {
        return device.usable() && (device.holder().isEmpty() || device.holder().contains("vmguard"));
    }

    private static String taken(List<Device> devices) {
        return String.join(
                ", ",
                devices.stream()
                        .map(device -> device.path()
                                + (device.holder().isEmpty() ? " (may not be opened)" : " by " + device.holder()))
                        .toList());
    }

    private static Judgement fits(Device device, Facts facts, boolean required) {
        Long most = device.maxTimeoutSeconds();
        Long now = device.timeoutSeconds();
        String name = device.path() + (device.identity().isEmpty() ? "" : " (" + device.identity() + ")");
        if (!facts.problem().isEmpty()) {
            String seen = name + " cannot be used: " + facts.problem();
            return required
                    ? Judgement.red(seen, "Another device, or wdmd")
                    : Judgement.yellow(seen + NOT_PROMISED, "Another device, or wdmd");
        }
        if (most != null && most > 0 && most < 10) {
            return Judgement.yellow(
                    name + " can wait for " + most + " s at most, and 10 s are needed" + NOT_PROMISED,
                    "Another device, or softdog");
        }
        return Judgement.green(name + " is free" + (now == null ? "" : ", its timeout is " + now + " s now")
                + "; it is armed with the first domain, for at most " + facts.watchdogTimeoutSeconds() + " s");
    }
}
