/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Whoever reads a refusal finds it on the operations page, with what to do; and finds nothing there that is never said. */
class RefusalsTest {
    private static final Pattern ROW = Pattern.compile("(?m)^\\| (`.+?) \\| .+ \\| .+ \\|$");
    private static final Pattern WORDS = Pattern.compile("`([^`]+)`");
    /** Words that stand for others, and what is left out. */
    private static final Pattern STANDS_FOR = Pattern.compile("…|\\b(?:N|M|D|H|NAME)\\b");
    /** What the hook says by itself, up to what it puts in. */
    private static final Pattern OF_THE_HOOK = Pattern.compile("\\bundecided \"([^\"$]+)");
    /** What the agent answers to a call that it does not come to decide about. */
    private static final Pattern OF_THE_SERVER =
            Pattern.compile("\"[: ]*(?:vmguard: )?(the (?:domain XML|lease agent|request) [^\"]*)\"");

    private final List<Pattern> rows = new ArrayList<>();
    private final List<String> refusals = new ArrayList<>();

    @BeforeEach
    void readThePage() throws IOException {
        String page = Files.readString(Path.of("../docs/operations.md"));
        String section = page.substring(page.indexOf("## A start was refused"), page.indexOf("The reasons of `"));
        ROW.matcher(section)
                .results()
                .flatMap(row -> WORDS.matcher(row.group(1)).results())
                .map(words -> Arrays.stream(STANDS_FOR.split(words.group(1), -1))
                        .map(String::strip)
                        .filter(part -> part.length() > 1) // not the bracket behind what is left out
                        .map(Pattern::quote)
                        .collect(Collectors.joining(".*")))
                .map(Pattern::compile)
                .forEach(rows::add);
        assertThat(rows).hasSizeGreaterThan(15);
    }

    @BeforeEach
    void collectTheRefusals() throws Exception {
        LeaseNote note = new LeaseNote("demo1", "u", "vda", "node-a", 5);
        for (HostStatus status : List.of(HostStatus.LIVE, HostStatus.FAIL, HostStatus.UNKNOWN)) {
            for (Optional<LeaseNote> of : List.of(Optional.of(note), Optional.<LeaseNote>empty())) {
                refusals.add(Sentences.heldBy(
                        "vda",
                        new AcquireResult.HeldBy(
                                new Owner(3, 1),
                                "stock",
                                status,
                                Optional.of(Duration.ofSeconds(3)),
                                Optional.of(Duration.ofSeconds(9)),
                                of,
                                false),
                        Optional.empty()));
            }
        }
        for (Method method : Sentences.class.getDeclaredMethods()) {
            boolean plain = Modifier.isStatic(method.getModifiers())
                    && method.getReturnType() == String.class
                    && Arrays.stream(method.getParameterTypes())
                            .allMatch(type -> type == String.class || type == int.class);
            if (plain && !Modifier.isPrivate(method.getModifiers())) {
                Object[] arguments = Arrays.stream(method.getParameterTypes())
                        .map(type -> type == int.class ? (Object) 4711 : "demo1")
                        .toArray();
                String said = (String) method.invoke(null, arguments);
                if (said.startsWith("vmguard: ")) {
                    refusals.add(said);
                }
            }
        }
        assertThat(refusals).hasSizeGreaterThan(15);
        said("../libvirt-hooks/qemu", OF_THE_HOOK);
        said("src/main/java/io/vmguard/agent/hook/HookHandler.java", OF_THE_SERVER);
    }

    private void said(String source, Pattern pattern) throws IOException {
        List<String> found = pattern.matcher(Files.readString(Path.of(source)))
                .results()
                .map(said -> "vmguard: demo1: " + said.group(1))
                .toList();
        assertThat(found).as(source).hasSizeGreaterThanOrEqualTo(3);
        refusals.addAll(found);
    }

    @Test
    void everyRefusalHasARowThatSaysWhatToDo() {
        assertThat(refusals)
                .allSatisfy(refusal ->
                        assertThat(rows).anyMatch(row -> row.matcher(refusal).find()));
    }

    @Test
    void everyRowIsOfSomethingThatIsSaid() {
        assertThat(rows)
                .allSatisfy(row -> assertThat(refusals)
                        .anyMatch(refusal -> row.matcher(refusal).find()));
    }
}
