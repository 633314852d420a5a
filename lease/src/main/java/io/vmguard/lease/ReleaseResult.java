/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/** How a release ended. */
public sealed interface ReleaseResult {
    /** Free on disk for everybody. */
    record Released() implements ReleaseResult {}

    /** It was not ours on disk any more. */
    record NotOurs(LeaseFault fault, String why) implements ReleaseResult {}

    /** Storage did not say. The engine tries again; until then others see it held by us. */
    record CannotTell(LeaseFault fault, String why) implements ReleaseResult {}
}
