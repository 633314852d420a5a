/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.RequestRecord;
import io.vmguard.lease.ondisk.TransferSector;
import io.vmguard.lease.step.Step;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/** The truth that no host knows as a whole, and what must hold in it after every step. */
final class Ledger {
    private static final long ON_DISK = Long.MAX_VALUE;
    private static final long RECEIVERS_WORD = Simulation.LAYOUT.wordOffset(TransferWord.Side.RECEIVER);

    /** A membership as the disk has had it, of one machine since its power-on. Two of them may have claimed the same. */
    private static final class Tenure {
        /** Its host has read it back. */
        boolean joined;
        /** Boot clock of its machine, before the newest renewal that has landed was issued. */
        long renewedNanos = Long.MIN_VALUE;
        /** Since when another machine's record of the same membership stands in its place. */
        long overwrittenNanos = ON_DISK;
    }

    /** A version of a resource. */
    private record Version(LeaseName resource, long lver) {}

    /** A hand-over in which neither side has given up yet. */
    private record HandOver(SimMachine giver, Owner from, SimMachine receiver, Owner to) {}

    private final Simulation sim;
    private final Map<Owner, Map<SimMachine.Boot, Tenure>> tenures = new HashMap<>();
    private final Map<Version, Owner> owners = new HashMap<>();
    private final Map<Version, Owner> undone = new HashMap<>();
    private final Map<LeaseName, Long> newest = new HashMap<>();
    private final Map<LeaseName, HandOver> handOvers = new HashMap<>();

    Ledger(Simulation sim) {
        this.sim = sim;
    }

    private static AssertionError violation(String what) {
        return new AssertionError(what);
    }

    // ---- who uses what

    /** At most one exclusive user; no exclusive one beside a shared one. */
    void used(SimMachine by, LeaseName resource, LeaseMode mode) {
        for (SimMachine other : sim.machines) {
            if (other == by || other.boot.over) {
                continue;
            }
            SimMachine.Use use = other.boot.uses.get(resource);
            if (use != null && (mode == LeaseMode.EXCLUSIVE || use.mode() == LeaseMode.EXCLUSIVE)) {
                throw violation(by + " uses " + resource + " " + mode + " while " + other + " uses it " + use.mode()
                        + " as " + use.owner());
            }
        }
    }

    /** No user lives 8 T + W after its membership was last renewed on disk, whatever its host believes. */
    void checkDeadlines() {
        for (SimMachine machine : sim.machines) {
            if (machine.boot.over || machine.boot.uses.isEmpty()) {
                continue;
            }
            long nowNanos = machine.clock.bootNanos();
            for (Map.Entry<LeaseName, SimMachine.Use> use : machine.boot.uses.entrySet()) {
                Tenure tenure = tenure(use.getValue().owner(), machine.boot);
                long ageNanos = nowNanos - tenure.renewedNanos;
                if (ageNanos > sim.hostDeadNanos + Simulation.millis(1)) {
                    throw violation(machine + " uses " + use.getKey() + " " + (ageNanos - sim.hostDeadNanos) / 1_000_000
                            + " ms past its deadline");
                }
            }
        }
    }

    // ---- memberships

    /**
     * A host believes that it is this member. It has read that within T; what lands over it then, a claim that is far too late, it finds with
     * its first renewal.
     */
    void joined(SimMachine machine, Owner owner) {
        Map<SimMachine.Boot, Tenure> claims = tenures.getOrDefault(owner, Map.of());
        Tenure tenure = claims.get(machine.boot);
        long readNanos = sim.nowNanos - sim.ioTimeoutNanos - sim.ioTimeoutNanos / 100 - Simulation.millis(10);
        if (tenure == null || tenure.overwrittenNanos < readNanos) {
            throw violation(machine + " believes to be " + owner + ", which it is not on disk");
        }
        if (claims.values().stream().anyMatch(other -> other != tenure && other.joined)) {
            throw violation(machine + " believes to be " + owner + ", as another has before it");
        }
        tenure.joined = true;
    }

    private Tenure tenure(Owner owner, SimMachine.Boot boot) {
        return tenures.get(owner).get(boot);
    }

    // ---- hand-over

