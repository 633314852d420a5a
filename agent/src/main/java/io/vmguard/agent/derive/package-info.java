/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Which leases a domain needs: from its XML, what its storage pools say and what its storage is ({@code identity}) to names on disk.
 * Every host must come to names that exclude each other, so the rules change only with a migration path (docs/adr/). Used by the hook
 * server, the reconciliation and {@code explain}.
 */
@NullMarked
package io.vmguard.agent.derive;

import org.jspecify.annotations.NullMarked;
