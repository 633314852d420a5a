/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/** The three hosts of the random operations, what has been done to them, and what may be expected of them just now. */
final class SoakSite implements AutoCloseable {
    static final int HOSTS = 3;
    /** A medium that anybody may read. */
    static final String CDROM = "/images/cdrom.iso";
    /** No operation takes longer, trouble included. */
    static final Duration PATIENCE = Duration.ofMinutes(3);
    /** How long after its end a lease may be on its way back: a write, on a busy machine. */
    private static final Duration SETTLED = Duration.ofSeconds(10);
    /** How long after an agent is back it may still find out what has ended meanwhile. */
    private static final Duration RECOVERED = Duration.ofSeconds(15);

    private static final int FIRST_PORT = 16_541;
    private static final int FIRST_MIGRATION_PORT = 49_400;
    private static final int MIGRATION_PORTS = 20;
    private static final int HISTORY = 60;
    /** What a virsh dies of whose daemon has just gone. */
    private static final int SIGPIPE = 13;

    /** What each domain has beside its disk. */
    private static final String DRIVES =
            "<disk type='file' device='floppy'><driver name='qemu' type='raw'/><target dev='fda' bus='fdc'/></disk>"
                    + "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='hdc' bus='ide'/>"
                    + "<readonly/></disk>";

    /** A file system of its own: QEMU's locks must not be what keeps hosts apart. It must be there before anybody looks. */
    private static final String IMAGES_UNIT = """
            [Unit]
            Before=libvirtd.service vmguard.service
            [Service]
            Type=oneshot
            RemainAfterExit=yes
            ExecStart=/bin/sh -c "mount --make-rshared / && mkdir -p /images && stall-dir /shared-images /images /run/image-fault"
            [Install]
            WantedBy=multi-user.target
            """;

    /** libvirtd has gone while it was asked: what has come of it is not known. */
    static final class Interrupted extends RuntimeException {
        private static final long serialVersionUID = 1;

        Interrupted(String what) {
            super(what);
        }
    }

    final OverlapWatch watch;
    private final List<GuardedHost> hosts = new ArrayList<>();
    private final long[] troubledNanos = new long[HOSTS];
    private final boolean[] inTrouble = new boolean[HOSTS];
    private final long[] agentAwayNanos = new long[HOSTS];
    private final Map<String, Long> counts = new TreeMap<>();
    private final Deque<String> history = new ArrayDeque<>();
    private final long beganNanos = System.nanoTime();

    SoakSite(OverlapWatch watch, SharedDir leases, SharedDir images) {
        this.watch = watch;
        List<CompletableFuture<GuardedHost>> booting = IntStream.range(0, HOSTS)
                .mapToObj(i -> CompletableFuture.supplyAsync(() -> boot(i, leases, images)))
                .toList();
        booting.forEach(host -> hosts.add(host.join()));
        hosts.forEach(GuardedHost::awaitReady);
        long longAgoNanos = beganNanos - Duration.ofHours(1).toNanos();
        for (int i = 0; i < HOSTS; i++) {
            troubledNanos[i] = longAgoNanos;
            agentAwayNanos[i] = longAgoNanos;
        }
    }

    private static GuardedHost boot(int index, SharedDir leases, SharedDir images) {
        int migrationPort = FIRST_MIGRATION_PORT + index * MIGRATION_PORTS;
        GuardedHost host = GuardedHost.startOnPlainLeases(
                TestHost.named("soak-" + (char) ('a' + index))
                        .bind(images, "/shared-images")
                        .tcpPort(FIRST_PORT + index)
                        .migrationPorts(migrationPort, migrationPort + MIGRATION_PORTS - 1),
                leases,
                "io_timeout: 10s",
                "watchdog_timeout: 10s",
                "watchdog: none",
                "hook_timeout: 25s");
        host.host
                .sh("cat > /etc/systemd/system/soak-images.service <<'X'\n" + IMAGES_UNIT
                        + "X\nsystemctl enable --now soak-images")
                .mustSucceed();
        // libvirt does not know these images as shared: it gives a file back to root when a guest has left, and
        // the QEMU that has it now ends when it opens it once more.
        host.host
                .sh(
                        "printf 'user = \"root\"\ngroup = \"root\"\n' >> /etc/libvirt/qemu.conf; systemctl restart libvirtd")
                .mustSucceed();
        return host;
    }

    GuardedHost host(int index) {
        return hosts.get(index);
    }

    List<GuardedHost> hosts() {
        return hosts;
    }

    int any(Random random) {
        return random.nextInt(HOSTS);
    }

    /** Another one than that. */
    int other(int than, Random random) {
        return (than + 1 + random.nextInt(HOSTS - 1)) % HOSTS;
    }

    static String uri(int index) {
        return "qemu+tcp://127.0.0.1:" + (FIRST_PORT + index) + "/system";
    }

    // ---- what was done