    void handOverBegins(LeaseName resource, SimMachine giver, Owner from, SimMachine receiver, Owner to) {
        handOvers.put(resource, new HandOver(giver, from, receiver, to));
    }

    /** One side has given up, lost its membership or died, or all is done: from here on the general rules hold. */
    void handOverEnds(LeaseName resource) {
        handOvers.remove(resource);
    }

    void handOversEnd(SimMachine of) {
        handOvers.values().removeIf(h -> h.giver() == of || h.receiver() == of);
    }

    /** Neither zero owners nor a third one. */
    private void checkHandOver(LeaseName resource, LeaderRecord leader) {
        HandOver handOver = handOvers.get(resource);
        if (handOver != null
                && mayLive(handOver.giver(), handOver.from())
                && mayLive(handOver.receiver(), handOver.to())
                && (leader.isFree()
                        || !(leader.owner().equals(handOver.from())
                                || leader.owner().equals(handOver.to())))) {
            throw violation("while " + resource + " goes from " + handOver.from() + " to " + handOver.to()
                    + " the leader becomes " + leader);
        }
    }

    private boolean mayLive(SimMachine machine, Owner owner) {
        Tenure tenure = tenures.get(owner).get(machine.boot);
        return tenure != null && machine.clock.bootNanos() - tenure.renewedNanos <= sim.hostDeadNanos;
    }

    // ---- the disk

    /** What may be written by whom, at the moment it is issued. */
    void issued(Owner writer, Step.Area area, LeaseName resource, long offset, byte[] sector, byte[] now) {
        if (sector.length != Simulation.LAYOUT.sectorBytes() || offset % sector.length != 0) {
            throw violation(writer + " writes something else than a sector");
        }
        boolean allowed = area == Step.Area.LOCKSPACE
                ? isOwnDelta(writer, offset, sector)
                : mayWriteResource(writer, resource, offset, sector, now);
        if (!allowed) {
            throw violation(writer + " must not write this at offset " + offset + " of "
                    + (area == Step.Area.LOCKSPACE ? "the lockspace" : resource));
        }
    }

    private static boolean isOwnDelta(Owner writer, long offset, byte[] sector) {
        return offset == Simulation.LAYOUT.deltaOffset(writer.hostId())
                && LeaderRecord.decodeDelta(sector, 0, Simulation.LOCKSPACE)
                        instanceof Decoded.Valid<LeaderRecord> valid
                && valid.value().owner().hostId() == writer.hostId()
                && (writer.generation() == 0 || valid.value().owner().equals(writer));
    }

    private boolean mayWriteResource(Owner writer, LeaseName resource, long offset, byte[] sector, byte[] now) {
        if (offset == Simulation.LAYOUT.leaderOffset()) {
            return LeaderRecord.decodeResource(sector, 0, Simulation.LOCKSPACE, resource, writer.hostId())
                            instanceof Decoded.Valid<LeaderRecord> valid
                    && valid.value().writer().equals(writer);
        }
        if (offset == Simulation.LAYOUT.requestOffset()) {
            return RequestRecord.decode(sector, 0) instanceof Decoded.Valid<RequestRecord> valid
                    && valid.value().lver() <= newest.getOrDefault(resource, 0L) + 1;
        }
        if (offset == RECEIVERS_WORD) {
            return TransferSector.decode(sector, 0, TransferWord.Side.RECEIVER)
                    .filter(word -> word.from().equals(writer))
                    .isPresent();
        }
        if (offset == Simulation.LAYOUT.diskBlockOffset(writer.hostId())) {
            return DiskBlock.decode(sector, 0) instanceof Decoded.Valid<DiskBlock> valid
                    && (valid.value().modeGeneration() == 0 || valid.value().modeGeneration() == writer.generation());
        }
        return isWipe(resource, offset, sector, now);
    }

    /** Zeroes over the mark of a holder in shared mode whose user does not live. */
    private boolean isWipe(LeaseName resource, long offset, byte[] sector, byte[] now) {
        for (byte b : sector) {
            if (b != 0) {
                return false;
            }
        }
        long hostId = offset / Simulation.LAYOUT.sectorBytes() - 1;
        return hostId >= 1 && hostId <= Simulation.MAX_HOSTS && !isMarkOfALiveUser(resource, hostId, now);
    }

