/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hook;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipalNotFoundException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.unixdomain.server.UnixDomainServerConnector;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/**
 * The API's server: Jetty on a Unix socket that admits root and, if one is configured, a group.
 *
 * <p>Who may connect is a matter of the file's mode; the directory is closed to others while the socket is being made.
 */
public final class HookServer implements AutoCloseable {
    /** Starts that wait for an answer each hold a thread. */
    private static final int MAX_THREADS = 128;

    private static final int MIN_THREADS = 4;
    private static final Duration IDLE = Duration.ofSeconds(60);

    private final Server server;
    private final Path socket;
    private final Optional<String> group;

    /**
     * Makes it; {@link #start} begins to listen.
     *
     * @param others are asked first; the hooks' handler answers everything that they leave
     */
    public HookServer(Path socket, Optional<String> group, List<Handler> others, HookHandler hooks) {
        this.socket = socket;
        this.group = group;
        QueuedThreadPool threads = new QueuedThreadPool(MAX_THREADS, MIN_THREADS);
        threads.setName("vmguard-hook");
        threads.setDaemon(true);
        this.server = new Server(threads);
        HttpConfiguration http = new HttpConfiguration();
        http.setSendServerVersion(false);
        http.setSendDateHeader(false);
        http.setRequestHeaderSize(8192);
        UnixDomainServerConnector connector =
                new UnixDomainServerConnector(server, 1, 1, new HttpConnectionFactory(http));
        connector.setUnixDomainPath(socket);
        connector.setAcceptQueueSize(MAX_THREADS);
        connector.setIdleTimeout(IDLE.toMillis());
        server.addConnector(connector);
        List<Handler> handlers = new ArrayList<>(others);
        handlers.add(hooks);
        server.setHandler(new Handler.Sequence(handlers));
        server.setErrorHandler(hooks::answerError);
        server.setStopTimeout(0);
    }

    /**
     * Begins to listen. The caller knows that no other agent answers, so a socket that is there is a dead one's, or that
     * of one that was killed and does not go away: a new one in its place is not its.
     *
     * @throws IOException if it cannot listen there, or the group does not exist
     */
    public void start() throws IOException {
        Path directory = Objects.requireNonNull(socket.toAbsolutePath().getParent(), "a socket has a directory");
        Files.createDirectories(
                directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-x---")));
        Optional<GroupPrincipal> admitted = group.isPresent() ? Optional.of(principal(group.get())) : Optional.empty();
        try {
            Files.deleteIfExists(socket);
            server.start();
        } catch (Exception e) {
            close();
            throw new IOException("cannot listen on " + socket + ": " + e, e);
        }
        Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-rw----"));
        if (admitted.isPresent()) {
            giveToGroup(socket, admitted.get());
            giveToGroup(directory, admitted.get());
        }
    }

    private GroupPrincipal principal(String name) throws IOException {
        try {
            return socket.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByGroupName(name);
        } catch (UserPrincipalNotFoundException e) {
            throw new IOException("socket_group: there is no group " + name, e);
        }
    }

    private static void giveToGroup(Path path, GroupPrincipal principal) throws IOException {
        PosixFileAttributeView view = Files.getFileAttributeView(path, PosixFileAttributeView.class);
        view.setGroup(principal);
    }

    @Override
    public void close() {
        try {
            server.stop();
            Files.deleteIfExists(socket);
        } catch (Exception e) {
            // The process is ending; a socket that is left is replaced at the next start.
        }
    }
}
