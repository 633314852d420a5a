/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import io.vmguard.agent.status.StatusReport;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Domains that run with less protection than they look. */
final class DomainsCheck implements Check<DomainsCheck.Facts> {
    /** Reasons for no lease that take nothing away. */
    private static final List<String> HARMLESS = List.of(
            "no medium",
            "read-only",
            "same disk as ",
            "its state is kept under the domain's uuid, which",
            "it is in memory",
            "a directory that is made to be shared",
            "libvirt chooses its path when",
            "a stream of ");

    /** @param reason why a part of it has no lease */
    record Hole(String target, String reason) {}

    /**
     * A domain that runs on this host, by what libvirt has written of it.
     *
     * @param leases how many it needs
     * @param holes parts without a lease
     * @param refusals parts that would have it refused, were it started now
     */
    record Running(String name, String uuid, int leases, List<Hole> holes, List<Hole> refusals) {}

    /** @param status of the agent; empty if it does not answer */
    record Facts(List<Running> running, Optional<StatusReport> status) {}

    @Override
    public String name() {
        return "domains";
    }

    @Override
    public String why() {
        return "a domain that runs without its leases can be started a second time elsewhere";
    }

    @Override
    public Judgement judge(Facts facts) {
        List<Judgement> all = new ArrayList<>();
        facts.running().forEach(domain -> all.addAll(of(domain)));
        List<StatusReport.Domain> known =
                facts.status().map(StatusReport::domains).orElse(List.of());
        if (facts.status().isEmpty() && !facts.running().isEmpty()) {
            all.add(Judgement.red(
                    facts.running().size() + " domains run, and no agent answers", "systemctl start vmguard"));
        }
        for (StatusReport.Domain domain : known) {
            boolean lacks = domain.leases().stream().anyMatch(lease -> !lease.held());
            String problems = domain.problems().isEmpty() ? "it lacks a lease" : String.join("; ", domain.problems());
            if (lacks) {
                all.add(Judgement.red(
                        domain.name() + " runs unprotected: " + problems,
                        "vmguard status; whoever is the second one must be destroyed"));
            } else if (!domain.problems().isEmpty()) {
                all.add(Judgement.yellow(domain.name() + ": " + problems, "vmguard explain --on " + domain.name()));
            }
        }
        if (facts.status().isPresent()) {
            facts.running().stream()
                    .filter(domain -> domain.leases() > 0
                            && known.stream().noneMatch(one -> one.uuid().equals(domain.uuid())))
                    .forEach(domain -> all.add(Judgement.red(
                            domain.name() + " runs and the agent does not know it",
                            "If that lasts for a minute: vmguard status says whether libvirt answers the agent")));
        }
        all.add(Judgement.green(
                facts.running().isEmpty() ? "none runs" : facts.running().size() + " run with all that they need"));
        return Judgement.all(all);
    }

    private static List<Judgement> of(Running domain) {
        List<Judgement> all = new ArrayList<>();
        domain.refusals()
                .forEach(hole -> all.add(Judgement.red(
                        domain.name() + ": " + hole.target() + " cannot be protected: " + hole.reason(),
                        "vmguard explain --on " + domain.name())));
        domain.holes().stream()
                .filter(hole -> HARMLESS.stream().noneMatch(hole.reason()::startsWith))
                .forEach(hole -> all.add(Judgement.yellow(
                        domain.name() + ": " + hole.target() + " has no lease: " + hole.reason(),
                        "vmguard explain --on " + domain.name())));
        return all;
    }
}
