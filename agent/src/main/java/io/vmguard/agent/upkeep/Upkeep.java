/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.upkeep;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUpkeep;
import io.vmguard.lease.Lockspace;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.RemoveResult;
import io.vmguard.lease.inspect.DirectoryInspection;
import io.vmguard.lease.inspect.Finding;
import io.vmguard.lease.inspect.Holder;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LeaseInspector.Depth;
import io.vmguard.lease.inspect.ResourceInspection;
import io.vmguard.lease.inspect.ResourceInspection.State;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Frees leases of dead hosts and removes files of leases that nobody uses, as any member may: by taking the lease under the protocol and
 * giving it back, or clearing it. Not one byte is written that an ordinary start would not write, so nothing here can take a lease from a
 * host that lives.
 *
 * <p>Calls block as long as the storage does, up to a limit; for threads that may wait.
 */
public final class Upkeep {
    /** A ballot among busy hosts takes a few seconds; after this the engine goes on alone. */
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private final Lockspace lockspace;
    private final LeaseUpkeep files;
    private final LeaseInspector inspector;
    private final AuditLog audit;
    private final LeaseClock clock;
    private final String nodeName;

    /**
     * @param files of the same lockspace
     * @param inspector of the lockspace's directory
     * @param nodeName this host, as people know it
     */
    public Upkeep(
            Lockspace lockspace,
            LeaseUpkeep files,
            LeaseInspector inspector,
            AuditLog audit,
            LeaseClock clock,
            String nodeName) {
        this.lockspace = lockspace;
        this.files = files;
        this.inspector = inspector;
        this.audit = audit;
        this.clock = clock;
        this.nodeName = nodeName;
    }

    // ---- release

    /**
     * Frees what a dead host held.
     *
     * @param hostIsOff name of the host that the operator knows to be off. It makes up for no proof; it says that waiting for the proof
     *     is wanted, and must be the holder's name
     */
    public UpkeepAnswer release(Operator operator, LeaseName lease, Optional<String> hostIsOff) {
        return inspected(lease, (found, view) -> release(operator, found, view, hostIsOff));
    }

    private UpkeepAnswer release(
            Operator operator, ResourceInspection lease, LockspaceView view, Optional<String> hostIsOff) {
        if (lease.state() == State.FREE) {
            return UpkeepAnswer.nothingToDo(lease.file() + " is free: nothing to do");
        }
        Optional<String> damage = damage(lease);
        if (damage.isPresent()) {
            return UpkeepAnswer.refused(damage.get());
        }
        List<Holder> holders = lease.state() == State.EXCLUSIVE
                ? lease.owner().stream().toList()
                : lease.sharers().stream().filter(s -> !s.standing().gone()).toList();
        if (holders.isEmpty()) {
            return UpkeepAnswer.refused(lease.file() + " is held, but does not say by whom: nothing can be proved");
        }
        if (holders.stream().anyMatch(holder -> isSelf(holder.owner(), view))) {
            return UpkeepAnswer.refused(lease.file() + " is held by this host, " + user(lease)
                    + "; it is given back when that domain ends. See: vmguard status");
        }
        for (Holder holder : holders) {
            Proof proof = Proof.of(holder, view);
            if (!proof.gone()) {
                return unproved(lease, holder, proof, hostIsOff);
            }
        }
        String proof = holders.stream().map(h -> Proof.of(h, view).sentence()).collect(Collectors.joining("; "));
        Map<String, String> line = line("release", operator, lease, proof);
        hostIsOff.ifPresent(host -> line.put("host_is_off", host));
        return written(line, () -> acquireAndRelease(new LeaseName(lease.file()), operator, proof));
    }

