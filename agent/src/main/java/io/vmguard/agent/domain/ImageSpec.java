/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

/**
 * One image of a disk beside its first one, as written.
 *
 * @param source where its blocks are
 * @param format as in {@code <format type=…>}, for instance {@code qcow2}; empty if the XML does not say
 */
public record ImageSpec(DiskSource source, String format) {}
