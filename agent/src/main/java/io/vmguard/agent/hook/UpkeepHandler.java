/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hook;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vmguard.agent.upkeep.Operator;
import io.vmguard.agent.upkeep.Upkeep;
import io.vmguard.agent.upkeep.UpkeepAnswer;
import io.vmguard.agent.upkeep.UpkeepAnswer.Outcome;
import io.vmguard.lease.LeaseName;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Fields;
import org.jspecify.annotations.Nullable;

/** Passes what operators ask for to the upkeep, together with who they are. Runs on the server's threads, which may wait. */
public final class UpkeepHandler extends Handler.Abstract {
    private static final String RELEASE = "/v1/lease/release";
    private static final String REMOVE = "/v1/lease/remove";

    private final Upkeep upkeep;
    private final ObjectMapper json = new ObjectMapper();

    public UpkeepHandler(Upkeep upkeep) {
        this.upkeep = upkeep;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        String path = Request.getPathInContext(request);
        boolean ours = request.getMethod().equals("POST") && (path.equals(RELEASE) || path.equals(REMOVE));
        if (!ours) {
            return false;
        }
        Fields query = Request.extractQueryParameters(request, StandardCharsets.UTF_8);
        Optional<LeaseName> lease = leaseName(query.getValue("lease"));
        Optional<Duration> unused = seconds(query.getValue("unused_seconds"));
        if (lease.isEmpty()) {
            reply(response, callback, 400, "bad_request", "the parameter lease is missing or no name of a lease");
        } else if (path.equals(REMOVE) && unused.isEmpty()) {
            reply(response, callback, 400, "bad_request", "the parameter unused_seconds is missing or no number");
        } else {
            // What the calling process says of itself is only noted.
            String claimed = query.getValue("on_behalf_of");
            Operator operator = new Operator(Peer.of(request), claimed == null ? "" : claimed);
            UpkeepAnswer answer = path.equals(RELEASE)
                    ? upkeep.release(operator, lease.get(), Optional.ofNullable(query.getValue("host_is_off")))
                    : upkeep.remove(operator, lease.get(), unused.get());
            reply(response, callback, answer);
        }
        return true;
    }

    private static Optional<LeaseName> leaseName(@Nullable String text) {
        try {
            return text == null ? Optional.empty() : Optional.of(new LeaseName(text));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static Optional<Duration> seconds(@Nullable String text) {
        return text == null || !text.matches("[0-9]{1,10}")
                ? Optional.empty()
                : Optional.of(Duration.ofSeconds(Long.parseLong(text)));
    }

    private void reply(Response response, Callback callback, UpkeepAnswer answer) throws IOException {
        int status = switch (answer.outcome()) {
            case DONE, NOTHING_TO_DO -> 200;
            case REFUSED, WAIT -> 409;
            case CANNOT_TELL -> 503;
        };
        ObjectNode document = document(answer.outcome().name().toLowerCase(Locale.ROOT), answer.message());
        if (answer.outcome() == Outcome.WAIT) {
            answer.provedIn().ifPresent(in -> document.put("proved_in_seconds", in.toMillis() / 1000.0));
        }
        write(response, callback, status, document);
    }

    private void reply(Response response, Callback callback, int status, String outcome, String message)
            throws IOException {
        write(response, callback, status, document(outcome, message));
    }

    private ObjectNode document(String outcome, String message) {
        return json.createObjectNode().put("outcome", outcome).put("message", message);
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
