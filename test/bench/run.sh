#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh: what a lock manager costs a domain. Prints, from one run on this machine, the times of `virsh create` and
# `virsh destroy` without a lock manager, with libvirt-sanlock, with virtlockd and with vmguard, and those of what a domain
# does while it runs without one and with vmguard; then what vmguard's agent needs to start, its memory, and the times of
# its command line. Less than 6 minutes. Root or sudo.
#
#   VMGUARD_BENCH_CYCLES   cycles per line of the table (default 15; at least 10 give a usable median)
#   VMGUARD_BENCH_DEB      package to measure instead of what this tree builds
#
# Each variant has a test host of its own (test/infra/README.md) and all are set up before the first cycle. Then one
# cycle of each variant in turn, every other round in reverse order, and never two at a time: whatever this machine does
# meanwhile falls on all of them alike. Times are virsh's own (-t), so they hold neither its start nor that of docker.
set -eu

cycles=${VMGUARD_BENCH_CYCLES:-15}
starts=7
# Both shared-storage lock managers get the same; it changes nothing in the cycles but how often they renew.
io_timeout_s=1
# After each cycle, so that what a lock manager does in the background is over when the next variant's turn comes.
pause_s=0.3
# Longer than any pool of the agent keeps an idle thread.
idle_s=65

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
infra=$root/test/infra
variants='none sanlock virtlockd vmguard'
domains='one eight'
# The others leave a domain that runs alone, or cannot do this: docs/benchmarks.md.
life_variants='none vmguard'
prefix=vmguard-bench-$$

say() { printf 'bench: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

case $cycles in '' | *[!0-9]*) fail "VMGUARD_BENCH_CYCLES is $cycles; it must be a number" ;; esac

"$infra/install-deps.sh"
deb=${VMGUARD_BENCH_DEB:-}
if [ -z "$deb" ]; then
    make -s --no-print-directory -C "$root" deb >&2
    for deb in "$root"/target/vmguard_*_all.deb; do :; done
fi
[ -r "$deb" ] || fail "no package at $deb"
environment=$("$infra/docker-up.sh")
eval "$environment"
"$infra/build-images.sh" >/dev/null

