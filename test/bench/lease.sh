#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# lease.sh: what the lease engine costs beside the real sanlock daemon on the same directory, in one run on this machine:
# latency, bytes, a boot storm, renewals with many hosts, looking through many leases. Less than 4 minutes. Root or sudo.
# The measuring is in test/src/test/java/io/vmguard/test/LeaseBenchmark.java.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
"$root/test/infra/install-deps.sh" >&2
environment=$("$root/test/infra/docker-up.sh")
eval "$environment"
"$root/test/infra/build-images.sh" >/dev/null

cd "$root"
result=$root/test/target/lease-benchmark.txt
rm -f "$result"
log=$(mktemp)
mvn -q -B -ntp verify -pl lease,test -Dspotless.check.skip -Dtest=NoUnitTest -Dsurefire.failIfNoSpecifiedTests=false \
    -Dit.test=LeaseBenchmark >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
rm -f "$log"
cat "$result"
