#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh: make target/vmguard_VERSION_all.deb from what `mvn package` has built. Same commit, same bytes.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
fail() { printf 'deb: %s\n' "$1" >&2; exit 1; }

# shellcheck source=packaging/common/stage.sh
. "$root/packaging/common/stage.sh"
grep -q "^vmguard ($version)" "$root/packaging/deb/debian/changelog" ||
    fail "the newest entry of packaging/deb/debian/changelog is not for $version"

missing=
for tool in dpkg-buildpackage dh; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
[ -z "$missing" ] || fail "missing:$missing. Install them with: apt-get install dpkg-dev debhelper"

stage=$root/target/deb/vmguard-$version
rm -rf "$root/target/deb"
mkdir -p "$stage"
cp -R "$root/packaging/deb/debian" "$stage/debian"
chmod -R u=rwX,go=rX "$stage/debian"
install -m 0644 "$root/packaging/common/vmguard.service" "$stage/debian/vmguard.service"
install -m 0644 "$root/packaging/common/vmguard-deadman.service" "$stage/debian/vmguard.vmguard-deadman.service"
install -m 0644 "$root/packaging/common/vmguard.tmpfiles" "$stage/debian/vmguard.tmpfiles"
stage_files "$stage/files"

log=$root/target/deb/build.log
(cd "$stage" && dpkg-buildpackage --unsigned-source --unsigned-changes --build=binary) >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    fail "dpkg-buildpackage failed; its output is in $log"
}
cp "$root/target/deb/vmguard_${version}_all.deb" "$root/target/"
printf '%s\n' "$root/target/vmguard_${version}_all.deb"
