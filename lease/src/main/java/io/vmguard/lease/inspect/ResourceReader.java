/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.inspect.ResourceInspection.Leader;
import io.vmguard.lease.inspect.ResourceInspection.Request;
import io.vmguard.lease.inspect.ResourceInspection.State;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.NoteSector;
import io.vmguard.lease.ondisk.RequestRecord;
import io.vmguard.lease.step.IoOutcome;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * Makes sense of one resource file, reading as little as answers the question: the first 4 KiB; the disk blocks of hosts that ever
 * joined, if those lie further on; the note, if the lease is in use or is looked at closely.
 */
final class ResourceReader {
    private static final String UNUSABLE =
            "It holds no lease. If no host is making it now, remove it: the next start of its domain makes a new one.";

    private final Look look;
    private final Function<String, Optional<LockspaceInspection>> lockspaces;
    private final LeaseInspector.Depth depth;
    private final List<Finding> findings = new ArrayList<>();
    private final List<Owner> marks = new ArrayList<>();
    private boolean ownerReleased;
    private boolean balloted;

    private ResourceReader(
            Look look, Function<String, Optional<LockspaceInspection>> lockspaces, LeaseInspector.Depth depth) {
        this.look = look;
        this.lockspaces = lockspaces;
        this.depth = depth;
    }

    /**
     * Whatever lies in the file; never fails.
     *
     * @param lockspaces the lockspace of a name, if there is one beside the file
     */
    static ResourceSighting read(
            Look look, Function<String, Optional<LockspaceInspection>> lockspaces, LeaseInspector.Depth depth) {
        return new ResourceReader(look, lockspaces, depth).read();
    }

    private ResourceSighting read() {
        return switch (look.kind()) {
            case RESOURCE -> resource();
            case CLEARED -> without(State.CLEARED);
            case BLANK ->
                without(State.CORRUPT, LeaseFault.MAGIC, "it is all zeroes: its creator did not finish", UNUSABLE);
            case INDEX ->
                without(
                        State.FOREIGN,
                        LeaseFault.RESOURCE_INDEX,
                        "it is a resource index of sanlock, which vmguard does not use",
                        "");
            case LOCKSPACE, FOREIGN ->
                look.entry().bytes() == 0
                        ? without(State.CORRUPT, LeaseFault.SHORT, "it is empty: its creator did not finish", UNUSABLE)
                        : without(State.FOREIGN, LeaseFault.MAGIC, "it is not a lease", "");
        };
    }

    private ResourceSighting without(State state, LeaseFault fault, String what, String remedy) {
        findings.add(look.finding(fault, 0, what, remedy));
        return without(state);
    }

    private ResourceSighting without(State state) {
        return ResourceSighting.without(look.entry(), look.path(), state, findings);
    }

    private ResourceSighting resource() {
        LeaderRecord record = look.record();
        Optional<LeaseLayout> known = look.layout();
        if (known.isEmpty()) {
            return without(
                    State.CORRUPT,
                    LeaseFault.GEOMETRY,
                    "it says " + record.sectorSize() + "-byte sectors and flags " + record.flags()
                            + ", which no resource has",
                    UNUSABLE);
        }
        Optional<Decoded.Corrupt<LeaderRecord>> fault = faultOf(record);
        if (fault.isPresent() && !(fault.get().fault() == LeaseFault.RESOURCE && Look.sound(record))) {
            return without(
                    State.CORRUPT,
                    fault.get().fault(),
                    "its leader record is not sound: " + fault.get().why(),
                    fault.get().fault() == LeaseFault.VERSION
                            ? "A newer version made it, and hosts that have that version may hold it: leave it to them."
                            : "Nobody can take it. Stop its domain wherever it runs; when no host uses it, remove the file: the next "
                                    + "start makes a new one.");
        }
        fault.ifPresent(names -> findings.add(look.finding(
                names.fault(),
                0,
                names.why() + ", not of '" + look.entry().name() + "'",
                "Was the file renamed or copied? Nobody can take it under the name of this file.")));
        return sound(record, known.get());
    }

