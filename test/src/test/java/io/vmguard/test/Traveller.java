/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A domain whose memory is being sent to another host when the one that it runs on loses its leases: it stays where it is, and gets
 * there what its {@code <on_lockfailure>} says.
 */
final class Traveller {
    private static final Duration LONG = Duration.ofSeconds(60);

    private final GuardedHost from;
    private final GuardedHost to;
    private final String word;
    private final Mover mover;
    private final Stamps stamps;
    private final Running migration;
    private final String pid;
    private long written;

    private Traveller(GuardedHost from, GuardedHost to, String word, Mover mover, Stamps stamps, Running migration) {
        this.from = from;
        this.to = to;
        this.word = word;
        this.mover = mover;
        this.stamps = stamps;
        this.migration = migration;
        this.pid = from.pid(mover.name);
    }

    /**
     * Sends off one domain for each word, at the same time, and so slowly that none of them arrives.
     *
     * @param images what both hosts have in {@code /images}
     * @param port of the other host's libvirtd
     */
    static List<Traveller> setOff(SharedDir images, GuardedHost from, GuardedHost to, int port, List<String> words) {
        Mover.fill(from);
        List<Mover> movers = words.stream()
                .map(word -> Mover.onFile("goes-" + word, from).onLockFailure(word))
                .toList();
        movers.forEach(mover -> mover.start(from));
        List<Stamps> stamps = movers.stream()
                .map(mover -> Stamps.watch(images.resolve(mover.name + ".img")))
                .toList();
        List<Traveller> all = new ArrayList<>();
        for (int i = 0; i < words.size(); i++) {
            Mover mover = movers.get(i);
            all.add(new Traveller(
                    from, to, words.get(i), mover, stamps.get(i), mover.migrate(from, port, "--p2p --bandwidth 1")));
        }
        all.forEach(Traveller::slowDown);
        stamps.forEach(each -> Eventually.await("the first stamp", LONG, () -> each.count() > 0));
        return all;
    }

    /** libvirt's unit is 1 MiB/s, at which it would arrive after 40 s. */
    private void slowDown() {
        mover.awaitOnItsWay(from, to);
        from.host
                .virsh("qemu-monitor-command", mover.name, "--hmp", "migrate_set_parameter max-bandwidth 200k")
                .mustSucceed();
    }

    /** While its host cannot have leases: at most one copy is left, and that one is as it wants to be. */
    void awaitWhatItsLockFailureSays() {
        assertThat(migration.awaitEnd(LONG).ok())
                .as("the migration of %s", mover.name)
                .isFalse();
        Eventually.await(mover.name + " to leave the other host", LONG, () -> !to.hasQemu(mover.name));
        switch (word) {
            case "pause" -> {
                Eventually.await(mover.name + " to be stopped", LONG, () -> from.isStopped(mover.name));
                written = stamps.count();
            }
            case "ignore" -> {
                assertThat(from.pid(mover.name)).isEqualTo(pid);
                assertGoesOn();
            }
            case "restart" ->
                Eventually.await(
                        "the end of " + mover.name,
                        LONG,
                        () -> !from.pid(mover.name).equals(pid));
            default -> throw new IllegalArgumentException(word);
        }
    }

    /** When it can have leases again. */
    void awaitWhatFollows() {
        switch (word) {
            case "pause" -> {
                Eventually.await(mover.name + " to be let go on", LONG, () -> !from.isStopped(mover.name));
                from.awaitLeases(mover.name, 1, LONG);
                assertThat(stamps.count()).as("paused, it writes nothing").isEqualTo(written);
                assertThat(from.host.virsh("domstate", mover.name).stdout()).contains("paused");
                from.host.virsh("resume", mover.name).mustSucceed();
                assertThat(from.pid(mover.name)).isEqualTo(pid);
            }
            case "ignore" -> assertThat(from.pid(mover.name)).isEqualTo(pid);
            case "restart" -> {
                Eventually.await(
                        "the restart of " + mover.name,
                        LONG,
                        () -> !from.pid(mover.name).isEmpty());
                assertThat(from.pid(mover.name)).isNotEqualTo(pid);
            }
            default -> throw new IllegalArgumentException(word);
        }
        from.awaitLeases(mover.name, 1, LONG);
        assertGoesOn();
        assertThat(to.hasQemu(mover.name)).isFalse();
        assertThat(stamps.problems()).isEmpty();
        stamps.close();
    }

    private void assertGoesOn() {
        long count = stamps.count();
        Eventually.await(mover.name + " to write", LONG, () -> stamps.count() != count);
    }
}
