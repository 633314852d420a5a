/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hook;

import java.io.IOException;
import java.nio.channels.SocketChannel;
import jdk.net.ExtendedSocketOptions;
import org.eclipse.jetty.server.Request;

/** Who is at the other end of the socket, as the kernel says. */
final class Peer {
    private Peer() {}

    /** @return owner of the process that connected */
    static String of(Request request) throws IOException {
        Object transport =
                request.getConnectionMetaData().getConnection().getEndPoint().getTransport();
        return transport instanceof SocketChannel channel
                ? channel.getOption(ExtendedSocketOptions.SO_PEERCRED).user().getName()
                : "unknown";
    }
}
