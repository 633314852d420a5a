/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** The network between two libvirtds, on this machine's loopback: passes everything on until it is told to lose some of it. */
final class Relay implements AutoCloseable {
    /** What is lost from now on, silently, as by a network that is cut: neither side sees its connection end. */
    enum Loses {
        NOTHING,
        /** What the caller sends. */
        REQUESTS,
        /** What comes back. */
        ANSWERS,
        ALL
    }

    private static final int BUFFER_BYTES = 65_536;

    private final ServerSocket server;
    private final int target;
    private final List<Socket> sockets = new CopyOnWriteArrayList<>();
    private volatile Loses loses = Loses.NOTHING;

    private Relay(ServerSocket server, int target) {
        this.server = server;
        this.target = target;
    }

    /** @param port of this machine, to which every connection is passed on */
    static Relay to(int port) {
        try {
            Relay relay = new Relay(new ServerSocket(0, 10, InetAddress.getLoopbackAddress()), port);
            daemon(relay::accept);
            return relay;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Where it listens. */
    int port() {
        return server.getLocalPort();
    }

    /** What is lost once is never sent again, so the connections that there are are of no use afterwards. */
    void loses(Loses what) {
        loses = what;
    }

    private static void daemon(Runnable work) {
        Thread thread = new Thread(work, "relay");
        thread.setDaemon(true);
        thread.start();
    }

    private void accept() {
        try {
            while (true) {
                Socket caller = server.accept();
                Socket callee = new Socket(InetAddress.getLoopbackAddress(), target);
                sockets.addAll(List.of(caller, callee));
                daemon(() -> pump(caller, callee, Loses.REQUESTS));
                daemon(() -> pump(callee, caller, Loses.ANSWERS));
            }
        } catch (IOException e) {
            cut(); // closed, or nobody listens: then nobody is to wait for an answer
        }
    }

    private void pump(Socket from, Socket to, Loses direction) {
        byte[] buffer = new byte[BUFFER_BYTES];
        try (from;
                to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            int read = in.read(buffer);
            while (read >= 0) {
                if (loses != Loses.ALL && loses != direction) {
                    out.write(buffer, 0, read);
                }
                read = in.read(buffer);
            }
        } catch (IOException e) {
            // One end has gone; both are closed.
        }
    }

    /** Ends every connection, which both sides see. */
    void cut() {
        for (Socket socket : sockets) {
            try {
                socket.close();
            } catch (IOException e) {
                // It is closed.
            }
        }
        sockets.clear();
    }

    @Override
    public void close() {
        try {
            server.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        cut();
    }
}