    synchronized void count(String what) {
        counts.merge(what.toLowerCase(Locale.ROOT), 1L, Long::sum);
    }

    synchronized Map<String, Long> counts() {
        return new TreeMap<>(counts);
    }

    /** How many operations went through to their end. */
    synchronized long operations() {
        return Arrays.stream(SoakOperation.values())
                .mapToLong(operation -> counts.getOrDefault(operation.name().toLowerCase(Locale.ROOT), 0L))
                .sum();
    }

    synchronized void note(String what) {
        history.addLast("%7.1f s %s".formatted((System.nanoTime() - beganNanos) / 1e9, what));
        if (history.size() > HISTORY) {
            history.removeFirst();
        }
    }

    /** The last operations, oldest first. */
    synchronized String history() {
        return String.join("\n", history);
    }

    // ---- trouble

    /** From now on until {@link #troubleEnds}, and some time longer, a host may not answer. */
    synchronized void troubleBegins(int host) {
        inTrouble[host] = true;
    }

    /** @param agentAway its agent ended or stood still */
    synchronized void troubleEnds(int host, boolean agentAway) {
        inTrouble[host] = false;
        if (agentAway) {
            agentAwayNanos[host] = System.nanoTime();
        }
        troubledNanos[host] = System.nanoTime();
    }

    synchronized boolean isTroubled(int host) {
        return inTrouble[host] || System.nanoTime() - troubledNanos[host] < RECOVERED.toNanos();
    }

    private synchronized boolean wasAgentAwaySince(int host, long nanos) {
        return inTrouble[host] || agentAwayNanos[host] - nanos > 0;
    }

    /** Whether a running domain may have kept it, because the agent was away while it was given up. */
    private boolean isKept(SoakDisk disk, Ran ran) {
        return disk.runs()
                && ran.stderr().contains("is in use by domain " + disk.name + " on host ")
                && wasAgentAwaySince(disk.host, disk.operatedNanos);
    }

    private boolean isAnyTroubled() {
        return IntStream.range(0, HOSTS).anyMatch(this::isTroubled);
    }

    // ---- asking

    Ran create(int on, String domain, String path) {
        return host(on).host.createDomain(domain, "--file", path, "--xml", DRIVES);
    }

    /** Makes it persistent as it is. */
    void define(SoakDisk disk) {
        String command = "test-domain \"$0\" --file \"$1\" --xml \"$2\" | virsh define /dev/stdin";
        done(disk.host, host(disk.host).host.run("bash", "-c", command, disk.name, disk.path(), DRIVES));
    }

    /** Has libvirt do something that nothing stands against. */
    void virsh(SoakDisk disk, String... arguments) {
        done(disk.host, host(disk.host).host.virsh(arguments));
    }

    void done(int on, Ran ran) {
        if (isAway(ran) && isTroubled(on)) {
            throw new Interrupted(ran.toString());
        }
        ran.mustSucceed();
    }

    /**
     * What must be granted: at once, or as soon as agent and libvirtd are back. An agent that was away when a domain ended gives its leases
     * back when it has come to know.
     *
     * @param disk whose domain's leases may still be on their way back
     * @param domain to be ended everywhere if it is not known whether it has started
     */
    void grant(SoakDisk disk, int on, String domain, Supplier<Ran> start) {
        Eventually.await(domain + " to be granted", PATIENCE, () -> {
            Ran ran = start.get();
            if (ran.ok()) {
                return true;
            }
            if (isAway(ran)) {
                mayBe(isTroubled(on), ran);
                endEverywhere(domain);
            } else if (isNotNow(ran)) {
                mayBe(isTroubled(on), ran);
            } else {
                boolean late = System.nanoTime() - disk.endedNanos > SETTLED.toNanos();
                boolean away = disk.lastHost >= 0 && isTroubled(disk.lastHost) || isTroubled(on);
                if (isInUse(ran) && late && !away && isKept(disk, ran)) {
                    throw new Kept(ran);
                }
                mayBe(isInUse(ran) && (!late || away), ran);
                count("not free yet");
                return false;
            }
            count("refused for now");
            return false;
        });
    }

    /** What may be refused because of a host that is dead, or has just come back. */
    boolean tryOnce(int on, String domain, String path) {
        Ran ran = create(on, domain, path);
        if (ran.ok()) {
            return true;
        }
        if (isInUse(ran)) {
            count("refused because of a dead host");
            return false;
        }
        mayBe((isAway(ran) || isNotNow(ran)) && isTroubled(on), ran);
        count("refused for now");
        endEverywhere(domain);
        return false;
    }

    /**
     * An agent does not know what an earlier one held a lease for if it left while there was none, and the domain has a disk with another
     * image in the same place: it keeps the lease until the domain ends.
     */
    static final class Kept extends Error {
        private static final long serialVersionUID = 1;

        Kept(Ran ran) {
            super("kept although the domain does not use it: " + ran);
        }
    }

