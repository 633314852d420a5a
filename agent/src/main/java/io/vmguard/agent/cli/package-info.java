/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The subcommands of {@code vmguard}, one class each: parse arguments, call what does the work, print text or JSON,
 * return a documented exit code. Nothing depends on this package but the entry point.
 */
@NullMarked
package io.vmguard.agent.cli;

import org.jspecify.annotations.NullMarked;
