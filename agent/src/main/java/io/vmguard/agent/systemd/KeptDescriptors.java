/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.systemd;

import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Open files that systemd keeps for the next process of this service, however this one ends ({@code man 3 sd_notify}, FDSTORE). Without
 * a service manager nothing is kept. Any thread may call; nothing here throws or waits longer than two seconds.
 */
public final class KeptDescriptors {
    /** The first one that is handed over: {@code man 3 sd_listen_fds}. */
    private static final int FIRST = 3;

    private final NotifySocket socket;
    private final Map<String, Integer> inherited;

    private KeptDescriptors(NotifySocket socket, Map<String, Integer> inherited) {
        this.socket = socket;
        this.inherited = inherited;
    }

    /**
     * What this process was handed.
     *
     * @param environment the process's environment
     * @param pid this process: what was meant for another one is not taken
     */
    public static KeptDescriptors of(Map<String, String> environment, long pid) {
        Map<String, Integer> handed = new HashMap<>();
        if (String.valueOf(pid).equals(environment.get("LISTEN_PID"))) {
            String[] names = environment.getOrDefault("LISTEN_FDNAMES", "").split(":", -1);
            int count = count(environment.getOrDefault("LISTEN_FDS", ""));
            for (int i = 0; i < Math.min(count, names.length); i++) {
                handed.put(names[i], FIRST + i);
            }
        }
        return new KeptDescriptors(NotifySocket.of(environment), handed);
    }

    private static int count(String text) {
        return text.matches("[0-9]{1,3}") ? Integer.parseInt(text) : 0;
    }

    /** Whether anybody keeps anything. */
    public boolean available() {
        return socket.present();
    }

    /** The names of what was handed over and not taken. */
    public synchronized Set<String> names() {
        return Set.copyOf(inherited.keySet());
    }

    /** What was handed over under this name; only once. */
    public synchronized OptionalInt take(String name) {
        Integer fd = inherited.remove(name);
        return fd == null ? OptionalInt.empty() : OptionalInt.of(fd);
    }

    /**
     * The manager keeps a copy of it.
     *
     * @param name letters, digits, underscores
     */
    public void keep(String name, int fd) {
        socket.send("FDSTORE=1\nFDNAME=" + name, fd);
    }

    /** The manager closes its copy, soon. */
    public void forget(String name) {
        socket.send("FDSTOREREMOVE=1\nFDNAME=" + name);
    }
}
