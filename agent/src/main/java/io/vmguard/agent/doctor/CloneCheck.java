/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import io.vmguard.agent.status.StatusReport.Host;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/** Whether another host has this one's machine id: machines copied from one image. */
final class CloneCheck implements Check<CloneCheck.Facts> {
    private static final Pattern MACHINE_ID = Pattern.compile("[0-9a-f]{32}");
    private static final int INSTALLATION_CHARS = 8;

    /**
     * What another host has left beside the leases.
     *
     * @param name of the host on disk
     * @param machine digest of its machine id
     */
    record Card(String name, String machine) {}

    /**
     * @param machineId as it stands in the file
     * @param machine its digest, as on a card
     * @param ownName this host's name on disk; empty if it has none yet
     * @param hosts of the lockspace
     */
    record Facts(String machineId, String machine, String ownName, List<Host> hosts, List<Card> cards) {}

    @Override
    public String name() {
        return "machine_id";
    }

    @Override
    public String why() {
        return "hosts are told apart by their machine id and a random number; copied machines have both, and everything else that keys on it "
                + "confuses them too";
    }

    @Override
    public Judgement judge(Facts facts) {
        List<Judgement> all = new ArrayList<>();
        if (!MACHINE_ID.matcher(facts.machineId()).matches()) {
            all.add(Judgement.red(
                    facts.machineId().isEmpty()
                            ? "this machine has no machine id"
                            : "the machine id is '" + facts.machineId() + "'",
                    "systemd-machine-id-setup"));
        }
        for (Host host : facts.hosts()) {
            boolean lives = host.status().equals("live") || host.status().equals("fail");
            boolean same = !facts.ownName().isEmpty()
                    && installation(host.name()).equals(installation(facts.ownName()))
                    && !host.self()
                    && !host.name().equals(facts.ownName());
            if (lives && same) {
                all.add(Judgement.red(
                        "host id " + host.hostId() + " (" + host.node()
                                + ") has this host's machine id and its random number",
                        "One of them is a copy. On it: stop vmguard, remove instance-id from its state_dir, rm /etc/machine-id; "
                                + "systemd-machine-id-setup; reboot"));
            }
        }
        for (Card card : facts.cards()) {
            boolean other = !installation(card.name()).equals(installation(facts.ownName()));
            if (other && card.machine().equals(facts.machine())) {
                all.add(Judgement.red(
                        card.name() + " has, or had, this host's machine id",
                        "If that is another machine: rm /etc/machine-id; systemd-machine-id-setup; reboot, on one of them. If it is this one "
                                + "before it was installed anew, remove .vmguard-host." + card.name()
                                + " from the lease directory"));
            }
        }
        all.add(Judgement.green("no other host is known by this machine id"));
        return Judgement.all(all);
    }

    /** Of a name on disk, {@code IIIIIIII-BBBBBBBB.node}; all of it if it is a stock host's. */
    private static String installation(String name) {
        return name.length() > INSTALLATION_CHARS && name.charAt(INSTALLATION_CHARS) == '-'
                ? name.substring(0, INSTALLATION_CHARS)
                : name;
    }
}
