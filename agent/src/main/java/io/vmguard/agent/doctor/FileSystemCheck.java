/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.Set;

/** Whether sector-wise writes of several hosts are safe on this kind of file system. */
final class FileSystemCheck implements Check<FileSystemCheck.Facts> {
    private static final Set<String> SHARED = Set.of(
            "nfs4",
            "nfs",
            "ceph",
            "fuse.ceph",
            "fuse.ceph-fuse",
            "gfs2",
            "ocfs2",
            "fuse.glusterfs",
            "lustre",
            "gpfs",
            "beegfs",
            "device");

    private static final Set<String> CACHING =
            Set.of("fuse.sshfs", "9p", "virtiofs", "fuse.s3fs", "fuse.rclone", "vboxsf", "fuse.davfs");

    private static final Set<String> GONE_AT_BOOT = Set.of("tmpfs", "ramfs", "rootfs", "devtmpfs");

    /** @param type {@code device} if the leases are on a block device */
    record Facts(String dir, String type, String source) {}

    @Override
    public String name() {
        return "lease_file_system";
    }

    @Override
    public String why() {
        return "a lease is one sector that is written past all caches; a file system that keeps its own copy shows hosts different leases";
    }

    @Override
    public Judgement judge(Facts facts) {
        String what = facts.dir() + " is on " + facts.type() + " (" + facts.source() + ")";
        if (GONE_AT_BOOT.contains(facts.type())) {
            return Judgement.red(what + ", which is gone at the next boot", "Use storage that all hosts share");
        }
        if (CACHING.contains(facts.type())) {
            return Judgement.red(
                    what + ", which writes from a cache of its own",
                    "Use NFS, CephFS, GFS2, OCFS2, GlusterFS or a block device");
        }
        if (facts.type().equals("cifs") || facts.type().equals("smb3")) {
            return Judgement.yellow(
                    what + ", on which vmguard was not tried",
                    "Use NFS, CephFS, GFS2, OCFS2, GlusterFS or a block device");
        }
        if (!SHARED.contains(facts.type())) {
            return Judgement.yellow(
                    what + ", a file system of one host as far as vmguard knows",
                    "For one host alone it is good; for more use NFS, CephFS, GFS2, OCFS2, GlusterFS or a block device");
        }
        return Judgement.green(what);
    }
}
