/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

/**
 * One {@code <host>} of a network disk, as written.
 *
 * @param name host name or address, empty if missing
 * @param port empty if missing
 * @param transport {@code tcp} if missing
 * @param socket path of a Unix socket, empty unless {@code transport} is {@code unix}
 */
public record NetworkHost(String name, String port, String transport, String socket) {

    /** A server reached by TCP; an empty port is the protocol's default. */
    public static NetworkHost tcp(String name, String port) {
        return new NetworkHost(name, port, "tcp", "");
    }
}
