/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

import java.util.function.Function;

/**
 * What became of a request to destroy a domain. None of these proves that the process is gone: libvirt gives up on a
 * process with a thread in uninterruptible I/O and reports the domain as stopped. Proof comes from the process itself.
 */
public sealed interface KillResult {

    /** Calls the function for the case that this is. */
    <R> R fold(
            Function<? super Destroyed, ? extends R> destroyed,
            Function<? super AlreadyGone, ? extends R> alreadyGone,
            Function<? super Unknown, ? extends R> unknown);

    /** The hypervisor says that it stopped the domain. */
    record Destroyed() implements KillResult {
        @Override
        public <R> R fold(
                Function<? super Destroyed, ? extends R> destroyed,
                Function<? super AlreadyGone, ? extends R> alreadyGone,
                Function<? super Unknown, ? extends R> unknown) {
            return destroyed.apply(this);
        }
    }

    /** The hypervisor knows no such domain, or knows it as not running. */
    record AlreadyGone() implements KillResult {
        @Override
        public <R> R fold(
                Function<? super Destroyed, ? extends R> destroyed,
                Function<? super AlreadyGone, ? extends R> alreadyGone,
                Function<? super Unknown, ? extends R> unknown) {
            return alreadyGone.apply(this);
        }
    }

    /**
     * The domain may run, may be ending, or may be stopped yet by a request that is still on its way.
     *
     * @param reason for people
     */
    record Unknown(String reason) implements KillResult {
        @Override
        public <R> R fold(
                Function<? super Destroyed, ? extends R> destroyed,
                Function<? super AlreadyGone, ? extends R> alreadyGone,
                Function<? super Unknown, ? extends R> unknown) {
            return unknown.apply(this);
        }
    }
}
