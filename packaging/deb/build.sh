#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh: make target/vmguard_VERSION_all.deb from what `mvn package` has built. Same commit, same bytes.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
fail() { printf 'deb: %s\n' "$1" >&2; exit 1; }

version=$(sed -n '/<artifactId>vmguard</{n;s|.*<version>\(.*\)</version>.*|\1|p;}' "$root/pom.xml")
[ -n "$version" ] || fail "no version in pom.xml"
grep -q "^vmguard ($version)" "$root/packaging/deb/debian/changelog" ||
    fail "the newest entry of packaging/deb/debian/changelog is not for $version"
agent=$root/agent/target
if [ ! -e "$agent/vmguard-agent-$version.jar" ] || [ ! -d "$agent/lib" ]; then
    fail "run mvn package first: $agent is not built"
fi

missing=
for tool in dpkg-buildpackage dh; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
[ -z "$missing" ] || fail "missing:$missing. Install them with: apt-get install dpkg-dev debhelper"
# The one of the JDK that built; `jar` is not always linked into the PATH.
jar=${JAVA_HOME:+$JAVA_HOME/bin/}jar
command -v "$jar" >/dev/null || jar=$(dirname "$(readlink -f "$(command -v javac)")")/jar

# The time of every file in the package.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null) ||
        SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's|.*<project.build.outputTimestamp>\(.*\)<.*|\1|p' "$root/pom.xml")" +%s)
fi
export SOURCE_DATE_EPOCH

stage=$root/target/deb/vmguard-$version
rm -rf "$root/target/deb"
mkdir -p "$stage/files/bin" "$stage/files/lib" "$stage/files/jna" "$stage/files/etc"
# Modes are set, not copied: they must not depend on the umask of who checked out.
cp -R "$root/packaging/deb/debian" "$stage/debian"
chmod -R u=rwX,go=rX "$stage/debian"
install -m 0644 "$root/packaging/common/vmguard.service" "$stage/debian/vmguard.service"
install -m 0644 "$root/packaging/common/vmguard.tmpfiles" "$stage/debian/vmguard.tmpfiles"
install -m 0755 "$root/packaging/common/vmguard" "$stage/files/bin/vmguard"
install -m 0644 "$root/packaging/common/vmguard.yaml" "$stage/files/etc/vmguard.yaml"
# Not executable here: only the copy that the package puts into libvirt's directory is a hook.
install -m 0644 "$root/libvirt-hooks/qemu" "$stage/files/qemu-hook"
install -m 0644 "$agent/vmguard-agent-$version.jar" "$agent"/lib/*.jar "$stage/files/lib/"

# JNA's native libraries, for the architectures of Debian that run KVM.
jna_jar=$(echo "$stage"/files/lib/jna-[0-9]*.jar)
[ -e "$jna_jar" ] || fail "no jna jar in $agent/lib"
unpacked=$root/target/deb/jna
mkdir -p "$unpacked"
(cd "$unpacked" && "$jar" xf "$jna_jar" com/sun/jna)
for arch in x86-64 aarch64 ppc64le s390x riscv64; do
    library=$unpacked/com/sun/jna/linux-$arch/libjnidispatch.so
    if [ -e "$library" ]; then install -D -m 0644 "$library" "$stage/files/jna/linux-$arch/libjnidispatch.so"; fi
done
[ -e "$stage/files/jna/linux-x86-64/libjnidispatch.so" ] || fail "no native library in $jna_jar"

log=$root/target/deb/build.log
(cd "$stage" && dpkg-buildpackage --unsigned-source --unsigned-changes --build=binary) >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    fail "dpkg-buildpackage failed; its output is in $log"
}
cp "$root/target/deb/vmguard_${version}_all.deb" "$root/target/"
printf '%s\n' "$root/target/vmguard_${version}_all.deb"
