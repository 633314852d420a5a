/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore.Opened;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.NoteSector;
import io.vmguard.lease.step.IoOutcome;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What the disk says that a membership holds, or may come to hold: for a host that has lost its own record of it. Reads two or three
 * sectors of each lease there is, and changes nothing.
 *
 * <p>A lease that is not sound is left out: nobody can take it.
 */
final class HeldOnDisk {
    /** Who uses a lease whose note is missing; the domain that needs it is found by its disks. */
    private static final String UNKNOWN = "?";

    private final LeaseFiles files;
    private final LeaseLayout layout;
    private final LeaseName lockspace;
    private final Owner owner;
    private final Duration limit;

    /** @param limit of one read */
    HeldOnDisk(LeaseFiles files, LeaseLayout layout, LeaseName lockspace, Owner owner, Duration limit) {
        this.files = files;
        this.layout = layout;
        this.lockspace = lockspace;
        this.owner = owner;
        this.limit = limit;
    }

    /** All of them, or why that cannot be told: what was not seen may be held. */
    Decoded<Map<LeaseName, LeaseUse>> look() {
        Map<LeaseName, LeaseUse> held = new HashMap<>();
        try {
            for (LeaseFiles.Entry entry : files.list()) {
                Optional<LeaseName> name = name(entry);
                if (name.isPresent()) {
                    Decoded<Optional<LeaseUse>> use = look(name.get());
                    if (use instanceof Decoded.Corrupt<Optional<LeaseUse>> cannotTell) {
                        return new Decoded.Corrupt<>(cannotTell.fault(), files.path(entry) + ": " + cannotTell.why());
                    }
                    ((Decoded.Valid<Optional<LeaseUse>>) use).value().ifPresent(found -> held.put(name.get(), found));
                }
            }
        } catch (IOException e) {
            return new Decoded.Corrupt<>(LeaseFault.IO, String.valueOf(e.getMessage()));
        }
        return new Decoded.Valid<>(held);
    }

    /** A lease that we have used has all of its bytes. */
    private Optional<LeaseName> name(LeaseFiles.Entry entry) {
        if (!entry.regular()
                || entry.bytes() < layout.areaBytes()
                || entry.name().equals(lockspace.value())) {
            return Optional.empty();
        }
        try {
            return Optional.of(new LeaseName(entry.name()));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private Decoded<Optional<LeaseUse>> look(LeaseName name) {
        Opened opened = files.openToRead(name.value());
        if (opened instanceof Opened.Refused refused) {
            return refused.fault() == LeaseFault.MISSING
                    ? new Decoded.Valid<>(Optional.empty())
                    : new Decoded.Corrupt<>(refused.fault(), refused.why());
        }
        try (LeaseFile file = ((Opened.Ready) opened).file()) {
            return look(name, file);
        }
    }

    private Decoded<Optional<LeaseUse>> look(LeaseName name, LeaseFile file) {
        IoOutcome first = file.read(0, layout.sectorBytes(), limit);
        if (first instanceof IoOutcome.Failed failed) {
            return new Decoded.Corrupt<>(failed.fault(), failed.why());
        }
        Decoded<LeaderRecord> leader =
                LeaderRecord.decodeResource(((IoOutcome.Done) first).bytes(), 0, lockspace, name, owner.hostId());
        if (!(leader instanceof Decoded.Valid<LeaderRecord> sound)) {
            return new Decoded.Valid<>(Optional.empty());
        }
        IoOutcome own = file.read(layout.diskBlockOffset(owner.hostId()), layout.sectorBytes(), limit);
        if (own instanceof IoOutcome.Failed failed) {
            return new Decoded.Corrupt<>(failed.fault(), failed.why());
        }
        return new Decoded.Valid<>(use(sound.value(), ((IoOutcome.Done) own).bytes(), file));
    }

    /** Empty if the membership does not have it. */
    private Optional<LeaseUse> use(LeaderRecord leader, byte[] ownBlock, LeaseFile file) {
        if (DiskBlock.decode(ownBlock, 0) instanceof Decoded.Valid<DiskBlock> block
                && block.value().isAwaiting(leader, owner)) {
            // Given and not confirmed: it comes to us alone if it is not wanted there. What it is for we have noted in
            // the version before.
            return Optional.of(new LeaseUse(LeaseMode.EXCLUSIVE, List.of(note(file, leader.lver() - 1))));
        }
        return mode(leader, ownBlock).map(mode -> new LeaseUse(mode, List.of(note(file, leader.lver()))));
    }

    private Optional<LeaseMode> mode(LeaderRecord leader, byte[] ownBlock) {
        if (!leader.isFree() && leader.holder().equals(owner)) {
            return Optional.of(LeaseMode.EXCLUSIVE);
        }
        if (!(DiskBlock.decode(ownBlock, 0) instanceof Decoded.Valid<DiskBlock> block)) {
            return Optional.empty();
        }
        if (block.value().shared() && block.value().sharedGeneration() == owner.generation()) {
            return Optional.of(LeaseMode.SHARED);
        }
        // A ballot of ours that was not decided when the process ended: whoever comes next may decide it in our favour.
        return block.value().lver() > leader.lver() ? Optional.of(LeaseMode.EXCLUSIVE) : Optional.empty();
    }

    /** For people and for finding the domain only, as ever: that it cannot be read is no reason to give up. */
    private LeaseNote note(LeaseFile file, long lver) {
        Optional<LeaseNote> note =
                file.read(layout.noteOffset(), layout.sectorBytes(), limit) instanceof IoOutcome.Done done
                        ? NoteSector.decode(done.bytes(), 0, owner, lver)
                        : Optional.empty();
        return note.orElseGet(() -> new LeaseNote(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 0));
    }
}
