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
import java.util.Optional;

/** Listens on a Unix socket, takes one request, and says what it was told to, or nothing for as long as it lives. */
final class CannedServer implements AutoCloseable {
    private final ServerSocketChannel listening = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    private final StringBuffer request = new StringBuffer();

    /** @param answer every byte of it; empty to accept and never answer */
    CannedServer(Path socket, Optional<String> answer) throws IOException {
        listening.bind(UnixDomainSocketAddress.of(socket));
        Thread thread = new Thread(() -> answer.ifPresent(this::serve), "canned-server");
        thread.setDaemon(true);
        thread.start();
    }

    /** A whole answer of an agent. */
    static Optional<String> http(int status, String body) {
        return Optional.of("HTTP/1.1 " + status + " Reason\r\nContent-Length: "
                + body.getBytes(StandardCharsets.UTF_8).length + "\r\n\r\n" + body);
    }

    private void serve(String answer) {
        try (SocketChannel client = listening.accept()) {
            ByteBuffer in = ByteBuffer.allocate(4096);
            while (request.indexOf("\r\n\r\n") < 0 && client.read(in) >= 0) {
                request.append(StandardCharsets.US_ASCII.decode(in.flip()));
                in.clear();
            }
            ByteBuffer out = ByteBuffer.wrap(answer.getBytes(StandardCharsets.UTF_8));
            while (out.hasRemaining()) {
                client.write(out);
            }
        } catch (IOException e) {
            // The test sees it on its side.
        }
    }

    /** What it was asked. */
    String request() {
        return request.toString();
    }

    @Override
    public void close() throws IOException {
        listening.close();
    }
}
