#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh: make target/vmguard-VERSION-RELEASE.noarch.rpm from what `mvn package` has built. Same commit and same
# version of rpm, same bytes.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
fail() { printf 'rpm: %s\n' "$1" >&2; exit 1; }

# shellcheck source=packaging/common/stage.sh
. "$root/packaging/common/stage.sh"
spec=$root/packaging/rpm/vmguard.spec
release=$(sed -n 's/^Release: *//p' "$spec")
grep -q "^Version: *$version\$" "$spec" || fail "the version in packaging/rpm/vmguard.spec is not $version"
sed '1,/^%changelog/d' "$spec" | head -n 1 | grep -q " - $version-$release\$" ||
    fail "the newest entry of %changelog in packaging/rpm/vmguard.spec is not for $version-$release"
command -v rpmbuild >/dev/null ||
    fail "missing: rpmbuild. Install it with: apt-get install rpm, or dnf install rpm-build"

top=$root/target/rpm
stage=$top/vmguard-$version
rm -rf "$top"
mkdir -p "$stage" "$top/SOURCES"
stage_files "$stage/files"
install -m 0644 "$root/packaging/common/vmguard.service" "$root/packaging/common/vmguard.tmpfiles" \
    "$root/packaging/common/vmguard-deadman.service" \
    "$root/LICENSE" "$stage/"
# Debian's list of what is in here and by whom, but for its pointer to Debian's copy of the licence.
sed -e 's|^ On Debian systems the full text of the License is in$| The full text is in the file LICENSE|' \
    -e 's|^ /usr/share/common-licenses/Apache-2.0\.$| beside this one.|' \
    "$root/packaging/deb/debian/copyright" >"$stage/THIRD-PARTY"
if grep -q -i 'debian systems\|common-licenses' "$stage/THIRD-PARTY"; then
    fail "packaging/deb/debian/copyright is not as expected"
fi
tar -C "$top" -c --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    -f "$top/SOURCES/vmguard-$version.tar" "vmguard-$version"

log=$top/build.log
rpmbuild -bb --define "_topdir $top" "$spec" >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    fail "rpmbuild failed; its output is in $log"
}
package=vmguard-$version-$release.noarch.rpm
cp "$top/RPMS/noarch/$package" "$root/target/"
printf '%s\n' "$root/target/$package"
