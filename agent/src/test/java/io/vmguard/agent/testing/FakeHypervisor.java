/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.agent.hypervisor.ActiveDomain;
import io.vmguard.agent.hypervisor.ChangeResult;
import io.vmguard.agent.hypervisor.ConnectionState;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.hypervisor.ListResult;
import io.vmguard.agent.hypervisor.LiveDevices;
import io.vmguard.agent.hypervisor.StartResult;
import io.vmguard.agent.hypervisor.SuspendResult;
import io.vmguard.agent.hypervisor.VolumeResult;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** A libvirt whose active domains and answers are set by the test. Any thread. */
public final class FakeHypervisor implements Hypervisor {
    private final Map<UUID, ActiveDomain> active = new LinkedHashMap<>();
    private final List<UUID> destroys = new ArrayList<>();
    private Function<UUID, KillResult> onDestroy = uuid -> new KillResult.Destroyed();
    private final List<UUID> suspends = new ArrayList<>();
    private final List<UUID> starts = new ArrayList<>();
    private Function<UUID, SuspendResult> onSuspend = uuid -> new SuspendResult.Suspended();
    private BiFunction<UUID, Optional<byte[]>, StartResult> onStart =
            (uuid, xml) -> new StartResult.Failed("no starts here");
    private LiveDevices devices = new Obedient();
    private final List<String> changes = new ArrayList<>();
    private boolean silent;
    private boolean listsHang;

    @Nullable
    private List<ActiveDomain> listed;

    private int lists;

    @Nullable
    private RuntimeException bug;

    /** This domain is active from now on, with this live XML. */
    public synchronized void activate(UUID uuid, String name, String xml) {
        active.put(uuid, new ActiveDomain(uuid, name, active.size() + 1, xml.getBytes(StandardCharsets.UTF_8)));
    }

    /** This domain is inactive from now on. */
    public synchronized void deactivate(UUID uuid) {
        active.remove(uuid);
    }

    /** From now on lists cannot tell, or can again. */
    public synchronized void silent(boolean nowSilent) {
        silent = nowSilent;
    }

    /** From now on lists do not come, as while a hook of any domain is being answered, and single domains can be asked for; or they come again. */
    public synchronized void listsHang(boolean nowHanging) {
        listsHang = nowHanging;
    }

    /** From now on lists show what is active at this moment, as those that were begun by now may. */
    public synchronized void listsAreLate() {
        listed = List.copyOf(active.values());
    }

    /** The next list throws this. */
    public synchronized void failOnce(RuntimeException exception) {
        bug = exception;
    }

    /** What a destroy does and answers; until told otherwise nothing, and that it is done. */
    public synchronized void onDestroy(Function<UUID, KillResult> answer) {
        onDestroy = answer;
    }

    /** What a pause does and answers; until told otherwise nothing, and that it is done. */
    public synchronized void onSuspend(Function<UUID, SuspendResult> answer) {
        onSuspend = answer;
    }

    /** What a start does and answers; until told otherwise that it fails. */
    public synchronized void onStart(BiFunction<UUID, Optional<byte[]>, StartResult> answer) {
        onStart = answer;
    }

    /** Domains that were to be paused, in order. */
    public synchronized List<UUID> suspends() {
        return List.copyOf(suspends);
    }

    /** Domains that were to be started, in order. */
    public synchronized List<UUID> starts() {
        return List.copyOf(starts);
    }

    /** Domains that were to be destroyed, in order. */
    public synchronized List<UUID> destroys() {
        return List.copyOf(destroys);
    }

    /** Lists so far. */
    public synchronized int lists() {
        return lists;
    }

    @Override
    public void start(Listener listener) {}

    @Override
    public synchronized ConnectionState state() {
        return silent
                ? new ConnectionState(false, "nobody listens at test:///default")
                : new ConnectionState(true, "test:///default");
    }

