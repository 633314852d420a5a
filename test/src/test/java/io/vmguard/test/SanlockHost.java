/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Volume;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.testcontainers.containers.wait.strategy.Wait;

/**
 * A host with the stock sanlock daemon, no watchdog, on a lease directory that it shares with others. One lease area per file, named
 * like the lease, as libvirt does it.
 *
 * <pre>
 * try (SharedDir leases = SharedDir.create("leases");
 *         SanlockHost stock = SanlockHost.start("stock", leases, "LS", 1)) {
 *     stock.initLockspace();
 *     stock.initResource("R1");
 *     stock.join(1);
 *     SanlockHost.Attempt attempt = stock.acquire("R1");
 *     assertThat(attempt.answer(limit)).isEqualTo(SanlockHost.HELD);
 *     attempt.release();
 * }
 * </pre>
 */
public final class SanlockHost extends TestContainer {
    /** An acquire that succeeded; sanlock's own codes are below 0. */
    public static final int HELD = 0;
    /** The owner is alive. */
    public static final int IDLIVE = -243;

    public static final int HOSTID_BUSY = -262;

    /** Live hosts share it. */
    public static final int SHARED_BY_OTHERS = -11;

    private static final String IN_CONTAINER = "/leases";
    /** A daemon's usual options in a container: no watchdog, no real-time priority, no locked memory. */
    private static final String[] DAEMON = {"sanlock", "daemon", "-D", "-w", "0", "-h", "0", "-l", "0"};

    private static final Pattern HELD_BY_PID = Pattern.compile("held by pid (\\d+)");
    private static final Pattern ACQUIRE_DONE = Pattern.compile("acquire done (-?\\d+)");
    private static final Pattern CONVERT_DONE = Pattern.compile("convert done (-?\\d+)");
    private static final Pattern REQUEST_DONE = Pattern.compile("request done (-?\\d+)");
    private static final Pattern ADD_DONE = Pattern.compile("add_lockspace\\w* done (-?\\d+)");

    private final SharedDir leases;
    private final String lockspace;
    private final int ioTimeoutSeconds;
    private final Geometry geometry;
    /** Names that are not in a file of their own. */
    private final Map<String, String> places = new ConcurrentHashMap<>();

    private SanlockHost(
            String name,
            SharedDir leases,
            String lockspace,
            int ioTimeoutSeconds,
            Geometry geometry,
            String... daemonOptions) {
        super(
                "sanlock",
                name,
                // It says that it has started before it listens.
                Wait.forSuccessfulCommand("sanlock client status").withStartupTimeout(Duration.ofSeconds(60)),
                create -> create.getHostConfig()
                        .withNetworkMode("none")
                        .withBinds(new Bind(leases.toString(), new Volume(IN_CONTAINER))),
                Stream.concat(Arrays.stream(DAEMON), Arrays.stream(daemonOptions))
                        .toArray(String[]::new));
        this.leases = leases;
        this.lockspace = lockspace;
        this.ioTimeoutSeconds = ioTimeoutSeconds;
        this.geometry = geometry;
    }

    /** Starts the daemon; it is in no lockspace yet. */
    public static SanlockHost start(String name, SharedDir leases, String lockspace, int ioTimeoutSeconds) {
        return start(name, leases, lockspace, ioTimeoutSeconds, Geometry.SECTORS_512);
    }

    /**
     * The same with a geometry for what it initialises.
     *
     * @param daemonOptions e.g. {@code -e NAME}, the host name for its delta leases; otherwise it makes a new one up
     */
    public static SanlockHost start(
            String name,
            SharedDir leases,
            String lockspace,
            int ioTimeoutSeconds,
            Geometry geometry,
            String... daemonOptions) {
        SanlockHost host = new SanlockHost(name, leases, lockspace, ioTimeoutSeconds, geometry, daemonOptions);
        host.boot();
        return host;
    }

    /** Makes the lockspace file, as {@code sanlock direct init} does. */
    public void initLockspace() {
        makeFile(lockspace);
        initialise("-o", Integer.toString(ioTimeoutSeconds), "-s", lockspaceArgument(0));
    }

    /** Makes a resource file. */
    public void initResource(String resource) {
        makeFile(resource);
        initialise("-r", resourceArgument(resource));
    }

    private void initialise(String... what) {
        run(initialisation(what).toArray(String[]::new)).mustSucceed();
    }

    private List<String> initialisation(String... what) {
        List<String> command = new ArrayList<>(List.of("sanlock", "direct", "init"));
        command.addAll(geometry.options());
        command.addAll(List.of(what));
        return command;
    }

