#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# agent-load.sh: what the packaged agent costs a host with many domains, and how fast they end when their leases are lost.
# One test host (test/infra/README.md) with systemd, libvirtd and the package; 200 domains with 5 disks each, which are
# stand-ins (load-host.py says what they are). Prints memory, CPU time, renewals and pauses, then the time from a loss to
# the last domain's end, by the agent and by the deadman alone. Ends by itself: 11 minutes and those of the load. Root or
# sudo.
#
#   VMGUARD_LOAD_MINUTES   how long domains come and go beside the 200 (default 5)
#   VMGUARD_LOAD_DOMAINS   instead of 200
#   VMGUARD_LOAD_JAVA_OPTS further options for the agent's JVM
#   VMGUARD_LOAD_LOSS      agent, deadman, both (default) or none: who has to end the domains at the end
#   VMGUARD_BENCH_DEB      package to measure instead of what this tree builds
set -eu

minutes=${VMGUARD_LOAD_MINUTES:-5}
domains=${VMGUARD_LOAD_DOMAINS:-200}
loss=${VMGUARD_LOAD_LOSS:-both}

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
infra=$root/test/infra
host=vmguard-load-$$

say() { printf 'load: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

for number in "$minutes" "$domains"; do
    case $number in '' | *[!0-9]*) fail "$number is not a number" ;; esac
done
case $loss in
    both) loss='agent deadman' ;;
    none) loss= ;;
    agent | deadman) ;;
    *) fail "VMGUARD_LOAD_LOSS is $loss; it must be agent, deadman, both or none" ;;
esac

"$infra/install-deps.sh"
deb=${VMGUARD_BENCH_DEB:-}
if [ -z "$deb" ]; then
    make -s --no-print-directory -C "$root" deb >&2
    for deb in "$root"/target/vmguard_*_all.deb; do :; done
fi
[ -r "$deb" ] || fail "no package at $deb"
environment=$("$infra/docker-up.sh")
eval "$environment"
"$infra/build-images.sh" >/dev/null

work=$(mktemp -d)
undo() {
    "$infra/cleanup.sh" "$host" || :
    rm -rf "$work"
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# in_host SECONDS COMMAND...: bounded, since what is measured may hang.
in_host() {
    seconds=$1
    shift
    timeout -k 5 "$seconds" docker exec -e "LOAD_DOMAINS=$domains" -e LOAD_WINDOW -e LOAD_SETTLE -e "LOAD_JAVA_OPTS=${VMGUARD_LOAD_JAVA_OPTS:-}" \
        "$host" "$@" || {
        docker exec "$host" journalctl -b -n 30 --no-pager -u vmguard -u vmguard-deadman >&2 || :
        fail "$* failed"
    }
}

# An anonymous volume: disks and leases on the machine's own file system, and gone with the container.
VMGUARD_TEST_SHARED=$work "$infra/run-host.sh" "$host" -v /bench
docker cp -q "$here/load-host.py" "$host:/usr/local/sbin/load-host"
docker cp -q "$deb" "$host:/root/vmguard.deb"
in_host 60 load-host setup
in_host 180 dpkg --force-confold -i /root/vmguard.deb >&2

printf '%s CPUs; load: the average of the last minute when the line was printed\n\n' "$(nproc)"
in_host $((900 + minutes * 60)) load-host measure "$minutes"
for by in $loss; do in_host 500 load-host lose "$by"; done
