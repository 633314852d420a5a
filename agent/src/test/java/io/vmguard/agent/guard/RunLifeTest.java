/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.guard.RunLife.Event;
import io.vmguard.agent.guard.RunLife.State;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The life of a run as a table: the same in the code and in ARCHITECTURE.md, for every state and event, and what must hold in it. */
class RunLifeTest {

    private static List<String> cells(String row) {
        String[] cells = row.split("\\|");
        return Arrays.stream(cells, 1, cells.length).map(String::strip).toList();
    }

    @Test
    void theTableInTheArchitecturePageIsTheOneInTheCode() throws IOException {
        List<String> page = Files.readAllLines(Path.of("../ARCHITECTURE.md"));
        String head = page.stream()
                .filter(line -> line.startsWith("| state | GRANT "))
                .findFirst()
                .orElseThrow();
        List<String> events = cells(head);
        assertThat(events.subList(1, events.size()))
                .containsExactlyElementsOf(
                        Arrays.stream(Event.values()).map(Event::name).toList());
        for (State state : State.values()) {
            String row = page.stream()
                    .filter(line -> line.startsWith("| " + state + " | "))
                    .filter(line -> cells(line).size() == events.size())
                    .findFirst()
                    .orElseThrow();
            for (Event event : Event.values()) {
                String expected = RunLife.next(state, event).map(State::name).orElse("·");
                assertThat(cells(row).get(event.ordinal() + 1))
                        .as("%s, %s", state, event)
                        .isEqualTo(expected);
            }
        }
    }

    @Test
    void everyStateIsReachedAndFromEachTheEndIs() {
        for (State from : State.values()) {
            assertThat(reachable(from)).as("from %s", from).contains(State.ENDED);
        }
        assertThat(reachable(State.ACQUIRING)).containsExactlyInAnyOrder(State.values());
    }

    private static Set<State> reachable(State from) {
        Set<State> seen = EnumSet.of(from);
        Deque<State> next = new ArrayDeque<>(seen);
        while (!next.isEmpty()) {
            State state = next.remove();
            for (Event event : Event.values()) {
                RunLife.next(state, event).filter(seen::add).ifPresent(next::add);
            }
        }
        return seen;
    }

    @ParameterizedTest
    @EnumSource(State.class)
    void whatHasAQemuEndsOnlyByTheProofThatItIsGone(State state) {
        for (Event event : Event.values()) {
            boolean ends = RunLife.next(state, event).equals(Optional.of(State.ENDED));
            assertThat(ends)
                    .as("%s, %s", state, event)
                    .isEqualTo(event == Event.END && state != State.ACQUIRING
                            || event == Event.REFUSE && state == State.ACQUIRING);
        }
    }

    @ParameterizedTest
    @EnumSource(State.class)
    void whatIsBeingStoppedNeverRunsOnButByTheProofThatItWroteNothing(State state) {
        boolean stopping = state == State.DOOMED || state == State.DYING;
        for (Event event : Event.values()) {
            RunLife.next(state, event)
                    .filter(next -> stopping)
                    .ifPresent(next -> assertThat(next)
                            .as("%s, %s", state, event)
                            .isIn(State.DOOMED, State.DYING, State.HALTED, State.ENDED));
        }
    }

    @Test
    void thePartsAreWhatTheStateSays() {
        Run run = new Run(UUID.randomUUID(), "demo", Phase.ACQUIRING);
        run.on(Event.GRANT);
        assertThat(run.phase).isEqualTo(Phase.GRANTED);
        run.on(Event.FIND);
        assertThat(run.phase).isEqualTo(Phase.RUNNING);
        run.on(Event.DOOM);
        assertThat(run.doomed).isTrue();
        run.on(Event.HALT);
        assertThat(List.of(run.doomed, run.halted)).containsExactly(false, true);
        run.on(Event.RESUME);
        assertThat(run.life()).isEqualTo(State.RUNNING);
        assertThat(run.halted).isFalse();
        run.on(Event.GRANT); // cannot be
        assertThat(run.life()).isEqualTo(State.RUNNING);
        run.on(Event.END);
        assertThat(run.ended).isTrue();
    }
}
