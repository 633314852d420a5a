#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build-images.sh [--force] [bookworm|trixie|jammy|virtqemud|apparmor]: build the image vmguard-testhost:TAG, or
# vmguard-testhost-NAME:TAG: trixie (Debian 13), jammy (Ubuntu 22.04), or what NAME/Dockerfile makes of vmguard-testhost
# (virtqemud, apparmor); also tagged latest. TAG is a hash of what goes into it, so an unchanged image is not
# built again (--force does). Prints the full image name on stdout, the rest on stderr.
# The base is debian:bookworm-slim and its like where a registry answers, else what debootstrap makes from the machine's
# own apt sources, so that no registry is needed. (Not the machine's distribution: from the distribution's own server.)
set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")" && pwd)
say() { printf 'build-images: %s\n' "$*" >&2; }
root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

force=
base=
note=
if [ "${1:-}" = --force ]; then
    force=yes
    shift
fi
release=${1:-bookworm}
base_local=vmguard-testbase:$release
base_pulled=debian:$release-slim
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
java=default-jre-headless
registry_seconds=10     # for the registry to answer at all
pull_seconds=180        # for about 30 MB
sources="image/testhost-setup image/testhost-setup.service image/testhost-ready image/test-domain
 image/test-guest stall-dir.py"
case $release in
    bookworm)
        name=vmguard-testhost
        dockerfile=Dockerfile
        sources="$sources image/sanlock-race image/watchdog-vm image/watchdog-vm-init image/test-wdmd image/storage-vm
 image/storage-vm-init ceph.sh"
        ;;
    trixie | jammy)
        name=vmguard-testhost-$release
        dockerfile=Dockerfile.release
        ;;
    virtqemud)
        name=vmguard-testhost-virtqemud
        dockerfile=Dockerfile
        sources=
        base=$("$here/build-images.sh")
        note=': libvirt is compiled, which takes five to fifteen minutes on two cores'
        ;;
    apparmor)
        name=vmguard-testhost-apparmor
        dockerfile=Dockerfile
        sources='apparmor/apparmor-vm apparmor/init'
        base=$("$here/build-images.sh")
        ;;
    *)
        echo "build-images: no test host of release $release is known" >&2
        exit 2
        ;;
esac
directory=image
if [ -n "$base" ]; then directory=$release; fi
sources="$directory/$dockerfile $sources"
if [ "$release" = jammy ]; then
    base_pulled=ubuntu:22.04
    keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg
    # Its default is 11.
    java=openjdk-17-jre-headless
fi

cd "$here"
# shellcheck disable=SC2086 # a list of files without spaces
tag=$({ sha256sum $sources; printf %s "$base"; } | sha256sum | cut -c1-12)
image=$name:$tag
if [ -z "$force" ] && docker image inspect "$image" >/dev/null 2>&1; then
    docker tag "$image" "$name:latest"
    echo "$image"
    exit 0
fi

work=$(mktemp -d)
# debootstrap leaves files of root behind.
trap 'root rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM

os_release() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\).*/\1/p" /etc/os-release; }

# The machine's Debian sources as URI|SUITE|COMPONENTS, with the suites of $release in place of the machine's own.
# `apt-get indextargets` knows them whichever format they are kept in, once the lists have been fetched.
host_sources() {
    if [ "$release" = jammy ]; then
        for suite in jammy jammy-updates jammy-security; do echo "http://archive.ubuntu.com/ubuntu|$suite"; done
        return 0
    fi
    [ "$(os_release ID)" = debian ] || return 0
    command -v apt-get >/dev/null 2>&1 || return 0
    # shellcheck disable=SC2016 # the dollars are apt's
    list() {
        apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
            sed -n 's/^Debian|//p' | sort -u
    }
    found=$(list)
    if [ -z "$found" ]; then
        root apt-get -q update >&2 || true
        found=$(list)
    fi
    codename=$(os_release VERSION_CODENAME)
    printf '%s\n' "$found" | awk -F'|' -v from="$codename" -v to="$release" '
        # Only main is needed; suites such as experimental or another release do not belong into the image.
        $3 == "main" && ($2 == from || $2 == from "-updates" || $2 == from "-security") {
            suite = $2; sub("^" from, to, suite)
            print $1 "|" suite
        }'
}

