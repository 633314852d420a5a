/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.hook.AgentClient;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Asks the agent about a device that is to be plugged into a running domain. */
@Command
abstract class DeviceQuestion implements Callable<Integer> {
    private static final int FORMAT = 1;
    private static final Duration LIMIT = Duration.ofSeconds(20);
    private static final int MAX_BYTES = 256 * 1024;
    static final int REFUSED = 1;
    static final int USAGE = 2;
    static final int CANNOT_TELL = 3;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Mixin
    private OutputOption output = new OutputOption();

    @Mixin
    private AgentOptions agent = new AgentOptions();

    @Parameters(index = "0", paramLabel = "DOMAIN", description = "Name or UUID of a running domain.")
    private String domain = "";

    @Parameters(
            index = "1",
            paramLabel = "XML",
            description = "File with the device, as for virsh attach-device; - is standard input.")
    private String file = "";

    private final InputStream in;

    DeviceQuestion(InputStream in) {
        this.in = in;
    }

    /** The request, without the domain. */
    abstract String path();

    /** What is said for a yes. */
    abstract String yes(String domain);

    /** @return what is wrong with the options; empty if nothing is */
    String problem() {
        return "";
    }

    @Override
    public final Integer call() {
        PrintWriter err = spec.commandLine().getErr();
        if (!problem().isEmpty()) {
            err.println("vmguard: " + problem());
            return USAGE;
        }
        Path socket;
        byte[] xml;
        try {
            socket = agent.socket();
            xml = xml();
        } catch (ConfigException e) {
            Complaint.print(err, e);
            return USAGE;
        } catch (NoSuchFileException e) {
            Complaint.print(err, file + ": no such file");
            return USAGE;
        } catch (IOException | InvalidPathException e) {
            Complaint.print(err, "cannot read " + file + ": " + e.getMessage());
            return USAGE;
        }
        if (xml.length > MAX_BYTES) {
            Complaint.print(err, file + " is larger than " + MAX_BYTES + " bytes");
            return USAGE;
        }
        try {
            char separator = path().indexOf('?') < 0 ? '?' : '&';
            AgentClient.Reply reply = new AgentClient(socket, LIMIT)
                    .post(path() + separator + "domain=" + URLEncoder.encode(domain, StandardCharsets.UTF_8), xml);
            return answer(reply);
        } catch (IOException e) {
            return say(CANNOT_TELL, "undecided", Complaint.noAgent(socket, e));
        }
    }

    private byte[] xml() throws IOException {
        if (file.equals("-")) {
            return in.readNBytes(MAX_BYTES + 1);
        }
        try (InputStream device = Files.newInputStream(Path.of(file))) {
            return device.readNBytes(MAX_BYTES + 1);
        }
    }

    private int answer(AgentClient.Reply reply) throws IOException {
        JsonNode document;
        try {
            document = new ObjectMapper().readTree(reply.body());
        } catch (JsonProcessingException e) {
            throw new IOException("the answer is not understood, status " + reply.status(), e);
        }
        String message = document.path("message").asText();
        return switch (reply.status()) {
            case 200 -> say(0, "granted", message.isEmpty() ? yes(domain) : message);
            case 409 -> say(REFUSED, "refused", message);
            case 400, 413 -> {
                Complaint.print(spec.commandLine().getErr(), message);
                yield USAGE;
            }
            case 503 -> say(CANNOT_TELL, "undecided", message);
            default -> throw new IOException("the answer is not understood, status " + reply.status());
        };
    }

    private int say(int code, String decision, String message) {
        PrintWriter out = spec.commandLine().getOut();
        if (output.isJson()) {
            ObjectNode document = JsonNodeFactory.instance
                    .objectNode()
                    .put("format", FORMAT)
                    .put("domain", domain)
                    .put("decision", decision)
                    .put("message", message);
            out.print(OutputOption.json(document));
            out.flush();
        } else if (code == 0) {
            out.println(OneLine.of(message));
            out.flush();
        } else {
            Complaint.print(spec.commandLine().getErr(), message);
        }
        return code;
    }
}
