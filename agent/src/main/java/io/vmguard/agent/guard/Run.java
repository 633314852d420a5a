/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * One run of one domain, from the first hook of its start (or the moment it was found running) to the proof that its QEMU is gone.
 * Touched by the guard's thread only.
 */
final class Run {
    /** Where a run stands. */
    enum Phase {
        /** Its start waits for the answer. */
        ACQUIRING,
        /** It may have a QEMU: its start was granted, or it was found active. No process is in hand yet. */
        GRANTED,
        /** Its QEMU is in hand. */
        RUNNING
    }

    /** What a lease of this run is for. */
    record Wanted(String target, String identity, LeaseMode mode, LeaseNote note) {}

    final UUID uuid;
    final String name;
    Phase phase;
    final Map<LeaseName, Wanted> wanted = new LinkedHashMap<>();
    final Map<LeaseName, Boolean> held = new HashMap<>();
    final Map<LeaseName, CompletableFuture<AcquireResult>> pending = new HashMap<>();
    final Map<LeaseName, AcquireResult> refused = new LinkedHashMap<>();
    /** Why leases that it wants are not held. */
    List<String> conflicts = List.of();
    /** Why disks of it have no lease at all. */
    List<String> unprotectable = List.of();
    /** Both, as reported. */
    List<String> problems = List.of();

    /** The start that waits, and until when. */
    @Nullable
    CompletableFuture<StartAnswer> answer;

    long answerByNanos;
    List<String> warnings = new ArrayList<>();

    @Nullable
    GuardedProcess process;
    /** Boot clock: from here on its QEMU may exist. */
    long mayRunSinceNanos;

    long nextLookupNanos;
    boolean lookupUnderWay;
    /** A list had it; nobody asked for its start. */
    boolean found;
    /** Somebody said that it has ended. */
    boolean endHinted;
    /** Begin of the latest list of libvirt's that did not have it; 0 = none. */
    long inactiveSinceNanos;

    /** Its leases are lost, or it must not run for another reason: it is being stopped. */
    boolean doomed;

    boolean leasesLost;
    long killAtNanos;
    boolean killed;

    Run(UUID uuid, String name, Phase phase) {
        this.uuid = uuid;
        this.name = name;
        this.phase = phase;
    }

    void want(DiskLease lease, LeaseNote note) {
        wanted.put(new LeaseName(lease.resource()), new Wanted(lease.target(), lease.identity(), modeOf(lease), note));
    }

    private static LeaseMode modeOf(DiskLease lease) {
        return switch (lease.mode()) {
            case EXCLUSIVE -> LeaseMode.EXCLUSIVE;
            case SHARED -> LeaseMode.SHARED;
        };
    }

    /** A lease that an earlier agent took for it: only the note and the mode of then get it. */
    void claim(LeaseName resource, LeaseMode mode, LeaseNote note) {
        wanted.merge(
                resource,
                new Wanted(note.disk(), "", mode, note),
                (known, unknown) -> new Wanted(known.target(), known.identity(), mode, note));
    }

    boolean holds(LeaseName resource) {
        return held.getOrDefault(resource, false);
    }

    boolean holdsAny() {
        return held.containsValue(true);
    }

    /** Its disks, for messages. */
    String labels() {
        return wanted.values().stream().map(w -> w.note().disk()).collect(Collectors.joining(", "));
    }

    @Override
    public String toString() {
        return "domain " + name + " (" + uuid + ")";
    }
}
