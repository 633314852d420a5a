/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Every command of the installed package, by its launcher, with every kind of bad input: it answers with a sentence and the exit code that is
 * documented for it, and never with a stack trace. Each test is a table of commands and what must come of them.
 *
 * <p>No agent runs on the host, but for the last test.
 */
@NeedsTestImage
class BadInputIT {
    private static final Path DEB = BuiltPackage.find().orElseThrow(() -> new AssertionError("run make deb first"));
    private static final Duration LIMIT = Duration.ofMinutes(5);

    private static final Pattern DEFECT =
            Pattern.compile("Exception|\\tat [a-z]|internal error|java\\.|io\\.vmguard\\.|\\{\\}|[ :]null\\b");

    /** Each that does something by itself. */
    private static final List<String> COMMANDS = List.of(
            "agent",
            "status",
            "stop",
            "explain",
            "whohas",
            "attach-check",
            "reserve",
            "hosts",
            "leases",
            "events",
            "doctor",
            "init",
            "import-sanlock",
            "mode",
            "report",
            "lease init",
            "lease list",
            "lease show",
            "lease dump",
            "lease gc",
            "lease release");

    private static TestHost host;

    @BeforeAll
    static void boot() {
        host = TestHost.named("node-x").bind(DEB.getParent(), "/packages").start();
        host.run(LIMIT, "dpkg", "-i", "/packages/" + DEB.getFileName()).mustSucceed();
        host.sh("""
                systemctl stop vmguard-deadman vmguard
                test-domain demo1 --file /images/vm1.img >/tmp/demo1.xml
                echo '<disk type="file"><source file="/images/vm1.img"/><target dev="vdb"/></disk>' >/tmp/disk.xml
                echo '<disk' >/tmp/torn.xml; printf '\\377\\376\\000' >/tmp/bytes.xml; : >/tmp/empty.xml
                printf '%s\\n' 'io_timout: 3s' 'host_id: many' >/tmp/wrong.yaml
                printf 'a: [' >/tmp/torn.yaml; head -c 4096 /dev/urandom >/tmp/bytes.yaml
                # A lockspace, and beside it what crashes, other programs and bad storage may leave.
                mkdir /half; vmguard lease init --dir /half --lockspace LS >/dev/null
                cd /half; truncate -s 1M blank; : >empty; head -c 1048576 /dev/urandom >noise; head -c 700 LS >short
                cp LS copied; mkdir directory; ln -s loop loop; ln -s /dev/null null; mkfifo pipe; echo text >text
                mkdir /nothing; mkdir /bad; head -c 1048576 /dev/urandom >/bad/LS
                """).mustSucceed();
    }

    @AfterAll
    static void shutDown() {
        if (host != null) {
            host.close();
        }
    }

    /** @param said a regular expression for what it prints on standard error; everything if it must succeed */
    private record Row(String command, List<Integer> codes, String said) {}

    private static Row row(String command, int code, String said) {
        return new Row(command, List.of(code), said);
    }

    private record Outcome(int code, String out, String err) {}

