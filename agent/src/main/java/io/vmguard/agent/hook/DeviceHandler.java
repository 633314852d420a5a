/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hook;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.guard.DomainGuard;
import io.vmguard.agent.guard.StartAnswer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Fields;
import org.jspecify.annotations.Nullable;

/** Passes on whether a device may be plugged into a running domain. Runs on the server's threads, which may wait. */
public final class DeviceHandler extends Handler.Abstract {
    private static final String CHECK = "/v1/device/check";
    private static final String RESERVE = "/v1/device/reserve";
    private static final int MAX_DEVICE_BYTES = 256 * 1024;
    private static final int MAX_SECONDS = 600;

    /** A little more than the guard takes at most. */
    private static final Duration LIMIT = Duration.ofSeconds(15);

    private final DomainGuard guard;
    private final DomainLeases leases;
    private final ObjectMapper json = new ObjectMapper();

    public DeviceHandler(DomainGuard guard, DomainLeases leases) {
        this.guard = guard;
        this.leases = leases;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        String path = Request.getPathInContext(request);
        boolean ours = request.getMethod().equals("POST") && (path.equals(CHECK) || path.equals(RESERVE));
        if (!ours) {
            return false;
        }
        Fields query = Request.extractQueryParameters(request, StandardCharsets.UTF_8);
        String domain = query.getValue("domain");
        Optional<Duration> hold = path.equals(CHECK) ? Optional.of(Duration.ZERO) : seconds(query.getValue("seconds"));
        if (domain == null || domain.isBlank()) {
            write(response, callback, 400, "", "the parameter domain is missing");
        } else if (hold.isEmpty()) {
            write(response, callback, 400, "", "the parameter seconds must be a number from 1 to " + MAX_SECONDS);
        } else if (request.getLength() < 0 || request.getLength() > MAX_DEVICE_BYTES) {
            write(response, callback, 413, "", "the device XML is larger than " + MAX_DEVICE_BYTES + " bytes");
        } else {
            byte[] xml;
            try (InputStream in = Content.Source.asInputStream(request)) {
                xml = in.readNBytes(MAX_DEVICE_BYTES);
            }
            decide(response, callback, domain, xml, hold.get());
        }
        return true;
    }

    private static Optional<Duration> seconds(@Nullable String text) {
        if (text == null || !text.matches("[0-9]{1,4}")) {
            return Optional.empty();
        }
        int seconds = Integer.parseInt(text);
        return seconds >= 1 && seconds <= MAX_SECONDS ? Optional.of(Duration.ofSeconds(seconds)) : Optional.empty();
    }

    private void decide(Response response, Callback callback, String domain, byte[] xml, Duration hold)
            throws IOException {
        DomainSpec device;
        try {
            device = device(xml);
        } catch (DomainXmlException e) {
            write(response, callback, 400, "", "the device XML is not usable: " + OneLine.of(e.reason()));
            return;
        }
        if (device.disks().isEmpty() && device.others().isEmpty()) {
            write(response, callback, 400, "", "there is no device in the XML that has storage");
            return;
        }
        StartAnswer answer = ask(domain, device, hold);
        String text = answer.message().replaceFirst("^vmguard: ", "");
        if (answer instanceof StartAnswer.Granted) {
            write(response, callback, 200, "granted", text);
        } else if (answer instanceof StartAnswer.Refused) {
            write(response, callback, 409, "refused", text);
        } else {
            write(response, callback, 503, "undecided", text);
        }
    }

    /** A domain that has this device alone. Without a uuid, so that it calls for no lease on one. */
    private static DomainSpec device(byte[] xml) throws DomainXmlException {
        String text = new String(xml, StandardCharsets.UTF_8).replaceFirst("^\\s*<\\?xml[^>]*\\?>", "");
        String domain = "<domain><name>device</name><devices>" + text + "</devices></domain>";
        return DomainXml.parse(domain.getBytes(StandardCharsets.UTF_8));
    }

    private StartAnswer ask(String domain, DomainSpec device, Duration hold) {
        CompletableFuture<StartAnswer> asked = guard.reserve(domain, device, leases.derive(device), hold);
        try {
            return asked.get(LIMIT.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException | InterruptedException | ExecutionException e) {
            asked.cancel(false); // tells the guard that nobody acts on a late yes
            return new StartAnswer.CannotTell("vmguard: the lease agent could not decide in time");
        }
    }

    private void write(Response response, Callback callback, int status, String decision, String message)
            throws IOException {
        ObjectNode document = json.createObjectNode();
        if (!decision.isEmpty()) {
            document.put("decision", decision);
        }
        document.put("message", message);
        byte[] body = (json.writeValueAsString(document) + "\n").getBytes(StandardCharsets.UTF_8);
        response.setStatus(status);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/json");
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, body.length);
        response.getHeaders().put(HttpHeader.CONNECTION, "close"); // a body may be left unread
        response.write(true, ByteBuffer.wrap(body), callback);
    }
}
