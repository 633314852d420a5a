/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.upkeep;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.testing.SilentListener;
import io.vmguard.agent.upkeep.UpkeepAnswer.Outcome;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.ReadOnlyDirectory;
import io.vmguard.lease.engine.EngineSettings;
import io.vmguard.lease.engine.HostIdentity;
import io.vmguard.lease.engine.LeaseEngine;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LeaseInspector.Depth;
import io.vmguard.lease.inspect.ResourceInspection;
import io.vmguard.lease.inspect.ResourceInspection.State;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.BuiltDirectory;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The same deeds done by a real engine that has joined a real lockspace. */
@Timeout(60)
@TestInstance(TestInstance.Lifecycle.PER_CLASS) // joining takes seconds
class UpkeepOnDiskTest {
    private static final Operator ROOT = new Operator("root", "");
    private static final LeaseNote NOTE = new LeaseNote("demo1", "u", "vda", "node-b", 1);

    @TempDir(factory = UnderTarget.class)
    private static Path dir;

    @TempDir
    private static Path local;

    private final LinuxClock clock = new LinuxClock();
    private BuiltDirectory built;
    private LeaseEngine engine;
    private LeaseInspector inspector;
    private Upkeep upkeep;

    @BeforeAll
    void join() throws Exception {
        built = new BuiltDirectory(dir, LeaseLayout.SECTOR_512).lockspace(1).host(9, 5, "89abcdef-01234567.node-b", 0);
        inspector = new LeaseInspector(new ReadOnlyDirectory(dir, clock));
        Joined joined = new Joined();
        engine = LeaseEngine.open(
                new EngineSettings(
                        BuiltDirectory.SPACE,
                        Timeouts.ofSeconds(1),
                        OptionalInt.empty(),
                        HostIdentity.ofThisMachine(local, new Random(1)),
                        local,
                        local),
                dir,
                new Random(1),
                joined);
        engine.join();
        joined.done.get(30, TimeUnit.SECONDS);
        upkeep =
                new Upkeep(engine, engine, inspector, new AuditLog(local.resolve("audit.log"), clock), clock, "node-a");
    }

    @AfterAll
    void leave() {
        engine.close();
    }

    private static final class Joined extends SilentListener {
        final CompletableFuture<Owner> done = new CompletableFuture<>();

        @Override
        public void joined(Owner owner, boolean resumed) {
            done.complete(owner);
        }

        @Override
        public void joinFailed(LeaseFault fault, String why) {
            done.completeExceptionally(new IllegalStateException(why));
        }
    }

    private LeaseName held(String name, long hostId) {
        built.resource(name).held(name, new Owner(hostId, 5), 42, NOTE);
        return new LeaseName(name);
    }

    private ResourceInspection look(LeaseName lease) throws IOException {
        return inspector.inspect(lease, Depth.EVERY_BLOCK).resources().get(0);
    }

    @Test
    void whatAHostLeftBehindIsFreeOnDiskAfterwards() throws IOException {
        LeaseName lease = held("left", 9);
        UpkeepAnswer answer = upkeep.release(ROOT, lease, Optional.empty());
        assertThat(answer.message()).isEqualTo("left is free: host node-b has left the lockspace");
        ResourceInspection found = look(lease);
        assertThat(found.state()).isEqualTo(State.FREE);
        assertThat(found.findings()).isEmpty();
        assertThat(found.leader().orElseThrow().lver()).isEqualTo(43);
        assertThat(found.owner().orElseThrow().owner())
                .isEqualTo(engine.view().owner().orElseThrow());
        assertThat(engine.view().held()).doesNotContainKey(lease);
    }

    @Test
    void whoFreedALeaseStandsBesideItForAllHostsToRead() throws IOException {
        LeaseName lease = held("audited", 9);
        assertThat(upkeep.release(new Operator("root", "alice"), lease, Optional.empty())
                        .outcome())
                .isEqualTo(Outcome.DONE);
        LeaseNote note = look(lease).note().orElseThrow();
        assertThat(note.disk())
                .isEqualTo("freed by root (alice) with vmguard lease release: host node-b has left the lockspace");
        assertThat(note.hostName()).isEqualTo("node-a");
        // The next user's own note takes its place.
        assertThat(inspector.inspect(lease, Depth.HOLDERS).resources().get(0).note())
                .isEmpty();
    }

    @Test
    void aHostThatJustAppearedIsNotTakenForDead() throws IOException {
        LeaseName lease = held("new", 8);
        built.host(8, 5, "89abcdef-01234568.node-c", 3000);
        UpkeepAnswer answer = upkeep.release(ROOT, lease, Optional.of("node-c"));
        assertThat(answer.outcome()).isEqualTo(Outcome.WAIT);
        assertThat(look(lease).state()).isEqualTo(State.EXCLUSIVE);
        assertThat(look(lease).leader().orElseThrow().lver()).isEqualTo(42);
    }

    @Test
    void aRemovedLeaseIsGoneAndComesBackWhenItIsNeeded() throws Exception {
        LeaseName lease = held("old", 9);
        built.leader("old", edit -> edit.timestamp(0));
        assertThat(upkeep.remove(ROOT, lease, Duration.ZERO).outcome()).isEqualTo(Outcome.DONE);
        assertThat(dir.resolve("old")).doesNotExist();
        AcquireResult again = engine.acquire(lease, NOTE).get(30, TimeUnit.SECONDS);
        assertThat(again).isInstanceOf(AcquireResult.Acquired.class);
        assertThat(upkeep.remove(ROOT, lease, Duration.ZERO).message()).startsWith("old is in use: for ");
        assertThat(look(lease).leader().orElseThrow().lver()).isEqualTo(1);
    }
}
