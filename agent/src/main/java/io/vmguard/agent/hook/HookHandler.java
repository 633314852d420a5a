/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hook;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.guard.DomainGuard;
import io.vmguard.agent.guard.StartAnswer;
import io.vmguard.agent.status.StatusReport;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Fields;

/** Turns requests into questions to the guard, and its answers into replies. Runs on the server's threads, which may wait. */
public final class HookHandler extends Handler.Abstract {
    private static final Logger LOG = LogManager.getLogger(HookHandler.class);
    private static final int MAX_LINE_BYTES = 1024;

    private record Reply(int status, String decision, String line) {
        static final Reply NOTHING = new Reply(200, "granted", "");

        static Reply bad(int status, String why) {
            return new Reply(status, "", "vmguard: " + why);
        }
    }

    private final DomainGuard guard;
    private final DomainLeases leases;
    private final Supplier<StatusReport> status;
    private final HookCalls calls;
    private final boolean observe;
    private final Duration answerLimit;
    private final ObjectMapper json = new ObjectMapper();

    /** @param answerLimit the guard answers within it; a little more is waited for */
    public HookHandler(
            DomainGuard guard,
            DomainLeases leases,
            Supplier<StatusReport> status,
            HookCalls calls,
            boolean observe,
            Duration answerLimit) {
        this.guard = guard;
        this.leases = leases;
        this.status = status;
        this.calls = calls;
        this.observe = observe;
        this.answerLimit = answerLimit;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        String path = Request.getPathInContext(request);
        String method = request.getMethod();
        if (path.equals("/v1/status") && method.equals("GET")) {
            byte[] body = (json.writeValueAsString(status.get()) + "\n").getBytes(StandardCharsets.UTF_8);
            write(response, callback, 200, "application/json", body);
        } else if (path.equals("/v1/hook") && method.equals("POST")) {
            Reply answer = hook(request);
            boolean letThrough =
                    observe && answer.status() >= 400 && !answer.line().contains(HookCalls.PROBE_ANSWER);
            if (letThrough) {
                letThrough(answer.line());
            }
            reply(request, response, callback, letThrough ? new Reply(200, "granted", answer.line()) : answer);
        } else {
            reply(request, response, callback, Reply.bad(400, "no such request: " + OneLine.of(method + " " + path)));
        }
        return true;
    }

    private Reply hook(Request request) throws IOException {
        Fields query = Request.extractQueryParameters(request, StandardCharsets.UTF_8);
        String operation = query.getValue("operation");
        if (operation == null) {
            return Reply.bad(400, "the parameter operation is missing");
        }
        boolean known = operation.equals("prepare")
                || operation.equals("release")
                || operation.equals("reconnect")
                || operation.equals("migrate");
        if (!known) {
            return Reply.NOTHING;
        }
        calls.called();
        long length = request.getLength();
        if (length < 0) {
            return Reply.bad(400, "Content-Length is missing");
        }
        if (length > DomainXml.MAX_BYTES) {
            return Reply.bad(413, "the domain XML is larger than " + DomainXml.MAX_BYTES + " bytes");
        }
        DomainSpec domain;
        try (InputStream in = Content.Source.asInputStream(request)) {
            domain = DomainXml.parse(in);
        } catch (DomainXmlException e) {
            return Reply.bad(
                    400,
                    "the domain XML is not usable, " + e.line() + ":" + e.column() + ": " + OneLine.of(e.reason()));
        }
        String name = query.getValue("domain");
        if (name != null && !name.equals(domain.name()) && !operation.equals("migrate")) {
            return Reply.bad(400, "the domain XML is of " + OneLine.of(domain.name()) + ", not of " + OneLine.of(name));
        }
        if (domain.name().startsWith(HookCalls.PROBE_PREFIX)) {
            return operation.equals("prepare")
                    ? new Reply(
                            409, "refused", "vmguard: " + HookCalls.PROBE_ANSWER + ", and nothing is started for it")
                    : Reply.NOTHING;
        }
        return decide(operation, domain);
    }

