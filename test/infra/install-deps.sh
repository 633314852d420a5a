#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install-deps.sh: install, with apt, what building and testing need and what this machine lacks.
# Runs on Debian and Ubuntu, as root or with sudo. Does nothing (and asks apt nothing) when all is there.
set -eu

say() { printf 'install-deps: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# Daemons and debootstrap live in sbin, which an ordinary user's PATH may leave out.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing=
need() { missing="$missing $1"; }

# A JDK of 17 or newer, not merely a JRE: the build compiles. The version is read from javac, because Maven may be
# pointed at a JDK that is not the one on the PATH.
jdk_ok() {
    javac=javac
    if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/javac" ]; then javac=$JAVA_HOME/bin/javac; fi
    have "$javac" || return 1
    version=$("$javac" -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}

jdk_ok || need jdk
have mvn || need maven
have make || need make
have curl || need curl
have nc || need netcat-openbsd
have shellcheck || need shellcheck
# The client library alone: its built-in test driver stands for a hypervisor in the unit tests.
ldconfig -p 2>/dev/null | grep -q 'libvirt\.so\.0' || need libvirt0
# The engine is only needed where none answers; a remote or rootless one that answers is as good.
if ! have docker; then
    need docker
elif ! have dockerd && ! docker info >/dev/null 2>&1; then
    need docker
fi
# debootstrap makes the base image where no registry can be reached; the keyring is not there on Ubuntu.
have debootstrap || need debootstrap
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || need debian-archive-keyring

[ -n "$missing" ] || exit 0

have apt-get || { say "missing:$missing; no apt-get here: install them by hand"; exit 1; }
if [ "$(id -u)" -eq 0 ]; then
    root() { "$@"; }
elif have sudo; then
    root() { sudo "$@"; }
else
    say "missing:$missing; run this as root, or install sudo"
    exit 1
fi
apt_get() { root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >&2; }

say "apt-get update"
apt_get update
candidate() { apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'; }

packages=
for item in $missing; do
    case $item in
        jdk)
            if candidate openjdk-17-jdk-headless; then item=openjdk-17-jdk-headless; else item=default-jdk-headless; fi ;;
        docker)
            # Newer releases keep the client in a package of its own.
            item=docker.io
            if ! have docker && candidate docker-cli; then item="docker.io docker-cli"; fi ;;
    esac
    packages="$packages $item"
done
say "installing:$packages"
# shellcheck disable=SC2086 # a list of package names
apt_get install -y --no-install-recommends $packages
