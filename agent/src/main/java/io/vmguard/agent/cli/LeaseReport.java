/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What {@code vmguard lease list} and {@code show} found; their JSON. Keys are only ever added.
 *
 * @param format version of this shape
 * @param hostsSeen by whom: {@code agent}, {@code twice} (this command, for a while) or {@code once}: then nobody is known to live
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
record LeaseReport(int format, String dir, String hostsSeen, List<Space> lockspaces, List<Lease> leases) {
    static final int FORMAT = 1;

    /** @param hostsUsed host ids that were ever taken */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    record Space(
            String name,
            String file,
            int sectorBytes,
            int areaBytes,
            int maxHosts,
            int ioTimeoutSeconds,
            int hostsUsed,
            List<Problem> problems) {}

    /**
     * @param standing member, left, reborn, ahead or unreadable: what its delta lease says of this generation
     * @param status free, unknown, live, fail or dead; null if that host id is now another's
     * @param deadInSeconds until its leases may be taken if it stays silent
     */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Member(
            long hostId,
            long generation,
            String node,
            String name,
            String standing,
            @Nullable String status,
            @Nullable Double silentSeconds,
            @Nullable Double deadInSeconds) {}

    /** @param since epoch seconds, on the holder's clock */
    record User(String domain, String uuid, String disk, String node, long since) {}

    /** @param mode 1: the holder is to be killed, 2: stopped gracefully */
    record Asked(long lver, long mode) {}

    /**
     * @param code sanlock's number
     * @param sentence for people: file, offset, matter, way out
     */
    record Problem(int code, String fault, String file, long offset, String sentence) {}

    /**
     * @param state free, exclusive, shared, cleared, corrupt, unreadable or foreign
     * @param takeable whether an acquire that begins now needs to wait for nobody, as far as can be told
     * @param explanation for people: who holds it and when it can be had
     * @param user of a lease that is held
     * @param lastUser of a free one: who used it last, or which operator freed it; only where every block is looked at
     * @param modified last write, epoch seconds on the file system's clock
     */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Lease(
            String name,
            String state,
            boolean takeable,
            String explanation,
            @Nullable String lockspace,
            @Nullable Member owner,
            List<Member> sharers,
            @Nullable User user,
            @Nullable User lastUser,
            @Nullable Asked request,
            @Nullable Long lver,
            @Nullable String writer,
            @Nullable Long numHosts,
            long modified,
            List<Problem> problems) {}
}
