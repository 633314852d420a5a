#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build-virtqemud.sh: build the image vmguard-virtqemud:TAG, a test host with virtqemud in place of libvirtd (see
# virtqemud/Dockerfile). Compiles libvirt's QEMU driver: five to fifteen minutes on two cores, and a network to fetch
# sources. Skipped when unchanged. Prints the full image name on stdout, the rest on stderr.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
say() { printf 'build-virtqemud: %s\n' "$*" >&2; }

base=$("$here/build-images.sh")
tag=$({ echo "$base"; cat "$here/virtqemud/Dockerfile"; } | sha256sum | cut -c1-12)
image=vmguard-virtqemud:$tag
if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir "$work/apt"
cp "$here/virtqemud/Dockerfile" "$work/"
# As build-images.sh does: apt goes through the machine's proxy, if it has one, on the machine's own network.
if command -v apt-config >/dev/null 2>&1; then
    apt-config dump | grep -E '^Acquire::https?::Proxy ' >"$work/apt/90build-proxy" || true
fi
set -- --network host --build-arg "BASE=$base" -t "$image"
for variable in http_proxy https_proxy no_proxy; do
    if printenv "$variable" >/dev/null; then set -- "$@" --build-arg "$variable"; fi
done
if ! docker buildx version >/dev/null 2>&1; then
    DOCKER_BUILDKIT=0
    export DOCKER_BUILDKIT
fi
say "building $image: libvirt is compiled, which takes a while"
if ! docker build "$@" "$work" >"$work/build.log" 2>&1; then
    tail -n 40 "$work/build.log" >&2
    say "docker build failed"
    exit 1
fi
echo "$image"
