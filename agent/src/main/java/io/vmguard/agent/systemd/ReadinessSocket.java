/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.systemd;

import java.util.Map;

/**
 * Tells systemd how the service is. Without a service manager nothing is said.
 *
 * <p>Never throws and never waits longer than two seconds: a service manager that does not listen is no reason to stop
 * guarding. Any thread may call.
 */
public final class ReadinessSocket {
    private final NotifySocket socket;

    private ReadinessSocket(NotifySocket socket) {
        this.socket = socket;
    }

    /**
     * The socket that this process was given, or none.
     *
     * @param environment the process's environment
     */
    public static ReadinessSocket of(Map<String, String> environment) {
        return new ReadinessSocket(NotifySocket.of(environment));
    }

    /** The service is up. */
    public void ready() {
        socket.send("READY=1");
    }

    /**
     * A line for {@code systemctl status}.
     *
     * @param text one line; line breaks become spaces
     */
    public void status(String text) {
        socket.send("STATUS=" + text.replaceAll("\\R", " "));
    }

    /** It makes progress; see {@link KeepAlive}. */
    void alive() {
        socket.send("WATCHDOG=1");
    }

    /** The service is on its way down. */
    public void stopping() {
        socket.send("STOPPING=1");
    }
}