    /** Initialises a resource in a file that others have made, as soon as a file of the one name is there; the other one says that it waits. */
    Running spawnInitResource(String resource, Path ready, Path go) {
        return spawn(
                "sh",
                "-c",
                "touch %1$s/%2$s; until test -e %1$s/%3$s; do sleep 0.01; done; exec %4$s"
                        .formatted(
                                IN_CONTAINER,
                                ready,
                                go,
                                String.join(" ", initialisation("-r", resourceArgument(resource)))));
    }

    /** Makes a resource file with an area for fewer hosts than the geometry has room for. */
    public void initResource(String resource, int numHosts) {
        makeFile(resource);
        writeResource(resource, "num_hosts=" + numHosts);
    }

    /** Turns a resource into one that was deliberately removed. */
    public void clearResource(String resource) {
        writeResource(resource, "clear=True");
    }

    private void writeResource(String resource, String option) {
        python(
                        "sanlock.write_resource(%s, %s, align=%d, sector=%d)",
                        resourceTuple(resource), option, geometry.areaBytes(), geometry.sectorBytes())
                .mustSucceed();
    }

    /** Runs statements with sanlock's Python binding, for what its command line cannot do. */
    public Ran python(String statements, Object... values) {
        return run("python3", "-c", "import sanlock; " + statements.formatted(values));
    }

    /** {@code b"LS", b"R1", [("/leases/R1", 0)]} */
    String resourceTuple(String resource) {
        return "b'%s', b'%s', [('%s/%s', 0)]".formatted(lockspace, resource, IN_CONTAINER, resource);
    }

