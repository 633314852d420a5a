/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static io.vmguard.agent.guard.LiveXml.lease;

import io.vmguard.agent.hypervisor.ChangeResult;
import io.vmguard.agent.hypervisor.DomainChange;
import io.vmguard.agent.testing.FakeHypervisor;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One random walk of one running domain through snapshots and block jobs: a small model of libvirt and QEMU around a real guard.
 *
 * <p>The model has a chain of images, a job at most, what QEMU has open, and what libvirt has said of it all: its list is true at every
 * moment, its status file is read now or later, its events come, come twice or never.
 */
final class BlockJobWalk extends RandomWalk {
    /** What happened how often. */
    static final class Tally {
        int snapshots;
        int commits;
        int innerCommits;
        int copies;
        int pivots;
        int aborts;
        int abortsByGuard;
        int restarts;
        int givenBack;

        void add(Tally other) {
            snapshots += other.snapshots;
            commits += other.commits;
            innerCommits += other.innerCommits;
            copies += other.copies;
            pivots += other.pivots;
            aborts += other.aborts;
            abortsByGuard += other.abortsByGuard;
            restarts += other.restarts;
            givenBack += other.givenBack;
        }
    }

    private enum Job {
        /** Into the image at the bottom, and what is above goes. */
        ACTIVE_COMMIT,
        /** The same of the images between top and bottom; the top stays. Only the status file says so. */
        INNER_COMMIT,
        COPY
    }

    private static final TestDomain DEMO = TestDomain.of("demo", "/i/0");
    private static final int PID = 1000;
    private static final int LONGEST_CHAIN = 5;

    final Tally tally = new Tally();
    /** No restart in this walk, and files can be looked at all the time. */
    private final boolean steady;

    private final LiveXml live = new LiveXml(DEMO);
    private final List<String> chain = new ArrayList<>(List.of("/i/0"));
    /** What QEMU has open. */
    private final Set<String> open = new HashSet<>(chain);
    /** All that it ever had. */
    private final Set<String> used = new HashSet<>(chain);

    private @Nullable Job job;
    /** Where the job writes to. */
    private String written = "";

    /** An overlay that is being made; QEMU has it open soon. */
    private String made = "";

    private boolean statusIsLate;
    private boolean resumed = true;
    /** Files could not be looked at for a while. */
    private boolean blind;

    private int names;
    private GuardBench bench = GuardBench.enforcing();
    private final FakeProcess qemu;

    BlockJobWalk(long seed) {
        super(seed);
        steady = random.nextInt(3) == 0;
        watch();
        qemu = bench.run(DEMO);
        opened();
        change();
    }

    // ---- the rules

    private void watch() {
        bench.hypervisor.devices(new FakeHypervisor.Obedient() {
            @Override
            public ChangeResult abortJob(UUID domain, String target, Duration limit) {
                return abortForGuard();
            }
        });
        bench.lockspace.onRelease(resource -> {
            tally.givenBack++;
            String image = used.stream()
                    .filter(path -> lease(path).equals(resource))
                    .findFirst()
                    .orElse("what was never used");
            say("  guard releases " + image);
            if (qemu.alive() && open.contains(image)) {
                throw new Violation("the lease of " + image + " was given back, and QEMU has it open");
            }
        });
    }

    /** Once all news has arrived, and everybody has had time. */
    private void checkAtRest() {
        Map<LeaseName, LeaseUse> held = bench.lockspace.view().held();
        for (Map.Entry<String, LeaseMode> entry : due().entrySet()) {
            LeaseUse use = held.get(lease(entry.getKey()));
            if (use == null || use.mode() != entry.getValue()) {
                throw new Violation(entry.getKey() + " is to be " + entry.getValue() + " and is " + use);
            }
        }
        Set<LeaseName> rest = new HashSet<>(held.keySet());
        due().keySet().forEach(image -> rest.remove(lease(image)));
        rest.remove(lease("/i/0")); // it may have been pivoted away before anybody but its start had named it
        if (isSighted() && !rest.isEmpty()) {
            throw new Violation("kept, and nobody uses it: " + rest);
        }
    }

    /** What was not seen by this very agent may be kept until the domain ends. */
    boolean isSighted() {
        return tally.restarts == 0 && !blind;
    }

    private Map<String, LeaseMode> due() {
        Map<String, LeaseMode> due = new HashMap<>();
        chain.forEach(image -> due.put(image, LeaseMode.SHARED));
        due.put(chain.get(0), LeaseMode.EXCLUSIVE);
        if (job != null) {
            due.put(written, LeaseMode.EXCLUSIVE);
        }
        return due;
    }

    // ---- walking

    @Override
    void wander(int steps) {
        for (int i = 0; i < steps; i++) {
            act();
            bench.clock.advance(Duration.ofMillis(random.nextInt(60)));
            if (chance(3)) {
                bench.clock.advance(Duration.ofSeconds(random.nextInt(40)));
            }
            if (chance(60)) {
                bench.slowCalls.runOne(random);
            }
            if (chance(70)) {
                bench.guard.drain();
            }
        }
    }

    private void act() {
        int dice = random.nextInt(100);
        if (dice < 30) {
            chain();
        } else if (dice < 45) {
            close();
        } else if (dice < 60) {
            news();
        } else if (dice < 75) {
            storage();
        } else if (dice < 80) {
            bench.hypervisor.silent(chance(30));
            bench.hypervisor.listsHang(chance(30));
        } else if (dice < 84) {
            boolean silent = !steady && chance(10);
            blind |= silent;
            bench.images.silent(silent);
        } else if (dice < 86) {
            bench.slowCalls.refuse(chance(30));
        } else if (!resumed) {
            resumed = true;
            say("membership resumed");
            bench.lockspace.resume();
            statusIsLate = true;
        } else if (dice < 89 && !steady && chance(40)) {
            restart();
        }
    }

