/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hook;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vmguard.agent.events.Event;
import io.vmguard.agent.events.EventLog;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/** The latest events. Whoever follows them asks again: an answer that waited would hold one of the threads that starts need. */
public final class EventsHandler extends Handler.Abstract {
    private final EventLog events;
    private final String instance;
    private final ObjectMapper json = new ObjectMapper();

    /** @param instance tells this life of the agent from others: there the numbers begin anew */
    public EventsHandler(EventLog events, String instance) {
        this.events = events;
        this.instance = instance;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        if (!request.getMethod().equals("GET")
                || !Request.getPathInContext(request).equals("/v1/events")) {
            return false;
        }
        String after =
                Request.extractQueryParameters(request, StandardCharsets.UTF_8).getValue("after");
        boolean good = after == null || after.matches("[0-9]{1,18}");
        List<Event> found = good ? events.after(after == null ? 0 : Long.parseLong(after)) : List.of();
        ObjectNode document = json.createObjectNode().put("format", Event.FORMAT);
        if (good) {
            document.put("instance", instance);
            document.set("events", json.valueToTree(found));
        } else {
            document.put("outcome", "bad_request").put("message", "the parameter after must be a number");
        }
        byte[] body = (json.writeValueAsString(document) + "\n").getBytes(StandardCharsets.UTF_8);
        response.setStatus(good ? 200 : 400);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/json");
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, body.length);
        response.getHeaders().put(HttpHeader.CONNECTION, "close");
        response.write(true, ByteBuffer.wrap(body), callback);
        return true;
    }
}