# Debian has no package of it. A file of a name and a sum that are known, whatever the server is.
fetch_ubuntu_keyring() {
    deb=$work/ubuntu-keyring.deb
    if ! curl -sSf --max-time 60 -o "$deb" http://archive.ubuntu.com/ubuntu/pool/main/u/ubuntu-keyring/ubuntu-keyring_2021.03.26_all.deb ||
        ! echo "0d0e7ed6b112f5d03eabf3c7eb01ebdacf9c57714b279e90495cfc58c8c4520f  $deb" | sha256sum -c --quiet >&2; then
        say "the keyring of Ubuntu's archive cannot be fetched; install ubuntu-keyring by hand"
        exit 1
    fi
    dpkg-deb -x "$deb" "$work/keyring"
    keyring=$work/keyring$keyring
}

make_local_base() {
    command -v debootstrap >/dev/null 2>&1 || { say "debootstrap is missing: run test/infra/install-deps.sh"; exit 1; }
    mirror=$(host_sources | awk -F'|' -v suite="$release" '$2 == suite { print $1; exit }')
    say "making the base image with debootstrap"
    set -- --variant=minbase --include=ca-certificates
    if [ "$release" = jammy ] && [ ! -e "$keyring" ]; then fetch_ubuntu_keyring; fi
    if [ -e "$keyring" ]; then set -- "$@" "--keyring=$keyring"; fi
    # Without a mirror of the machine's own, debootstrap knows Debian's.
    if ! root debootstrap "$@" "$release" "$work/base" ${mirror:+"$mirror"} >"$work/debootstrap.log" 2>&1; then
        tail -n 20 "$work/debootstrap.log" >&2
        say "debootstrap failed"
        exit 1
    fi
    root rm -rf "$work/base/var/cache/apt/archives" "$work/base/var/lib/apt/lists" "$work/base/var/log/bootstrap.log"
    root mkdir -p "$work/base/var/cache/apt/archives/partial" "$work/base/var/lib/apt/lists/partial"
    components=main
    if [ "$release" = jammy ]; then components='main universe'; fi
    host_sources | sed "s/^\\(.*\\)|\\(.*\\)\$/deb \\1 \\2 $components/" >"$work/sources.list"
    if [ -s "$work/sources.list" ]; then root cp "$work/sources.list" "$work/base/etc/apt/sources.list"; fi
    root tar -C "$work/base" -c . | docker import --change 'CMD ["/bin/sh"]' - "$base_local" >/dev/null
}

if [ -n "$base" ]; then
    : # one of ours
elif docker image inspect "$base_pulled" >/dev/null 2>&1; then
    base=$base_pulled
elif docker image inspect "$base_local" >/dev/null 2>&1; then
    base=$base_local
elif timeout "$registry_seconds" docker manifest inspect "$base_pulled" >/dev/null 2>&1 &&
    timeout "$pull_seconds" docker pull -q "$base_pulled" >&2; then
    base=$base_pulled
else
    say "no registry answers"
    make_local_base
    base=$base_local
fi
say "base image: $base"

mkdir "$work/context" "$work/context/apt"
# shellcheck disable=SC2086 # a list of files without spaces
cp $sources "$work/context/"
# apt in the image goes through the machine's proxy, if it has one, while the image is being built.
if command -v apt-config >/dev/null 2>&1; then
    apt-config dump | grep -E '^Acquire::https?::Proxy ' >"$work/context/apt/90build-proxy" || true
fi

# The host's network is the only one that a machine without a bridge can give a build.
set -- --network host --file "$work/context/$dockerfile" --build-arg "BASE=$base" -t "$image" -t "$name:latest"
if [ "$dockerfile" = Dockerfile.release ]; then set -- "$@" --build-arg "JAVA=$java"; fi
for variable in http_proxy https_proxy no_proxy; do
    if printenv "$variable" >/dev/null; then set -- "$@" --build-arg "$variable"; fi
done
# A client without its BuildKit plug-in must be told to use the builder of the engine.
if ! docker buildx version >/dev/null 2>&1; then
    DOCKER_BUILDKIT=0
    export DOCKER_BUILDKIT
fi
say "building $image$note"
if ! docker build "$@" "$work/context" >"$work/build.log" 2>&1; then
    tail -n 40 "$work/build.log" >&2
    say "docker build failed"
    exit 1
fi
echo "$image"
