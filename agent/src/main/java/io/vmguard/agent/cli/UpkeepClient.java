/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.hook.AgentClient;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Asks the agent to put leases in order. */
final class UpkeepClient {
    /** The agent takes a lease and gives it back, with a limit of a minute for each. */
    private static final Duration LIMIT = Duration.ofSeconds(150);

    private final AgentClient agent;
    private final String sudoUser;

    private UpkeepClient(Path socket, String sudoUser) {
        this.agent = new AgentClient(socket, LIMIT);
        this.sudoUser = sudoUser;
    }

    /**
     * The agent that is a member of this lockspace; only a member can take a lease, and so only a member can free or remove one.
     *
     * @throws NoAgent with a sentence for people, if there is none
     */
    static UpkeepClient of(LeaseTools tools, DirectoryOptions.Place place) throws NoAgent {
        if (HostLooks.ofAgent(place).isEmpty()) {
            throw new NoAgent("no agent on " + place.socket() + " is a member of lockspace " + place.lockspace()
                    + " in " + place.dir() + ", and only a member can do this safely. See: systemctl status vmguard");
        }
        return new UpkeepClient(place.socket(), tools.sudoUser());
    }

    /** Nobody can be asked. */
    static final class NoAgent extends IOException {
        private static final long serialVersionUID = 1L;

        NoAgent(String why) {
            super(why);
        }
    }

    /**
     * What it said.
     *
     * @param outcome done, nothing_to_do, refused, wait, cannot_tell or bad_request
     * @param provedIn of wait: when to ask again
     */
    record Answer(String outcome, String message, Optional<Duration> provedIn) {
        boolean good() {
            return outcome.equals("done") || outcome.equals("nothing_to_do");
        }

        boolean mustWait() {
            return outcome.equals("wait") && provedIn.isPresent();
        }
    }

    Answer release(String lease, Optional<String> hostIsOff) throws IOException {
        Map<String, String> query = query(lease);
        hostIsOff.ifPresent(host -> query.put("host_is_off", host));
        return ask("/v1/lease/release", query);
    }

    Answer remove(String lease, Duration unusedFor) throws IOException {
        Map<String, String> query = query(lease);
        query.put("unused_seconds", Long.toString(unusedFor.toSeconds()));
        return ask("/v1/lease/remove", query);
    }

    private Map<String, String> query(String lease) {
        Map<String, String> query = new LinkedHashMap<>();
        query.put("lease", lease);
        query.put("on_behalf_of", sudoUser);
        return query;
    }

    private Answer ask(String path, Map<String, String> query) throws IOException {
        String encoded = query.entrySet().stream()
                .map(entry -> entry.getKey() + "=" + URLEncoder.encode(entry.getValue(), StandardCharsets.UTF_8))
                .collect(Collectors.joining("&"));
        AgentClient.Reply reply = agent.post(path + "?" + encoded);
        try {
            JsonNode document = new ObjectMapper().readTree(reply.body());
            if (document.path("outcome").isTextual() && document.path("message").isTextual()) {
                JsonNode in = document.path("proved_in_seconds");
                return new Answer(
                        document.path("outcome").asText(),
                        document.path("message").asText(),
                        in.isNumber()
                                ? Optional.of(Duration.ofMillis((long) (in.asDouble() * 1000)))
                                : Optional.empty());
            }
        } catch (JsonProcessingException e) {
            throw new IOException("the answer is not one about leases, status " + reply.status(), e);
        }
        throw new IOException("the answer is not one about leases, status " + reply.status());
    }
}
