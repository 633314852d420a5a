#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install-deps.sh build|run|deb|rpm: install, with apt, what that make target needs and this machine lacks; `build` and
# `rpm` also with dnf. Asks neither anything when all is there. (What the tests need beyond this:
# test/infra/install-deps.sh.)
set -eu

usage='usage: install-deps.sh build|run|deb|rpm'
target=${1:?$usage}
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf 'install-deps: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
missing=
need() { missing="$missing $1"; }

# A JDK of 17 or newer; a JRE does not compile.
jdk_ok() {
    javac=${JAVA_HOME:+$JAVA_HOME/bin/}javac
    have "$javac" || return 1
    version=$("$javac" -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}

case $(uname -m) in
    x86_64) qemu=qemu-system-x86 emulator=qemu-system-x86_64 ;;
    aarch64) qemu=qemu-system-arm emulator=qemu-system-aarch64 ;;
    *) qemu=qemu-system emulator=qemu-system-$(uname -m) ;;
esac

case $target in build | run | deb | rpm) ;; *) say "$usage"; exit 2 ;; esac
jdk_ok || need jdk
have mvn || need maven
case $target in
    run)
        have libvirtd || have virtqemud || need libvirt-daemon-system
        have virsh || need libvirt-clients
        have "$emulator" || [ -x /usr/libexec/qemu-kvm ] || need "$qemu"
        # Not just any nc: the hook needs one that speaks to Unix sockets.
        have nc.openbsd || have ncat || need netcat-openbsd
        ;;
    deb)
        have dpkg-buildpackage || need dpkg-dev
        have dh || need debhelper
        ;;
    rpm) have rpmbuild || need rpm ;;
esac
[ -n "$missing" ] || exit 0

installer=apt-get
have apt-get || case $target in build | rpm) installer=dnf ;; esac
have "$installer" || { say "missing:$missing. There is no $installer here: install them by hand"; exit 1; }
if [ "$(id -u)" -eq 0 ]; then
    root() { "$@"; }
elif have sudo; then
    root() { sudo "$@"; }
else
    say "missing:$missing. Run this as root, or install sudo"
    exit 1
fi

if [ "$installer" = dnf ]; then
    set --
    for item in $missing; do
        case $item in
            jdk) item='java-devel >= 1:17' ;;
            rpm) item=rpm-build ;;
        esac
        set -- "$@" "$item"
    done
    say "installing: $*"
    root dnf -y install "$@" >&2
    exit 0
fi

# Others may be installing as well, unattended-upgrades for one: wait for them, within bounds.
apt_get() { root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >&2; }
candidate() { apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'; }

say "apt-get update"
apt_get update
packages=
for item in $missing; do
    if [ "$item" = jdk ]; then
        item=default-jdk-headless
        if candidate openjdk-17-jdk-headless; then item=openjdk-17-jdk-headless; fi
    fi
    packages="$packages $item"
done
say "installing:$packages"
# shellcheck disable=SC2086 # a list of package names
apt_get install -y --no-install-recommends $packages