    private Reply decide(String operation, DomainSpec domain) {
        UUID uuid = domain.uuid();
        if (uuid == null) {
            return Reply.bad(400, "the domain XML has no uuid");
        }
        return switch (operation) {
            case "release" -> {
                guard.released(uuid);
                yield Reply.NOTHING;
            }
            case "reconnect" -> {
                guard.reconnected();
                yield Reply.NOTHING;
            }
            case "migrate" -> answerTo(domain, guard.migrate(uuid, domain.name()));
            default -> prepare(domain, uuid);
        };
    }

    private Reply prepare(DomainSpec domain, UUID uuid) {
        Derivation derivation = leases.derive(domain);
        return answerTo(domain, guard.prepare(domain, uuid, derivation));
    }

    private Reply answerTo(DomainSpec domain, CompletableFuture<StartAnswer> asked) {
        StartAnswer answer;
        try {
            answer = asked.get(answerLimit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException | InterruptedException | ExecutionException e) {
            asked.cancel(false); // tells the guard that nobody acts on a late yes
            String text = "vmguard: " + OneLine.of(domain.name())
                    + ": the lease agent could not decide in time. Not started. See: vmguard status";
            answer = new StartAnswer.CannotTell(text);
        }
        if (answer instanceof StartAnswer.Granted granted) {
            return new Reply(200, "granted", granted.message());
        }
        return answer instanceof StartAnswer.Refused refused
                ? new Reply(409, "refused", refused.message())
                : undecided(answer.message());
    }

    /** What the guard has not seen, or not decided; it counts and tells of the rest by itself. */
    private void letThrough(String why) {
        calls.letThrough();
        LOG.warn("VG-206 mode observe, let through; would have been refused: {}", OneLine.of(why));
    }

    private Reply undecided(String text) {
        if (observe) {
            letThrough(text);
        }
        return observe ? new Reply(200, "granted", text) : new Reply(503, "undecided", text);
    }

    private void reply(Request request, Response response, Callback callback, Reply reply)
            throws JsonProcessingException {
        HttpField accept = request.getHeaders().getField(HttpHeader.ACCEPT);
        boolean asJson = accept != null && accept.contains("application/json");
        if (!asJson) {
            String line = reply.line().isEmpty() ? "" : cut(reply.line()) + "\n";
            write(
                    response,
                    callback,
                    reply.status(),
                    "text/plain;charset=utf-8",
                    line.getBytes(StandardCharsets.UTF_8));
            return;
        }
        Map<String, String> document = new LinkedHashMap<>();
        if (!reply.decision().isEmpty()) {
            document.put("decision", reply.decision());
        }
        document.put("message", reply.line().replaceFirst("^vmguard: ", ""));
        byte[] body = (json.writeValueAsString(document) + "\n").getBytes(StandardCharsets.UTF_8);
        write(response, callback, reply.status(), "application/json", body);
    }

    private static String cut(String line) {
        byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
        if (bytes.length < MAX_LINE_BYTES) {
            return line;
        }
        return new String(bytes, 0, MAX_LINE_BYTES - 8, StandardCharsets.UTF_8).replace("\uFFFD", "") + "...";
    }

    private static void write(Response response, Callback callback, int status, String type, byte[] body) {
        response.setStatus(status);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, type);
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, body.length);
        boolean decided = status == 200 || status == 409 || status == 503;
        if (!decided) {
            // The body may not have been read, and then it cannot be told from a next request.
            response.getHeaders().put(HttpHeader.CONNECTION, "close");
        }
        response.write(true, ByteBuffer.wrap(body), callback);
    }

    /** What Jetty itself refuses (a header that is no HTTP, a bug of ours) is answered in the same form. */
    boolean answerError(Request request, Response response, Callback callback) {
        int code = response.getStatus() >= 400 ? response.getStatus() : 500;
        byte[] body = ("vmguard: the request could not be served (" + code + ")\n").getBytes(StandardCharsets.UTF_8);
        write(response, callback, code, "text/plain;charset=utf-8", body);
        return true;
    }
}
