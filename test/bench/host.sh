#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# bench-host: what run.sh does inside a test host. Numbers go to stdout, milliseconds unless said otherwise.
#
#   bench-host setup VARIANT IO_TIMEOUT_S   disks and domains below /bench, and the lock manager
#   bench-host cycle DOMAIN                 virsh create and destroy: two numbers
#   bench-host life                         what a domain does while it runs: a number for each of these:
#   bench-host life-steps
#   bench-host memory                       resident memory of vmguard's agent: KiB
#   bench-host agent-start                  vmguard's agent stopped, then started: until hooks are answered, until ready,
#                                           and the first virsh create after that
#   bench-host cli                          java -version; vmguard status, explain, whohas
set -eu
export LC_ALL=C LIBVIRT_DEFAULT_URI=qemu:///system

disks='1 2 3 4 5 6 7 8'
leases=/bench/leases
socket=/run/vmguard/agent.sock

# Of a domain without a guest: SCSI, whose disks leave without one.
life_steps='attach detach snapshot commit pause resume'

fail() {
    printf 'bench-host: %s\n' "$*" >&2
    exit 1
}

setup() { # VARIANT IO_TIMEOUT_S
    local disk eight=()
    chmod 0755 /bench
    for disk in $disks; do
        truncate -s 16M "/bench/disk$disk.img"
        eight+=(--file "/bench/disk$disk.img")
    done
    test-domain one --file /bench/disk1.img >/bench/one.xml
    test-domain eight "${eight[@]}" >/bench/eight.xml
    test-domain life --file /bench/disk1.img --xml "<controller type='scsi' model='virtio-scsi'/>" >/bench/life.xml
    cat >/bench/more.xml <<X
<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/><source file='/bench/disk2.img'/>
  <target dev='sda' bus='scsi'/></disk>
X
    mkdir -m 0700 "$leases"

    case $1 in
        none) ;;
        sanlock)
            cat >/etc/libvirt/qemu-sanlock.conf <<C
auto_disk_leases = 1
host_id = 1
io_timeout = $2
disk_lease_dir = "$leases"
C
            echo 'lock_manager = "sanlock"' >>/etc/libvirt/qemu.conf
            systemctl start sanlock
            ;;
        virtlockd)
            echo 'lock_manager = "lockd"' >>/etc/libvirt/qemu.conf
            systemctl start virtlockd.socket
            ;;
        vmguard)
            mkdir -p /etc/vmguard
            printf 'lease_dir: %s\nio_timeout: %ss\n' "$leases" "$2" >/etc/vmguard/vmguard.yaml
            dpkg --force-confold -i /root/vmguard.deb
            ;;
        *) fail "unknown variant $1" ;;
    esac
    systemctl restart libvirtd
    virsh -q list
}

# Both in one virsh, which is connected before the first begins; -t makes it say how long each took.
cycle() { # DOMAIN
    local said times
    said=$(virsh -q -t "connect; create /bench/$1.xml; destroy $1") || fail "virsh: $said"
    times=$(sed -n 's/.*(Time: \([0-9.]*\) ms).*/\1/p' <<<"$said")
    # Without that of connect.
    read -r -d '' _ create destroy more <<<"$times" || [ -n "$destroy" ] || fail "virsh: $said"
    [ -z "$more" ] || fail "virsh: $said"
    printf '%s %s\n' "$create" "$destroy"
}

# As many numbers as steps: of the snapshot what it takes to go on in an overlay, of the commit what it takes until the
# domain is back on its disk, which has not changed meanwhile.
life() {
    local said times
    rm -f /bench/overlay.qcow2
    said=$(virsh -q -t "connect; create /bench/life.xml; attach-device life /bench/more.xml;
        detach-device life /bench/more.xml;
        snapshot-create-as life s --disk-only --no-metadata --diskspec vda,file=/bench/overlay.qcow2;
        blockcommit life vda --active --pivot --wait; suspend life; resume life; destroy life") || fail "virsh: $said"
    times=$(sed -n 's/.*(Time: \([0-9.]*\) ms).*/\1/p' <<<"$said")
    # shellcheck disable=SC2086 # one number a line
    set -- $times
    [ $# -eq 9 ] || fail "virsh: $said"
    printf '%s %s %s %s %s %s\n' "$3" "$4" "$5" "$6" "$7" "$8"
}

memory() {
    awk '$1 == "VmRSS:" { print $2 }' "/proc/$(systemctl show -p MainPID --value vmguard)/status"
}

now_us() { printf '%s' "${EPOCHREALTIME/./}"; }
ms() { printf '%s.%03d' $(($1 / 1000)) $(($1 % 1000)); }

agent_start() {
    local begin_us answered_us ready_us tries=2000 times
    systemctl stop vmguard
    [ ! -e "$socket" ] || fail "$socket is still there"
    begin_us=$(now_us)
    systemctl start vmguard &
    until [ -S "$socket" ] && curl -fs -m 5 -o /dev/null --unix-socket "$socket" http://vmguard/v1/status; do
        [ $((tries -= 1)) -gt 0 ] || fail "nothing answers on $socket"
        sleep 0.005
    done
    answered_us=$(now_us)
    wait "$!"
    ready_us=$(now_us)
    times=$(cycle one)
    printf '%s %s %s\n' "$(ms $((answered_us - begin_us)))" "$(ms $((ready_us - begin_us)))" "${times% *}"
    # Until the lease is given back: the next stop is to be one without leases.
    tries=100
    until vmguard status | grep -q '^domains: none'; do
        [ $((tries -= 1)) -gt 0 ] || fail "the lease of a domain that is gone stays"
        sleep 0.1
    done
}

# milliseconds COMMAND...: how long it takes.
milliseconds() {
    local begin_us
    begin_us=$(now_us)
    "$@" >/dev/null 2>&1 || fail "$*"
    ms $(($(now_us) - begin_us))
}

# Beside a JVM that does nothing.
cli() {
    local java status explain whohas
    java=$(milliseconds java -version)
    status=$(milliseconds vmguard status)
    explain=$(milliseconds vmguard explain /bench/one.xml)
    whohas=$(milliseconds vmguard whohas /bench/disk1.img)
    printf '%s %s %s %s\n' "$java" "$status" "$explain" "$whohas"
}

case ${1-} in
    setup) setup "$2" "$3" ;;
    cycle) cycle "$2" ;;
    life) life ;;
    life-steps) echo "$life_steps" ;;
    memory) memory ;;
    agent-start) agent_start ;;
    cli) cli ;;
    *) fail "unknown command ${1-}" ;;
esac
