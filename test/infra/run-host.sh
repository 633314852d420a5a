#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run-host.sh NAME [DOCKER_ARGUMENT...]: start the test host NAME, a container with systemd, libvirtd and QEMU, and wait
# until it is up. `docker kill NAME` is its power switch, `docker pause NAME` freezes it, cleanup.sh removes it.
#
#   VMGUARD_TEST_IMAGE    image (default vmguard-testhost:latest; built if missing)
#   VMGUARD_TEST_SHARED   directory of the machine that all hosts see as /shared (default $VMGUARD_TEST_STATE/shared)
#   VMGUARD_TEST_STATE    default /var/lib/vmguard-test
#
# README.md says what each option is for, and gives the same for Testcontainers.
set -eu

name=${1:?usage: run-host.sh NAME [DOCKER_ARGUMENT...]}
shift
here=$(cd "$(dirname "$0")" && pwd)
state=${VMGUARD_TEST_STATE:-/var/lib/vmguard-test}
shared=${VMGUARD_TEST_SHARED:-$state/shared}
image=${VMGUARD_TEST_IMAGE:-vmguard-testhost:latest}

if ! docker image inspect "$image" >/dev/null 2>&1; then "$here/build-images.sh" >&2; fi
# Docker makes a missing directory itself, as root; one that is there is taken as it is.
docker run -d --name "$name" --hostname "$name" --add-host "$name:127.0.0.1" --label io.vmguard.test=host \
    --network host \
    --cap-add SYS_ADMIN --cap-add SYS_PTRACE --cap-add MKNOD \
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --cgroupns host -v /sys/fs/cgroup:/sys/fs/cgroup:rw \
    --tmpfs /run --tmpfs /tmp:exec \
    --device /dev/fuse \
    -v "$shared:/shared" \
    "$@" "$image" >/dev/null
if ! docker exec "$name" testhost-ready 60; then
    echo "run-host: $name did not come up; look with: docker exec $name journalctl -b" >&2
    exit 1
fi
