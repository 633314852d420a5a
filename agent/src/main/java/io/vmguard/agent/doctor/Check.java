/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

/** A rule: what some facts of this host mean for the promise. Pure. */
interface Check<F> {
    /** Stable, for programs: lower case and underscores. */
    String name();

    /** Why it matters, for people. */
    String why();

    Judgement judge(F facts);
}
