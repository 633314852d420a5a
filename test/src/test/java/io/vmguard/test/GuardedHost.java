/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A {@link TestHost} with the built package installed by dpkg while libvirtd runs, as an operator does it: one line of configuration, one
 * package. Its lease directory can be made to stall.
 */
final class GuardedHost implements AutoCloseable {
    private static final Path DEB = BuiltPackage.find().orElseThrow(() -> new AssertionError("run make deb first"));
    private static final String LEASES = "/leases";

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
        TestHost host = builder.bind(leases, "/shared-leases")
                .bind(DEB.getParent(), "/packages")
                .start();
        GuardedHost guarded = new GuardedHost(host);
        try {
            guarded.mountLeases();
            List<String> lines = new ArrayList<>(List.of("lease_dir: " + LEASES));
            lines.addAll(List.of(configuration));
            guarded.configure(lines);
            host.run(Duration.ofMinutes(3), "dpkg", "--force-confold", "-i", "/packages/" + DEB.getFileName())
                    .mustSucceed();
            return guarded;
        } catch (RuntimeException | Error e) {
            host.close();
            throw e;
        }
    }

    private void mountLeases() {
        host.sh("mkdir -p " + LEASES + " && stall-dir /shared-leases " + LEASES + " /run/fault")
                .mustSucceed();
    }

    void configure(List<String> lines) {
        host.sh("mkdir -p /etc/vmguard; printf '%s\\n' '" + String.join("' '", lines) + "' > /etc/vmguard/vmguard.yaml")
                .mustSucceed();
    }

    /** {@code ok} or one of the faults of stall-dir. */
    void leaseDirectory(String fault) {
        host.sh("echo " + fault + " > /run/fault").mustSucceed();
    }

    /** Waits until a start that needs a lease would be granted if the lease is free. */
    void awaitReady() {
        Eventually.await(
                host.name() + " to be a member",
                Duration.ofSeconds(60),
                () -> vmguard("status").ok());
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

    /** Whether a QEMU of this name exists in any state, by the process table and not by libvirt. */
    boolean hasQemu(String domain) {
        return host.sh("grep -alz -- 'guest=" + domain
                        + ",' /proc/[0-9]*/cmdline 2>/dev/null | grep -v self | grep -q . && "
                        + "for p in /proc/[0-9]*; do grep -aq -- 'guest=" + domain
                        + ",' $p/cmdline 2>/dev/null && grep -q '^qemu' $p/comm && exit 0; done; exit 1")
                .ok();
    }

    @Override
    public void close() {
        host.close();
    }
}