    private Optional<Decoded.Corrupt<LeaderRecord>> faultOf(LeaderRecord record) {
        Optional<LeaseName> space = Look.leaseName(record.spaceName());
        Optional<LeaseName> name = Look.fileName(look.entry().name()).or(() -> Look.leaseName(record.resourceName()));
        if (space.isEmpty() || name.isEmpty()) {
            return Optional.of(new Decoded.Corrupt<>(LeaseFault.LOCKSPACE, "its names cannot be names of files"));
        }
        return LeaderRecord.decodeResource(look.head(), 0, space.get(), name.get(), 0)
                        instanceof Decoded.Corrupt<LeaderRecord> corrupt
                ? Optional.of(corrupt)
                : Optional.empty();
    }

    private ResourceSighting sound(LeaderRecord record, LeaseLayout layout) {
        Leader leader = new Leader(
                Look.name(record.spaceName()),
                Look.name(record.resourceName()),
                Geometry.of(layout),
                record.lver(),
                record.writer(),
                record.writeTimestamp(),
                record.timestamp(),
                record.isShortHold(),
                record.numHosts());
        checkSize(layout);
        checkStep(record, layout);
        checkOwner(record, layout);
        Optional<LockspaceInspection> lockspace = lockspaces.apply(leader.lockspace());
        checkPlace(leader, lockspace);
        byte[] area = blocks(leader, layout, lockspace);
        Optional<Request> request = request(area, layout);
        look(area, record, layout);
        // Who used a free lease last is asked only where one lease is looked at.
        boolean used = !record.isFree()
                || !marks.isEmpty()
                || depth == LeaseInspector.Depth.EVERY_BLOCK && record.owner().hostId() != 0;
        return new ResourceSighting(
                look.entry(),
                look.path(),
                record.isFree() ? State.FREE : State.EXCLUSIVE,
                Optional.of(leader),
                record.owner().hostId() == 0
                        ? Optional.empty()
                        : Optional.of(record.isFree() ? record.owner() : record.holder()),
                ownerReleased,
                marks,
                used ? note(record, layout) : Optional.empty(),
                record.lver() == 0 && record.owner().generation() == 0 && !balloted,
                request,
                findings);
    }

    private void checkSize(LeaseLayout layout) {
        if (look.entry().bytes() < layout.areaBytes()) {
            findings.add(
                    look.finding(
                            LeaseFault.SHORT,
                            look.entry().bytes(),
                            "it ends after " + look.entry().bytes() + " of " + layout.areaBytes() + " bytes",
                            "Nobody can take it. Stop its domain wherever it runs, then remove the file: the next start makes a new one."));
        }
    }

    /** Hosts that count by another step would meet at the same ballot numbers. */
    private void checkStep(LeaderRecord record, LeaseLayout layout) {
        if (record.maxHosts() != layout.maxHosts()) {
            findings.add(
                    look.finding(
                            LeaseFault.GEOMETRY,
                            0,
                            "it counts ballots in steps of " + record.maxHosts() + ", where its geometry has room for "
                                    + layout.maxHosts() + " hosts",
                            "No vmguard host takes it. When no host uses it, remove it: the next start of its domain makes a fitting one."));
        }
    }

    private void checkPlace(Leader leader, Optional<LockspaceInspection> lockspace) {
        if (lockspace.isEmpty()) {
            findings.add(
                    look.finding(
                            LeaseFault.LOCKSPACE,
                            0,
                            "it belongs to lockspace '" + leader.lockspace() + "', which is not in this directory",
                            "If it came from another directory, move it back there; hosts of another lockspace cannot take it."));
        } else if (!lockspace.get().geometry().equals(leader.geometry())) {
            findings.add(
                    look.finding(
                            LeaseFault.GEOMETRY,
                            0,
                            "it has " + leader.geometry() + ", but its lockspace has "
                                    + lockspace.get().geometry(),
                            "Nobody can take it. When no host uses it, remove it: the next start of its domain makes a fitting one."));
        }
        if (leader.numHosts() > leader.geometry().maxHosts() || leader.numHosts() < 0) {
            findings.add(look.finding(
                    LeaseFault.NUM_HOSTS,
                    0,
                    "it says " + leader.numHosts() + " disk blocks, more than its geometry has room for",
                    "When no host uses it, remove it: the next start of its domain makes a fitting one."));
        }
    }

    private void checkOwner(LeaderRecord record, LeaseLayout layout) {
        long hostId = record.owner().hostId();
        if (!record.isFree() && (hostId < 1 || hostId > layout.maxHosts())) {
            findings.add(
                    look.finding(
                            LeaseFault.CHECKSUM,
                            0,
                            "its owner has the impossible host id " + hostId,
                            "Nobody can take it. Stop its domain wherever it runs, then remove the file: the next start makes a new one."));
        }
    }

