/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import com.github.dockerjava.api.command.CreateContainerCmd;
import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Capability;
import com.github.dockerjava.api.model.Device;
import com.github.dockerjava.api.model.Volume;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.testcontainers.containers.wait.strategy.Wait;

/**
 * A virtualisation host: systemd as PID 1, libvirtd, QEMU without KVM, sanlock. On the network of this machine, so hosts reach each
 * other and a {@link CephCluster} on 127.0.0.1.
 *
 * <pre>
 * try (SharedDir images = SharedDir.create("images");
 *         TestHost a = TestHost.named("node-a").bind(images, "/images").start()) {
 *     a.sh("test-guest make /images/vm1.img").mustSucceed();
 *     a.createDomain("demo1", "--file", "/images/vm1.img").mustSucceed();
 *     a.virsh("destroy", "demo1").mustSucceed();
 *     a.powerOff();
 * }
 * </pre>
 *
 * {@code test/infra/README.md} says what else is in it: {@code test-domain}, {@code test-guest}, {@code stall-dir}.
 */
public final class TestHost extends TestContainer {
    private static final Duration BOOT_LIMIT = Duration.ofSeconds(90);
    private static final Duration JOURNAL_LIMIT = Duration.ofSeconds(30);
    private static final Duration LAST_WORDS_LIMIT = Duration.ofSeconds(20);

    private TestHost(Builder builder) {
        super(
                builder.image,
                "host",
                builder.name,
                Wait.forSuccessfulCommand("testhost-ready 60").withStartupTimeout(BOOT_LIMIT),
                builder::shape);
    }

    /** @param name host name; what {@code hostname} prints in it */
    public static Builder named(String name) {
        return new Builder(name);
    }

    /** What a host is to be like. */
    public static final class Builder {
        private final String name;
        private String image = IMAGE;
        private final List<Bind> binds = new ArrayList<>();
        private final Map<String, String> environment = new LinkedHashMap<>();
        private final List<Device> devices = new ArrayList<>(List.of(Device.parse("/dev/fuse")));
        private final List<String> deviceRules = new ArrayList<>();

        private Builder(String name) {
            this.name = name;
            binds.add(new Bind("/sys/fs/cgroup", new Volume("/sys/fs/cgroup")));
        }

        /**
         * A host of another release, with its libvirt, QEMU, systemd and Java runtime. There is less in it: neither sanlock nor Ceph.
         *
         * @param name as build-images.sh has it, which must have made it
         */
        public Builder release(String name) {
            image = "vmguard-testhost-" + name + ":latest";
            return this;
        }

        /** Makes a shared directory visible in the host. */
        public Builder bind(SharedDir shared, String inHost) {
            return bind(shared.path(), inHost);
        }

        /** The same with any file or directory of this machine, e.g. a package to install. */
        public Builder bind(Path here, String inHost) {
            binds.add(new Bind(here.toAbsolutePath().toString(), new Volume(inHost)));
            return this;
        }

        /** Gives it the configuration and keys of a Ceph cluster. {@code test-ceph secret} then tells libvirt of them. */
        public Builder ceph(CephCluster cluster) {
            return bind(cluster.configuration(), "/etc/ceph");
        }

        /** Lets it use loop devices, which are those of this machine. Only where {@link LoopDevice#AVAILABLE}. */
        public Builder loopDevices() {
            devices.add(Device.parse("/dev/loop-control"));
            deviceRules.add("b 7:* rwm");
            return this;
        }

        /** libvirtd also listens on {@code qemu+tcp://127.0.0.1:PORT/system}, for migrations. */
        public Builder tcpPort(int port) {
            return environment("TESTHOST_TCP_PORT", Integer.toString(port));
        }

        /** Ports for incoming migrations; hosts need ranges of their own. */
        public Builder migrationPorts(int first, int last) {
            return environment("TESTHOST_MIGRATION_PORTS", first + "-" + last);
        }

        public Builder environment(String key, String value) {
            environment.put(key, value);
            return this;
        }

        /** Boots it and returns once libvirtd answers. */
        public TestHost start() {
            TestHost host = new TestHost(this);
            host.boot();
            return host;
        }

