#!/bin/sh
# kill -9 at each call of plens score that changes files, one after the other: the disk is in every
# state that a kill can leave. Each time --resume ends with the bytes of one run. Linux.
set -u
. tests/tally.sh
. tests/synthetic.sh

export OMP_WAIT_POLICY=passive # of many short runs
if ! "$CC" -O2 -o "$scratch/kill_at" tests/full/kill_at.c 2>/dev/null; then
    skip "kill_at.c does not compile here: it is for Linux"
    finish
fi
"$scratch/kill_at" 1000000 true
[ $? -eq 1 ] || {
    skip "processes may not be traced here"
    finish
}
check "a model" synthetic_model "$scratch/model" --layers 3
synthetic_questions 30 >"$scratch/data.tsv"
at() { # N OPTION…: a run that is killed at its N-th change
    at_n=$1
    shift
    "$scratch/kill_at" "$at_n" "$plens" score --quiet --model "$scratch/model" \
        --data "$scratch/data.tsv" --checkpoint 0 --threads 1 --out "$scratch/out" "$@"
}
check "a run in one go" "$plens" score --quiet --model "$scratch/model" --data "$scratch/data.tsv" \
    --threads 1 --out "$scratch/whole"

whole_or_nothing() { # files get their names one by one, whole; run.json is the last
    for name in prompts.tsv layers.tsv summary.tsv run.json; do
        [ -e "$scratch/out/$name" ] || continue
        [ "$name" = run.json ] || cmp "$scratch/whole/$name" "$scratch/out/$name" || return 1
        [ "$name" != run.json ] || [ -e "$scratch/out/summary.tsv" ] || return 1
    done
}
once() { # N
    rm -rf "$scratch/out"
    at "$1"
    ended=$?
    [ "$ended" -eq 0 ] || return 0
    whole_or_nothing || return 1
    [ $(($1 % 3)) -ne 0 ] || { # every third is killed again, in the middle of the resume
        at $(($1 % 17 + 1)) --resume
        whole_or_nothing || return 1
    }
    "$plens" score --quiet --model "$scratch/model" --data "$scratch/data.tsv" --checkpoint 0 \
        --threads 1 --out "$scratch/out" --resume && same_run "$scratch/whole" "$scratch/out"
}
n=0
ended=0
while [ "$ended" -eq 0 ] && [ "$n" -lt 2000 ]; do
    n=$((n + 1))
    check "killed at change $n" once "$n"
done
check "until a run came to its end" [ "$ended" -eq 1 ]
echo "killed at $((n - 1)) changes of files"
finish
