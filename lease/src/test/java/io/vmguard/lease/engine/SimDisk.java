/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.LongStream;

/**
 * The shared disk: sectors are written whole, a write that was acknowledged stays, a read sees every sector as it is at some instant of
 * the read.
 *
 * <p>As in the shipping driver, an I/O ends before anybody hears of it: a write that was reported as timed out has landed or never will.
 * The exception is a machine that dies: what was on its way to the storage may land at any time.
 */
final class SimDisk {
    private final Simulation sim;
    private final byte[] lockspace;
    private final Map<LeaseName, byte[]> areas = new HashMap<>();
    private final byte[] lockspaceToBe;

    SimDisk(Simulation sim) {
        this.sim = sim;
        this.lockspaceToBe =
                LeaseArea.lockspace(Simulation.LAYOUT, Simulation.LOCKSPACE, sim.timeouts.ioTimeoutSeconds());
        boolean torn = sim.scenario.faults().tornAreas();
        this.lockspace = torn ? new byte[lockspaceToBe.length] : lockspaceToBe.clone();
        if (torn) {
            initialise(lockspace, lockspaceToBe);
        }
        for (LeaseName resource : sim.resources) {
            byte[] whole = fresh(resource);
            byte[] area = torn && sim.random.nextBoolean() ? new byte[whole.length] : whole.clone();
            areas.put(resource, area);
            if (!Arrays.equals(area, whole)) {
                initialise(area, whole);
            }
        }
    }

    private static byte[] fresh(LeaseName resource) {
        return LeaseArea.resource(Simulation.LAYOUT, Simulation.LOCKSPACE, resource, Simulation.MAX_HOSTS);
    }

    /** By somebody who shows the file before it is whole: in two parts, either first; he may die in between. */
    private void initialise(byte[] area, byte[] whole) {
        int cut = Simulation.LAYOUT.sectorBytes() * (1 + sim.random.nextInt(4));
        boolean headFirst = sim.random.nextBoolean();
        long firstNanos = sim.soon(4 * sim.ioTimeoutNanos);
        sim.after(firstNanos, () -> part(area, whole, headFirst ? 0 : cut, headFirst ? cut : whole.length));
        if (sim.random.nextInt(3) > 0) {
            sim.after(
                    firstNanos + sim.soon(4 * sim.ioTimeoutNanos),
                    () -> part(area, whole, headFirst ? cut : 0, headFirst ? whole.length : cut));
        }
    }

    /** Only what nobody has written since. */
    private static void part(byte[] area, byte[] whole, int from, int to) {
        int sectorBytes = Simulation.LAYOUT.sectorBytes();
        for (int offset = from; offset < to; offset += sectorBytes) {
            if (Arrays.equals(area, offset, offset + sectorBytes, new byte[sectorBytes], 0, sectorBytes)) {
                System.arraycopy(whole, offset, area, offset, sectorBytes);
            }
        }
    }

    /** What an administrator does with files that their maker left unfinished. */
    void completeTornAreas() {
        part(lockspace, lockspaceToBe, 0, lockspaceToBe.length);
        areas.forEach((resource, area) -> {
            byte[] whole = fresh(resource);
            part(area, whole, 0, 2 * Simulation.LAYOUT.sectorBytes());
        });
    }

    private byte[] area(Step.Area area, LeaseName resource) {
        return area == Step.Area.LOCKSPACE ? lockspace : areas.get(resource);
    }

    /** What nobody but the simulation sees at once. */
    Optional<LeaderRecord> leader(LeaseName resource) {
        return LeaderRecord.decodeResource(areas.get(resource), 0, Simulation.LOCKSPACE, resource, 1)
                .fold(Optional::of, (fault, why) -> Optional.empty());
    }

    /** Likewise. */
    Optional<DiskBlock> block(LeaseName resource, long hostId) {
        return StockLease.blockIn(areas.get(resource), hostId);
    }

    /** The generation that a host id has come to. */
    private long generation(long hostId) {
        return LeaderRecord.at(lockspace, (int) Simulation.LAYOUT.deltaOffset(hostId))
                .owner()
                .generation();
    }

    /**
     * What an administrator does about leases of a generation that their host id has not come to, {@code vmguard lease release
     * --confirm-dead}: docs/simulation.md.
     *
     * @return how many it were
     */
    int freeWhatNeverWas(LeaseName resource) {
        int freed = 0;
        for (long hostId = 1; hostId <= Simulation.MAX_HOSTS; hostId++) {
            int offset = (int) Simulation.LAYOUT.diskBlockOffset(hostId);
            DiskBlock block = block(resource, hostId).orElseThrow();
            if (block.shared() && block.sharedGeneration() > generation(hostId)) {
                put(resource, offset, new byte[Simulation.LAYOUT.sectorBytes()]);
                freed++;
            }
        }
        Optional<LeaderRecord> held = leader(resource)
                .filter(leader -> !leader.isFree()
                        && leader.owner().generation()
                                > generation(leader.owner().hostId()));
        if (held.isPresent()) {
            put(resource, 0, held.get().edit().timestamp(0).seal().sector(Simulation.LAYOUT));
            freed++;
        }
        return freed;
    }

