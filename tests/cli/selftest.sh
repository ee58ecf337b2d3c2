#!/bin/sh
# plens selftest: exit status, a line for each set and part.
set -u
. tests/tally.sh
. tests/refuses.sh

# Guards against a failed part that exits 0, a set without a line, a limit that is not kept.
passes() {
    "$plens" selftest "$@" >"$scratch/lines" || return 1
    cat "$scratch/lines"
    ! grep -Ev '^[a-z0-9]+(, (rows|f32|bf16|bf16x3): passed|: skipped: .*)$' "$scratch/lines"
}
of_scalar() {
    passes --isa scalar && [ "$(grep -c ': passed' "$scratch/lines")" -eq 4 ] &&
        [ "$(grep -c '^scalar, ' "$scratch/lines")" -eq 4 ]
}
check "all of this machine" passes
if [ "$(uname -m)" = x86_64 ] && ! grep -qw amx_bf16 /proc/cpuinfo 2>/dev/null; then
    check "no AMX" grep -x "amx: skipped: no AMX" "$scratch/lines"
else
    skip "no AMX: this processor may have it"
fi
check "the limit" of_scalar
quiet() { # keeps the answer, on standard output
    passes --isa scalar >"$scratch/loud" && passes --isa scalar --quiet 2>"$scratch/notes" |
        diff "$scratch/loud" - && [ ! -s "$scratch/notes" ]
}
check "quiet" quiet

check "help" "$plens" selftest --help
check "exit 2" refuses 2 "unexpected argument 'x'" "$plens" selftest x
check "exit 2" refuses 2 "unknown option" "$plens" selftest --model x
check "exit 2" refuses 2 "'sse'" "$plens" selftest --isa sse
full_disk() {
    "$plens" selftest --isa scalar >/dev/full
}
if [ -e /dev/full ]; then
    check "exit 3" refuses 3 "cannot be written" full_disk
fi
finish
