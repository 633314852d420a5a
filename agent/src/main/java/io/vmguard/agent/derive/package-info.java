/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Which leases a domain needs: a pure function from its XML (and what its storage pools say) to names on disk. Reads no
 * file, clock or network. Every host must come to the same names, so the rules change only with a migration path
 * (docs/adr/0004-lease-names.md). Used by the hook server, the reconciliation and {@code explain}.
 */
@NullMarked
package io.vmguard.agent.derive;

import org.jspecify.annotations.NullMarked;
