#!/bin/sh
# Runs every unit test, fuzz target (on its corpus) and command-line test, JOBS of them at a time, and
# adds up what they report.
# usage: BUILD=build JOBS=2 sh tests/run.sh [NAME… -NAME…]
# NAME: only the tests whose name contains one of these, as unit/ does; -NAME: all but this one.
# EMULATOR=qemu-aarch64: what runs the programs of a build for another processor; command-line tests
# are left out then.
#
# A test is a program or script whose last line is "N passed, N failed[, N skipped]"; what it printed
# before is shown. One that dies without such a line counts as a failure.
set -u
: "${BUILD:=build}" "${CC:=cc}" "${EMULATOR:=}"
: "${JOBS:=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}"
export BUILD CC EMULATOR
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" # many short runs: threads that spin only get in the way

# The longest, in the order of their length: begun last they would be alone at the end.
slow="cli/build.sh unit/audit unit/matmul unit/invariance cli/resume.sh unit/hooks unit/kernels"
slow="$slow cli/selftest.sh cli/browser.sh cli/demo.sh cli/broken_disk.sh cli/report.sh"

# ---- one test, called below: what it printed and its numbers go to files of FOLDER ----

run() { # FOLDER TEST
    case $2 in
    cli/*) set -- "$1/$(echo "$2" | tr / _)" "$2" sh "tests/$2" ;;
    *) set -- "$1/$(echo "$2" | tr / _)" "$2" $EMULATOR "$BUILD/tests/$2" ;;
    esac
    file=$1 title=$2
    shift 2
    started=$(date +%s)
    "$@" >"$file.out" 2>&1
    code=$?
    tally=$(tail -n 1 "$file.out")
    if printf '%s\n' "$tally" | grep -Eq '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$'; then
        sed '$d' "$file.out" >"$file.said"
    else
        tally="0 passed, 1 failed, 0 skipped"
        cp "$file.out" "$file.said"
        printf '\nended without a tally, exit status %s\n' "$code" >>"$file.said"
    fi
    # shellcheck disable=SC2046  # the numbers, split into words
    set -- $(printf '%s' "$tally" | tr -c '0-9' ' ')
    if [ "$code" -ne 0 ] && [ "$2" -eq 0 ]; then
        printf 'exit status %s without a failed test\n' "$code" >>"$file.said"
        set -- "$1" 1 "${3:-0}"
    fi
    {
        echo "$title: $tally ($(($(date +%s) - started)) s)"
        sed 's/^/    /' "$file.said"
    } >"$file.shown"
    echo "$1 $2 ${3:-0}" >"$file.numbers"
    echo "$file.shown"
}
if [ "${1:-}" = --one ]; then
    [ $# -lt 3 ] || run "$2" "$3" # xargs calls once where the list is empty
    exit 0
fi

# ---- all of them ----

wanted() { # TEST NAME…
    test=$1 found=any
    shift
    for name; do
        case $name in
        -*) [ "$test" != "${name#-}" ] || return 1 ;;
        *)
            [ "$found" = yes ] || found=no
            case $test in *"$name"*) found=yes ;; esac
            ;;
        esac
    done
    [ "$found" != no ]
}

tests() { # the names of those that are here
    for path in "$BUILD"/tests/unit/* "$BUILD"/tests/fuzz/*; do
        [ -f "$path" ] && [ -x "$path" ] && echo "${path#"$BUILD"/tests/}"
    done
    [ -n "$EMULATOR" ] || for path in tests/cli/*.sh; do
        echo "${path#tests/}"
    done
}

slow_first() {
    awk -v slow="$slow" '
        { names[NR] = $0; left[$0] = 1 }
        END {
            n = split(slow, first)
            for (i = 1; i <= n; i++)
                if (left[first[i]]) { print first[i]; left[first[i]] = 0 }
            for (i = 1; i <= NR; i++)
                if (left[names[i]]) print names[i]
        }'
}

if [ -d "${PLENS_SHARED:-../shared}/models" ]; then
    echo "shared test data: ${PLENS_SHARED:-../shared}"
else
    echo "shared test data: absent, using tests/fixtures alone"
fi
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tests | while read -r test; do
    wanted "$test" "$@" && echo "$test"
done | slow_first >"$scratch/list"

# xargs says when a test is done, and what it printed is shown in one piece.
xargs -P "$JOBS" -n 1 sh tests/run.sh --one "$scratch" <"$scratch/list" | while read -r file; do
    cat "$file"
done

passed=0 failed=0 skipped=0
while read -r test; do
    numbers=$scratch/$(echo "$test" | tr / _).numbers
    if [ ! -s "$numbers" ]; then
        echo "$test: was ended before it could report"
        echo "0 1 0" >"$numbers"
    fi
    read -r p f s <"$numbers"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done <"$scratch/list"
[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
