/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.ArrayList;
import java.util.List;

/** Whether the Ceph users of this host's domains may shut out a host that still holds an image's lock. */
final class CephCapsCheck implements Check<CephCapsCheck.Facts> {
    /**
     * One user with the secret of libvirt that holds its key.
     *
     * @param secret uuid or usage of the secret
     * @param monCaps what it may ask of the monitors; empty if that could not be asked
     * @param unknown why it could not; empty if it could
     */
    record User(String name, String secret, String monCaps, String unknown) {}

    record Facts(List<User> users) {}

    @Override
    public String name() {
        return "ceph_caps";
    }

    @Override
    public String why() {
        return "a domain whose host died leaves a lock on its image; without the right to blocklist that host, QEMU waits for it instead of starting";
    }

    @Override
    public Judgement judge(Facts facts) {
        if (facts.users().isEmpty()) {
            return Judgement.green("no domain of this host uses a Ceph user");
        }
        List<Judgement> all = new ArrayList<>();
        for (User user : facts.users()) {
            String who = "client." + user.name() + " (secret " + user.secret() + ")";
            if (!user.unknown().isEmpty()) {
                all.add(Judgement.yellow(
                        who + ": its caps cannot be asked for here: " + user.unknown(),
                        "On a host with the admin key: ceph auth get client." + user.name()
                                + "; mon caps must be 'profile rbd'"));
            } else if (!mayBlocklist(user.monCaps())) {
                all.add(
                        Judgement.red(
                                who + " may not blocklist: mon caps are '" + user.monCaps() + "'",
                                "ceph auth caps client." + user.name()
                                        + " mon 'profile rbd' osd 'profile rbd pool=POOL' (give all caps it has, not only these)"));
            } else {
                all.add(Judgement.green(who + " may blocklist"));
            }
        }
        return Judgement.all(all);
    }

    static boolean mayBlocklist(String monCaps) {
        String caps = monCaps.replace("\"", "");
        return caps.contains("profile rbd") && !caps.matches(".*profile rbd-read-only *")
                || caps.contains("allow *")
                || caps.contains("osd blocklist")
                || caps.contains("osd blacklist");
    }
}
