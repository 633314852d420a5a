/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import java.util.function.Function;

/** What a writable source needs. */
sealed interface Protection {

    <T> T fold(Function<Lease, T> lease, Function<NotNeeded, T> notNeeded, Function<Impossible, T> impossible);

    /** A lease of this name for this identity. */
    record Lease(String identity, String resource) implements Protection {
        @Override
        public <T> T fold(
                Function<Lease, T> lease, Function<NotNeeded, T> notNeeded, Function<Impossible, T> impossible) {
            return lease.apply(this);
        }
    }

    /** Nothing that another host could write at the same time. */
    record NotNeeded(String reason) implements Protection {
        @Override
        public <T> T fold(
                Function<Lease, T> lease, Function<NotNeeded, T> notNeeded, Function<Impossible, T> impossible) {
            return notNeeded.apply(this);
        }
    }

    /** A lease, but nobody can say which. */
    record Impossible(String reason) implements Protection {
        @Override
        public <T> T fold(
                Function<Lease, T> lease, Function<NotNeeded, T> notNeeded, Function<Impossible, T> impossible) {
            return impossible.apply(this);
        }
    }
}
