/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What has happened lately, kept in memory: the lines of the log that have a code, for those who want to follow them without the journal.
 */
@NullMarked
package io.vmguard.agent.events;

import org.jspecify.annotations.NullMarked;