    private static void mayBe(boolean expected, Ran ran) {
        if (!expected) {
            throw new WrongAnswer("wrong refusal: " + ran);
        }
    }

    /** Not to be asked again. */
    static final class WrongAnswer extends Error {
        private static final long serialVersionUID = 1;

        WrongAnswer(String text) {
            super(text);
        }
    }

    /** What must be refused, with the domain that has it. */
    void refuse(int on, String domain, String path, String owner) {
        Ran ran = create(on, domain, path).mustFail();
        if (isAway(ran) || isNotNow(ran)) {
            mayBe(isTroubled(on), ran);
            count("refused for now");
            return;
        }
        // Under a snapshot it is shared with nobody, and the lease does not say whose it is.
        assertThat(ran.stderr()).contains("(file:" + path + ") is in use by ");
        if (!ran.stderr().contains("in shared mode")) {
            assertThat(ran.stderr()).contains("is in use by domain " + owner + " on host ");
        }
    }

    /** Ends a domain on all hosts, whatever is the matter with it; it may not be there. */
    void endEverywhere(String domain) {
        for (GuardedHost host : hosts) {
            Eventually.await(
                    domain + " to end on " + host.host.name(),
                    PATIENCE,
                    () -> host.host
                            .sh("virsh list --all --name > /tmp/all-" + domain + " || exit 1; grep -qx " + domain
                                    + " /tmp/all-"
                                    + domain + " || exit 0; virsh destroy " + domain
                                    + "; virsh undefine --managed-save "
                                    + domain + "; virsh list --all --name > /tmp/all-" + domain + " && ! grep -qx "
                                    + domain
                                    + " /tmp/all-" + domain)
                            .ok());
        }
    }

    /**
     * Ends a QEMU of which libvirt knows nothing any more: libvirtd that is killed while a job ends cannot read its own status file
     * afterwards ({@code unknown mirror job type ''}, libvirt 9.0). What such a QEMU has open is refused like that of any other.
     */
    void endLost(String domain) {
        String find = "pid=$(cat /run/libvirt/qemu/" + domain + ".pid) && grep -qz '^guest=" + domain
                + ",' /proc/$pid/cmdline && ";
        for (int on = 0; on < HOSTS && watch.count(domain) > 0; on++) {
            TestHost host = host(on).host;
            Ran open = host.sh(find + "readlink /proc/$pid/fd/* | grep -m1 -E '^/images/" + domain + "[.](img|copy)$'");
            if (open.ok()) {
                refuse(on, domain + "-intruder", open.stdout().strip(), domain);
                host.sh(find + "kill -9 $pid").mustSucceed();
                count("lost by libvirt");
            }
        }
        Eventually.await(domain + " to have no QEMU", PATIENCE, () -> watch.count(domain) == 0);
    }

    /** Hosts on which libvirt has it active. Asks until all answer. */
    List<Integer> whereActive(String domain) {
        return IntStream.range(0, HOSTS)
                .filter(i -> Eventually.get("libvirt's list on " + host(i).host.name(), PATIENCE, () -> {
                            Ran ran = host(i).host.virsh("list", "--name");
                            return ran.ok() ? Optional.of(ran.stdout()) : Optional.empty();
                        })
                        .lines()
                        .anyMatch(domain::equals))
                .boxed()
                .toList();
    }

    private static boolean isInUse(Ran ran) {
        return ran.stderr().contains(") is in use by ");
    }

    private static boolean isAway(Ran ran) {
        return ran.exitCode() == 128 + SIGPIPE
                || ran.stderr().contains("failed to connect to the hypervisor")
                || ran.stderr().contains("End of file while reading data")
                || ran.stderr().contains("client socket is closed")
                || ran.stderr().contains("Disconnected from");
    }

    /** Agent or libvirtd are away; they say so. */
    private static boolean isNotNow(Ran ran) {
        return ran.stderr().contains("agent does not")
                || ran.stderr().contains("not a member")
                || ran.stderr().contains("is stopping");
    }

    boolean mayHaveFailed(int from, int to, Ran ran) {
        return isAway(ran) || isTroubled(from) || isTroubled(to) || isAnyTroubled() && isNotNow(ran);
    }

    // ---- what the agents have written

    /** Adds the journals of a host to its file below target/, before they are lost. */
    void keepJournal(GuardedHost host) {
        for (String unit : List.of("vmguard", "vmguard-deadman", "libvirtd")) {
            try {
                Files.writeString(
                        journal(host, unit),
                        host.host.journal(unit),
                        StandardOpenOption.CREATE,
                        StandardOpenOption.APPEND);
            } catch (IOException e) {
                throw new AssertionError("cannot keep the journal of " + host.host.name(), e);
            }
        }
    }

    static Path journal(GuardedHost host, String unit) {
        return Path.of("target", host.host.name() + "-" + unit + ".log");
    }

    @Override
    public void close() {
        hosts.forEach(GuardedHost::close);
    }
}
