/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hook;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vmguard.agent.stop.AgentStop;
import io.vmguard.agent.stop.AgentStop.Choice;
import io.vmguard.agent.stop.StopAnswer;
import io.vmguard.agent.stop.StopAnswer.Outcome;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.jspecify.annotations.Nullable;

/** Passes on that the agent is to end for good, and lets it end once the answer is out. */
public final class StopHandler extends Handler.Abstract {
    private final AgentStop stop;
    private final ObjectMapper json = new ObjectMapper();

    public StopHandler(AgentStop stop) {
        this.stop = stop;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        if (!request.getMethod().equals("POST")
                || !Request.getPathInContext(request).equals("/v1/stop")) {
            return false;
        }
        Optional<Choice> choice = choice(
                Request.extractQueryParameters(request, StandardCharsets.UTF_8).getValue("domains"));
        if (choice.isEmpty()) {
            write(
                    response,
                    callback,
                    400,
                    json.createObjectNode()
                            .put("outcome", "bad_request")
                            .put("message", "the parameter domains must be keep or release"));
            return true;
        }
        StopAnswer answer = stop.stop(choice.get(), Peer.of(request));
        ObjectNode document = json.createObjectNode()
                .put("outcome", answer.outcome().name().toLowerCase(Locale.ROOT))
                .put("message", answer.message())
                .put("pid", ProcessHandle.current().pid());
        answer.domains().forEach(document.putArray("domains")::add);
        boolean stopping = answer.outcome() == Outcome.STOPPING;
        // Also if whoever asked has gone away meanwhile: it was told to, and has begun.
        Callback then = stopping ? Callback.from(callback, stop::end) : callback;
        write(response, then, stopping ? 200 : answer.outcome() == Outcome.REFUSED ? 409 : 503, document);
        return true;
    }

    private static Optional<Choice> choice(@Nullable String text) {
        if (text == null) {
            return Optional.empty();
        }
        return switch (text) {
            case "keep" -> Optional.of(Choice.KEEP);
            case "release" -> Optional.of(Choice.RELEASE);
            default -> Optional.empty();
        };
    }

    private void write(Response response, Callback callback, int status, ObjectNode document) throws IOException {
        byte[] body = (json.writeValueAsString(document) + "\n").getBytes(StandardCharsets.UTF_8);
        response.setStatus(status);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/json");
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, body.length);
        response.getHeaders().put(HttpHeader.CONNECTION, "close"); // a body that came with the request is not read
        response.write(true, ByteBuffer.wrap(body), callback);
    }
}
