#!/bin/sh
# Runs every unit test, example and command-line test and adds up what they report.
# usage: BUILD=build sh tests/run.sh [NAME…]     (NAMEs: only the tests whose path contains one)
set -u
: "${BUILD:=build}"
export BUILD
passed=0 failed=0 skipped=0
if [ -d "${PLENS_SHARED:-../shared}/models" ]; then
    echo "shared test data: ${PLENS_SHARED:-../shared}"
else
    echo "shared test data: absent, using tests/fixtures alone"
fi

wanted() {
    path=$1
    shift
    [ $# -eq 0 ] && return 0
    for name; do
        case $path in *"$name"*) return 0 ;; esac
    done
    return 1
}

# Runs a command; takes its last line "N passed, N failed[, N skipped]" into the sums. A program that
# dies without one counts as a failure.
run() {
    output=$("$@" 2>&1)
    code=$?
    tally=$(printf '%s\n' "$output" | tail -n 1)
    body=$(printf '%s\n' "$output" | sed '$d')
    case $tally in
    *" passed, "*" failed"*) ;;
    *)
        body=$output
        tally="0 passed, 1 failed, 0 skipped"
        ;;
    esac
    echo "$2: $tally" | sed "s|^$2|$name|"
    [ -z "$body" ] || printf '%s\n' "$body" | sed 's/^/    /'
    set -- $(printf '%s' "$tally" | tr -c '0-9\n' ' ')
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + ${3:-0}))
    if [ "$code" -ne 0 ] && [ "$2" -eq 0 ]; then
        echo "    exit status $code without a failed test"
        failed=$((failed + 1))
    fi
}

for path in "$BUILD"/tests/unit/*; do
    [ -x "$path" ] && wanted "$path" "$@" || continue
    name=unit/${path##*/}
    run env "$path"
done
for path in tests/cli/*.sh; do
    [ -f "$path" ] && wanted "$path" "$@" || continue
    name=cli/${path##*/}
    run sh "$path"
done

[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
