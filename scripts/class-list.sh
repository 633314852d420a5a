#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# class-list.sh: writes packaging/common/classes.list anew, the classes that the archive of classes is made of: those that an
# agent with a domain and the everyday commands load, run here from what `mvn package` has built, with libvirt's own test
# driver. A class that is missing in it is loaded from its jar, one too many is passed over: it need not be exact.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
list=$root/packaging/common/classes.list
work=$(mktemp -d /var/tmp/vmguard-classes.XXXXXX)
agent=''
undo() {
    if [ -n "$agent" ]; then kill "$agent" 2>/dev/null || :; fi
    rm -rf "$work"
}
trap undo EXIT
trap 'exit 130' INT TERM

mkdir "$work/lib" "$work/native" "$work/leases" "$work/run"
ln -s "$root"/agent/target/vmguard-agent-*.jar "$root"/agent/target/lib/*.jar "$work/lib/"
jar=${JAVA_HOME:+$JAVA_HOME/bin/}jar
command -v "$jar" >/dev/null || jar=$(dirname "$(readlink -f "$(command -v javac)")")/jar
(cd "$work/native" && "$jar" xf "$work"/lib/jna-[0-9]*.jar com/sun/jna)
config=$work/vmguard.yaml
cat >"$config" <<Y
lease_dir: $work/leases
state_dir: $work/state
runtime_dir: $work/run
socket: $work/run/agent.sock
libvirt_uri: test:///default
io_timeout: 1s
watchdog: none
Y
truncate -s 1M "$work/disk"
cat >"$work/demo.xml" <<X
<domain type='qemu'><name>demo</name><uuid>11111111-2222-4333-8444-555555555555</uuid><devices>
  <disk type='file' device='disk'><source file='$work/disk'/><target dev='vda' bus='virtio'/></disk>
</devices></domain>
X

export VMGUARD_LIB="$work/lib" VMGUARD_JNA="$work/native/com/sun/jna" VMGUARD_ARCHIVE=/nonexistent
count=0
# As the archive must contain them, with what the JVM itself would have from the runtime's own archive.
vmguard() {
    count=$((count + 1))
    VMGUARD_JAVA_OPTS="-Xshare:off -XX:DumpLoadedClassList=$work/list.$count" "$root/packaging/common/vmguard" "$@"
}
await() {
    left=300
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { echo "class-list: $* fails" >&2; cat "$work/agent.log" >&2; exit 1; }
        sleep 0.2
    done
}
ready() { VMGUARD_JAVA_OPTS='' "$root/packaging/common/vmguard" status --config "$config"; }
# shellcheck disable=SC2317 # called by await
gone() { ! kill -0 "$agent"; }

# Under the journal's configuration of the log, as the service runs. The shell's own child, so that it can be told to stop.
JOURNAL_STREAM=1 VMGUARD_JAVA_OPTS="-Xshare:off -XX:DumpLoadedClassList=$work/list.agent" \
    "$root/packaging/common/vmguard" agent --config "$config" >"$work/agent.log" 2>&1 &
agent=$!
await ready
for operation in prepare release; do
    VMGUARD_SOCKET=$work/run/agent.sock sh "$root/libvirt-hooks/qemu" demo $operation begin - <"$work/demo.xml" || :
done
{
    vmguard --help
    vmguard --version
    vmguard status --config "$config"
    vmguard status --config "$config" --json
    vmguard explain --config "$config" "$work/demo.xml"
    vmguard explain --config "$config" --json --who "$work/demo.xml"
    vmguard whohas --config "$config" "$work/disk"
    vmguard whohas --config "$config" --json "$work/disk"
    vmguard hosts --config "$config"
    vmguard lease list --config "$config"
} >/dev/null
kill "$agent"
await gone
agent=''

# The comments name the JDK and the day.
cat "$work"/list.* | grep -v -e '^#' -e '/lambda-' | LC_ALL=C sort -u >"$list"
wc -l "$list"
