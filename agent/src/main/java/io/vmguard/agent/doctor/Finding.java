/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

/**
 * One line of the doctor.
 *
 * @param check its name; stable
 * @param verdict green, yellow or red
 * @param seen what was found
 * @param why why it matters
 * @param fix what to do; empty if it is green
 */
public record Finding(String check, String verdict, String seen, String why, String fix) {}