    private boolean isMarkOfALiveUser(LeaseName resource, long hostId, byte[] area) {
        Decoded<DiskBlock> decoded = DiskBlock.decode(area, (int) Simulation.LAYOUT.diskBlockOffset(hostId));
        if (!(decoded instanceof Decoded.Valid<DiskBlock> valid)
                || !valid.value().shared()) {
            return false;
        }
        Owner marked = new Owner(hostId, valid.value().sharedGeneration());
        for (SimMachine machine : sim.machines) {
            boolean uses = machine.useOf(resource)
                    .filter(use -> use.owner().equals(marked) && use.mode() == LeaseMode.SHARED)
                    .isPresent();
            if (uses && !machine.boot.over) {
                return true;
            }
        }
        return false;
    }

    /**
     * A write reaches the disk.
     *
     * @param issuedNanos boot clock of the writer's machine
     * @param before what it replaces, the whole area
     */
    void lands(
            SimMachine.Boot boot,
            Owner writer,
            Step.Area area,
            LeaseName resource,
            long offset,
            byte[] sector,
            long issuedNanos,
            byte[] before) {
        if (area == Step.Area.LOCKSPACE) {
            deltaLands(boot, LeaderRecord.at(sector, 0).owner(), issuedNanos);
        } else if (offset == Simulation.LAYOUT.leaderOffset()) {
            LeaderRecord.decodeResource(sector, 0, Simulation.LOCKSPACE, resource, 1)
                    .fold(leader -> leaderLands(resource, leader), (fault, why) -> null);
        } else if (offset > Simulation.LAYOUT.requestOffset()
                && offset != RECEIVERS_WORD
                && offset != Simulation.LAYOUT.diskBlockOffset(writer.hostId())
                && isMarkOfALiveUser(resource, offset / sector.length - 1, before)) {
            throw violation(writer + " wipes the shared mark of a live user of " + resource);
        }
    }

    /** Two hosts may claim the same id and generation; the one whose claim was last has it on disk. */
    private void deltaLands(SimMachine.Boot boot, Owner owner, long issuedNanos) {
        Map<SimMachine.Boot, Tenure> claims = tenures.computeIfAbsent(owner, o -> new LinkedHashMap<>());
        Tenure tenure = claims.computeIfAbsent(boot, b -> new Tenure());
        tenure.renewedNanos = Math.max(tenure.renewedNanos, issuedNanos);
        for (Tenure other : claims.values()) {
            other.overwrittenNanos = other == tenure ? ON_DISK : Math.min(other.overwrittenNanos, sim.nowNanos);
        }
    }

    /**
     * A stock host whose acquire failed half-way wipes its block, so that nobody carries its proposal on: if it had been chosen, the
     * version may be decided once more. It does not use what it gave up so.
     */
    void undone(Owner by, LeaseName resource, long lver) {
        undone.put(new Version(resource, lver), by);
    }

    /** Whoever commits a version commits the same owner: this is what the ballots are for. */
    private Void leaderLands(LeaseName resource, LeaderRecord leader) {
        if (leader.lver() > 0) {
            Version version = new Version(resource, leader.lver());
            Owner first = owners.putIfAbsent(version, leader.owner());
            Owner gaveUp = undone.get(version);
            if (first != null && !first.equals(leader.owner()) && first.equals(gaveUp)) {
                owners.put(version, leader.owner());
            } else if (first != null
                    && !first.equals(leader.owner())
                    && !leader.owner().equals(gaveUp)) {
                throw violation("version " + leader.lver() + " of " + resource + " was committed for " + first
                        + " and now for " + leader.owner() + " by " + leader.writer());
            }
        }
        if (newest.merge(resource, leader.lver(), Math::max) > leader.lver()) {
            // Issued by a live host before all this, and very late: what the blocks say puts it right, or both sides
            // let go.
            handOverEnds(resource);
            if (sim.scenario.stockHosts() > 0) {
                // The blocks that say what was decided since may be wiped: stock hosts do that.
                owners.keySet().removeIf(v -> v.resource().equals(resource) && v.lver() > leader.lver());
            }
        } else {
            checkHandOver(resource, leader);
        }
        return null;
    }
}