    private static UpkeepAnswer unproved(
            ResourceInspection lease, Holder holder, Proof proof, Optional<String> hostIsOff) {
        if (proof.provedIn().isEmpty()) {
            return UpkeepAnswer.refused(lease.file() + ": " + proof.sentence());
        }
        String name = holder.node().isEmpty() ? holder.hostName() : holder.node();
        boolean named = hostIsOff
                .filter(typed -> typed.equals(name) || typed.equals(holder.hostName()))
                .isPresent();
        if (hostIsOff.isPresent() && !named) {
            return UpkeepAnswer.refused(lease.file() + " is held by " + name + ", not by " + hostIsOff.get());
        }
        return UpkeepAnswer.wait(
                lease.file() + ": " + proof.sentence()
                        + (named
                                ? ""
                                : ": run this again then. If you know that it is off, --host-is-off " + name
                                        + " waits for the proof and frees the lease at once; nothing shortens that wait"),
                proof.provedIn().get());
    }

    private UpkeepAnswer acquireAndRelease(LeaseName lease, Operator operator, String proof) {
        String who = operator.user() + (operator.onBehalfOf().isEmpty() ? "" : " (" + operator.onBehalfOf() + ")");
        // No domain: it stays when the lease is given back, and tells every host of the deed until the next start.
        LeaseNote note = new LeaseNote(
                "", "", "freed by " + who + " with vmguard lease release: " + proof, nodeName, clock.wallSeconds());
        return await(
                lockspace.acquire(lease, note),
                acquired -> acquired.fold(
                        yes -> await(
                                files.writeDown(lease),
                                written -> await(
                                        lockspace.release(lease),
                                        released -> released(
                                                lease,
                                                released,
                                                proof
                                                        + (written
                                                                ? ""
                                                                : "; who freed it could not be noted beside it")))),
                        no -> no.freeIn()
                                .map(in -> UpkeepAnswer.wait(
                                        lease + ": its holder was seen alive meanwhile, or is not proved dead yet", in))
                                .orElseGet(() -> UpkeepAnswer.refused(
                                        lease + " is held by a host that is alive: " + no.hostName())),
                        unknown -> UpkeepAnswer.cannotTell(lease + ": " + unknown.why())));
    }

    private static UpkeepAnswer released(LeaseName lease, ReleaseResult released, String proof) {
        if (released instanceof ReleaseResult.Released) {
            return UpkeepAnswer.done(lease + " is free: " + proof);
        }
        return released instanceof ReleaseResult.NotOurs notOurs
                ? UpkeepAnswer.cannotTell(lease + " was taken, and lost before it was given back: " + notOurs.why())
                : UpkeepAnswer.cannotTell(lease + " was taken and is not given back yet; the agent tries on: "
                        + ((ReleaseResult.CannotTell) released).why());
    }

    // ---- remove

    /**
     * Removes the file of a lease that nobody holds and nobody has used for a while.
     *
     * @param unusedFor since its last write by any host
     */
    public UpkeepAnswer remove(Operator operator, LeaseName lease, Duration unusedFor) {
        return inspected(lease, (found, view) -> remove(operator, found, unusedFor));
    }

    private UpkeepAnswer remove(Operator operator, ResourceInspection lease, Duration unusedFor) {
        if (lease.state() != State.FREE || !lease.findings().isEmpty()) {
            return UpkeepAnswer.refused(damage(lease).orElse(lease.file() + " is in use: " + user(lease)));
        }
        long unusedSeconds = clock.wallSeconds() - lease.modifiedEpochSeconds();
        if (unusedSeconds < unusedFor.toSeconds()) {
            return UpkeepAnswer.refused(lease.file() + " was used " + Math.max(0, unusedSeconds) + " s ago");
        }
        String proof = "free and not written for " + unusedSeconds + " s";
        LeaseName name = new LeaseName(lease.file());
        return written(
                line("remove", operator, lease, proof),
                () -> await(files.remove(name), result -> {
                    if (result instanceof RemoveResult.Removed) {
                        return UpkeepAnswer.done(name + " is removed");
                    }
                    return result instanceof RemoveResult.Refused no
                            ? UpkeepAnswer.refused(name + " is left as it is: " + no.why())
                            : UpkeepAnswer.cannotTell(name + ": " + ((RemoveResult.CannotTell) result).why());
                }));
    }

