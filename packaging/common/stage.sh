# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# For the build scripts of the packages, which source this: what is in a package, so that it is the same in each. The
# script gives $root and fail(). Sets $version; exports SOURCE_DATE_EPOCH, the time of every file in a package.

root=${root:?}
version=$(sed -n '/<artifactId>vmguard</{n;s|.*<version>\(.*\)</version>.*|\1|p;}' "$root/pom.xml")
[ -n "$version" ] || fail "no version in pom.xml"
agent=$root/agent/target
if [ ! -e "$agent/vmguard-agent-$version.jar" ] || [ ! -d "$agent/lib" ]; then
    fail "run mvn package first: $agent is not built"
fi

if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null) ||
        SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's|.*<project.build.outputTimestamp>\(.*\)<.*|\1|p' "$root/pom.xml")" +%s)
fi
export SOURCE_DATE_EPOCH

# Puts what is installed into directory $1: bin/, libexec/, lib/, jna/, etc/, qemu-hook,
# classes.list, doc/, manual/man/, manual/completion/. Modes are set, not copied: they must not
# depend on the umask of who checked out.
stage_files() {
    mkdir -p "$1/bin" "$1/libexec" "$1/lib" "$1/jna" "$1/etc"
    install -m 0755 "$root/packaging/common/vmguard" "$1/bin/vmguard"
    install -m 0755 "$root/packaging/common/deadman" "$root/packaging/common/archive-classes" "$1/libexec/"
    install -m 0644 "$root/packaging/common/classes.list" "$1/classes.list"
    install -m 0644 "$root/packaging/common/vmguard.yaml" "$1/etc/vmguard.yaml"
    # Not executable here: only the copy that the package puts into libvirt's directory is a hook.
    install -m 0644 "$root/libvirt-hooks/qemu" "$1/qemu-hook"
    # Whoever has only this host at 3 a.m. has no checkout. All pages, as they lead to each other.
    for page in "$root"/docs/*.md "$root"/docs/adr/*.md; do install -D -m 0644 "$page" "$1/doc/${page#"$root/docs/"}"; done
    install -m 0644 "$agent"/lib/*.jar "$1/lib/"
    for own in "$agent/vmguard-agent-$version.jar" "$agent/lib/vmguard-lease-$version.jar"; do stage_jar "$own" "$1/lib"; done
    stage_jna "$1"
    # By the JVM that built, from the commands themselves.
    java=$(jdk_tool java)
    (umask 022 && "$java" -cp "$1/lib/*" io.vmguard.agent.WriteManual "$1/manual" "$version" \
        "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%d)") || fail "no manual pages"
}

# The path of a tool of the JDK that built; `jar` is not always linked into the PATH.
jdk_tool() {
    tool=${JAVA_HOME:+$JAVA_HOME/bin/}$1
    command -v "$tool" >/dev/null || tool=$(dirname "$(readlink -f "$(command -v javac)")")/$1
    printf '%s\n' "$tool"
}

# Puts our jar $1 into directory $2. What Maven writes has the mode of each file in it, as the umask of who checked out and
# built has left it; what the jar tool writes has none.
stage_jar() {
    jar=$(jdk_tool jar)
    unpacked=$2.unpacked
    made=$2/${1##*/}
    mkdir "$unpacked"
    rm -f "$made"
    (
        cd "$unpacked" &&
        "$jar" --extract --file "$1" &&
        find . -type f ! -path ./META-INF/MANIFEST.MF | LC_ALL=C sort >../content &&
        "$jar" --create --file "$made" --manifest META-INF/MANIFEST.MF \
            --date "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" @../content
    ) || fail "cannot pack $1"
    chmod 0644 "$made"
    rm -rf "$unpacked" "${unpacked%/*}/content"
}

# JNA's native libraries, for the architectures on which distributions run KVM.
stage_jna() {
    jar=$(jdk_tool jar)
    jna_jar=$(echo "$1"/lib/jna-[0-9]*.jar)
    [ -e "$jna_jar" ] || fail "no jna jar in $agent/lib"
    unpacked=$1/jna.unpacked
    mkdir "$unpacked"
    (cd "$unpacked" && "$jar" xf "$jna_jar" com/sun/jna)
    for arch in x86-64 aarch64 ppc64le s390x riscv64; do
        library=$unpacked/com/sun/jna/linux-$arch/libjnidispatch.so
        if [ -e "$library" ]; then install -D -m 0644 "$library" "$1/jna/linux-$arch/libjnidispatch.so"; fi
    done
    rm -rf "$unpacked"
    [ -e "$1/jna/linux-x86-64/libjnidispatch.so" ] || fail "no native library in $jna_jar"
}
