/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import org.jspecify.annotations.Nullable;

/** One request to libvirt, as seen by the thread that makes it and the one that waits for it no longer than its limit. */
final class Call {

    private boolean abandoned;
    private @Nullable Connection connection;

    /**
     * Nobody waits for the answer any more. The connection is not given to further calls: whatever holds this one up may
     * hold them up as well.
     */
    void abandon() {
        Connection suspect;
        synchronized (this) {
            abandoned = true;
            suspect = connection;
        }
        if (suspect != null) {
            suspect.retire();
        }
    }

    /** Goes on, on this connection, or fails if nobody waits any more. */
    synchronized void proceedOn(Connection used) throws LibvirtFailure {
        proceed();
        connection = used;
    }

    /**
     * Fails if nobody waits any more. To be asked right before a request that changes something: a domain that is
     * destroyed minutes after the wish may be another run of it.
     */
    synchronized void proceed() throws LibvirtFailure {
        if (abandoned) {
            throw LibvirtFailure.local("given up before it was sent to libvirt");
        }
    }

    /** The call is over on its connection. */
    synchronized void finished() {
        connection = null;
    }
}
