#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fuzzes every decoder for so many seconds each, one JVM after the other: the fuzzer counts the branches of one target in one process.
#
#   scripts/fuzz.sh [SECONDS] [PATTERN]      PATTERN: only targets that match it, as a grep -E expression on Class#method
#
# What it finds it leaves among the test resources (…FuzzTestInputs/), where every build tries it from then on. What it has learned to
# reach is kept in lease/.cifuzz-corpus for the next time.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
pattern=${2:-.}

targets=$(find lease/src/test/java -name '*FuzzTest.java' | sort | while read -r file; do
    class=$(basename "$file" .java)
    awk -v class="$class" '/^ *@FuzzTest$/ { getline; sub(/^ *void /, ""); sub(/\(.*/, ""); print class "#" $0 }' "$file"
done | grep -E -- "$pattern") || { echo "fuzz: no target matches $pattern" >&2; exit 2; }

mvn -B -ntp -q -pl lease test-compile
failed=''
for target in $targets; do
    log=lease/target/fuzz-$(echo "$target" | tr '#' '-').log
    if JAZZER_FUZZ=1 mvn -B -ntp -pl lease surefire:test -Dtest="$target" -Djazzer.hooks=true \
        -Djazzer.max_duration="${seconds}s" >"$log" 2>&1; then
        # The last of the fuzzer's lines: runs, branches reached, inputs kept.
        echo "$target: $(grep -E '^#[0-9]+' "$log" | tail -1)"
    else
        echo "$target: FAILED, see $log"
        failed="$failed $target"
    fi
done
[ -z "$failed" ]