    private void makeFile(String name) {
        // By this process, so that it may use the file whoever it runs as; root in the container may anyway.
        try (RandomAccessFile file = new RandomAccessFile(leases.resolve(name).toFile(), "rw")) {
            file.setLength(geometry.areaBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Becomes a member of the lockspace under this host id: takes twice the I/O timeout, or fails. */
    public void join(int hostId) {
        int answer = tryJoin(hostId, Duration.ofSeconds(60));
        if (answer != 0) {
            throw new AssertionError("sanlock cannot join as host id %d: %d\n%s".formatted(hostId, answer, log()));
        }
    }

    /** The same, with any outcome: 0 or sanlock's error code. */
    public int tryJoin(int hostId, Duration limit) {
        Ran ran = run(
                limit,
                "sanlock",
                "client",
                "add_lockspace",
                "-o",
                Integer.toString(ioTimeoutSeconds),
                "-s",
                lockspaceArgument(hostId));
        Matcher done = ADD_DONE.matcher(ran.output());
        if (!done.find()) {
            throw new AssertionError("no answer in " + ran);
        }
        return Integer.parseInt(done.group(1));
    }

    /** Leaves the lockspace in good order. */
    public void leave(int hostId) {
        run("sanlock", "client", "rem_lockspace", "-s", lockspaceArgument(hostId))
                .mustSucceed();
    }

    /** Starts a process that wants the resource for itself and lives only while it has it. Does not wait for the answer. */
    public Attempt acquire(String resource) {
        return attempt(resource, "");
    }

    /** The same, in shared mode. */
    public Attempt acquireShared(String resource) {
        return attempt(resource, ":SH");
    }

    private Attempt attempt(String resource, String mode) {
        return new Attempt(
                resource,
                spawn(
                        "sanlock",
                        "client",
                        "command",
                        "-r",
                        resourceArgument(resource) + mode,
                        "-c",
                        "/bin/sh",
                        "-c",
                        "echo held by pid $$; exec sleep infinity"));
    }

    /**
     * Starts {@code sanlock-race}: takes the resource and gives it back until a file of this name is in the directory.
     *
     * @param percentShared how often it asks for it in shared mode
     */
    Running spawnRace(String resource, int percentShared, String stop) {
        return spawn(
                "sanlock-race",
                lockspace,
                resource,
                IN_CONTAINER + "/" + resource,
                Integer.toString(percentShared),
                IN_CONTAINER + "/" + stop);
    }

    /** Asks the owner of a resource to end its use by force; 0 or sanlock's error code. */
    public int requestByForce(String resource) {
        long next = Long.parseLong(leader(resource).get("lver")) + 1;
        Ran ran = run("sanlock", "client", "request", "-r", resourceArgument(resource) + ":" + next, "-f", "1");
        Matcher done = REQUEST_DONE.matcher(ran.output());
        if (!done.find()) {
            throw new AssertionError("no answer in " + ran);
        }
        return Integer.parseInt(done.group(1));
    }

    /** A process that asked the daemon for a lease. */
    public final class Attempt {
        private final String resource;
        private final Running command;

        private Attempt(String resource, Running command) {
            this.resource = resource;
            this.command = command;
        }

        /** {@link #HELD}, or sanlock's error code; empty while it waits for a silent owner. */
        public OptionalInt answer() {
            if (HELD_BY_PID.matcher(command.stdout()).find()) {
                return OptionalInt.of(HELD);
            }
            Matcher done = ACQUIRE_DONE.matcher(command.stdout() + command.stderr());
            if (done.find() && command.ended().isPresent()) {
                return OptionalInt.of(Integer.parseInt(done.group(1)));
            }
            command.ended().ifPresent(ran -> {
                throw new AssertionError("sanlock gave no answer: " + ran);
            });
            return OptionalInt.empty();
        }

        /** Waits for the answer. */
        public int answer(Duration limit) {
            Eventually.await("sanlock's answer", limit, () -> answer().isPresent());
            return answer().getAsInt();
        }

        /** Turns a shared hold into an exclusive one, or back; 0 or sanlock's error code, with the hold as it was. */
        public int convert(boolean toShared) {
            String wanted = resourceArgument(resource) + (toShared ? ":SH" : "");
            Ran ran = run("sanlock", "client", "convert", "-r", wanted, "-p", pid());
            Matcher done = CONVERT_DONE.matcher(ran.output());
            if (!done.find()) {
                throw new AssertionError("no answer in " + ran);
            }
            return Integer.parseInt(done.group(1));
        }

        private String pid() {
            Matcher held = HELD_BY_PID.matcher(command.stdout());
            if (!held.find()) {
                throw new IllegalStateException("it holds nothing: " + command.stdout());
            }
            return held.group(1);
        }

        /** Whether the process that holds the lease is gone, by the daemon's hand for one. */
        public boolean ended() {
            return command.ended().isPresent();
        }

        /** Kills the process, upon which the daemon gives the lease back; true on disk a moment after the return. */
        public void release() {
            run("kill", "-9", pid()).mustSucceed();
            command.awaitEnd(Duration.ofSeconds(10));
        }
    }

    /** {@code sanlock direct dump} of a lease file: what it says, and that it does not complain. */
    public Ran dump(String file) {
        List<String> command = new ArrayList<>(List.of("sanlock", "direct", "dump", IN_CONTAINER + "/" + file));
        command.addAll(geometry.options());
        return run(command.toArray(String[]::new)).mustSucceed();
    }

    /** {@code sanlock direct read_leader} of a resource: field by field. */
    public Map<String, String> leader(String resource) {
        return leader("-r", resourceArgument(resource));
    }

    /** {@code sanlock direct read_leader} of a host id's delta lease. {@code resource_name} is the host's name. */
    public Map<String, String> hostLeader(int hostId) {
        return leader("-s", lockspaceArgument(hostId));
    }

    private Map<String, String> leader(String kind, String argument) {
        List<String> command = new ArrayList<>(List.of("sanlock", "direct", "read_leader"));
        command.addAll(geometry.options());
        command.addAll(List.of(kind, argument));
        return fields(run(command.toArray(String[]::new)));
    }

    private static Map<String, String> fields(Ran ran) {
        ran.mustSucceed();
        Map<String, String> fields = new LinkedHashMap<>();
        for (String line : ran.stdout().split("\n")) {
            int space = line.indexOf(' ');
            fields.put(space < 0 ? line : line.substring(0, space), space < 0 ? "" : line.substring(space + 1));
        }
        return fields;
    }

    /** How the daemon sees another host of the lockspace, in its own words: {@code LIVE}, {@code FREE}, ...; empty: not at all. */
    public String hostStatus(int hostId) {
        String members =
                run("sanlock", "client", "gets", "-h", "1").mustSucceed().stdout();
        Matcher member = Pattern.compile("(?m)^h " + hostId + " .*? (\\w+) *$").matcher(members);
        if (member.find()) {
            return member.group(1);
        }
        // Those that have left are not members, but it remembers them.
        String seen = run("sanlock", "client", "host_status", "-s", lockspace)
                .mustSucceed()
                .stdout();
        return Pattern.compile("(?m)^" + hostId + " timestamp 0$").matcher(seen).find() ? "FREE" : "";
    }

    /** {@code LS:1:/leases/LS:0} */
    public String lockspaceArgument(int hostId) {
        return lockspace + ":" + hostId + ":" + IN_CONTAINER + "/" + place(lockspace);
    }

    /** {@code LS:R1:/leases/R1:0} */
    public String resourceArgument(String resource) {
        return lockspace + ":" + resource + ":" + IN_CONTAINER + "/" + place(resource);
    }

    /** Tells it that a lockspace or resource lies in that file, which stands for a device, at that offset. */
    void isAt(String name, String file, long offset) {
        places.put(name, file + ":" + offset);
    }

    private String place(String name) {
        return places.getOrDefault(name, name + ":0");
    }
}
