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
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Bytes to a Unix socket and HTTP answers back, with nothing in between that would make them better than they are. */
final class RawClient implements AutoCloseable {
    /** @param headers names in lower case */
    record Answer(int status, Map<String, String> headers, String body) {}

    private final SocketChannel channel;
    private final ByteBuffer one = ByteBuffer.allocate(1);

    RawClient(Path socket) throws IOException {
        channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        channel.connect(UnixDomainSocketAddress.of(socket));
    }

    RawClient send(String text) throws IOException {
        return send(text.getBytes(StandardCharsets.UTF_8));
    }

    RawClient send(byte[] bytes) throws IOException {
        ByteBuffer out = ByteBuffer.wrap(bytes);
        while (out.hasRemaining()) {
            channel.write(out);
        }
        return this;
    }

    /** One answer: status line, headers, and as many bytes as Content-Length says. */
    Answer answer() throws IOException {
        String[] status = line().split(" ", 3);
        if (status.length < 2 || !status[0].matches("HTTP/1\\.[01]")) {
            throw new IOException("not a status line: " + String.join(" ", status));
        }
        Map<String, String> headers = new TreeMap<>();
        String header;
        while (!(header = line()).isEmpty()) {
            int colon = header.indexOf(':');
            headers.put(
                    header.substring(0, colon).toLowerCase(Locale.ROOT),
                    header.substring(colon + 1).strip());
        }
        if (!headers.containsKey("content-length")) {
            throw new IOException("no Content-Length: " + headers);
        }
        byte[] body = new byte[Integer.parseInt(headers.get("content-length"))];
        for (int i = 0; i < body.length; i++) {
            body[i] = (byte) read();
        }
        return new Answer(Integer.parseInt(status[1]), headers, new String(body, StandardCharsets.UTF_8));
    }

    /** Whether the server has closed, once everything it sent is read. Waits for one or the other. */
    boolean closed() {
        try {
            one.clear();
            return channel.read(one) < 0;
        } catch (IOException e) {
            return true; // reset: closed with something of ours unread
        }
    }

    private String line() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        int c;
        while ((c = read()) != '\n') {
            line.write(c);
        }
        return line.toString(StandardCharsets.UTF_8).strip();
    }

    private int read() throws IOException {
        one.clear();
        if (channel.read(one) < 0) {
            throw new IOException("the server closed in the middle of an answer");
        }
        return one.get(0) & 0xff;
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
