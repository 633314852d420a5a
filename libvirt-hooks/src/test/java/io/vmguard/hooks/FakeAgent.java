/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.hooks;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** The agent's end of the socket: keeps what it was asked, one entry per request, and answers as the test says. */
final class FakeAgent implements AutoCloseable {

    /** What it does with a client whose request has been read. The connection is closed afterwards. */
    interface Answer {
        void to(SocketChannel client) throws Exception;
    }

    /** A request as it came; {@code head} ends before the empty line. */
    record Request(String head, byte[] body) {
        String requestLine() {
            return head.lines().findFirst().orElse("");
        }
    }

    private static final int LIMIT_S = 20;

    private final ServerSocketChannel server;
    private final BlockingQueue<Request> requests = new LinkedBlockingQueue<>();

    private FakeAgent(ServerSocketChannel server) {
        this.server = server;
    }

    static FakeAgent listening(Path socket, Answer answer) throws IOException {
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(socket));
        FakeAgent agent = new FakeAgent(server);
        daemon(() -> agent.serve(answer));
        return agent;
    }

    /** A complete reply as the real agent sends it. */
    static Answer replying(int status, String body) {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        return sending("HTTP/1.1 " + status + " Whatever\r\nContent-Type: text/plain;charset=utf-8\r\nContent-Length: "
                + bytes.length + "\r\nConnection: close\r\n\r\n" + body);
    }

    static Answer sending(String raw) {
        return client -> {
            ByteBuffer bytes = ByteBuffer.wrap(raw.getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                client.write(bytes);
            }
        };
    }

    /** The next request, for which it waits a bounded time; null if none came. */
    Request awaitRequest() throws InterruptedException {
        return requests.poll(LIMIT_S, TimeUnit.SECONDS);
    }

    /** Serves one client of a socket that nobody has served so far, and gives it no answer. */
    static Request readNext(ServerSocketChannel server) throws IOException {
        try (SocketChannel client = server.accept()) {
            return read(client);
        }
    }

    boolean wasAsked() {
        return !requests.isEmpty();
    }

    @Override
    public void close() throws IOException {
        server.close();
    }

    private void serve(Answer answer) {
        try {
            while (true) {
                SocketChannel client = server.accept();
                daemon(() -> handle(client, answer));
            }
        } catch (IOException closed) {
            // The test is over.
        }
    }

    private void handle(SocketChannel client, Answer answer) {
        try (client) {
            requests.add(read(client));
            answer.to(client);
        } catch (IOException clientGone) {
            // Its deadline passed; the hook's own test says whether that was right.
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static Request read(SocketChannel client) throws IOException {
        var in = Channels.newInputStream(client);
        var head = new ByteArrayOutputStream();
        String text = "";
        while (!text.endsWith("\r\n\r\n")) {
            int next = in.read();
            if (next < 0) {
                throw new IOException("request ended in its headers: " + text);
            }
            head.write(next);
            text = head.toString(StandardCharsets.ISO_8859_1);
        }
        int length = text.lines()
                .filter(line -> line.startsWith("Content-Length: "))
                .mapToInt(line -> Integer.parseInt(line.substring("Content-Length: ".length())))
                .findFirst()
                .orElse(0);
        return new Request(text.substring(0, text.length() - 4), in.readNBytes(length));
    }

    private static void daemon(Runnable body) {
        Thread thread = new Thread(body, "fake-agent");
        thread.setDaemon(true);
        thread.start();
    }

    /** A socket on which clients can connect until the backlog is full, and which nobody serves. */
    static ServerSocketChannel deaf(Path socket, int backlog) {
        try {
            ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            server.bind(UnixDomainSocketAddress.of(socket), backlog);
            return server;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
