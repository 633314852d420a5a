#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run-it.sh [--on HOST] [--also HOST]... CLASS[#METHOD][,CLASS]... [MAVEN_OPTION...]: runs some integration tests, and nothing
# else, with the packages in target/: most targets of the Makefile are this. HOST is a test host that build-images.sh knows by
# that name: --on runs the tests on it, --also only has it ready beside the usual one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
on=
also=
while :; do
    case ${1:-} in
        --on) on=$2 ;;
        --also) also="$also $2" ;;
        *) break ;;
    esac
    shift 2
done
classes=${1:?usage: run-it.sh [--on HOST] [--also HOST]... CLASS [MAVEN_OPTION...]}
shift

"$here/install-deps.sh"
environment=$("$here/docker-up.sh")
eval "$environment"
for host in $also; do "$here/build-images.sh" "$host"; done
VMGUARD_TEST_IMAGE=$("$here/build-images.sh" ${on:+"$on"})
export VMGUARD_TEST_IMAGE
cd "$here/../.."
# Without the unit tests; the modules that the tests need are built in any case. Some classes take hours.
# shellcheck disable=SC2086 # a command with options
exec ${MVN:-mvn -B -ntp} verify -pl lease,agent,test -Dtest=NoUnitTest -Dsurefire.failIfNoSpecifiedTests=false -Dfailsafe.timeout=0 -Dit.test="$classes" "$@"
