/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process;

import java.util.function.Function;

/** The answer to "which process runs this domain?". */
public sealed interface Lookup {

    /** Calls the function for the case that this is. */
    <R> R fold(
            Function<? super Found, ? extends R> found,
            Function<? super NotFound, ? extends R> notFound,
            Function<? super CannotTell, ? extends R> cannotTell);

    /**
     * The process, verified after it was taken hold of, so that a reused pid cannot pass for it.
     *
     * @param process in the caller's hands now, to be closed by it
     */
    record Found(GuardedProcess process) implements Lookup {
        @Override
        public <R> R fold(
                Function<? super Found, ? extends R> found,
                Function<? super NotFound, ? extends R> notFound,
                Function<? super CannotTell, ? extends R> cannotTell) {
            return found.apply(this);
        }
    }

    /** No process of this host ran the domain at the moment of the call, not even one that has ended in part. */
    record NotFound() implements Lookup {
        @Override
        public <R> R fold(
                Function<? super Found, ? extends R> found,
                Function<? super NotFound, ? extends R> notFound,
                Function<? super CannotTell, ? extends R> cannotTell) {
            return notFound.apply(this);
        }
    }

    /**
     * There may be a process. The caller asks again later and until then assumes that it runs.
     *
     * @param reason for people
     */
    record CannotTell(String reason) implements Lookup {
        @Override
        public <R> R fold(
                Function<? super Found, ? extends R> found,
                Function<? super NotFound, ? extends R> notFound,
                Function<? super CannotTell, ? extends R> cannotTell) {
            return cannotTell.apply(this);
        }
    }
}