        /** The options of {@code test/infra/run-host.sh}; its README says what each is for. */
        private void shape(CreateContainerCmd create) {
            create.withEnv(environment.entrySet().stream()
                    .map(e -> e.getKey() + "=" + e.getValue())
                    .toList());
            create.getHostConfig()
                    .withNetworkMode("host")
                    .withExtraHosts(name + ":127.0.0.1")
                    .withCapAdd(Capability.SYS_ADMIN, Capability.SYS_PTRACE, Capability.MKNOD)
                    .withSecurityOpts(List.of("seccomp=unconfined", "apparmor=unconfined"))
                    .withCgroupnsMode("host")
                    .withTmpFs(Map.of("/run", "", "/tmp", "exec"))
                    .withDevices(devices)
                    .withDeviceCgroupRules(deviceRules)
                    .withBinds(binds);
        }
    }

    /** {@code virsh ARGUMENTS}; ends within a minute. */
    public Ran virsh(String... arguments) {
        String[] command = new String[arguments.length + 1];
        command[0] = "virsh";
        System.arraycopy(arguments, 0, command, 1, arguments.length);
        return run(command);
    }

    /** {@code virsh create} of what {@code test-domain NAME OPTIONS} prints. */
    public Ran createDomain(String domain, String... testDomainOptions) {
        String[] command = new String[testDomainOptions.length + 5];
        command[0] = "bash";
        command[1] = "-c";
        command[2] = "set -o pipefail; test-domain \"$@\" | virsh create /dev/stdin";
        command[3] = "create-domain";
        command[4] = domain;
        System.arraycopy(testDomainOptions, 0, command, 5, testDomainOptions.length);
        return run(command);
    }

    /** Names of the domains that run, in libvirt's order. */
    public List<String> runningDomains() {
        return virsh("list", "--name")
                .mustSucceed()
                .stdout()
                .lines()
                .filter(line -> !line.isBlank())
                .toList();
    }

    /** Process id of a domain's QEMU, which must run. */
    public String qemuPid(String domain) {
        return sh("pid=$(cat /run/libvirt/qemu/" + domain + ".pid) && kill -0 $pid && echo $pid")
                .mustSucceed()
                .stdout()
                .strip();
    }

    /** What systemd says of a unit: {@code MainPID} ("0" if it has none), {@code ActiveState}, … */
    public String property(String unit, String name) {
        return run("systemctl", "show", "-P", name, unit).mustSucceed().stdout().strip();
    }

    /**
     * The journal of a unit since the last boot of the container: all that has been written to it by now. An agent writes its log a moment
     * after the deed, so a line about something that was just seen is waited for with {@link #awaitJournal}.
     */
    public String journal(String unit) {
        return sh("journalctl --sync; journalctl --no-pager -b -u " + unit).output();
    }

    /** Waits until the journal of a unit has all of these, in any order. */
    public void awaitJournal(String unit, String... texts) {
        Eventually.await("the journal of " + unit + " on " + name(), JOURNAL_LIMIT, () -> {
            String journal = journal(unit);
            for (String text : texts) {
                if (!journal.contains(text)) {
                    throw new AssertionError("it does not say: " + text);
                }
            }
            return true;
        });
    }

    /** How the journals of agent, deadman and libvirtd end: a few lines, and short ones. */
    String lastWords() {
        if (!isOn()) {
            return name() + " is off";
        }
        return name() + ":\n"
                + run(
                                LAST_WORDS_LIMIT,
                                "sh",
                                "-c",
                                "journalctl --sync; journalctl --no-pager -b -o short-precise -u vmguard -u vmguard-deadman -u libvirtd"
                                        + " -n 400 | grep -v -e ' systemd\\[' -e /50-vmguard | tail -n 9 | cut -d ' ' -f 3,5- | cut -c -210")
                        .output()
                        .stripTrailing();
    }

    /** After {@link #powerOn}: waits until libvirtd answers again. */
    public void awaitUp() {
        run(BOOT_LIMIT, "testhost-ready", "60").mustSucceed();
    }
}