    private void put(LeaseName resource, int offset, byte[] sector) {
        System.arraycopy(sector, 0, areas.get(resource), offset, sector.length);
    }

    /** The highest version that any host has run a ballot for. */
    long highestLver(LeaseName resource) {
        return LongStream.rangeClosed(1, Simulation.MAX_HOSTS)
                .mapToObj(hostId -> block(resource, hostId))
                .flatMap(Optional::stream)
                .mapToLong(DiskBlock::lver)
                .max()
                .orElse(0);
    }

    /** How long an I/O takes. */
    private long ioNanos() {
        if (sim.faults.slowIo() > 0 && sim.random.nextDouble() < sim.faults.slowIo()) {
            long longestNanos = switch (sim.random.nextInt(3)) {
                case 0 -> 2 * sim.ioTimeoutNanos;
                case 1 -> 8 * sim.ioTimeoutNanos;
                default -> sim.longestIoNanos;
            };
            return (long) (longestNanos * sim.random.nextDouble());
        }
        return 500_000 + sim.random.nextInt(20_000_000);
    }

    /** Carries out one read or write of a process; it hears of the end only if it lives and when its machine is awake. */
    <R> void io(SimMachine.Process process, Owner writer, Step<R> step, LeaseName resource, Consumer<Step<R>> next) {
        SimMachine.Boot boot = process.of;
        long tookNanos = ioNanos();
        long instantNanos = (long) (tookNanos * sim.random.nextDouble());
        boolean fails = sim.faults.failedIo() > 0 && sim.random.nextDouble() < sim.faults.failedIo();
        long askedNanos = process.machine().clock.bootNanos();
        boot.inFlight++;
        boot.talked = true;
        sim.underWay(tookNanos);
        if (step instanceof Step.Read<R> read) {
            byte[][] seen = new byte[1][];
            sim.after(instantNanos, () -> {
                int from = (int) read.offsetBytes();
                seen[0] = Arrays.copyOfRange(area(read.area(), resource), from, from + read.lengthBytes());
            });
            sim.after(tookNanos, () -> {
                boot.inFlight--;
                process.resume(() ->
                        next.accept(read.then().apply(outcome(process, fails, askedNanos, read.limit(), seen[0]))));
            });
        } else if (step instanceof Step.Write<R> write) {
            process.machine().onWrite(tookNanos);
            byte[] area = area(write.area(), resource);
            sim.ledger.issued(writer, write.area(), resource, write.offsetBytes(), write.sector(), area);
            boolean lands = !fails || sim.random.nextBoolean();
            Runnable landing = () -> put(boot, writer, write, resource, askedNanos);
            if (lands) {
                sim.after(instantNanos, () -> land(process, write, landing));
            }
            sim.after(tookNanos, () -> {
                boot.inFlight--;
                process.resume(() -> next.accept(
                        write.then().apply(outcome(process, fails, askedNanos, write.limit(), new byte[0]))));
            });
        }
    }

    private void land(SimMachine.Process process, Step.Write<?> write, Runnable landing) {
        if (!process.of.over) {
            landing.run();
        } else if (sim.faults.lateWritesOfTheDead() && sim.random.nextInt(3) == 0) {
            long atMostNanos = write.area() == Step.Area.LOCKSPACE ? sim.ioTimeoutNanos : sim.longestIoNanos;
            long lateNanos = (long) (atMostNanos * sim.random.nextDouble());
            sim.counts.lateWrites++;
            sim.underWay(lateNanos);
            boolean leader = write.area() == Step.Area.RESOURCE && write.offsetBytes() == 0;
            sim.after(lateNanos, () -> {
                // A sector that only one host writes has no defence against that host's earlier life: a storage
                // must not carry out what a machine sent before its reset once it talks to the same machine
                // again.
                if (leader || !process.machine().boot.talked) {
                    landing.run();
                }
            });
        }
    }

    private void put(SimMachine.Boot boot, Owner writer, Step.Write<?> write, LeaseName resource, long askedNanos) {
        byte[] area = area(write.area(), resource);
        int offset = (int) write.offsetBytes();
        if (boot.over) {
            sim.say(() -> "a late write of the dead " + boot.id + " lands at " + offset + " of "
                    + (write.area() == Step.Area.LOCKSPACE ? "the lockspace" : resource));
        }
        sim.stamp(offset + 31L * writer.hostId());
        if (write.area() == Step.Area.LOCKSPACE) {
            sim.say(() -> boot.id + "'s delta lease lands: " + LeaderRecord.at(write.sector(), 0));
        }
        sim.ledger.lands(boot, writer, write.area(), resource, offset, write.sector(), askedNanos, area);
        System.arraycopy(write.sector(), 0, area, offset, write.sector().length);
    }

    private static IoOutcome outcome(
            SimMachine.Process process, boolean fails, long askedNanos, Duration limit, byte[] bytes) {
        if (fails) {
            return new IoOutcome.Failed(LeaseFault.IO, "simulated error");
        }
        return process.machine().clock.bootNanos() - askedNanos > limit.toNanos()
                ? new IoOutcome.Failed(LeaseFault.TIMED_OUT, "simulated stall")
                : new IoOutcome.Done(bytes);
    }
}
