/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.agent.process.FileKey;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.ImageFiles;
import io.vmguard.agent.process.OpenFiles;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Image files by their paths, and which of them each process has open. Any thread. */
public final class FakeImages implements ImageFiles {
    private final Map<String, FileKey> keys = new HashMap<>();
    private final Map<Integer, Set<String>> open = new HashMap<>();
    private boolean silent;

    /** This process has these open from now on, and nothing else. */
    public synchronized void open(int pid, String... paths) {
        open.put(pid, Set.of(paths));
    }

    /** From now on nothing can be told, or can again. */
    public synchronized void silent(boolean nowSilent) {
        silent = nowSilent;
    }

    private FileKey key(String path) {
        return keys.computeIfAbsent(path, p -> new FileKey(false, 1, keys.size() + 1L));
    }

    @Override
    public synchronized Map<String, FileKey> identify(Collection<String> paths) {
        Map<String, FileKey> found = new HashMap<>();
        if (!silent) {
            paths.forEach(path -> found.put(path, key(path)));
        }
        return found;
    }

    @Override
    public synchronized Optional<OpenFiles> openBy(GuardedProcess process) {
        if (silent || process.isGone()) {
            return Optional.empty();
        }
        Set<FileKey> files = new HashSet<>();
        open.getOrDefault(process.pid(), Set.of()).forEach(path -> files.add(key(path)));
        return Optional.of(new OpenFiles(files, files));
    }
}
