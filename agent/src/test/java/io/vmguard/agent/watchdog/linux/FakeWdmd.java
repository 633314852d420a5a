/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.ReentrantLock;

/** Speaks wdmd's protocol on a real socket: one client at a time, whole messages only. What it sees in part is a failure of the test. */
final class FakeWdmd implements AutoCloseable {
    final List<WdmdMessage> messages = new CopyOnWriteArrayList<>();
    final List<String> faults = new CopyOnWriteArrayList<>();
    volatile int fireTimeout = 60;
    /** As of now, by its clock. */
    volatile long keepaliveAgo = 3;
    /** Of the newer kind: its device is opened on request only. */
    volatile boolean newer;

    volatile boolean silent;
    volatile int closedClients;

    private final ServerSocketChannel server;
    private final LeaseClock clock;
    private final Thread thread = new Thread(this::serve, "fake-wdmd");
    private final ReentrantLock reading = new ReentrantLock();
    private volatile boolean opened;
    private volatile SocketChannel current;

    FakeWdmd(Path socket, LeaseClock clock) throws IOException {
        this.clock = clock;
        this.server = ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(UnixDomainSocketAddress.of(socket));
        thread.setDaemon(true);
        thread.start();
    }

    private void serve() {
        try {
            while (true) {
                try (SocketChannel client = server.accept()) {
                    current = client;
                    converse(client);
                    closedClients++;
                } catch (ClosedChannelException e) {
                    // Closed by the test: the server, or a client.
                }
                if (!server.isOpen()) {
                    return;
                }
            }
        } catch (IOException e) {
            if (server.isOpen()) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private void converse(SocketChannel client) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(WdmdMessage.BYTES);
        int got;
        while ((got = client.read(buffer.clear())) > 0) {
            if (got != WdmdMessage.BYTES) {
                faults.add("a message of " + got + " bytes");
                return;
            }
            reading.lock();
            reading.unlock();
            WdmdMessage message = WdmdMessage.decode(buffer.array());
            messages.add(message);
            boolean answers =
                    message.command() == WdmdMessage.STATUS || message.command() == WdmdMessage.OPEN_WATCHDOG && newer;
            if (message.command() == WdmdMessage.OPEN_WATCHDOG && newer) {
                opened = fireTimeout == message.fireTimeout();
            }
            if (answers && !silent) {
                client.write(ByteBuffer.wrap(answer(message).encode()));
            }
        }
    }

    /** Stops where it stands, as a process that is stopped. */
    void stopReading() {
        reading.lock();
    }

    void readOn() {
        reading.unlock();
    }

    private WdmdMessage answer(WdmdMessage question) {
        boolean feeding = !newer || opened;
        long keepalive = feeding ? clock.monotonicSeconds() - keepaliveAgo : 0;
        return new WdmdMessage(question.command(), feeding ? fireTimeout : 0, keepalive, 0, 0, "");
    }

    /** The last TEST_LIVE. */
    WdmdMessage lastTestLive() {
        return messages.stream()
                .filter(message -> message.command() == WdmdMessage.TEST_LIVE)
                .reduce((one, other) -> other)
                .orElseThrow();
    }

    List<Integer> commands() {
        return messages.stream().map(WdmdMessage::command).toList();
    }

    /** It dies with its connections; nobody can connect any more when this returns. */
    @Override
    public void close() throws IOException {
        server.close();
        SocketChannel client = current;
        if (client != null) {
            client.close();
        }
        try {
            thread.join(10_000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
