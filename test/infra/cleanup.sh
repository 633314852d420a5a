#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cleanup.sh [NAME...]: remove the containers of the tests, running or not: those with the label io.vmguard.test, or
# only the named ones among them. Images stay.
set -eu

docker info >/dev/null 2>&1 || exit 0
if [ $# -eq 0 ]; then
    containers=$(docker ps -aq --filter label=io.vmguard.test)
else
    containers=
    for name; do
        containers="$containers $(docker ps -aq --filter label=io.vmguard.test --filter "name=^/$name\$")"
    done
fi
# shellcheck disable=SC2086 # a list of ids
if [ -n "${containers# }" ]; then docker rm -f -v $containers >/dev/null; fi