    // ---- both

    private interface Deed {
        UpkeepAnswer of(ResourceInspection lease, LockspaceView view);
    }

    private UpkeepAnswer inspected(LeaseName lease, Deed deed) {
        LockspaceView view = lockspace.view();
        if (!lockspace.member()) {
            return UpkeepAnswer.cannotTell("this host is not a member of the lockspace now: " + view.detail());
        }
        try {
            DirectoryInspection found = inspector.inspect(lease, Depth.EVERY_BLOCK);
            if (found.resources().isEmpty()) {
                return found.lockspaces().isEmpty()
                        ? UpkeepAnswer.nothingToDo(lease + ": there is no such lease")
                        : UpkeepAnswer.refused(lease + " is a lockspace, not a lease");
            }
            ResourceInspection resource = found.resources().get(0);
            boolean ours = resource.leader()
                    .map(leader -> leader.lockspace().equals(view.name().value()))
                    .orElse(true);
            return ours
                    ? deed.of(resource, view)
                    : UpkeepAnswer.refused(lease + " does not belong to lockspace " + view.name());
        } catch (IOException e) {
            return UpkeepAnswer.cannotTell(String.valueOf(e.getMessage()));
        }
    }

    /** What keeps everybody from taking it. That the lockspace was made anew is a matter of its holder, which is judged by itself. */
    private static Optional<String> damage(ResourceInspection lease) {
        return lease.findings().stream()
                .filter(finding -> finding.fault() != LeaseFault.OWNER_LIVE)
                .findFirst()
                .map(Finding::sentence)
                .or(() -> lease.state() == State.CLEARED
                        ? Optional.of(lease.file() + " was removed on purpose and holds no lease")
                        : Optional.empty());
    }

    private static boolean isSelf(Owner owner, LockspaceView view) {
        return view.owner().filter(owner::equals).isPresent();
    }

    private static String user(ResourceInspection lease) {
        return lease.note()
                .map(note -> "for domain " + note.domainName() + ", " + note.disk())
                .orElse("for a user that did not say who it is");
    }

    private Map<String, String> line(String deed, Operator operator, ResourceInspection lease, String proof) {
        Map<String, String> line = new LinkedHashMap<>();
        line.put("deed", deed);
        line.put("lease", lease.file());
        line.put("operator", operator.user());
        line.put("on_behalf_of", operator.onBehalfOf());
        line.put("host", nodeName);
        lease.owner().ifPresent(owner -> line.put("owner", owner.owner() + " " + owner.hostName()));
        lease.note().ifPresent(note -> line.put("user", note.domainName() + " " + note.disk()));
        line.put("proof", proof);
        return line;
    }

    private interface Step {
        UpkeepAnswer run();
    }

    /** Nothing is done that could not be written down before; how it ended is written after. */
    private UpkeepAnswer written(Map<String, String> line, Step step) {
        try {
            line.put("outcome", "begun");
            audit.append(line);
            UpkeepAnswer answer = step.run();
            line.put("outcome", answer.outcome().name().toLowerCase(Locale.ROOT));
            line.put("message", answer.message());
            audit.append(line);
            return answer;
        } catch (IOException e) {
            return UpkeepAnswer.cannotTell(String.valueOf(e.getMessage()));
        }
    }

    private static <T> UpkeepAnswer await(CompletableFuture<T> future, Function<T, UpkeepAnswer> then) {
        try {
            return then.apply(future.get(LIMIT.toSeconds(), TimeUnit.SECONDS));
        } catch (TimeoutException e) {
            future.cancel(false);
            return UpkeepAnswer.cannotTell("the lease directory does not answer");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return UpkeepAnswer.cannotTell("the agent is stopping");
        } catch (ExecutionException e) {
            throw new IllegalStateException("the engine's answers never fail", e);
        }
    }
}
