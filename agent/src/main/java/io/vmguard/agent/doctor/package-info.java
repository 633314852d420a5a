/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What could make the agent's promise untrue on this host, found before the accident: one class per check. A check is a pure rule on facts
 * that were recorded by somebody else, so that each of its answers can be tested; {@link io.vmguard.agent.doctor.Doctor} gathers the facts
 * of each check within a limit, and what cannot be told is never green.
 */
@NullMarked
package io.vmguard.agent.doctor;

import org.jspecify.annotations.NullMarked;
