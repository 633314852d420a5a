/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The hook API: HTTP/1.1 on a Unix socket, as docs/hook-api.md promises it, and the small client that the CLI asks with.
 */
@NullMarked
package io.vmguard.agent.hook;

import org.jspecify.annotations.NullMarked;
