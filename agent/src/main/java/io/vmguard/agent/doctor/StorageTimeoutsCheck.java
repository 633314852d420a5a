/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Whether the storage's own patience fits into that of the leases. */
final class StorageTimeoutsCheck implements Check<StorageTimeoutsCheck.Facts> {
    private static final Pattern CHECKS = Pattern.compile("([0-9]+) chk");
    private static final Pattern SECONDS = Pattern.compile("([0-9]+) sec");

    /**
     * What the metadata server of a CephFS says; in seconds.
     *
     * @param sessionTimeout after which a silent client's capabilities can be taken
     * @param autoclose after which a silent client is shut out
     */
    record CephTimes(long sessionTimeout, long autoclose) {}

    /**
     * @param fileSystem type; {@code device} for leases on a block device
     * @param options of the mount, comma-separated
     * @param queueing what multipath does without a path, in multipathd's words (off, on, N chk, N sec, -); empty if it is none of its maps
     * @param pollSeconds multipathd's interval between two checks
     * @param cephTimes if the file system is a CephFS and it could be asked
     * @param willBeReset whether something resets this machine when its domains cannot be stopped
     */
    record Facts(
            String fileSystem,
            String options,
            String queueing,
            long pollSeconds,
            Optional<CephTimes> cephTimes,
            boolean willBeReset,
            Duration ioTimeout,
            Duration watchdogTimeout) {
        long lostSeconds() {
            return 8 * ioTimeout.toSeconds();
        }
    }

    @Override
    public String name() {
        return "storage_timeouts";
    }

    @Override
    public String why() {
        return "storage that repeats a lost request later than the leases can wait turns a lost packet into lost domains";
    }

    @Override
    public Judgement judge(Facts facts) {
        List<Judgement> all = new ArrayList<>();
        switch (facts.fileSystem()) {
            case "nfs", "nfs4" -> nfs(facts, all);
            case "ceph" -> ceph(facts, all);
            case "fuse.ceph", "fuse.ceph-fuse" -> mds(facts, all);
            default -> {
                // No network of its own.
            }
        }
        multipath(facts).ifPresent(all::add);
        return all.isEmpty()
                ? Judgement.green(
                        facts.fileSystem() + " repeats no requests by itself, and multipath has no part in it")
                : Judgement.all(all);
    }

    private static void nfs(Facts facts, List<Judgement> all) {
        // proc(5) always shows them; timeo is in tenths of a second.
        double first = number(facts, "timeo").orElse(600L) / 10.0;
        long retrans = number(facts, "retrans").orElse(2L);
        boolean soft =
                List.of(facts.options().split(",")).stream().anyMatch(o -> o.equals("soft") || o.equals("softerr"));
        String seen = "NFS, " + (soft ? "soft" : "hard") + ", timeo=" + Math.round(first * 10) + ", retrans=" + retrans;
        String times = "Mount it with timeo=" + Math.max(10, facts.ioTimeout().toSeconds() * 10 / 2)
                + ",retrans=3 on all hosts";
        if (first >= facts.lostSeconds()) {
            all.add(Judgement.red(
                    seen + ": one lost request is repeated after " + Math.round(first) + " s, and after "
                            + facts.lostSeconds() + " s leases are lost",
                    times));
        } else if (first > facts.ioTimeout().toSeconds()) {
            all.add(Judgement.yellow(
                    seen + ": one lost request is repeated after " + Math.round(first)
                            + " s, which is more than io_timeout ("
                            + facts.ioTimeout().toSeconds() + " s)",
                    times));
        } else {
            all.add(Judgement.green(seen));
        }
        if (!soft) {
            hangs(facts, seen, all);
        }
    }

    private static void ceph(Facts facts, List<Judgement> all) {
        boolean recovers = facts.options().contains("recover_session=clean");
        if (!recovers) {
            all.add(Judgement.yellow(
                    "CephFS without recover_session=clean: once shut out by the cluster, this mount stays dead until it is mounted again",
                    "Mount it with recover_session=clean"));
        } else {
            all.add(Judgement.green("CephFS with recover_session=clean"));
        }
        if (number(facts, "osd_request_timeout").orElse(0L) == 0) {
            hangs(facts, "CephFS without osd_request_timeout", all);
        }
        mds(facts, all);
    }

    private static void mds(Facts facts, List<Judgement> all) {
        if (facts.cephTimes().isEmpty()) {
            all.add(Judgement.yellow(
                    "CephFS, whose session_timeout and session_autoclose this host may not ask for",
                    "On a host with the right to: ceph fs dump. session_timeout should be at most "
                            + (facts.lostSeconds() + facts.watchdogTimeout().toSeconds())
                            + ", session_autoclose more than "
                            + facts.lostSeconds()));
            return;
        }
        CephTimes times = facts.cephTimes().get();
        long dead = facts.lostSeconds() + facts.watchdogTimeout().toSeconds();
        String seen = "CephFS with session_timeout " + times.sessionTimeout() + " s, session_autoclose "
                + times.autoclose() + " s";
        if (times.autoclose() <= facts.lostSeconds()) {
            all.add(Judgement.red(
                    seen + ": a host is shut out before its leases are lost (" + facts.lostSeconds() + " s)",
                    "ceph fs set FS session_autoclose to more than that, or a smaller io_timeout"));
        } else if (times.sessionTimeout() > dead) {
            all.add(Judgement.yellow(
                    seen + ": files of a dead host are free later than its leases (" + dead + " s)",
                    "ceph fs set FS session_timeout 60"));
        } else {
            all.add(Judgement.green(seen));
        }
    }

    private static Optional<Judgement> multipath(Facts facts) {
        String queueing = facts.queueing();
        if (queueing.isEmpty()) {
            return Optional.empty();
        }
        if (queueing.equals("off")) {
            return Optional.of(Judgement.green("multipath fails at once without a path"));
        }
        Matcher checks = CHECKS.matcher(queueing);
        Matcher seconds = SECONDS.matcher(queueing);
        long waits = checks.matches()
                ? Long.parseLong(checks.group(1)) * facts.pollSeconds()
                : seconds.matches() ? Long.parseLong(seconds.group(1)) : Long.MAX_VALUE;
        String seen = "multipath queues without a path "
                + (waits == Long.MAX_VALUE ? "for ever (" + queueing + ")" : "for " + waits + " s");
        if (waits < facts.lostSeconds()) {
            return Optional.of(Judgement.green(seen));
        }
        String fix = "no_path_retry " + Math.max(1, facts.lostSeconds() / 2 / Math.max(1, facts.pollSeconds()))
                + " for this map in multipath.conf";
        return Optional.of(
                facts.willBeReset()
                        ? Judgement.yellow(seen + ", longer than leases last (" + facts.lostSeconds() + " s)", fix)
                        : Judgement.red(
                                seen + ", longer than leases last (" + facts.lostSeconds()
                                        + " s), and nothing resets this machine when QEMU hangs in it",
                                fix + ", or a watchdog"));
    }

    /** A process that waits for it cannot be killed. */
    private static void hangs(Facts facts, String seen, List<Judgement> all) {
        if (!facts.willBeReset()) {
            all.add(Judgement.yellow(
                    seen
                            + " hangs for as long as its server is away, a QEMU in it cannot be killed, and nothing resets this machine",
                    "Set up a watchdog"));
        }
    }

    private static Optional<Long> number(Facts facts, String name) {
        for (String option : facts.options().split(",")) {
            if (option.matches(Pattern.quote(name) + "=[0-9]{1,9}")) {
                return Optional.of(Long.parseLong(option.substring(name.length() + 1)));
            }
        }
        return Optional.empty();
    }
}