    /** Leader, request and as many disk blocks as matter, or what can be read of them. */
    private byte[] blocks(Leader leader, LeaseLayout layout, Optional<LockspaceInspection> lockspace) {
        long hosts = Math.max(0, Math.min(leader.numHosts(), layout.maxHosts()));
        if (depth != LeaseInspector.Depth.EVERY_BLOCK) {
            // Who never joined has no mark, and on a lease that was never taken nobody has.
            long joined = lockspace.map(LockspaceInspection::highestUsedId).orElse(0L);
            hosts = leader.lver() == 0 ? 0 : Math.min(hosts, joined);
        }
        long end = hosts == 0 ? 0 : layout.diskBlockOffset(hosts) + layout.sectorBytes();
        long there = look.entry().bytes() / layout.sectorBytes() * layout.sectorBytes();
        int length = (int) Math.min(end, there);
        if (length <= look.head().length) {
            return look.head();
        }
        int begin = look.head().length;
        IoOutcome outcome = look.read(begin, length - begin);
        if (outcome instanceof IoOutcome.Failed failed) {
            findings.add(look.unreadable(failed, begin));
            return look.head();
        }
        byte[] area = Arrays.copyOf(look.head(), length);
        System.arraycopy(((IoOutcome.Done) outcome).bytes(), 0, area, begin, length - begin);
        return area;
    }

    private Optional<Request> request(byte[] area, LeaseLayout layout) {
        int offset = (int) layout.requestOffset();
        if (area.length < offset + layout.sectorBytes()) {
            return Optional.empty();
        }
        return RequestRecord.decode(area, offset)
                .fold(
                        request -> request.equals(RequestRecord.NONE)
                                ? Optional.empty()
                                : Optional.of(new Request(request.lver(), request.forceMode())),
                        (fault, why) -> {
                            findings.add(look.finding(
                                    fault,
                                    offset,
                                    "its request record is not sound: " + why,
                                    "It can be taken and given back, but not asked for."));
                            return Optional.empty();
                        });
    }

    /** Looks at the disk blocks for marks of sharers, for damage, and for an owner that released what another wrote. */
    private void look(byte[] area, LeaderRecord record, LeaseLayout layout) {
        int damaged = 0;
        long firstDamaged = 0;
        long hosts = Math.max(0, Math.min(record.numHosts(), area.length / layout.sectorBytes() - 2));
        for (long id = 1; id <= hosts; id++) {
            Decoded<DiskBlock> decoded = DiskBlock.decode(area, (int) layout.diskBlockOffset(id));
            if (decoded instanceof Decoded.Valid<DiskBlock> valid) {
                DiskBlock block = valid.value();
                balloted |= block.mbal() != 0;
                if (block.shared() && block.sharedGeneration() != 0) {
                    marks.add(new Owner(id, block.sharedGeneration()));
                }
                boolean owners =
                        id == record.owner().hostId() && !record.writer().equals(record.owner());
                ownerReleased |= owners && block.released();
            } else {
                firstDamaged = damaged == 0 ? id : firstDamaged;
                damaged++;
            }
        }
        if (damaged > 0) {
            findings.add(look.finding(
                    LeaseFault.DBLOCK_CHECKSUM,
                    layout.diskBlockOffset(firstDamaged),
                    "the disk block of host id " + firstDamaged + " has a wrong checksum"
                            + (damaged == 1 ? "" : ", and those of " + (damaged - 1) + " more host ids"),
                    "Nobody can take this lease, on no host. Stop its domain wherever it runs; when no host uses the lease, "
                            + "remove the file: the next start makes a new one."));
        }
    }

    private Optional<LeaseNote> note(LeaderRecord record, LeaseLayout layout) {
        boolean room = record.numHosts() <= layout.maxHosts() && look.entry().bytes() >= layout.areaBytes();
        if (!room || !(look.read(layout.noteOffset(), layout.sectorBytes()) instanceof IoOutcome.Done done)) {
            return Optional.empty(); // for people only: its absence is no finding
        }
        return NoteSector.decode(done.bytes(), 0, record.owner(), record.lver());
    }
}
