/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A {@link TestHost} with the built package installed by dpkg while libvirtd runs, as an operator does it: one line of configuration, one
 * package. Its lease directory can be made to stall.
 */
final class GuardedHost implements AutoCloseable {
    private static final Path DEB = BuiltPackage.find().orElseThrow(() -> new AssertionError("run make deb first"));
    /** Where the package puts its hook. */
    static final String HOOK = "/etc/libvirt/hooks/qemu.d/50-vmguard";

    private static final String LEASES = "/leases";
    private static final String PLAIN_LEASES = "/shared-leases";
    /** Not in /run, which may be full. */
    private static final String FAULT = "/var/tmp/lease-fault";

    private static final Pattern OWNER = Pattern.compile("\"host_id\":[0-9]+,\"generation\":[0-9]+");
    private static final Pattern HELD = Pattern.compile("\"target\":\"([^\"]*)\",[^}]*?\"held\":(true|false)");

    final TestHost host;

    private GuardedHost(TestHost host) {
        this.host = host;
    }

    /**
     * Boots a host and installs vmguard on it.
     *
     * @param leases the shared lease directory; the host sees it through a file system of its own, whose faults are its own
     * @param configuration further lines of vmguard.yaml
     */
    static GuardedHost start(TestHost.Builder builder, SharedDir leases, String... configuration) {
        return start(builder, leases, LEASES, configuration);
    }

    /**
     * The same with the lease directory as a mount that comes back at every boot by itself, and that cannot be made to fail.
     */
    static GuardedHost startOnPlainLeases(TestHost.Builder builder, SharedDir leases, String... configuration) {
        return start(builder, leases, PLAIN_LEASES, configuration);
    }

    private static GuardedHost start(
            TestHost.Builder builder, SharedDir leases, String leaseDir, String... configuration) {
        TestHost host = builder.bind(leases, PLAIN_LEASES)
                .bind(DEB.getParent(), "/packages")
                .start();
        GuardedHost guarded = new GuardedHost(host);
        try {
            // As systemd does on metal, but not in a container: services see what is mounted after their start.
            host.sh("mount --make-rshared /").mustSucceed();
            if (leaseDir.equals(LEASES)) {
                guarded.mountLeases();
            }
            List<String> lines = new ArrayList<>(List.of("lease_dir: " + leaseDir));
            lines.addAll(List.of(configuration));
            guarded.configure(lines);
            guarded.install();
            return guarded;
        } catch (RuntimeException | Error e) {
            host.close();
            throw e;
        }
    }

    /** Installs the package, also over itself. */
    void install() {
        host.run(Duration.ofMinutes(6), "dpkg", "--force-confold", "-i", "/packages/" + DEB.getFileName())
                .mustSucceed();
    }

    /** After {@link #unmountLeases}. */
    void mountLeases() {
        host.sh("mkdir -p " + LEASES + "; rm -f " + FAULT + "; stall-dir " + PLAIN_LEASES + " " + LEASES + " " + FAULT)
                .mustSucceed();
    }

    /** Leaves an empty directory where the leases were. The agent must not run. */
    void unmountLeases() {
        host.sh("umount " + LEASES).mustSucceed();
    }

    void configure(List<String> lines) {
        host.sh("mkdir -p /etc/vmguard; printf '%s\\n' '" + String.join("' '", lines) + "' > /etc/vmguard/vmguard.yaml")
                .mustSucceed();
    }

    /** {@code ok} or one of the faults of stall-dir. */
    void leaseDirectory(String fault) {
        host.sh("echo " + fault + " > " + FAULT).mustSucceed();
    }

    /** Waits until a start that needs a lease would be granted if the lease is free. */
    void awaitReady() {
        Eventually.await(
                host.name() + " to be a member",
                Duration.ofSeconds(60),
                () -> statusJson().contains("\"ready\":true"));
    }

    Ran vmguard(String... arguments) {
        String[] command = new String[arguments.length + 1];
        command[0] = "vmguard";
        System.arraycopy(arguments, 0, command, 1, arguments.length);
        return host.run(command);
    }

    String status() {
        return vmguard("status").output();
    }

    /** What {@code vmguard status --format json} prints, without the second that a Java runtime needs; fails if nobody answers. */
    String statusJson() {
        return host.run(
                        "curl",
                        "-sS",
                        "-m",
                        "10",
                        "--unix-socket",
                        "/run/vmguard/agent.sock",
                        "http://vmguard/v1/status")
                .mustSucceed()
                .stdout();
    }

