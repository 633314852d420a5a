/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.setup;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the plug-in's configuration comes to. */
class SanlockImportTest {
    @Test
    void aUsualHostKeepsItsDirectoryItsHostIdAndItsTimes() {
        SanlockImport proposal = SanlockImport.of(
                "lock_manager = \"sanlock\"\n",
                "auto_disk_leases = 1\ndisk_lease_dir = \"/var/lib/libvirt/leases\"\nhost_id = 3\nio_timeout = 20\nuser = \"root\"\n");
        assertThat(proposal.obstacles()).isEmpty();
        assertThat(proposal.settings())
                .containsExactly(
                        Map.entry("lease_dir", "/var/lib/libvirt/leases"),
                        Map.entry("host_id", "3"),
                        Map.entry("io_timeout", "20s"),
                        Map.entry("max_hosts", "2000"),
                        Map.entry("watchdog_timeout", "60s"),
                        Map.entry("compat", "libvirt-sanlock"));
        assertThat(proposal.notes()).singleElement().asString().contains("root_squash");
    }

    @Test
    void whatIsNotSetIsWhatThePluginDefaultsTo() {
        SanlockImport proposal = SanlockImport.of("", "");
        assertThat(proposal.settings())
                .containsEntry("lease_dir", "/var/lib/libvirt/sanlock")
                .doesNotContainKeys("host_id", "io_timeout");
        assertThat(proposal.notes())
                .hasSize(3)
                .anyMatch(note -> note.startsWith("lock_manager in qemu.conf is not set"));
    }

    @ParameterizedTest
    @CsvSource({"host_id = 2001, host_id", "host_id = \"x\", host_id", "io_timeout = 31, io_timeout"})
    void whatCannotBeTakenOverIsAnObstacle(String line, String word) {
        SanlockImport proposal = SanlockImport.of("lock_manager = \"sanlock\"", "auto_disk_leases = 1\n" + line + "\n");
        assertThat(proposal.obstacles()).singleElement().asString().startsWith(word);
        assertThat(proposal.settings()).isEmpty();
    }

    @Test
    void theLockManagerBecomesACommentAndTheRestStays() {
        assertThat(SanlockImport.withoutLockManager(
                        "user = \"root\"\nlock_manager = \"sanlock\"\n# lock_manager = \"lockd\"\n"))
                .isEqualTo(
                        "user = \"root\"\n# by vmguard import-sanlock: lock_manager = \"sanlock\"\n# lock_manager = \"lockd\"\n");
    }
}
