#!/bin/sh
# Runs every unit test, fuzz target (on its corpus) and command-line test and adds up what they report.
# usage: BUILD=build sh tests/run.sh [NAME…]     (NAMEs: only the tests whose path contains one)
#
# A test is a program or script whose last line is "N passed, N failed[, N skipped]"; what it printed
# before is shown. One that dies without such a line counts as a failure.
set -u
: "${BUILD:=build}" "${CC:=cc}"
export BUILD CC
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" # many short runs: threads that spin only get in the way
passed=0 failed=0 skipped=0
if [ -d "${PLENS_SHARED:-../shared}/models" ]; then
    echo "shared test data: ${PLENS_SHARED:-../shared}"
else
    echo "shared test data: absent, using tests/fixtures alone"
fi

wanted() { # PATH NAME…
    path=$1
    shift
    [ $# -eq 0 ] && return 0
    for name; do
        case $path in *"$name"*) return 0 ;; esac
    done
    return 1
}

run() { # TITLE COMMAND…
    title=$1
    shift
    output=$("$@" 2>&1)
    code=$?
    tally=$(printf '%s\n' "$output" | tail -n 1)
    if ! printf '%s\n' "$tally" | grep -Eq '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$'; then
        tally="0 passed, 1 failed, 0 skipped"
        output=$(printf '%s\nended without a tally, exit status %s\n' "$output" "$code")
    else
        output=$(printf '%s\n' "$output" | sed '$d')
    fi
    # shellcheck disable=SC2046  # the numbers, split into words
    set -- $(printf '%s' "$tally" | tr -c '0-9' ' ')
    if [ "$code" -ne 0 ] && [ "$2" -eq 0 ]; then
        output=$(printf '%s\nexit status %s without a failed test\n' "$output" "$code")
        set -- "$1" 1 "${3:-0}"
    fi
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + ${3:-0}))
    echo "$title: $tally"
    [ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/    /'
}

for path in "$BUILD"/tests/unit/* "$BUILD"/tests/fuzz/*; do
    if [ -f "$path" ] && [ -x "$path" ] && wanted "$path" "$@"; then
        run "${path#"$BUILD"/tests/}" "$path"
    fi
done
for path in tests/cli/*.sh; do
    if [ -f "$path" ] && wanted "$path" "$@"; then
        run "cli/${path##*/}" sh "$path"
    fi
done

[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
