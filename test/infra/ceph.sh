#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test-ceph: a real Ceph cluster of one node for tests, in a container of the image vmguard-testhost.
#
#   test-ceph up       start a monitor, a manager and one OSD, with cephx and the pool rbd; write ceph.conf and the
#                      keyrings to CEPH_OUT and print "test-ceph: ready"; then stay until the container is stopped
#   test-ceph secret   in a test host with CEPH_OUT at /etc/ceph: define the libvirt secret that test-domain names
#
# Settings, from the environment:
#   CEPH_OUT=/etc/ceph         directory, shared with the other containers, for ceph.conf and the keyrings
#   CEPH_MON_V2_PORT=3300      ports of the monitor on 127.0.0.1, of its two protocols
#   CEPH_MON_V1_PORT=3301
#   CEPH_OSD_PORTS=6900-6999   where the OSD and the manager find theirs
#   CEPH_STORE=bluestore       or memstore, which keeps all data in memory
#   CEPH_STORE_MIB=2048        size of the store (a sparse file)
#   CEPH_FS=NAME               also a metadata server, and a CephFS of this name; not made if empty
set -euo pipefail

out=${CEPH_OUT:-/etc/ceph}
v2_port=${CEPH_MON_V2_PORT:-3300}
v1_port=${CEPH_MON_V1_PORT:-3301}
osd_ports=${CEPH_OSD_PORTS:-6900-6999}
store=${CEPH_STORE:-bluestore}
store_mib=${CEPH_STORE_MIB:-2048}
fs=${CEPH_FS:-}

# The user that QEMU logs in as, and the libvirt secret with its key.
rbd_user=libvirt
rbd_secret=6d9c5f0e-6a5b-4c39-9d4a-6f1f5b0c7a01

ready_seconds=90
data=/var/lib/ceph
pids=()

fail() { printf 'test-ceph: %s\n' "$*" >&2; exit 1; }

