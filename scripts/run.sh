#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh: try vmguard on this machine without installing it. Runs the agent that `mvn package` has built in the
# foreground, with leases in a directory of its own and the hook in libvirt's directory; starts libvirtd if none runs.
# Ctrl-C undoes all of it. Domains that run by then go on running.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "run: needs root, or sudo" >&2; exit 1; }
    exec sudo env ${JAVA_HOME:+"JAVA_HOME=$JAVA_HOME"} "$root/scripts/run.sh" "$@"
fi
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

hook_dir=/etc/libvirt/hooks/qemu.d
hook=$hook_dir/50-vmguard
mark="vmguard's hook for libvirt's QEMU driver"
runtime=/run/vmguard
socket=$runtime/agent.sock
# Joining a lockspace for the first time takes the protocol's own waits.
ready_limit_s=180
libvirt_limit_s=90
stop_limit_s=25

say() { printf 'run: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# What is to be undone; each is set when it is done.
work=''
agent=''
listener=''
hook_placed=''
made_hook_dir=''
made_runtime=''
started_units=''
started_libvirtd=''
started_virtlogd=''

# Looks every 0.2 s whether "$@" is true, for at most $1 seconds.
await() {
    left=$(($1 * 5))
    shift
    until "$@"; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 0.2
    done
}

gone() { ! kill -0 "$1" 2>/dev/null; }
pid_of() { # DAEMON: prints its pid, if its pid file names a process of that name
    pid=$(cat "/run/$1.pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] && echo "$pid"
}
systemd_runs() { [ -d /run/systemd/system ]; }
libvirt_answers() { timeout 10 virsh -q -c qemu:///system uri >/dev/null 2>&1; }
agent_answers() { printf 'GET /v1/status HTTP/1.0\r\n\r\n' | timeout 5 "$nc" -U "$socket" 2>/dev/null | grep -q '^HTTP/'; }
# shellcheck disable=SC2317 # called by await
agent_is_ready() {
    gone "$agent" && return 0
    # Messages come one after the other without line ends. Another netcat: an answer has to do.
    if [ -n "$listener" ]; then grep -q 'READY=1' "$work/notify.out"; else agent_answers; fi
}

# shellcheck disable=SC2317,SC2329 # called by trap
undo() {
    status=$?
    trap '' INT TERM HUP
    set +e
    echo >&2
    # The hook first: without an agent it refuses every start.
    [ -z "$hook_placed" ] || rm -f "$hook"
    if [ -n "$agent" ] && ! gone "$agent"; then
        say "stopping the agent"
        kill -TERM "$agent"
        await "$stop_limit_s" gone "$agent" || kill -KILL "$agent"
    fi
    if [ -n "$listener" ]; then kill "$listener" 2>/dev/null; fi
    running=
    if [ -n "$work" ]; then running=$(grep -ls "$work/" /run/libvirt/qemu/*.xml); fi
    if [ -n "$started_units" ]; then
        say "stopping what was started: $started_units"
        # shellcheck disable=SC2086 # a list of units
        systemctl stop $started_units
    fi
    for pid in $started_libvirtd $started_virtlogd; do
        # virtlogd keeps the logs of running domains.
        if [ "$pid" = "$started_virtlogd" ] && [ -n "$running" ]; then continue; fi
        kill -TERM "$pid" && await "$stop_limit_s" gone "$pid"
    done
    [ -z "$made_hook_dir" ] || rmdir "$hook_dir" 2>/dev/null
    [ -z "$made_runtime" ] || rm -rf "$runtime"
    if [ -n "$running" ]; then
        say "domains still run from $work, which is therefore kept:"
        for file in $running; do
            name=${file##*/}
            say "    virsh -c qemu:///system destroy ${name%.xml}"
        done
    elif [ -n "$work" ]; then
        rm -rf "$work"
    fi
    exit "$status"
}

# --- May it run here?

nc=''
for client in nc.openbsd ncat nc; do
    if [ -z "$nc" ] && command -v "$client" >/dev/null; then nc=$client; fi
done
set -- "$root"/agent/target/vmguard-agent-*.jar
if [ -z "$nc" ] || ! command -v virsh >/dev/null; then fail "run scripts/install-deps.sh run first"; fi
[ -e "$1" ] || fail "not built: run mvn -DskipTests package"
if systemd_runs && systemctl --quiet is-active vmguard.service; then
    fail "the installed vmguard.service runs: systemctl stop vmguard first"
fi
if [ -S "$socket" ] && agent_answers; then fail "an agent answers on $socket already"; fi
if [ -e "$hook" ]; then
    grep -q "$mark" "$hook" || fail "$hook is not vmguard's: move it away first"
    # Either of an installed package, whose hook it stays, or left by a run that could not clean up.
    if ! dpkg -S /usr/share/vmguard/qemu-hook >/dev/null 2>&1; then hook_placed=1; fi
fi

trap undo EXIT
# The usual way to end it, so no failure.
trap 'exit 0' INT
trap 'exit 143' TERM HUP

# --- The agent

# QEMU's user must reach the disks; the leases are nobody else's business.
work=$(mktemp -d /var/tmp/vmguard-run.XXXXXX)
chmod 0711 "$work"
mkdir -m 0700 "$work/leases" "$work/state" "$work/native"
mkdir -m 0755 "$work/disks" "$work/lib"
ln -s "$root"/agent/target/vmguard-agent-*.jar "$root"/agent/target/lib/*.jar "$work/lib/"
jar=${JAVA_HOME:+$JAVA_HOME/bin/}jar
command -v "$jar" >/dev/null || jar=$(dirname "$(readlink -f "$(command -v javac)")")/jar
# shellcheck disable=SC2046 # a list of entries
(cd "$work/native" && "$jar" xf "$work"/lib/jna-[0-9]*.jar $("$jar" tf "$work"/lib/jna-[0-9]*.jar | grep '/linux-.*\.so$'))
cat >"$work/vmguard.yaml" <<Y
# As installed, but for the directories.
lease_dir: $work/leases
state_dir: $work/state
Y
cat >"$work/vmguard" <<S
#!/bin/sh
export VMGUARD_LIB='$work/lib' VMGUARD_JNA='$work/native/com/sun/jna'
exec '$root/packaging/common/vmguard' "\$@"
S
chmod 0755 "$work/vmguard"
if [ ! -d "$runtime" ]; then
    mkdir -m 0750 "$runtime"
    made_runtime=1
fi

# The agent says when it is ready as it would say to systemd. (-k keeps netcat from connecting to the first sender.)
: >"$work/notify.out"
if [ "$nc" = nc.openbsd ]; then
    "$nc" -dkluU "$work/notify" >"$work/notify.out" 2>/dev/null &
    listener=$!
    await 5 test -S "$work/notify" || fail "$nc cannot listen on a Unix socket"
fi

say "starting the agent; the first join of a lockspace takes a while"
NOTIFY_SOCKET=$work/notify "$work/vmguard" agent --config "$work/vmguard.yaml" &
agent=$!
await "$ready_limit_s" agent_is_ready || fail "the agent was not ready within $ready_limit_s s"
if gone "$agent"; then
    if wait "$agent"; then status=1; else status=$?; fi
    say "the agent has ended"
    exit "$status"
fi

# --- The hook, then libvirt

if [ ! -d "$hook_dir" ]; then
    mkdir -p "$hook_dir"
    made_hook_dir=1
fi
if [ -n "$hook_placed" ] || [ ! -e "$hook" ]; then
    # By rename: libvirt must not find it half written.
    install -m 0755 "$root/libvirt-hooks/qemu" /etc/libvirt/hooks/.vmguard.new
    mv -f /etc/libvirt/hooks/.vmguard.new "$hook"
    hook_placed=1
fi

# Not whether it answers: a daemon that looks at its emulators may take long to do so.
libvirt_runs() {
    for daemon in libvirtd virtqemud; do
        if systemd_runs; then
            if systemctl --quiet is-active "$daemon.service"; then return 0; fi
        elif pid_of "$daemon" >/dev/null; then
            return 0
        fi
    done
    # Or there is a socket that starts it.
    libvirt_answers
}

# A daemon that has found no hook when it started looks for none until it gets SIGHUP.
reload_libvirt() {
    for daemon in libvirtd virtqemud; do
        if systemd_runs; then
            if systemctl --quiet is-active "$daemon.service"; then systemctl reload "$daemon.service"; fi
        elif pid=$(pid_of "$daemon"); then
            kill -HUP "$pid"
        fi
    done
}

start_libvirt() {
    say "starting libvirtd"
    if [ "$(stat -c '%a %U:%G' /dev/kvm 2>/dev/null)" = '600 root:root' ]; then
        say "/dev/kvm is for root only, so libvirt may look at QEMU for up to 40 s before each start. Where KVM works:"
        say "    chgrp kvm /dev/kvm; chmod 660 /dev/kvm"
    fi
    if systemd_runs; then
        # The daemon brings its sockets along; only what did not run before is stopped again.
        units=
        for unit in libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket; do
            systemctl --quiet is-active "$unit" || units="$units $unit"
        done
        started_units=$units
        systemctl start libvirtd.service
    else
        if ! pid_of virtlogd >/dev/null; then
            virtlogd -d
            await 10 pid_of virtlogd >/dev/null || fail "virtlogd does not start"
            started_virtlogd=$(pid_of virtlogd)
        fi
        libvirtd -d
        await 10 pid_of libvirtd >/dev/null || fail "libvirtd does not start"
        started_libvirtd=$(pid_of libvirtd)
    fi
}

if libvirt_runs; then reload_libvirt; else start_libvirt; fi
await "$libvirt_limit_s" libvirt_answers || fail "libvirt does not answer"

# --- Something to try

type=qemu
if timeout 30 virsh -q -c qemu:///system domcapabilities --virttype kvm >/dev/null 2>&1; then type=kvm; fi
machine=
case $(uname -m) in aarch64) machine=" machine='virt'" ;; esac
truncate -s 64M "$work/disks/demo.img"
for name in demo1 demo2; do
    cat >"$work/$name.xml" <<X
<domain type='$type'>
  <name>$name</name>
  <memory unit='MiB'>64</memory>
  <os><type$machine>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='$work/disks/demo.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
X
done
chmod 0644 "$work"/demo?.xml

cat >&2 <<T

vmguard guards this host's domains. In another terminal, as root:

    virsh -c qemu:///system create $work/demo1.xml
    virsh -c qemu:///system create $work/demo2.xml      # the same disk: refused
    $work/vmguard status
    virsh -c qemu:///system destroy demo1

Ctrl-C ends it and leaves the host as it was.

T
# In a condition, so that an agent that fails does not end the script before its status is known.
if wait "$agent"; then status=0; else status=$?; fi
say "the agent has ended with status $status"
exit "$status"
