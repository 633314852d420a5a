/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

/**
 * The lease engine in a process of its own, for what this process cannot do: to be killed, to hang on a file system that does not
 * answer. It listens on a Unix socket; one connection is one request of a line and its answer, e.g. {@code acquire R1}.
 */
final class EngineServer {
    private EngineServer() {}

    /** Arguments: lease directory, local directory, lockspace, io_timeout, host id or {@code auto}, socket. */
    public static void main(String[] args) throws IOException {
        OptionalInt hostId = args[4].equals("auto") ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(args[4]));
        OurHost host = OurHost.open(Path.of(args[0]), Path.of(args[1]), args[2], Integer.parseInt(args[3]), hostId);
        ExecutorService requests = Executors.newCachedThreadPool();
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(args[5]));
            System.out.println("listening");
            while (true) {
                SocketChannel connection = server.accept();
                requests.execute(() -> serve(host, connection));
            }
        }
    }

    private static void serve(OurHost host, SocketChannel connection) {
        try (connection) {
            String answer;
            try {
                answer = answer(host, readLine(connection));
            } catch (RuntimeException | AssertionError e) {
                answer = "problem " + e;
            }
            connection.write(ByteBuffer.wrap((answer + "\n").getBytes(StandardCharsets.UTF_8)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String answer(OurHost host, String request) {
        String[] words = request.split(" ");
        return switch (words[0]) {
            case "join" -> {
                host.join();
                yield "joining";
            }
            case "member" -> Boolean.toString(host.member());
            case "owner" -> host.view().owner().map(Object::toString).orElse("");
            case "renewedMillisAgo" ->
                host.view()
                        .renewedAgo()
                        .map(ago -> Long.toString(ago.toMillis()))
                        .orElse("");
            case "held" -> host.view().held().keySet().toString();
            case "undetermined" -> host.view().undetermined().toString();
            case "events" -> host.events.stream().collect(Collectors.joining(" | "));
            case "usersGone" -> {
                host.usersGone();
                yield "noted";
            }
            case "acquire" -> host.acquire(words[1]).toString();
            case "share" -> host.acquireShared(words[1]).toString();
            case "release" -> host.release(words[1]).toString();
            default -> throw new IllegalArgumentException(request);
        };
    }

    private static String readLine(SocketChannel connection) throws IOException {
        return new BufferedReader(new InputStreamReader(Channels.newInputStream(connection), StandardCharsets.UTF_8))
                .readLine();
    }

    /** Asks a server, and waits for the answer as long as that takes. */
    static String ask(Path socket, String request) {
        try (SocketChannel connection = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
            connection.write(ByteBuffer.wrap((request + "\n").getBytes(StandardCharsets.UTF_8)));
            return readLine(connection);
        } catch (IOException e) {
            throw new UncheckedIOException(request, e);
        }
    }
}