stop() {
    trap - EXIT
    if [ ${#pids[@]} -gt 0 ]; then kill -9 "${pids[@]}" 2>/dev/null || true; fi
}

# A daemon's messages go to a file of its own; the end of it is shown should the daemon die.
start() {
    local name=$1
    shift
    "$@" --foreground --setuser root --setgroup root >"/var/log/ceph/$name.out" 2>&1 &
    pids+=($!)
}

# until_ok COMMAND...: wait until it succeeds, while all daemons live.
until_ok() {
    local deadline=$((SECONDS + ready_seconds)) pid
    until "$@" >/dev/null 2>/var/log/ceph/wait.err; do
        for pid in "${pids[@]}"; do
            kill -0 "$pid" 2>/dev/null || fail "a daemon died: $(tail -n 5 /var/log/ceph/*.out)"
        done
        if [ "$SECONDS" -ge "$deadline" ]; then
            fail "gave up waiting for: $*: $(cat /var/log/ceph/wait.err) $(tail -n 5 /var/log/ceph/*.out)"
        fi
        sleep 0.2
    done
}

fs_is_active() { ceph --connect-timeout 5 mds stat | grep -q '=up:active'; }
pool_is_clean() { ceph --connect-timeout 5 pg stat | grep -Eq '^[1-9][0-9]* pgs: [0-9]+ active\+clean;'; }

write_config() {
    cat >"$out/ceph.conf" <<C
[global]
fsid = $fsid
mon_initial_members = a
mon_host = [v2:127.0.0.1:$v2_port,v1:127.0.0.1:$v1_port]
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
ms_bind_port_min = ${osd_ports%-*}
ms_bind_port_max = ${osd_ports#*-}

# One OSD holds one copy; none of that is worth a warning.
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_warn_on_pool_no_redundancy = false
mon_allow_pool_size_one = true
mon_data_avail_warn = 1
mon_data_avail_crit = 0

# Daemons of this one machine
osd_objectstore = $store
memstore_device_bytes = $((store_mib * 1024 * 1024))
bluestore_block_size = $((store_mib * 1024 * 1024))
bluestore_cache_autotune = false
bluestore_cache_size = 134217728
osd_memory_target = 939524096
osd_op_num_shards = 2
mgr_initial_modules =
mgr_standby_modules = false
mds_cache_memory_limit = 67108864

[client]
# No admin sockets in /var/run and no log file: clients are QEMU processes.
admin_socket =
log_file =
C
}

up() {
    local fsid
    case $store in bluestore | memstore) ;; *) fail "CEPH_STORE must be bluestore or memstore, not $store" ;; esac
    # A container that is started again gets a new cluster.
    rm -rf "$data/mon" "$data/mgr" "$data/osd" "$data/mds"
    mkdir -p "$out" /var/run/ceph /var/log/ceph "$data/mon/ceph-a" "$data/mgr/ceph-a" "$data/osd/ceph-0" "$data/mds/ceph-a"
    fsid=$(cat /proc/sys/kernel/random/uuid)
    rm -f "$out/ready"
    write_config
    # The daemons and ceph itself read the same files as the clients do.
    if [ "$out" != /etc/ceph ]; then
        mkdir -p /etc/ceph
        ln -sfn "$out/ceph.conf" /etc/ceph/ceph.conf
        ln -sfn "$out/ceph.client.admin.keyring" /etc/ceph/ceph.client.admin.keyring
    fi
    trap stop EXIT
    trap 'exit 0' TERM INT RTMIN+3

    local admin=$out/ceph.client.admin.keyring bootstrap=$data/bootstrap.keyring
    rm -f "$admin" "$bootstrap"
    ceph-authtool -C "$admin" --gen-key -n client.admin \
        --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' --cap mds 'allow *' >/dev/null
    ceph-authtool -C "$bootstrap" --gen-key -n mon. --cap mon 'allow *' >/dev/null
    ceph-authtool -C "$data/mgr/ceph-a/keyring" --gen-key -n mgr.a \
        --cap mon 'allow profile mgr' --cap osd 'allow *' --cap mds 'allow *' >/dev/null
    ceph-authtool -C "$data/osd/ceph-0/keyring" --gen-key -n osd.0 \
        --cap mon 'allow profile osd' --cap mgr 'allow profile osd' --cap osd 'allow *' >/dev/null
    local keyring
    for keyring in "$admin" "$data/mgr/ceph-a/keyring" "$data/osd/ceph-0/keyring"; do
        ceph-authtool "$bootstrap" --import-keyring "$keyring" >/dev/null
    done
    # The keys are worth nothing outside of the test, and QEMU does not run as root.
    chmod 644 "$admin"

    monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$v2_port,v1:127.0.0.1:$v1_port]" \
        --enable-all-features --clobber "$data/monmap" >/dev/null
    ceph-mon --mkfs -i a --monmap "$data/monmap" --keyring "$bootstrap" --setuser root --setgroup root \
        >/var/log/ceph/mon-mkfs.out 2>&1 || fail "mon mkfs: $(tail -n 5 /var/log/ceph/mon-mkfs.out)"
    start mon ceph-mon -i a
    until_ok ceph --connect-timeout 5 mon stat

    ceph osd new "$(cat /proc/sys/kernel/random/uuid)" 0 >/dev/null 2>&1 ||
        fail "osd new failed"
    local osd_uuid
    osd_uuid=$(ceph osd dump --format json | python3 -c 'import json,sys; print(json.load(sys.stdin)["osds"][0]["uuid"])')
    ceph-osd -i 0 --mkfs --osd-uuid "$osd_uuid" --setuser root --setgroup root >/var/log/ceph/osd-mkfs.out 2>&1 ||
        fail "osd mkfs: $(tail -n 5 /var/log/ceph/osd-mkfs.out)"
    start osd ceph-osd -i 0
    start mgr ceph-mgr -i a

    ceph osd pool create rbd 8 8 >/dev/null 2>&1 || fail "pool create failed"
    until_ok pool_is_clean
    rbd pool init rbd
    ceph auth get-or-create "client.$rbd_user" mon 'profile rbd' osd 'profile rbd pool=rbd' mgr 'profile rbd pool=rbd' \
        >"$out/ceph.client.$rbd_user.keyring"
    if [ -n "$fs" ]; then
        ceph auth get-or-create mds.a mon 'profile mds' mgr 'profile mds' mds 'allow *' osd 'allow *' >"$data/mds/ceph-a/keyring"
        start mds ceph-mds -i a
        ceph osd pool create fs-meta 8 8 >/dev/null 2>&1 || fail "pool create failed"
        ceph osd pool create fs-data 8 8 >/dev/null 2>&1 || fail "pool create failed"
        ceph fs new "$fs" fs-meta fs-data >/dev/null 2>&1 || fail "fs new failed"
        until_ok fs_is_active
    fi
    touch "$out/ready"
    echo "test-ceph: ready after $SECONDS s, monitor on 127.0.0.1:$v2_port (v2) and $v1_port (v1), $store"

    # The first daemon to end takes the cluster with it: a test is not to go on with half a cluster.
    wait -n "${pids[@]}" || true
    fail "a daemon ended: $(tail -n 5 /var/log/ceph/*.out)"
}

secret() {
    virsh -q secret-define /dev/stdin <<X
<secret ephemeral='no' private='no'>
  <uuid>$rbd_secret</uuid>
  <usage type='ceph'><name>client.$rbd_user</name></usage>
</secret>
X
    # virsh wants the key in base64, which is how Ceph prints it.
    local key
    key=$(mktemp)
    sed -n 's/^[[:space:]]*key = //p' "$out/ceph.client.$rbd_user.keyring" >"$key"
    virsh -q secret-set-value "$rbd_secret" --file "$key"
    rm -f "$key"
}

case ${1:-} in
    up) up ;;
    secret) secret ;;
    *) sed -n '2,/^set /{/^#/p}' "$0" >&2; exit 2 ;;
esac
