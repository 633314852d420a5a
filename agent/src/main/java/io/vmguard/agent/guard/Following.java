/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.process.FileKey;
import io.vmguard.lease.LeaseName;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What is known of the live domain of one run, and which of its leases come and go. Touched by the guard's thread only. */
final class Following {
    /** Who has shown the live domain. */
    enum Source {
        /** libvirt's list. */
        LIBVIRT,
        /** libvirt's status file, which also comes while libvirtd hangs, and says which block jobs run. */
        STATUS
    }

    /**
     * What a lease is for.
     *
     * @param target the disk
     * @param seenNanos boot clock: when the latest look that called for it was begun
     */
    record Need(String target, String role, long seenNanos) {}

    /** How something that came to a running domain can be sent away again. */
    enum Way {
        /** Unplug the device. */
        UNPLUG,
        /** Take the medium out. */
        EJECT,
        /** Abort the block job. */
        ABORT
    }

    /** @param name of a device its alias, of a drive or a disk with a job its target */
    record Arrival(Way way, String name) {}

    /** Something that is somebody else's is being sent away. */
    static final class Expulsion {
        final Set<LeaseName> leases = new LinkedHashSet<>();
        final Set<Arrival> arrivals = new LinkedHashSet<>();
        long byNanos;
        long nextListNanos;
        /** libvirt has been asked, and has answered. */
        boolean asked;
        /** It ran, and was paused for this. */
        boolean paused;

        boolean over;
    }

    final Map<Source, LiveDomain> latest = new EnumMap<>(Source.class);
    final Map<LeaseName, Need> needs = new HashMap<>();
    /** All files that the disk of a target was seen on, as long as they are not proved closed. */
    final Map<String, Set<FileKey>> files = new HashMap<>();
    /** Disks of which no look at open files can prove that they are closed. */
    final Set<String> unprovable = new HashSet<>();
    /** Disks some of whose files could not be looked at, once at least. */
    final Set<String> unseen = new HashSet<>();
    /** Targets that it had when it was last looked at. */
    final Set<String> targets = new HashSet<>();
    /** Its disks are known: what is seen besides from now on has come to the running domain. */
    boolean established;

    final Map<LeaseName, Arrival> arrivals = new HashMap<>();
    /** Leases that the live domain does not call for any more, and since when. */
    final Map<LeaseName, Long> leaving = new LinkedHashMap<>();
    /** The same, but they are kept until the domain ends. */
    final Set<LeaseName> kept = new HashSet<>();
    /** Leases that an earlier agent took, and that nobody has shown in use yet. */
    final Set<LeaseName> unshown = new HashSet<>();

    /** Leases of disks that are about to be plugged in, and until when on the boot clock; a moment without end while that is not decided. */
    final Map<LeaseName, Long> expected = new HashMap<>();

    final Set<LeaseName> converting = new HashSet<>();
    /** Boot clock: from when on a change of mode that was refused may be asked for again. */
    final Map<LeaseName, Long> convertAgainNanos = new HashMap<>();
    /** Somebody wanted a change of mode too early for it. */
    boolean convertWaits;
    /** Why leases are not held as they ought to be. */
    final Map<LeaseName, String> refusedModes = new LinkedHashMap<>();

    @Nullable
    Expulsion expulsion;

    boolean filesUnderWay;
    long nextFilesNanos;
    /** The latest word of the status file that nobody has looked into. */
    @Nullable
    DomainSpec status;

    boolean statusUnderWay;
    /** What the status file shows, looked into or not. */
    @Nullable
    DomainSpec shown;

    /** Boot clock: nothing of libvirt's that was asked for before this is of use; 0 = nothing is waited for. */
    long sightWantedNanos;

    boolean sightUnderWay;
    long nextSightNanos;

    /** Boot clock: when to look again because not everything could be told; 0 = it could. */
    long lookAgainNanos;

    /** It is about to start with these disks. */
    void begin(DomainSpec spec) {
        spec.disks().forEach(disk -> targets.add(disk.target()));
        established = true;
    }

    /** Whether a disk with this lease is about to be plugged in, if it may be. */
    boolean isAskedAbout(LeaseName resource) {
        return expected.getOrDefault(resource, 0L) == Long.MAX_VALUE;
    }

    List<String> problems() {
        return List.copyOf(refusedModes.values());
    }
}