    /** Runs all of them, two at a time. */
    private static void expect(String prefix, String suffix, Stream<Row> rows) {
        List<Row> table = rows.toList();
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < table.size(); i++) {
            lines.add(
                    "( timeout 60 " + prefix + " vmguard " + table.get(i).command() + " >/tmp/o." + i + " 2>/tmp/e." + i
                            + " " + suffix + "; echo $? >/tmp/c." + i + " ) & "
                            + (i % 2 == 1 ? "wait" : ""));
        }
        lines.add(
                "wait; for i in $(seq 0 " + (table.size() - 1) + "); do"
                        + " printf '#c %s\\n' $i; cat /tmp/c.$i; printf '#o\\n'; cat /tmp/o.$i; printf '\\n#e\\n'; cat /tmp/e.$i; echo; done");
        Map<Integer, Outcome> outcomes = parsed(host.run(LIMIT, "bash", "-c", String.join("\n", lines))
                .mustSucceed()
                .stdout());
        SoftAssertions.assertSoftly(softly -> {
            for (int i = 0; i < table.size(); i++) {
                Row row = table.get(i);
                Outcome outcome = outcomes.get(i);
                String what = prefix + " vmguard " + row.command() + " " + suffix + ": exit " + outcome.code() + "\n"
                        + outcome.out() + "\n--\n" + outcome.err();
                softly.assertThat(row.codes()).as(what).contains(outcome.code());
                softly.assertThat(outcome.err()).as(what).doesNotContainPattern(DEFECT);
                softly.assertThat(outcome.err()).as(what).containsPattern("(?s)" + row.said());
            }
        });
    }

    private static Map<Integer, Outcome> parsed(String text) {
        Map<Integer, Outcome> outcomes = new TreeMap<>();
        for (String part : text.split("(?m)^#c ")) {
            if (!part.isBlank()) {
                String[] halves = part.split("(?m)^#[oe]\n", 3);
                String[] head = halves[0].strip().split("\n");
                outcomes.put(Integer.parseInt(head[0]), new Outcome(Integer.parseInt(head[1]), halves[1], halves[2]));
            }
        }
        return outcomes;
    }

    @Test
    void theTableNamesEveryCommandThatThereIs() {
        List<String> listed = new ArrayList<>();
        for (String parent : List.of("", "lease ")) {
            host.sh("vmguard " + parent + "--help | sed -n '/^Commands:/,$s/^  \\([a-z][-a-z]*\\) .*/\\1/p'")
                    .mustSucceed()
                    .stdout()
                    .lines()
                    .filter(name -> !(parent.isEmpty() && name.equals("lease")))
                    .forEach(name -> listed.add(parent + name));
        }
        assertThat(listed).containsExactlyInAnyOrderElementsOf(COMMANDS);
    }

    @Test
    void anOptionThatDoesNotExist() {
        expect(
                "",
                "",
                COMMANDS.stream()
                        .map(c ->
                                row(c + " --nonsense", 2, "Unknown option: '--nonsense'|Missing required .*Usage: ")));
    }

    @Test
    void valuesThatCannotBeAndWordsThatAreMissing() {
        expect(
                "",
                "",
                Stream.of(
                        row("nonsense", 2, "Unmatched argument .*nonsense"),
                        row("status --format xml", 2, "Invalid value for option '--format'"),
                        row("hosts --watch soon", 2, "soon"),
                        row("hosts --lockspace a/b", 2, "cannot be the name of a lockspace"),
                        row("whohas", 2, "Missing required parameter"),
                        row("attach-check demo1", 2, "Missing required parameter"),
                        row("lease show", 2, "Missing required parameter"),
                        row("lease show a/b", 2, "cannot be the name of a lease"),
                        row("lease dump ..", 2, "cannot be the name of a lease"),
                        row("lease release x", 2, "--confirm-dead"),
                        row("lease gc --older-than never", 2, "never"),
                        row("lease init --sector 700", 2, "700|sector"),
                        row("mode sometimes", 2, "sometimes"),
                        row("init --io-timeout 0s", 2, "/etc/vmguard/vmguard.yaml.*'io_timeout' is '0s'"),
                        row("stop", 2, "--release.*--keep.*Nothing was done"),
                        row("stop --keep --release", 2, "mutually exclusive"),
                        row("explain /tmp/torn.xml", 2, "torn.xml"),
                        row("explain /tmp/bytes.xml", 2, "bytes.xml"),
                        row("explain /tmp/empty.xml", 2, "empty.xml"),
                        row("explain /no/such.xml", 2, "/no/such.xml"),
                        row("explain -", 2, "-"),
                        row("reserve demo1 /no/such.xml", 2, "/no/such.xml: no such file"),
                        row("report -o /no/such/directory/x.zip", 1, "/no/such/directory")));
    }

    @Test
    void aConfigurationThatIsWrong() {
        for (String file : List.of("/tmp/wrong.yaml", "/tmp/torn.yaml", "/tmp/bytes.yaml", "/no/such.yaml")) {
            List<String> some = List.of("agent", "status", "hosts");
            expect(
                    "",
                    "</dev/null",
                    COMMANDS.stream()
                            .filter(c -> file.equals("/tmp/wrong.yaml") ? !c.equals("report") : some.contains(c))
                            .map(c -> row(
                                    complete(c) + " --config " + file,
                                    c.equals("agent") ? 78 : 2,
                                    c.equals("doctor") ? "" : file)));
        }
    }

    /** With the words that it needs. */
    private static String complete(String command) {
        return command
                + switch (command) {
                    case "stop" -> " --keep";
                    case "explain" -> " /tmp/demo1.xml";
                    case "whohas" -> " /images/vm1.img";
                    case "attach-check", "reserve" -> " demo1 /tmp/disk.xml";
                    case "lease show" -> " x";
                    case "lease release" -> " --confirm-dead x";
                    case "doctor" -> " --no-probe";
                    default -> "";
                };
    }

    @Test
    void noAgentAnswers() {
        String silent = "does not answer|no agent";
        expect(
                "",
                "</dev/null",
                Stream.of(
                        row("status", 3, silent),
                        row("status --json", 3, silent),
                        row("events", 3, silent),
                        row("events --follow", 3, silent),
                        row("mode", 3, silent),
                        row("stop --keep", 3, silent),
                        row("stop --release", 3, silent),
                        row("attach-check demo1 /tmp/disk.xml", 3, silent),
                        row("reserve demo1 /tmp/disk.xml", 3, silent),
                        row("lease release --confirm-dead x", 3, silent),
                        row("status --socket /tmp/demo1.xml", 3, silent),
                        row("hosts", 0, ""),
                        row("leases", 0, ""),
                        row("whohas /images/vm1.img", 0, ""),
                        row("explain /tmp/demo1.xml", 0, "")));
    }

    @Test
    void nobodyIsThereToAnswerAQuestion() {
        expect(
                "",
                "</dev/null",
                Stream.of(
                        row("init --lease-dir /nothing --alone", 1, "nothing was done. Say --yes"),
                        row("import-sanlock --apply", 1, "nothing was done. Say --yes")));
    }

    @Test
    void withoutRights() {
        String denied = "(?i)permission denied|not permitted|must be run as root|as root";
        expect(
                "setpriv --reuid 65534 --regid 65534 --clear-groups",
                "</dev/null",
                Stream.of(
                        row("agent", 1, denied),
                        row("status", 3, denied),
                        row("events", 3, denied),
                        row("mode", 3, denied),
                        row("mode observe --yes", 3, denied),
                        row("stop --keep", 3, denied),
                        row("attach-check demo1 /tmp/disk.xml", 3, denied),
                        row("hosts", 2, denied),
                        row("leases", 2, denied),
                        row("hosts --dir /half --lockspace LS", 2, denied),
                        row("leases --dir /half --lockspace LS", 2, denied),
                        row("lease list --dir /half --lockspace LS --json", 2, denied),
                        row("lease gc --dir /half --lockspace LS", 2, denied),
                        row("lease show noise --dir /half --lockspace LS", 1, ""),
                        row("lease dump --dir /half --lockspace LS", 2, denied),
                        row("lease init --dir /half --lockspace other", 1, denied),
                        row("lease show x", 2, denied),
                        row("lease dump", 2, denied),
                        row("whohas /images/vm1.img", 2, denied),
                        row("init --lease-dir /nothing --alone --yes", 1, denied),
                        row("import-sanlock --apply --yes", 1, denied),
                        row("report", 1, denied),
                        new Row("doctor", List.of(1, 2), "")));
    }

    @Test
    void aLeaseDirectoryThatIsHalfBroken() {
        String half = " --dir /half --lockspace LS";
        expect(
                "",
                "</dev/null",
                Stream.of(
                        row("leases" + half, 1, ""),
                        row("lease list --verify --json" + half, 1, ""),
                        row("hosts" + half, 0, ""),
                        row("lease show blank" + half, 1, ""),
                        row("lease show empty" + half, 1, ""),
                        row("lease show noise" + half, 1, ""),
                        row("lease show short" + half, 2, "is a lockspace"),
                        row("lease show directory" + half, 1, ""),
                        row("lease show loop" + half, 1, ""),
                        row("lease show pipe" + half, 1, ""),
                        row("lease show absent" + half, 2, "no such file"),
                        row("lease dump noise" + half, 0, ""),
                        row("lease dump empty" + half, 0, ""),
                        row("lease gc" + half, 0, ""),
                        row("whohas /images/vm1.img" + half, 0, ""),
                        row("hosts --dir /bad --lockspace LS", 2, "LS"),
                        row("leases --dir /bad --lockspace LS", 0, ""),
                        row("whohas /images/vm1.img --dir /bad --lockspace LS", 2, "LS"),
                        row("hosts --dir /nothing", 2, "/nothing"),
                        row("leases --dir /nothing", 0, ""),
                        row("leases --dir /no/such", 2, "/no/such"),
                        row("hosts --dir /dev/null", 2, "/dev/null"),
                        row("leases --dir /tmp/demo1.xml", 2, "/tmp/demo1.xml"),
                        row("lease init --lockspace LS --dir /half", 1, "/half"),
                        row("lease init --dir /no/such", 2, "/no/such")));
    }

    /** Standard output that nobody reads any more is no error, and no reason to say anything. */
    @Test
    void aPipeThatIsClosed() {
        for (String command : List.of(
                "--help",
                "status",
                "hosts",
                "leases --dir /half --lockspace LS",
                "lease dump noise --dir /half --lockspace LS",
                "explain /tmp/demo1.xml",
                "whohas /images/vm1.img --json",
                "doctor --no-probe --json",
                "events")) {
            Ran ran = host.run(
                    LIMIT, "bash", "-c", "vmguard " + command + " 2>/tmp/e | true; echo ${PIPESTATUS[0]}; cat /tmp/e");
            assertThat(ran.stdout())
                    .as(command)
                    .doesNotContainPattern(DEFECT)
                    .doesNotStartWith("70")
                    .doesNotContain("Broken pipe");
        }
        Ran full = host.sh("vmguard leases --dir /half --lockspace LS >/dev/full");
        assertThat(full.output()).doesNotContainPattern(DEFECT);
    }
}
