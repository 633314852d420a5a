/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.ReadOnlyDirectory;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.BuiltDirectory;
import io.vmguard.lease.testing.UnderTarget;
import io.vmguard.lease.time.LeaseClock;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One look tells who left, two tell who lives, and death takes its time. */
class HostWatchTest {
    @TempDir(factory = UnderTarget.class)
    Path dir;

    private BuiltDirectory built;
    private long nowNanos;

    private final LeaseClock clock = new LeaseClock() {
        @Override
        public long monotonicSeconds() {
            return nowNanos / 1_000_000_000;
        }

        @Override
        public long bootNanos() {
            return nowNanos;
        }

        @Override
        public long monotonicNanos() {
            return nowNanos;
        }

        @Override
        public long wallSeconds() {
            return 0;
        }
    };

    @BeforeEach
    void threeHosts() {
        built = new BuiltDirectory(dir, LeaseLayout.SECTOR_512)
                .lockspace(10)
                .host(1, 1, "a", 1000)
                .host(2, 1, "b", 2000)
                .host(3, 4, "c", 0);
    }

    private HostWatch watch() {
        LeaseInspector inspector = new LeaseInspector(new ReadOnlyDirectory(dir, new LinuxClock()));
        return new HostWatch(inspector, BuiltDirectory.SPACE, clock);
    }

    @Test
    void statusGrowsWithTheLooks() {
        HostWatch watch = watch();
        assertThat(watch.hosts()).isEmpty();
        assertThat(watch.look()).isPresent();
        assertThat(watch.hosts())
                .extracting(HostView::status)
                .containsExactly(HostStatus.UNKNOWN, HostStatus.UNKNOWN, HostStatus.FREE);
        built.host(1, 1, "a", 1020);
        nowNanos += Duration.ofSeconds(20).toNanos();
        watch.look();
        assertThat(watch.hosts())
                .extracting(HostView::status)
                .containsExactly(HostStatus.LIVE, HostStatus.UNKNOWN, HostStatus.FREE);
        assertThat(watch.hosts().get(1).silentFor()).contains(Duration.ofSeconds(20));
        assertThat(watch.hosts().get(1).deadIn()).contains(Duration.ofSeconds(141 - 20));
        built.host(1, 1, "a", 1040);
        nowNanos += Duration.ofSeconds(122).toNanos();
        watch.look();
        assertThat(watch.hosts())
                .extracting(HostView::status)
                .containsExactly(HostStatus.LIVE, HostStatus.DEAD, HostStatus.FREE);
    }

    @Test
    void aLockspaceThatIsNotThereIsNoLook() {
        HostWatch watch = new HostWatch(
                new LeaseInspector(new ReadOnlyDirectory(dir, new LinuxClock())),
                new io.vmguard.lease.LeaseName("other"),
                clock);
        assertThat(watch.look()).isEqualTo(Optional.empty());
        assertThat(watch.hosts()).isEmpty();
    }
}