    private void chain() {
        if (!made.isEmpty()) {
            say("snapshot " + made);
            tally.snapshots++;
            chain.add(0, made);
            open.add(made);
            made = "";
        } else if (job == null) {
            begin();
        } else if (chance(60)) {
            return; // it takes its time
        } else if (chance(60)) {
            finish();
        } else {
            say("abort");
            tally.aborts++;
            job = null;
        }
        opened();
        change();
    }

    private void begin() {
        int dice = random.nextInt(4);
        if (dice == 0 && chain.size() < LONGEST_CHAIN) {
            made = name();
        } else if (dice == 1 && chain.size() > 1) {
            say("active commit");
            tally.commits++;
            job = Job.ACTIVE_COMMIT;
            written = chain.get(chain.size() - 1);
        } else if (dice == 2 && chain.size() > 2) {
            say("inner commit");
            tally.innerCommits++;
            job = Job.INNER_COMMIT;
            written = chain.get(chain.size() - 1);
        } else if (dice == 3) {
            job = Job.COPY;
            written = name();
            say("copy to " + written);
            tally.copies++;
            open.add(written);
        }
    }

    private String name() {
        String name = "/i/" + ++names;
        used.add(name);
        return name;
    }

    private void finish() {
        say("pivot");
        tally.pivots++;
        if (job == Job.INNER_COMMIT) {
            chain.subList(1, chain.size() - 1).clear();
        } else {
            chain.clear();
            chain.add(written);
        }
        job = null;
    }

    private ChangeResult abortForGuard() {
        if (job == null || chance(20)) {
            return new ChangeResult.Failed("no job, or busy");
        }
        say("  guard aborts the job");
        tally.abortsByGuard++;
        job = null;
        change();
        return new ChangeResult.Done();
    }

    /** QEMU closes what it does not use, some time after libvirt has shown it for the last time. */
    private void close() {
        open.removeIf(image -> !chain.contains(image) && !(job != null && image.equals(written)) && chance(60));
        opened();
    }

    private void opened() {
        bench.images.open(PID, open.toArray(String[]::new));
    }

    private void change() {
        String top = chain.get(0);
        String[] backing = chain.subList(1, chain.size()).toArray(String[]::new);
        live.jobs();
        if (job == Job.ACTIVE_COMMIT) {
            live.disks(LiveXml.mirrored("vda", top, "active-commit", written, backing));
        } else if (job == Job.COPY) {
            live.disks(LiveXml.mirrored("vda", top, "copy", written, backing));
        } else {
            live.disks(LiveXml.disk("vda", top, backing));
        }
        if (job == Job.INNER_COMMIT) {
            live.jobs("<blockjob name='commit' type='commit' state='running'><disk dst='vda'/><base node='libvirt-"
                    + chain.size() + "-format'/><top node='libvirt-2-format'/></blockjob>");
        } else if (!made.isEmpty()) {
            live.jobs("<blockjob name='create-libvirt-50-format' type='create' state='running'><create mode='format'/>"
                    + "<src type='file' format='qcow2'><source file='" + made + "' index='50'/></src></blockjob>");
        }
        live.toLibvirt(bench);
        statusIsLate = true;
        if (chance(60)) {
            news();
        }
    }

    /** The status file as it is when it is read; an event, which says little. */
    private void news() {
        if (statusIsLate && chance(70)) {
            live.toStatusFile(bench);
            statusIsLate = false;
        }
        if (chance(30)) {
            bench.guard.changed(new DomainChange(DEMO.uuid(), DEMO.name(), DomainChange.Kind.BLOCK_JOB, "vda"));
        }
    }

    private void storage() {
        List<LeaseName> waiting = bench.lockspace.waiting();
        if (!waiting.isEmpty() && chance(70)) {
            bench.lockspace.complete(waiting.get(random.nextInt(waiting.size())));
            return;
        }
        bench.lockspace.holdBack(chance(40));
        for (String image : used) {
            bench.lockspace.answer(lease(image), chance(15) ? FakeLockspace.heldByNodeB("far") : null);
        }
    }

    private void restart() {
        say("the agent is restarted");
        tally.restarts++;
        bench = bench.afterCrash();
        watch();
        resumed = false;
        statusIsLate = true;
    }

    // ---- the end

    @Override
    void comeHome() {
        say("all is well again");
        if (!resumed) {
            bench.lockspace.resume();
        }
        bench.hypervisor.silent(false);
        bench.hypervisor.listsHang(false);
        bench.images.silent(false);
        bench.slowCalls.refuse(false);
        used.forEach(image -> bench.lockspace.answer(lease(image), null));
        bench.lockspace.holdBack(false);
        List.copyOf(bench.lockspace.waiting()).forEach(bench.lockspace::complete);
        if (!made.isEmpty()) {
            chain();
        }
        for (int round = 0; round < 5; round++) {
            live.toStatusFile(bench);
            while (!open.equals(due().keySet())) {
                close();
            }
            bench.pass(Duration.ofSeconds(15)); // a late abort may end a job yet
        }
        checkAtRest();
        qemu.end();
        bench.hypervisor.deactivate(DEMO.uuid());
        bench.settle();
        if (!bench.lockspace.held().isEmpty()) {
            throw new Violation("left behind: " + bench.lockspace.held());
        }
    }
}
