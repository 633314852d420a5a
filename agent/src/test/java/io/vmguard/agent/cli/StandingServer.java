/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;

/** Listens on a Unix socket and answers each request by its first line, one after the other, for as long as it lives. */
final class StandingServer implements AutoCloseable {
    private final ServerSocketChannel listening = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    private final List<String> requests = new CopyOnWriteArrayList<>();
    private final Function<String, String> bodies;

    /** @param bodies the path with its query to the JSON of a 200 */
    StandingServer(Path socket, Function<String, String> bodies) throws IOException {
        this.bodies = bodies;
        listening.bind(UnixDomainSocketAddress.of(socket));
        Thread thread = new Thread(this::serve, "standing-server");
        thread.setDaemon(true);
        thread.start();
    }

    private void serve() {
        while (listening.isOpen()) {
            try (SocketChannel client = listening.accept()) {
                StringBuilder request = new StringBuilder();
                ByteBuffer in = ByteBuffer.allocate(4096);
                while (request.indexOf("\r\n\r\n") < 0 && client.read(in) >= 0) {
                    request.append(StandardCharsets.US_ASCII.decode(in.flip()));
                    in.clear();
                }
                String path = request.toString().split(" ")[1];
                requests.add(path);
                String answer = CannedServer.http(200, bodies.apply(path)).orElseThrow();
                ByteBuffer out = ByteBuffer.wrap(answer.getBytes(StandardCharsets.UTF_8));
                while (out.hasRemaining()) {
                    client.write(out);
                }
            } catch (IOException | ArrayIndexOutOfBoundsException e) {
                // Closed, or a client that went away: its test sees that on its side.
            }
        }
    }

    /** Paths that were asked for, in their order. */
    List<String> requests() {
        return requests;
    }

    @Override
    public void close() throws IOException {
        listening.close();
    }
}