    /** Until this host has seen the other one renew: for an instant after its start it cannot tell whether that lives. */
    void awaitLive(GuardedHost other) {
        Eventually.await(
                host.name() + " to see " + other.host.name() + " alive",
                Duration.ofSeconds(60),
                () -> vmguard("hosts").output().matches("(?s).*" + other.host.name() + " +live .*"));
    }

    /** Host id and generation in the lockspace. */
    String owner() {
        String status = statusJson();
        Matcher owner = OWNER.matcher(status);
        if (!owner.find()) {
            throw new AssertionError("no member: " + status);
        }
        return owner.group();
    }

    /** Waits until each of so many disks of a domain has its lease, however the domain came to run. */
    void awaitLeases(String domain, int count, Duration limit) {
        Eventually.await(
                count + " leases of " + domain + " on " + host.name(), limit, () -> protectedDisks(domain) == count);
    }

    /** Waits until a domain holds the lease of this file, whatever else it holds. */
    void awaitLease(String domain, String path, Duration limit) {
        // What a lease is for is its identity, or after a restart of the agent what the lease itself says: vdb
        // (file:/images/a).
        Pattern held = Pattern.compile("\\{[^{}]*file:" + Pattern.quote(path) + "[)\"][^{}]*\"held\":true[^{}]*}");
        Eventually.await(
                "the lease of " + path + " on " + host.name(),
                limit,
                () -> domainJson(domain)
                        .filter(json -> held.matcher(json).find())
                        .isPresent());
    }

    /** Disks with all their leases, beside the domain with its own; -1 if a lease is missing. */
    private int protectedDisks(String domain) {
        Optional<String> found = domainJson(domain);
        if (found.isEmpty()) {
            return -1;
        }
        Set<String> targets = new HashSet<>();
        for (MatchResult lease : HELD.matcher(found.get()).results().toList()) {
            if (lease.group(2).equals("false")) {
                return -1;
            }
            targets.add(lease.group(1));
        }
        // After a restart of the agent a target is what the lease itself says: domain (domain:UUID).
        return targets.removeIf(target -> target.matches("domain( \\(.*)?")) ? targets.size() : -1;
    }

    private Optional<String> domainJson(String domain) {
        Matcher found = Pattern.compile("\\{\"name\":\"" + domain + "\",.*?\"problems\"")
                .matcher(statusJson());
        return found.find() ? Optional.of(found.group()) : Optional.empty();
    }

    /**
     * Begins to migrate a domain of this host, live.
     *
     * @param port of this machine on which the other host's libvirtd listens, see {@link TestHost.Builder#tcpPort}
     * @param options more of {@code virsh migrate}: {@code --p2p}, {@code --bandwidth 8} (MiB/s)
     */
    Running migrate(String domain, int port, String options) {
        // What the target says that its address is no other container could use.
        String uri = options.contains("--tunnelled") ? "" : " --migrateuri tcp://127.0.0.1";
        return host.spawn(
                "sh",
                "-c",
                "exec virsh migrate --live --unsafe " + options + " " + domain + " qemu+tcp://127.0.0.1:" + port
                        + "/system" + uri);
    }

    /** Whether a QEMU of this name exists in any state, by the process table and not by libvirt. */
    boolean hasQemu(String domain) {
        return host.sh("grep -alz -- 'guest=" + domain
                        + ",' /proc/[0-9]*/cmdline 2>/dev/null | grep -v self | grep -q . && "
                        + "for p in /proc/[0-9]*; do grep -aq -- 'guest=" + domain
                        + ",' $p/cmdline 2>/dev/null && grep -q '^qemu' $p/comm && exit 0; done; exit 1")
                .ok();
    }

    /** The QEMU of a domain that runs here: when it ends is seen at once then, however much the machine has to do. */
    QemuProcess qemu(String domain) {
        long pid = Long.parseLong(host.sh("cat /run/libvirt/qemu/" + domain + ".pid")
                .mustSucceed()
                .stdout()
                .strip());
        return Eventually.get("the QEMU of " + domain, Duration.ofSeconds(10), () -> QemuProcess.of(domain, pid));
    }

    /** Process id of a domain's QEMU; empty if it has none. */
    String pid(String domain) {
        return hasQemu(domain)
                ? host.sh("cat /run/libvirt/qemu/" + domain + ".pid").stdout().strip()
                : "";
    }

    /** Whether it has a QEMU that was stopped by a signal. */
    boolean isStopped(String domain) {
        return host.sh("grep '^State' /proc/$(cat /run/libvirt/qemu/" + domain + ".pid)/status")
                .stdout()
                .contains("T (stopped)");
    }

    @Override
    public void close() {
        host.close();
    }
}
