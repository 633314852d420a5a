/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.AreaPool;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.LockspaceRules;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Makes a new lockspace where it does no harm. In a new lockspace all host ids begin at generation 1 again. A resource of an earlier
 * lockspace that names a higher generation would be refused to everybody for as long as that host id is in use, so a lockspace is
 * not made beside one.
 */
public final class LockspaceMaker {
    /** Filling a device takes as long as writing it, and a host that starts reads the beginning of every area in use. */
    public static final int USUAL_AREAS = 4096;

    private final LeaseInspector inspector;
    private final LeaseStore store;

    /** @param store the directory or device that the inspector looks at */
    public LockspaceMaker(LeaseInspector inspector, LeaseStore store) {
        this.inspector = inspector;
        this.store = store;
    }

    /**
     * Makes it, whole or not at all, and never over a file that is there.
     *
     * @param timeouts io_timeout of hosts that do not say their own, and the watchdog constant of all
     * @param maxHosts for how many hosts resources are made
     * @return why it was not made, a sentence for people; empty if it was
     * @throws IOException with a sentence for people, if the directory cannot be read
     */
    public Optional<String> make(LeaseName name, Geometry geometry, Timeouts timeouts, int maxHosts)
            throws IOException {
        return make(name, geometry, timeouts, maxHosts, OptionalInt.empty());
    }

    /** @param areas on a device: how many leases it shall have room for; empty: as many as fit, up to {@value #USUAL_AREAS} */
    public Optional<String> make(LeaseName name, Geometry geometry, Timeouts timeouts, int maxHosts, OptionalInt areas)
            throws IOException {
        Optional<LeaseLayout> layout = geometry.layout();
        if (layout.isEmpty()) {
            return Optional.of("there is no such geometry: " + geometry);
        }
        if (maxHosts < 1 || maxHosts > geometry.maxHosts()) {
            return Optional.of(maxHosts + " hosts do not fit: there is room for 1 to " + geometry.maxHosts());
        }
        Optional<AreaPool> device = store.pool();
        if (device.isPresent()) {
            return fill(device.get(), name, layout.get(), new Filling(timeouts, maxHosts, areas));
        }
        if (areas.isPresent()) {
            return Optional.of(inspector.where() + " is a directory: areas are made in it as they are needed");
        }
        Optional<String> objection = objection(name, geometry);
        return objection.isPresent() ? objection : create(name, layout.get(), timeouts, maxHosts);
    }

    private record Filling(Timeouts timeouts, int maxHosts, OptionalInt areas) {}

    /** A device is filled once and for all: with the lockspace, the lease under which areas get their names, and areas without one. */
    private Optional<String> fill(AreaPool device, LeaseName name, LeaseLayout layout, Filling filling) {
        int room = device.room(layout.areaBytes());
        int resources = filling.areas().orElse(Math.min(room, USUAL_AREAS));
        if (resources < 2 || resources > room) {
            return Optional.of(store.where() + " has room for " + room + " areas of " + layout.areaBytes()
                    + " bytes behind the lockspace; 2 are the least, one of them for the names of the others");
        }
        LockspaceRules rules = new LockspaceRules(filling.timeouts().watchdog(), filling.maxHosts(), resources);
        return device.fill(
                area -> area == 0
                        ? LeaseArea.lockspace(layout, name, filling.timeouts().ioTimeoutSeconds(), rules)
                        : LeaseArea.resource(
                                layout, name, area == 1 ? AreaPool.NAMES : AreaPool.standIn(area), filling.maxHosts()),
                resources + 1,
                layout.areaBytes(),
                layout.sectorBytes());
    }

    private Optional<String> create(LeaseName name, LeaseLayout layout, Timeouts timeouts, int maxHosts) {
        LockspaceRules rules = new LockspaceRules(timeouts.watchdog(), maxHosts);
        return store.open(
                        name,
                        layout.areaBytes(),
                        () -> LeaseArea.lockspace(layout, name, timeouts.ioTimeoutSeconds(), rules),
                        true)
                .fold(
                        ready -> {
                            ready.file().close();
                            return ready.created() ? Optional.empty() : Optional.of(exists(name));
                        },
                        (fault, why) -> Optional.of(why));
    }

    private Optional<String> objection(LeaseName name, Geometry geometry) throws IOException {
        DirectoryInspection directory = inspector.inspect(LeaseInspector.Depth.EVERY_BLOCK);
        boolean taken = directory.lockspaces().stream().anyMatch(l -> l.file().equals(name.value()))
                || directory.resources().stream().anyMatch(r -> r.file().equals(name.value()));
        if (taken) {
            return Optional.of(exists(name));
        }
        List<ResourceInspection> dangerous = directory.resources().stream()
                .filter(resource -> resource.leader()
                        .map(leader -> leader.lockspace().equals(name.value())
                                && !(resource.untouched() && leader.geometry().equals(geometry)))
                        .orElse(false))
                .toList();
        return dangerous.isEmpty() ? Optional.empty() : Optional.of(beside(name, dangerous));
    }

    private String exists(LeaseName name) {
        return inspector.where() + "/" + name + " exists. A lockspace is never made over a file: see what it is with "
                + "vmguard lease dump " + name;
    }

    private String beside(LeaseName name, List<ResourceInspection> dangerous) {
        ResourceInspection first = dangerous.get(0);
        String owner = first.owner()
                .map(holder -> ", last held by host id " + holder.owner().hostId() + " in generation "
                        + holder.owner().generation())
                .orElse("");
        return inspector.where() + " holds leases (" + dangerous.size() + ") of an earlier lockspace " + name
                + ", the first "
                + "of them " + first.file() + owner
                + ". In a new lockspace host ids begin at generation 1, and leases of "
                + "higher generations, or of another geometry, would be refused to every host. If the lockspace was moved or "
                + "deleted by mistake, bring it back. Otherwise stop every domain, vmguard and sanlock on all hosts, remove "
                + "these leases, and try again";
    }
}
