/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Volume;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.testcontainers.containers.wait.strategy.Wait;

/**
 * A real Ceph cluster of one node on this machine's loopback address: monitor, manager, one OSD, cephx, pool {@code rbd}. Ready within
 * about 20 s. Hosts get at it through {@link TestHost.Builder#ceph}.
 */
public final class CephCluster extends TestContainer {
    private final SharedDir configuration;
    private final int monitorPort;

    private CephCluster(SharedDir configuration, int v2Port, int v1Port, String fileSystem) {
        super(
                "ceph",
                "ceph",
                Wait.forLogMessage(".*test-ceph: ready.*", 1).withStartupTimeout(Duration.ofSeconds(120)),
                create -> create.withEnv(List.of(
                                "CEPH_MON_V2_PORT=" + v2Port, "CEPH_MON_V1_PORT=" + v1Port, "CEPH_FS=" + fileSystem))
                        .getHostConfig()
                        .withNetworkMode("host")
                        .withBinds(new Bind(configuration.toString(), new Volume("/etc/ceph"))),
                "test-ceph",
                "up");
        this.configuration = configuration;
        this.monitorPort = v1Port;
    }

    /** Starts it on ports that are free now and returns once it can store data. */
    public static CephCluster start() {
        return start("");
    }

    /** The same with a CephFS of this name. */
    public static CephCluster startWithFileSystem(String name) {
        return start(name);
    }

    private static CephCluster start(String fileSystem) {
        SharedDir configuration = SharedDir.create("ceph");
        try {
            int[] ports = twoFreePorts();
            CephCluster cluster = new CephCluster(configuration, ports[0], ports[1], fileSystem);
            cluster.boot();
            return cluster;
        } catch (RuntimeException | Error e) {
            configuration.close();
            throw e;
        }
    }

    private static int[] twoFreePorts() {
        // Both open at a time, or they could be the same.
        try (ServerSocket one = freePort();
                ServerSocket two = freePort()) {
            return new int[] {one.getLocalPort(), two.getLocalPort()};
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Below those that the kernel gives to connections: one of them could take it before the monitor does. */
    private static ServerSocket freePort() throws IOException {
        Random random = new Random();
        for (int tries = 0; tries < 100; tries++) {
            try {
                return new ServerSocket(random.nextInt(20_000, 30_000), 1, InetAddress.getLoopbackAddress());
            } catch (BindException e) {
                // Somebody has it; another one then.
            }
        }
        throw new IOException("no port between 20000 and 30000 is free");
    }

    /** {@code ceph.conf} and the keyrings: what hosts need at {@code /etc/ceph}. */
    public SharedDir configuration() {
        return configuration;
    }

    /** Port of the monitor, v1 protocol: for {@code test-domain --port}. */
    public int monitorPort() {
        return monitorPort;
    }

    /** {@code rbd ARGUMENTS} as the administrator. */
    public Ran rbd(String... arguments) {
        String[] command = new String[arguments.length + 1];
        command[0] = "rbd";
        System.arraycopy(arguments, 0, command, 1, arguments.length);
        return run(command);
    }

    @Override
    public void close() {
        super.close();
        configuration.close();
    }
}
