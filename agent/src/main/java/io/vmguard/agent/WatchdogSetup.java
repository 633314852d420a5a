/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.WatchdogChoice;
import io.vmguard.agent.systemd.KeptDescriptors;
import io.vmguard.agent.watchdog.DescriptorStore;
import io.vmguard.agent.watchdog.LeaseWatchdog;
import io.vmguard.agent.watchdog.ResetTimer;
import io.vmguard.agent.watchdog.linux.ConsoleWords;
import io.vmguard.agent.watchdog.linux.WatchdogDevice;
import io.vmguard.agent.watchdog.linux.Wdmd;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Makes the watchdog that the configuration asks for, and says what it does not promise. */
final class WatchdogSetup {
    private static final Logger LOG = LogManager.getLogger(WatchdogSetup.class);

    static final String NOT_PROMISED =
            "if this machine freezes, or QEMU hangs on dead storage, its domains are not stopped by the time "
                    + "that other hosts may take their leases";

    private static final Path DEVICES = Path.of("/dev");
    private static final Path FIRST_DEVICE = DEVICES.resolve("watchdog0");

    private final AgentConfig config;
    private final Timeouts timeouts;
    private final LeaseClock clock;
    private final KeptDescriptors kept;
    private final DescriptorStore store;

    WatchdogSetup(AgentConfig config, Timeouts timeouts, LeaseClock clock, KeptDescriptors kept) {
        this.config = config;
        this.timeouts = timeouts;
        this.clock = clock;
        this.kept = kept;
        this.store = store(kept);
    }

    /** What a start that needs a lease comes to without a watchdog. */
    static String consequence(WatchdogChoice choice) {
        boolean required = choice instanceof WatchdogChoice.Wdmd || choice instanceof WatchdogChoice.Device;
        return required ? "Starts that need a lease are refused" : "Starts are granted all the same: " + NOT_PROMISED;
    }

    /** @param node this host, as people know it */
    LeaseWatchdog watchdog(String node) {
        boolean observe = config.mode() == AgentConfig.Mode.OBSERVE;
        List<ResetTimer> timers = observe ? List.of() : timers();
        boolean required =
                config.watchdog() instanceof WatchdogChoice.Wdmd || config.watchdog() instanceof WatchdogChoice.Device;
        if (config.watchdog() instanceof WatchdogChoice.None && !observe) {
            LOG.warn("VG-600 no watchdog is configured: {}", NOT_PROMISED);
        } else if (!timers.isEmpty() && !kept.available()) {
            LOG.warn(
                    "VG-601 not started by systemd: if this agent dies with leases held, the watchdog cannot be handed to the next one, "
                            + "and this machine may be reset");
        }
        disarmOthers();
        return new LeaseWatchdog(
                new LeaseWatchdog.Settings(required, timeouts.watchdog(), consequence(config.watchdog())),
                timers,
                clock,
                new ConsoleWords(ConsoleWords.fileIn(config.leaseDir(), node), clock));
    }

    private List<ResetTimer> timers() {
        if (config.watchdog() instanceof WatchdogChoice.Wdmd) {
            return List.of(wdmd());
        } else if (config.watchdog() instanceof WatchdogChoice.Device device) {
            return List.of(device(device.path()));
        } else if (config.watchdog() instanceof WatchdogChoice.None) {
            return List.of();
        }
        List<ResetTimer> timers = new ArrayList<>(List.of(wdmd()));
        devices().forEach(path -> timers.add(device(path)));
        return timers;
    }

    private ResetTimer wdmd() {
        return new Wdmd(Wdmd.SOCKET, "vmguard_" + config.lockspace(), timeouts, clock, store);
    }

    private ResetTimer device(Path path) {
        // Libvirt's time to destroy domains is less than two thirds of the whole by configuration; so it must be here.
        Duration destroy = config.destroyTimeout().multipliedBy(3).dividedBy(2).plusSeconds(1);
        Duration shortest = destroy.compareTo(Timeouts.SHORTEST_WATCHDOG) > 0 ? destroy : Timeouts.SHORTEST_WATCHDOG;
        Duration fitting = shortest.compareTo(timeouts.watchdog()) > 0 ? timeouts.watchdog() : shortest;
        return WatchdogDevice.at(path, new WatchdogDevice.Limits(timeouts.watchdog(), fitting), clock, store);
    }

    /** Those that are there; if there is none, the first one: its driver may be loaded later. */
    private static List<Path> devices() {
        List<Path> devices = new ArrayList<>();
        try (DirectoryStream<Path> found = Files.newDirectoryStream(DEVICES, "watchdog[0-9]*")) {
            found.forEach(devices::add);
        } catch (IOException e) {
            LOG.warn("VG-602 cannot look for watchdog devices: {}", e.toString());
        }
        devices.sort(Comparator.comparingInt((Path path) -> path.toString().length())
                .thenComparing(Comparator.naturalOrder()));
        return devices.isEmpty() ? List.of(FIRST_DEVICE) : devices;
    }

    /** What an earlier agent left armed under another configuration, for which nobody would care any more. */
    private void disarmOthers() {
        for (String name : kept.names()) {
            ResetTimer timer;
            if (name.equals("vmguard_wdmd")) {
                timer = wdmd();
            } else if (name.startsWith("vmguard_dev_")) {
                timer = device(DEVICES.resolve(name.substring("vmguard_dev_".length())));
            } else {
                continue;
            }
            LOG.warn(
                    "VG-603 an earlier agent left {} armed, which this configuration does not use: {}",
                    timer.name(),
                    timer.disarm());
        }
    }

    private static DescriptorStore store(KeptDescriptors kept) {
        return new DescriptorStore() {
            @Override
            public OptionalInt inherited(String name) {
                return kept.take(name);
            }

            @Override
            public void keep(String name, int fd) {
                kept.keep(name, fd);
            }

            @Override
            public void forget(String name) {
                kept.forget(name);
            }
        };
    }
}
