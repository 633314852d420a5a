/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Which storage is it, really: from what the XML says and what the host knows ({@link io.vmguard.agent.identity.StorageFacts}) to an
 * identity in words and the names of leases. Decides on facts alone; reads nothing itself. Every host must come to the same names, so
 * the rules change only with a migration path (docs/adr/). Used by the derivation of a domain's leases and the command line.
 */
@NullMarked
package io.vmguard.agent.identity;

import org.jspecify.annotations.NullMarked;
