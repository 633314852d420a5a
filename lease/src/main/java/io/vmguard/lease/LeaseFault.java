/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/** Why something on disk cannot be used or told. The numbers are sanlock's, so that its logs and ours can be laid side by side. */
public enum LeaseFault {
    MISSING(-2, "no such file"),
    SHORT(-90, "shorter than a lease area"),
    TIMED_OUT(-202, "storage did not answer in time"),
    IO(-210, "input/output error"),
    DBLOCK_CHECKSUM(-214, "a disk block has a wrong checksum"),
    MAGIC(-223, "not a lease of this kind"),
    VERSION(-224, "another major version of the format"),
    GEOMETRY(-225, "another sector size or area size"),
    LOCKSPACE(-226, "belongs to another lockspace"),
    RESOURCE(-227, "belongs to another resource"),
    NUM_HOSTS(-228, "made for fewer hosts than our host id"),
    CHECKSUM(-229, "wrong checksum"),
    OWNER_LIVE(-243, "its owner is alive"),
    SHARED_RETRY(-246, "other hosts kept passing through it"),
    LOST_RACE(-244, "other hosts kept taking it"),
    LEADER_CHANGED(-250, "the leader record changed under its owner"),
    NOT_OWNER(-251, "the leader record names another owner"),
    RENEW_OWNER(-260, "another host took our host id"),
    RENEW_DIFF(-261, "somebody else wrote our delta lease"),
    HOST_ID_BUSY(-262, "another host has this host id"),
    RULES(-201, "the rules of the lockspace are others than this host's"),
    HOST_ID(-231, "no host id of this lockspace"),
    REQUEST_MAGIC(-270, "the request record is none"),
    REQUEST_VERSION(-271, "the request record is of another major version"),
    REQUEST_LVER(-273, "a later version is asked for already"),
    RESOURCE_INDEX(-274, "a resource index, which vmguard does not use"),
    NO_MEMBERSHIP(-28, "this host is no member of the lockspace now");

    private final int code;
    private final String text;

    LeaseFault(int code, String text) {
        this.code = code;
        this.text = text;
    }

    /** sanlock's number for it. */
    public int code() {
        return code;
    }

    /** Half a sentence for people. */
    public String text() {
        return text;
    }
}
