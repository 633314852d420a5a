/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.status;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What the agent knows at one moment; the JSON of {@code vmguard status --format json}. Keys are only ever added.
 *
 * @param format version of this shape
 * @param hook null if the agent is of a version that does not say
 * @param ready whether a start that needs leases could be granted now
 * @param worstCase what comes when if no renewal succeeds from now on, in the order of time
 * @param warnings one sentence each; empty if everything is as it should be
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
@JsonInclude(JsonInclude.Include.NON_NULL)
public record StatusReport(
        int format,
        Agent agent,
        boolean ready,
        LockspaceStatus lockspace,
        Watchdog watchdog,
        Libvirt libvirt,
        @Nullable Hook hook,
        List<Host> hosts,
        List<Domain> domains,
        List<Deadline> worstCase,
        List<String> warnings) {
    /** Version of this shape. */
    public static final int FORMAT = 1;

    /**
     * What an agent has answered, also one of another version.
     *
     * @throws IOException if it is no status
     */
    public static StatusReport parse(String json) throws IOException {
        StatusReport report;
        try {
            report = RecordReader.read(json, StatusReport.class);
        } catch (IOException e) {
            throw new IOException("the answer is not a status", e);
        }
        if (Stream.of(report.agent, report.lockspace, report.watchdog, report.libvirt)
                .anyMatch(Objects::isNull)) {
            throw new IOException("the answer is not a status");
        }
        return report;
    }

    /** @param refused starts refused since it started; in mode observe: that would have been */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    public record Agent(
            String version, long pid, String mode, String node, long uptimeSeconds, long granted, long refused) {}

    /**
     * @param state joining, member, lost, left
     * @param renewedSecondsAgo age of our membership; null if there is none
     * @param lostInSeconds until it is lost unless a renewal succeeds
     * @param hostDeadSeconds how long others wait after our last renewal before they take our leases
     */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record LockspaceStatus(
            String name,
            String dir,
            String state,
            String detail,
            @Nullable Long hostId,
            @Nullable Long generation,
            String hostName,
            long ioTimeoutSeconds,
            @Nullable Double renewedSecondsAgo,
            @Nullable Double lostInSeconds,
            long hostDeadSeconds,
            List<String> undetermined) {}

    /**
     * @param kind wdmd, a device, or none; several while none is armed and the first usable one will be
     * @param state none, disarmed, armed, expiring, failed
     * @param timeoutSeconds from the last feeding to the reset; null unless it is armed
     * @param lastFedSecondsAgo null unless it is armed and fed
     * @param detail why it is not as it should be; empty if it is
     */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Watchdog(
            String kind,
            String state,
            boolean armed,
            @Nullable Long timeoutSeconds,
            @Nullable Double lastFedSecondsAgo,
            String detail) {}

    /** Whether libvirt's events arrive. */
    public record Libvirt(String uri, boolean connected, String detail) {}

    /**
     * @param calls of libvirt's hook since the agent started
     * @param lastCallSecondsAgo null if there was none
     */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Hook(long calls, @Nullable Double lastCallSecondsAgo) {}

    /**
     * @param status free, unknown, live, fail, dead
     * @param deadInSeconds until its leases may be taken if it stays silent; null for ourselves and for free ids
     */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Host(
            long hostId,
            long generation,
            String node,
            String name,
            String status,
            boolean self,
            @Nullable Double silentSeconds,
            @Nullable Double deadInSeconds) {}

    /**
     * @param afterSeconds counted from the start of the last successful renewal
     * @param inSeconds from now, below zero if it is over; null without a membership
     */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Deadline(
            String what, double afterSeconds, @Nullable Double inSeconds) {}

    /**
     * @param state starting, running, stopping; paused: it has lost its leases and is proved to write no more
     * @param onLockfailure what happens to it when its leases are lost: poweroff, pause, restart, ignore
     */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Domain(
            String name,
            String uuid,
            String state,
            @Nullable Integer pid,
            List<Lease> leases,
            String onLockfailure,
            List<String> problems) {}

    /** @param since when it was taken, epoch seconds */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    public record Lease(String target, String identity, String resource, boolean held, long since, long ageSeconds) {}
}
