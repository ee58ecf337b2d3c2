#!/bin/sh
# make test-full: everything that takes longer than `make test` should. Skips, loudly, what is not at
# hand; closes with the sums of its parts. usage: BUILD=build CC=cc sh tests/full/run.sh [NAME…]
set -u
: "${BUILD:=build}" "${CC:=cc}"
export BUILD CC
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
passed=0 failed=0
for path in tests/full/bits.sh tests/full/kills.sh tests/full/every_kill.sh tests/full/bench.sh \
    tests/full/amx_in_bochs.sh; do
    if [ $# -gt 0 ]; then
        case " $* " in *" $(basename "$path" .sh) "*) ;; *) continue ;; esac
    fi
    echo "==== $path"
    log=$(mktemp)
    sh "$path" | tee "$log"
    # shellcheck disable=SC2046  # the numbers, split into words
    set_of=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1 | tr -c '0-9' ' ')
    rm -f "$log"
    passed_here=$(echo "$set_of" | awk '{ print $1 + 0 }')
    failed_here=$(echo "$set_of" | awk '{ print NF < 2 ? 1 : $2 }')
    passed=$((passed + passed_here)) failed=$((failed + failed_here))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