    @Override
    public synchronized ListResult listActive(Duration limit) {
        lists++;
        RuntimeException exception = bug;
        if (exception != null) {
            bug = null;
            throw exception;
        }
        return silent || listsHang
                ? new ListResult.CannotTell("libvirt does not answer")
                : new ListResult.Listed(listed != null ? listed : List.copyOf(active.values()));
    }

    @Override
    public synchronized ListResult active(UUID domain, Duration limit) {
        return silent
                ? new ListResult.CannotTell("libvirt does not answer")
                : new ListResult.Listed(
                        Optional.ofNullable(active.get(domain)).stream().toList());
    }

    @Override
    public KillResult destroy(UUID domain, Duration limit) {
        Function<UUID, KillResult> answer;
        synchronized (this) {
            destroys.add(domain);
            answer = onDestroy;
        }
        return answer.apply(domain);
    }

    @Override
    public SuspendResult suspend(UUID domain, Duration limit) {
        Function<UUID, SuspendResult> answer;
        synchronized (this) {
            suspends.add(domain);
            answer = onSuspend;
        }
        return answer.apply(domain);
    }

    @Override
    public StartResult start(UUID domain, Optional<byte[]> xml, Duration limit) {
        BiFunction<UUID, Optional<byte[]>, StartResult> answer;
        synchronized (this) {
            starts.add(domain);
            answer = onStart;
        }
        return answer.apply(domain, xml);
    }

    /** Until told otherwise everything is done as it is asked for, and nothing comes of it. */
    public synchronized void devices(LiveDevices answers) {
        devices = answers;
    }

    /** What was asked for of devices, in order: {@code unplug virtio-disk1}, {@code pause}, … */
    public synchronized List<String> changes() {
        return List.copyOf(changes);
    }

    @Override
    public LiveDevices devices() {
        return new LiveDevices() {
            private LiveDevices noted(String change) {
                synchronized (FakeHypervisor.this) {
                    changes.add(change);
                    return devices;
                }
            }

            @Override
            public ChangeResult pause(UUID domain, Duration limit) {
                return noted("pause").pause(domain, limit);
            }

            @Override
            public ChangeResult resume(UUID domain, Duration limit) {
                return noted("resume").resume(domain, limit);
            }

            @Override
            public ChangeResult unplug(UUID domain, String alias, Duration limit) {
                return noted("unplug " + alias).unplug(domain, alias, limit);
            }

            @Override
            public ChangeResult eject(UUID domain, String target, Duration limit) {
                return noted("eject " + target).eject(domain, target, limit);
            }

            @Override
            public ChangeResult abortJob(UUID domain, String target, Duration limit) {
                return noted("abort " + target).abortJob(domain, target, limit);
            }

            @Override
            public ChangeResult cancelMigration(UUID domain, Duration limit) {
                return noted("cancel").cancelMigration(domain, limit);
            }
        };
    }

    /** Does nothing and says that it is done. */
    public static class Obedient implements LiveDevices {
        @Override
        public ChangeResult pause(UUID domain, Duration limit) {
            return new ChangeResult.Done();
        }

        @Override
        public ChangeResult resume(UUID domain, Duration limit) {
            return new ChangeResult.Done();
        }

        @Override
        public ChangeResult unplug(UUID domain, String alias, Duration limit) {
            return new ChangeResult.Done();
        }

        @Override
        public ChangeResult eject(UUID domain, String target, Duration limit) {
            return new ChangeResult.Done();
        }

        @Override
        public ChangeResult abortJob(UUID domain, String target, Duration limit) {
            return new ChangeResult.Done();
        }

        @Override
        public ChangeResult cancelMigration(UUID domain, Duration limit) {
            return new ChangeResult.Done();
        }
    }

    @Override
    public VolumeResult resolveVolume(String pool, String volume, String mode, Duration limit) {
        return new VolumeResult.CannotTell("there are no pools here");
    }

    @Override
    public void close() {}
}