work=$(mktemp -d)
undo() {
    for variant in $variants; do set -- "$@" "$prefix-$variant"; done
    "$infra/cleanup.sh" "$@" || :
    rm -rf "$work"
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# in_host VARIANT COMMAND...: bounded, since what is measured may hang; its output is shown if it fails.
in_host() {
    host=$prefix-$1
    shift
    if ! timeout -k 5 120 docker exec "$host" bench-host "$@" 2>"$work/stderr"; then
        cat "$work/stderr" >&2
        docker exec "$host" journalctl -b -n 20 --no-pager >&2 || :
        fail "$host: $* failed"
    fi
}

say "setting up 4 hosts"
for variant in $variants; do
    # An anonymous volume: disks and leases on the machine's own file system, and gone with the container.
    VMGUARD_TEST_SHARED=$work "$infra/run-host.sh" "$prefix-$variant" -v /bench
    docker cp -q "$here/host.sh" "$prefix-$variant:/usr/local/sbin/bench-host"
    if [ "$variant" = vmguard ]; then docker cp -q "$deb" "$prefix-$variant:/root/vmguard.deb"; fi
    in_host "$variant" setup "$variant" "$io_timeout_s" >&2
    # Twice: the first makes the lease files and lets libvirt look at QEMU.
    for domain in $domains $domains; do in_host "$variant" cycle "$domain" >/dev/null; done
done

say "$cycles rounds of ${variants} with one disk and with eight"
round=0
order=$variants
reversed=
for variant in $variants; do reversed="$variant${reversed:+ $reversed}"; done
while [ "$round" -lt "$cycles" ]; do
    for domain in $domains; do
        for variant in $order; do
            times=$(in_host "$variant" cycle "$domain")
            printf '%s %s %s\n' "$domain" "$variant" "$times" >>"$work/cycles"
            sleep "$pause_s"
        done
    done
    if [ "$order" = "$variants" ]; then order=$reversed; else order=$variants; fi
    round=$((round + 1))
done

say "$cycles rounds of what a domain does while it runs"
round=0
for variant in $life_variants; do in_host "$variant" life >/dev/null; done
while [ "$round" -lt "$cycles" ]; do
    for variant in $life_variants; do
        times=$(in_host "$variant" life)
        printf '%s %s\n' "$variant" "$times" >>"$work/life"
        sleep "$pause_s"
    done
    round=$((round + 1))
done
steps=$(in_host none life-steps)

load=$(cut -d ' ' -f 1-3 /proc/loadavg)
say "vmguard's agent"
sleep "$idle_s"
in_host vmguard memory >"$work/memory"
i=0
while [ "$i" -lt "$starts" ]; do
    in_host vmguard agent-start >>"$work/starts"
    in_host vmguard cli >>"$work/cli"
    i=$((i + 1))
done

awk_functions='
    function sort(values, n,    i, j, value) {
        for (i = 2; i <= n; i++) {
            value = values[i]
            for (j = i - 1; j > 0 && values[j] > value; j--) values[j + 1] = values[j]
            values[j + 1] = value
        }
    }
    function median(values, n) {
        sort(values, n)
        return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
    }
    function split_median(text,    values, n, i) {
        n = split(text, values)
        for (i = 1; i <= n; i++) values[i] += 0
        result = median(values, n)
        lowest = values[1]
        highest = values[n]
        return result
    }
    function cell(text) {
        split_median(text)
        return sprintf("%5.0f (%.0f-%.0f)", result, lowest, highest)
    }
'

printf '\n%s CPUs, load average afterwards %s: the quieter the machine, the more a difference of some ms means.\n' \
    "$(nproc)" "$load"
printf 'virsh create and destroy, ms: median (least-most) of %s; ratio of the sums'\'' medians to none\n\n' "$cycles"
awk -v variants="$variants" -v domains="$domains" "$awk_functions"'
    { create[$1, $2] = create[$1, $2] " " $3; destroy[$1, $2] = destroy[$1, $2] " " $4
      sum[$1, $2] = sum[$1, $2] " " $3 + $4 }
    END {
        printf "%-7s%-11s%-20s%-20s%-20s%s\n", "disks", "variant", "create", "destroy", "sum", "ratio"
        number["one"] = 1; number["eight"] = 8
        n = split(domains, domain); m = split(variants, variant)
        for (d = 1; d <= n; d++) for (v = 1; v <= m; v++) {
            key = domain[d] SUBSEP variant[v]
            all = split_median(sum[key])
            if (v == 1) none = all
            printf "%-7s%-11s%-20s%-20s%-20s%.3f\n", number[domain[d]], variant[v], cell(create[key]), \
                cell(destroy[key]), cell(sum[key]), all / none
        }
    }' "$work/cycles"

printf '\nWhat a domain does while it runs, ms: median (least-most) of %s; extra: median of the pairs'\'' differences\n\n' "$cycles"
awk -v steps="$steps" "$awk_functions"'
    { for (s = 2; s <= NF; s++) { all[$1, s] = all[$1, s] " " $s
          if ($1 == "none") before[s] = $s; else extra[s] = extra[s] " " ($s - before[s]) } }
    END {
        printf "%-12s%-20s%-20s%s\n", "", "none", "vmguard", "extra"
        n = split(steps, step)
        for (s = 1; s <= n; s++)
            printf "%-12s%-20s%-20s%.1f\n", step[s], cell(all["none", s + 1]), cell(all["vmguard", s + 1]), split_median(extra[s + 1])
    }' "$work/life"

printf '\nvmguard'\''s agent and command line: median (least-most) of %s\n\n' "$starts"
awk -v wait_ms=$((2000 * io_timeout_s)) -v idle_s="$idle_s" "$awk_functions"'
    FILENAME ~ /starts$/ { socket = socket " " $1; ready = ready " " $2 - wait_ms; first = first " " $3 }
    FILENAME ~ /cli$/ { java = java " " $1; status = status " " $2; explain = explain " " $3; whohas = whohas " " $4 }
    FILENAME ~ /memory$/ { rss = $1 / 1024 }
    END {
        printf "%-62s%s ms\n", "start until hooks are answered", cell(socket)
        printf "%-62s%s ms\n", "start until ready, without the " wait_ms " ms that the protocol waits", cell(ready)
        printf "%-62s%s ms\n", "virsh create of one disk, the first after that", cell(first)
        printf "%-62s%s ms\n", "vmguard status", cell(status)
        printf "%-62s%s ms\n", "vmguard explain, one disk", cell(explain)
        printf "%-62s%s ms\n", "vmguard whohas, one path", cell(whohas)
        printf "%-62s%s ms\n", "java -version, for comparison", cell(java)
        printf "%-62s%5.1f MiB\n", "resident memory of the agent, idle for " idle_s " s after the cycles", rss
    }' "$work/starts" "$work/cli" "$work/memory"
