#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# docker-up.sh: make sure that a Docker engine answers. Usage:  eval "$(test/infra/docker-up.sh)"
#
# Where an engine already answers this does nothing. Otherwise it starts one: through systemd where that runs, else
# dockerd itself, in the background, in a session of its own so that it outlives this script.
# stdout: `export` lines that Testcontainers needs with an engine started that way; messages go to stderr.
set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
state=${VMGUARD_TEST_STATE:-/var/lib/vmguard-test}
pid_file=$state/dockerd.pid
log=$state/dockerd.log
start_seconds=40

say() { printf 'docker-up: %s\n' "$*" >&2; }

# Such a machine has neither a registry to take the Ryuk image from nor, in general, a bridge: all containers use the
# host's network or none, so ports are found on the loopback address.
print_environment() {
    echo 'export TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1'
    echo 'export TESTCONTAINERS_CHECKS_DISABLE=true'
    echo 'export TESTCONTAINERS_RYUK_DISABLED=true'
}

running_dockerd() {
    pid=$(cat "$pid_file" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]
}

if docker info >/dev/null 2>&1; then
    if running_dockerd; then print_environment; fi
    exit 0
fi

as_root=
if [ "$(id -u)" -eq 0 ]; then
    root() { "$@"; }
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
    root() { sudo "$@"; }
    if sudo docker info >/dev/null 2>&1; then
        say "an engine runs, but $(id -un) may not use it: sudo usermod -aG docker $(id -un), then log in again"
        exit 1
    fi
else
    say "no Docker engine answers; run this as root, or install sudo"
    exit 1
fi

if [ -d /run/systemd/system ]; then
    say "starting docker.service"
    root systemctl start docker.service
    docker info >/dev/null 2>&1 && exit 0
    say "docker.service runs, but $(id -un) may not use it: sudo usermod -aG docker $(id -un), then log in again"
    exit 1
fi

command -v dockerd >/dev/null 2>&1 || { say "dockerd is not installed: run test/infra/install-deps.sh"; exit 1; }
root mkdir -p "$state"
group=$(id -gn)

# try DRIVER OPTION...: true once the engine answers, false when dockerd gave up or said nothing for too long.
try() {
    driver=$1
    shift
    # A pid file left by a machine that was switched off may name some other process by now, and dockerd would refuse.
    root rm -f "$pid_file"
    # Nothing of the caller's may stay open in the daemon, or whoever reads the caller's output waits for ever.
    # --group lets the calling user speak to the engine without being in the docker group.
    # shellcheck disable=SC2016,SC2086 # expanded by the inner shell; a word or none
    (exec $as_root setsid sh -c 'log=$1; shift; exec "$@" >"$log" 2>&1' sh "$log" \
        dockerd --pidfile "$pid_file" --group "$group" --storage-driver "$driver" "$@") \
        </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
    starter=$!
    tenths=$((start_seconds * 10))
    while [ "$tenths" -gt 0 ]; do
        if docker info >/dev/null 2>&1; then return 0; fi
        kill -0 "$starter" 2>/dev/null || return 1
        sleep 0.1
        tenths=$((tenths - 1))
    done
    if running_dockerd; then
        root kill "$pid"
        tenths=150
        while [ "$tenths" -gt 0 ] && running_dockerd; do
            sleep 0.1
            tenths=$((tenths - 1))
        done
    fi
    return 1
}

for driver in overlay2 fuse-overlayfs vfs; do
    if [ "$driver" = fuse-overlayfs ] && ! command -v fuse-overlayfs >/dev/null 2>&1; then continue; fi
    for network in normal none; do
        # Without the right to change the packet filter only the host's network and none can be had: enough for us.
        if [ "$network" = normal ]; then set --; else set -- --iptables=false --bridge=none --ip-forward=false; fi
        if try "$driver" "$@"; then
            say "started dockerd (pid $(cat "$pid_file"), storage driver $driver, network $network, log $log)"
            print_environment
            exit 0
        fi
        say "dockerd --storage-driver $driver $* failed: $(tail -n 1 "$log" 2>/dev/null)"
    done
done
say "no way to start dockerd works here; see $log"
exit 1
