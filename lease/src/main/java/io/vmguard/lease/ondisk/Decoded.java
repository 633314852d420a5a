/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.LeaseFault;
import java.util.function.BiFunction;
import java.util.function.Function;

/** What bytes turned out to be. No reader can use a field of a record that was not verified. */
public sealed interface Decoded<T> {
    record Valid<T>(T value) implements Decoded<T> {}

    record Corrupt<T>(LeaseFault fault, String why) implements Decoded<T> {}

    default <R> R fold(Function<T, R> valid, BiFunction<LeaseFault, String, R> corrupt) {
        if (this instanceof Valid<T> v) {
            return valid.apply(v.value());
        }
        Corrupt<T> c = (Corrupt<T>) this;
        return corrupt.apply(c.fault(), c.why());
    }
}
