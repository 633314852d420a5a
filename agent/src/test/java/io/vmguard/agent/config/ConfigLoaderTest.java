/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.vmguard.agent.config.AgentConfig.Compat;
import io.vmguard.agent.config.AgentConfig.Mode;
import io.vmguard.agent.config.AgentConfig.OnUnidentified;
import io.vmguard.agent.config.AgentConfig.OnUnprotected;
import io.vmguard.agent.config.AgentConfig.StorageRules;
import io.vmguard.agent.identity.Clusters;
import io.vmguard.agent.identity.StorageClusters;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A file gives settings or every problem it has, each with its line; nothing is guessed and nothing throws anything else. */
class ConfigLoaderTest {
    private static final String CLUSTERS = "a7f64266-0894-4f1e-a635-d0aeaca0e993=mon1,mon2";

    @TempDir
    private Path dir;

    @Test
    void withoutAFileTheDefaultsApply() throws Exception {
        assertThat(ConfigLoader.load(dir.resolve("none.yaml")))
                .isEqualTo(AgentConfig.defaults())
                .isEqualTo(new AgentConfig(
                        Path.of("/var/lib/vmguard/leases"),
                        "__LIBVIRT__DISKS__",
                        OptionalInt.empty(),
                        Duration.ofSeconds(10),
                        Duration.ofSeconds(60),
                        new WatchdogChoice.Auto(),
                        254,
                        "qemu:///system",
                        Mode.ENFORCE,
                        OnUnprotected.AUTO,
                        false,
                        true,
                        false,
                        Path.of("/run/vmguard/agent.sock"),
                        Optional.empty(),
                        Path.of("/var/lib/vmguard"),
                        Path.of("/run/vmguard"),
                        Duration.ofSeconds(30),
                        Duration.ofSeconds(5),
                        new StorageRules(Compat.AUTO, true, OnUnidentified.PATH, StorageClusters.NONE)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "\n", "# nothing\n", "---\n", "--- \n# x\n...\n", "{}", "\ufeff# mark\n"})
    void aFileThatSaysNothingGivesTheDefaults(String yaml) throws Exception {
        assertThat(load(yaml)).isEqualTo(AgentConfig.defaults());
    }

    @Test
    void everyKeyCanBeSet() throws Exception {
        assertThat(load("""
                lease_dir: /mnt/leases
                lockspace: "prod"
                host_id: 17
                io_timeout: 2s
                watchdog_timeout: 59s
                watchdog: /dev/watchdog1
                max_hosts: 2000
                libvirt_uri: qemu:///session
                mode: observe
                on_unprotected: destroy
                allow_ignore_lockfailure: true
                live_migration: false
                allow_unguarded_migration: true
                socket: /run/v.sock
                socket_group: libvirt
                state_dir: /srv/state
                runtime_dir: /run/v
                hook_timeout: 1m
                destroy_timeout: 39332ms
                compat: libvirt-sanlock
                domain_lease: false
                on_unidentified: refuse
                ceph_clusters: "a7f64266-0894-4f1e-a635-d0aeaca0e993=mon1,mon2"
                gluster_clusters: "east=gl1 west=gl2"
                """))
                .isEqualTo(new AgentConfig(
                        Path.of("/mnt/leases"),
                        "prod",
                        OptionalInt.of(17),
                        Duration.ofSeconds(2),
                        Duration.ofSeconds(59),
                        new WatchdogChoice.Device(Path.of("/dev/watchdog1")),
                        2000,
                        "qemu:///session",
                        Mode.OBSERVE,
                        OnUnprotected.DESTROY,
                        true,
                        false,
                        true,
                        Path.of("/run/v.sock"),
                        Optional.of("libvirt"),
                        Path.of("/srv/state"),
                        Path.of("/run/v"),
                        Duration.ofMinutes(1),
                        Duration.ofMillis(39332),
                        new StorageRules(
                                Compat.LIBVIRT_SANLOCK,
                                false,
                                OnUnidentified.REFUSE,
                                new StorageClusters(
                                        Clusters.ofCeph(CLUSTERS), Clusters.ofGluster("east=gl1 west=gl2")))));
    }

    @Test
    void wdmdWantsTimeBetweenTwoRenewals() throws Exception {
        assertThat(load("watchdog: wdmd").watchdog()).isEqualTo(new WatchdogChoice.Wdmd());
        assertThat(load("watchdog: none").watchdog()).isEqualTo(new WatchdogChoice.None());
        assertThat(load("{watchdog: wdmd, io_timeout: 3s}").watchdog()).isEqualTo(new WatchdogChoice.Wdmd());
        ConfigException refused = catchThrowableOfType(
                ConfigException.class, () -> load("{watchdog: wdmd, io_timeout: 2s, watchdog_timeout: 60s}"));
        assertThat(refused.problems())
                .singleElement()
                .asString()
                .contains(
                        "'watchdog' is 'wdmd'; it needs 5 times io_timeout plus watchdog_timeout to be more than 70s, "
                                + "and they are 2s and 60s");
    }

    @ParameterizedTest
    @CsvSource({"10, 10000", "10s, 10000", "'\"3\"', 3000", "1, 1000", "30, 30000", "3000ms, 3000"})
    void aDurationIsSecondsUnlessItHasAUnit(String text, long millis) throws Exception {
        assertThat(load("io_timeout: " + text).ioTimeout()).isEqualTo(Duration.ofMillis(millis));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '^',
            value = {
                "watchdog: yes                    | 'watchdog' is 'yes'; it must be auto, wdmd, none or a device such as /dev/watchdog0",
                "watchdog: /dev/sda               | 'watchdog' is '/dev/sda'; it must be auto, wdmd, none or a device such as /dev/watchdog0",
                "lease_dir: leases                | 'lease_dir' is 'leases'; it must be an absolute path",
                "lease_dir: \"/a\\0\"             | 'lease_dir' is '/a?'; it is not a path: Nul character not allowed",
                "lease_dir: [/a, /b]              | 'lease_dir' must be a single value, not a list",
                "lease_dir: {a: b}                | 'lease_dir' must be a single value, not a mapping",
                "lease_dir:                       | 'lease_dir' has no value; give one or remove the line"
                        + " (default: /var/lib/vmguard/leases)",
                "lease_dir: ''                    | 'lease_dir' is ''; it must be an absolute path",
                "state_dir: ~                     | 'state_dir' has no value; give one or remove the line"
                        + " (default: /var/lib/vmguard)",
                "lockspace: a/b                   | 'lockspace' is 'a/b'; it must be 1 to 48 printable ASCII characters"
                        + " without spaces or '/', not starting with a dot",
                "lockspace: .hidden               | 'lockspace' is '.hidden'; it must be 1 to 48 printable ASCII"
                        + " characters without spaces or '/', not starting with a dot",
                "lockspace: ''                    | 'lockspace' is ''; it must be 1 to 48 printable ASCII characters"
                        + " without spaces or '/', not starting with a dot",
                "lockspace: é                     | 'lockspace' is 'é'; it must be 1 to 48 printable ASCII characters"
                        + " without spaces or '/', not starting with a dot",
                "host_id: 0                       | 'host_id' is '0'; it must be auto or a number from 1 to 2000",
                "host_id: 2001                    | 'host_id' is '2001'; it must be auto or a number from 1 to 2000",
                "host_id: 010                     | 'host_id' is '010'; it must be auto or a number from 1 to 2000",
                "host_id: 99999999999999          | 'host_id' is '99999999999999'; it must be auto or a number from 1 to"
                        + " 2000",
                "host_id: automatic               | 'host_id' is 'automatic'; it must be auto or a number from 1 to 2000",
                "host_id: true                    | 'host_id' is 'true'; it must be auto or a number from 1 to 2000",
                "io_timeout: 0                    | 'io_timeout' is '0'; it must be from 1s to 30s",
                "io_timeout: 31s                  | 'io_timeout' is '31s'; it must be from 1s to 30s",
                "io_timeout: 1500ms               | 'io_timeout' is '1500ms'; it must be whole seconds",
                "io_timeout: 1.5                  | 'io_timeout' is '1.5'; it must be a duration such as 500ms, 10s or 2m",
                "io_timeout: -1s                  | 'io_timeout' is '-1s'; it must be a duration such as 500ms, 10s or 2m",
                "io_timeout: ten                  | 'io_timeout' is 'ten'; it must be a duration such as 500ms, 10s or 2m",
                "watchdog_timeout: 9s             | 'watchdog_timeout' is '9s'; it must be from 10s to 60s",
                "max_hosts: 2001                  | 'max_hosts' is '2001'; it must be a number from 1 to 2000",
                "libvirt_uri: nonsense            | 'libvirt_uri' is 'nonsense'; it must be a libvirt URI such as"
                        + " qemu:///system",
                "libvirt_uri: 'qemu: x'           | 'libvirt_uri' is 'qemu: x'; it is not a URI: Illegal character in"
                        + " opaque part",
                "libvirt_uri: qemu+ssh://b/system | 'libvirt_uri' is 'qemu+ssh://b/system'; it must be this host's own"
                        + " libvirt: it names another machine",
                "mode: on                         | 'mode' is 'on'; it must be enforce or observe",
                "mode: ENFORCE                    | 'mode' is 'ENFORCE'; it must be enforce or observe",
                "on_unprotected: kill             | 'on_unprotected' is 'kill'; it must be auto or report or pause or destroy",
                "socket_group: 'a b'              | 'socket_group' is 'a b'; it is not a group name",
                "hook_timeout: 6m                 | 'hook_timeout' is '6m'; it must be from 1s to 300s",
                "destroy_timeout: 40s             | 'destroy_timeout' is '40s'; it must be from 1s to 39999ms",
                "lease_dri: /a                    | unknown key 'lease_dri'; the nearest one is 'lease_dir'",
                "lease-dir: /a                    | unknown key 'lease-dir'; the nearest one is 'lease_dir'",
                "Mode: enforce                    | unknown key 'Mode'; the nearest one is 'mode'",
                "iotimeout: 3                     | unknown key 'iotimeout'; the nearest one is 'io_timeout'",
                "<<: {mode: observe}              | unknown key '<<'; the nearest one is 'mode'"
            })
    void aWrongLineIsOneProblem(String line, String problem) {
        assertThat(problems("# first line\n" + line.strip() + "\n"))
                .containsExactly(dir.resolve("vmguard.yaml") + ":2: " + problem);
    }

    @Test
    void aSocketAddressMustFitTheSystemsLimit() {
        assertThat(problems("socket: /run/" + "x".repeat(103)))
                .singleElement()
                .asString()
                .endsWith("has at most 107");
        assertThat(problemsOrNone("socket: /run/" + "x".repeat(102))).isEmpty();
    }

    @Test
    void allProblemsAreReportedAtOnceInTheOrderOfTheFile() {
        assertThat(problems("""
                mode: maybe
                lease_dri: /a
                io_timeout: 99s
                mode: enforce
                host_id: [1]
                destroy_timeout: 45
                """))
                .extracting(problem -> problem.substring(problem.indexOf("yaml:") + 5))
                .containsExactly(
                        "1: 'mode' is 'maybe'; it must be enforce or observe",
                        "2: unknown key 'lease_dri'; the nearest one is 'lease_dir'",
                        "3: 'io_timeout' is '99s'; it must be from 1s to 30s",
                        "4: 'mode' is given twice, first on line 1",
                        "5: 'host_id' must be a single value, not a list",
                        "6: 'destroy_timeout' is '45'; it must be from 1s to 39999ms");
    }

    @Test
    void brokenYamlIsReportedWithItsLineBesideWhatStoodBeforeIt() {
        assertThat(problems("mode: maybe\nlease_dir: \"/a\nlockspace: b\n"))
                .satisfiesExactly(
                        first -> assertThat(first).endsWith(":1: 'mode' is 'maybe'; it must be enforce or observe"),
                        second -> assertThat(second).contains("not valid YAML: while scanning a quoted scalar, found"));
        assertThat(problems("mode: enforce\nhost_id: a: b\n"))
                .anySatisfy(problem ->
                        assertThat(problem).endsWith(":2: not valid YAML: mapping values are not allowed here"));
        assertThat(problems("\tmode: enforce\n")).singleElement().asString().contains(":1: not valid YAML: ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"- mode: observe", "observe", "[]", "42"})
    void aFileThatIsNoMappingIsRefused(String yaml) {
        assertThat(problems(yaml))
                .singleElement()
                .asString()
                .endsWith(":1: the file must be a list of `key: value` lines");
    }

    @Test
    void aSecondDocumentIsRefusedNotIgnored() {
        assertThat(problems("mode: enforce\n---\nmode: observe\n"))
                .singleElement()
                .asString()
                .contains("second YAML document");
    }

    @Test
    void anAliasIsRefusedNotReadAsItsName() {
        assertThat(problems("state_dir: &a /srv\nruntime_dir: *a\n"))
                .singleElement()
                .asString()
                .endsWith(":2: 'runtime_dir' must be a single value, not an alias");
    }

    @Test
    void whatIsNoReadableTextFileIsRefused() throws Exception {
        Path file = dir.resolve("vmguard.yaml");
        Files.write(file, new byte[] {'#', (byte) 0xff, '\n'});
        assertThat(problems(file)).containsExactly(file + ": is not UTF-8 text");
        Files.write(file, " ".repeat(256 * 1024 + 1).getBytes(StandardCharsets.UTF_8));
        assertThat(problems(file)).containsExactly(file + ": is larger than 256 KiB");
        assertThat(problems(dir)).containsExactly(dir + ": is a directory");
        Path link = Files.createSymbolicLink(dir.resolve("link"), dir.resolve("nowhere"));
        assertThat(problems(link)).containsExactly(link + ": is not a file, or a link that leads nowhere");
    }

    @Test
    void randomFilesGiveSettingsOrProblemsAndNothingElse() throws Exception {
        String alphabet = "mode: enforce\n\t-[]{}&*!|>'\"%@`#,?~0123é\u0000\u0085/";
        for (int seed = 0; seed < 3000; seed++) {
            Random random = new Random(seed);
            StringBuilder yaml = new StringBuilder(random.nextBoolean() ? "mode: observe\nhost_id: 3\n" : "");
            for (int i = random.nextInt(40); i > 0; i--) {
                yaml.insert(random.nextInt(yaml.length() + 1), alphabet.charAt(random.nextInt(alphabet.length())));
            }
            try {
                load(yaml.toString());
            } catch (ConfigException e) {
                assertThat(e.problems())
                        .as("seed %d", seed)
                        .isNotEmpty()
                        .allSatisfy(problem -> assertThat(problem).doesNotContain("\n"));
            } catch (RuntimeException e) {
                throw new AssertionError("seed " + seed, e);
            }
        }
    }

    @Test
    void theNearestKeyIsTheOneWithTheFewestEdits() {
        assertThat(NearestWord.distance("kitten", "sitting")).isEqualTo(3);
        assertThat(NearestWord.distance("", "abc")).isEqualTo(3);
        assertThat(NearestWord.of("x".repeat(100_000), List.of("a", "b"))).isEqualTo("a");
    }

    private AgentConfig load(String yaml) throws ConfigException, IOException {
        return ConfigLoader.load(Files.writeString(dir.resolve("vmguard.yaml"), yaml));
    }

    private List<String> problems(String yaml) {
        List<String> problems = problemsOrNone(yaml);
        assertThat(problems).as("problems of %s", yaml).isNotEmpty();
        return problems;
    }

    private List<String> problemsOrNone(String yaml) {
        ConfigException e = catchThrowableOfType(ConfigException.class, () -> load(yaml));
        return e == null ? List.of() : e.problems();
    }

    private static List<String> problems(Path file) {
        return catchThrowableOfType(ConfigException.class, () -> ConfigLoader.load(file))
                .problems();
    }
}
