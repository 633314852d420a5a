#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# reproducible.sh: builds both packages twice, each time from a clean clone of the last commit, under another path, umask,
# time zone and language, and fails unless their bytes are the same; then lintian and rpmlint look at them, if they are there.
# A few minutes.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
fail() { printf 'reproducible: %s\n' "$1" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

build() { # CLONE UMASK
    (
        umask "$2"
        git clone -q --no-local "$root" "$work/$1" && make -s --no-print-directory -C "$work/$1" deb rpm >"$work/$1.log" 2>&1
    ) || {
        tail -n 30 "$work/$1.log" >&2
        fail "the build in a clean clone failed"
    }
    (cd "$work/$1/target" && sha256sum vmguard_*_all.deb vmguard-*.noarch.rpm) >"$work/$1.sums"
}

build first 022
(
    export TZ=Pacific/Kiritimati LANG=C LC_ALL=C
    build second-and-with-a-longer-name 077
)
cat "$work/first.sums"
cmp "$work/first.sums" "$work/second-and-with-a-longer-name.sums" >&2 || {
    cat "$work/second-and-with-a-longer-name.sums"
    fail "two builds of one commit differ"
}

first=$work/first
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error,warning "$first"/target/vmguard_*_all.deb || fail "lintian is not content"
else
    echo "reproducible: no lintian here" >&2
fi
if command -v rpmlint >/dev/null; then
    rpmlint -r "$first/packaging/rpm/vmguard.rpmlintrc" "$first/packaging/rpm/vmguard.spec" \
        "$first"/target/vmguard-*.noarch.rpm >"$work/rpmlint.log" 2>&1 || {
        cat "$work/rpmlint.log" >&2
        fail "rpmlint is not content"
    }
    tail -n 1 "$work/rpmlint.log"
    grep -q ' 0 errors, 0 warnings' "$work/rpmlint.log" || fail "rpmlint warns: $(cat "$work/rpmlint.log")"
else
    echo "reproducible: no rpmlint here" >&2
fi
