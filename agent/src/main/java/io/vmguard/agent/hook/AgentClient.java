/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hook;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Asks a running agent. HTTP/1.0, so that the end of the reply is the end of the stream. */
public final class AgentClient {
    private static final int MAX_REPLY_BYTES = 16 << 20;
    private static final Pattern STATUS = Pattern.compile("HTTP/1\\.[01] ([0-9]{3}) ");

    private final Path socket;
    private final Duration limit;

    public AgentClient(Path socket, Duration limit) {
        this.socket = socket;
        this.limit = limit;
    }

    /**
     * What the agent answered.
     *
     * @param status of HTTP
     */
    public record Reply(int status, String body) {}

    /**
     * @param path of the request
     * @return the body of a 200
     * @throws IOException with a sentence for people, if there is no such answer within the limit
     */
    public String get(String path) throws IOException {
        String reply = ask("GET " + path + " HTTP/1.0\r\nHost: vmguard\r\n\r\n", new byte[0]);
        if (parse(reply).status() != 200) {
            throw new IOException("the agent says " + reply.lines().findFirst().orElse(""));
        }
        return parse(reply).body();
    }

    /**
     * Asks for something to be done.
     *
     * @param path with its query, encoded
     * @throws IOException with a sentence for people, if there is no complete answer within the limit: it may be done all the same
     */
    public Reply post(String path) throws IOException {
        return post(path, new byte[0]);
    }

    /** The same with a body. */
    public Reply post(String path, byte[] body) throws IOException {
        String head = "POST " + path + " HTTP/1.0\r\nHost: vmguard\r\nContent-Length: " + body.length + "\r\n\r\n";
        return parse(ask(head, body));
    }

    private String ask(String head, byte[] body) throws IOException {
        CompletableFuture<String> reply = new CompletableFuture<>();
        // A socket of a killed agent can accept and never answer: the wait is bounded here.
        Thread thread = new Thread(() -> {
            try {
                reply.complete(exchange(head, body));
            } catch (IOException e) {
                reply.completeExceptionally(e);
            }
        });
        thread.setDaemon(true);
        thread.start();
        try {
            return reply.get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            throw new IOException("no answer within " + limit.toMillis() / 1000.0 + " s", e);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            throw new IOException(cause == null ? "failed" : String.valueOf(cause.getMessage()), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    private String exchange(String head, byte[] body) throws IOException {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel.connect(UnixDomainSocketAddress.of(socket));
            for (byte[] part : List.of(head.getBytes(StandardCharsets.US_ASCII), body)) {
                ByteBuffer out = ByteBuffer.wrap(part);
                while (out.hasRemaining()) {
                    channel.write(out);
                }
            }
            ByteArrayOutputStream reply = new ByteArrayOutputStream();
            ByteBuffer in = ByteBuffer.allocate(8192);
            while (channel.read(in) >= 0 && reply.size() < MAX_REPLY_BYTES) {
                reply.write(in.array(), 0, in.position());
                in.clear();
            }
            return reply.toString(StandardCharsets.UTF_8);
        }
    }

    private static Reply parse(String reply) throws IOException {
        int end = reply.indexOf("\r\n\r\n");
        Matcher status = STATUS.matcher(reply);
        if (!status.lookingAt() || end < 0) {
            throw new IOException("the answer is not HTTP");
        }
        return new Reply(Integer.parseInt(status.group(1)), reply.substring(end + 4));
    }
}
