#!/bin/sh
# plens score --resume after kill -9 at 50 random moments of a run, each time with other threads,
# instructions and memory, and with the disk filled up in between: the bytes of one run, and never
# an output file that is not whole.
#
# usage: BUILD=build sh tests/full/kills.sh [MOMENTS]
# The moments are drawn from a fixed seed, as fractions of the time that a whole run takes here.
set -u
. tests/tally.sh
. tests/synthetic.sh

export OMP_WAIT_POLICY=passive # of many short runs
rounds=${1:-50}
timeout -s KILL 10 true 2>/dev/null || {
    skip "no timeout command"
    finish
}
check "a model" synthetic_model "$scratch/model" --layers 8
synthetic_questions 100 >"$scratch/data.tsv"
score() { # OUT OPTION…: with a checkpoint after every block
    score_out=$1
    shift
    "$plens" score --quiet --model "$scratch/model" --data "$scratch/data.tsv" --checkpoint 0 \
        --out "$score_out" "$@"
}
check "a run in one go" score "$scratch/whole"

now() { # milliseconds
    echo $(($(date +%s%N) / 1000000))
}
timed() { # the shortest of three, as the machine may be busy
    took=1000000
    for i in 1 2 3; do
        started=$(now)
        score "$scratch/timed" --force --isa avx2 --threads 1 || return 1
        ms=$(($(now) - started))
        [ "$ms" -ge "$took" ] || took=$ms
    done
}
check "timed" timed
memory=$("$plens" score --quiet --model "$scratch/model" --data "$scratch/data.tsv" --plan |
    sed -n 's/^memory: \([0-9]*\).*/\1/p')

# The next of a fixed sequence of numbers below 1,000. [Lewis, Goodman, Miller 1969]
seed=20251124
draw() {
    seed=$((seed * 16807 % 2147483647))
    drawn=$((seed / 7 % 1000))
}

# No output file in sight, or the whole run.
whole_or_nothing() { # FOLDER
    for name in prompts.tsv layers.tsv summary.tsv run.json; do
        [ -e "$1/$name" ] || continue
        # files get their names one by one, run.json last: each is whole by then
        [ "$name" = run.json ] || {
            cmp "$scratch/whole/$name" "$1/$name" || return 1
            continue
        }
        for table in prompts layers summary; do
            cmp "$scratch/whole/$table.tsv" "$1/$table.tsv" || return 1
        done
    done
}

killed=0 checkpoints=0
kill_once() { # OPTION…: at a moment of a run, or just after its end
    draw
    ms=$((took * (drawn + 1) / 960))
    timeout -s KILL "$((ms / 1000)).$(printf %03d $((ms % 1000)))" \
        "$plens" score --quiet --model "$scratch/model" --data "$scratch/data.tsv" --checkpoint 0 \
        --resume --out "$scratch/out" "$@" >>"$scratch/log" 2>&1
    [ -e "$scratch/out/run.json" ] || killed=$((killed + 1))
    [ ! -e "$scratch/out/checkpoint" ] || checkpoints=$((checkpoints + 1))
    whole_or_nothing "$scratch/out"
}
moment() {
    rm -rf "$scratch/out"
    kill_once --isa avx2 --threads 1 || return 1
    draw
    [ "$drawn" -lt 500 ] || # half of the runs are killed once more, in the middle of a resume
        kill_once --isa avx2 --threads 1 --memory $((memory * 3 / 4)) || return 1
    [ "$drawn" -lt 750 ] || # or find no room for their checkpoints
        (
            ulimit -f 64 2>/dev/null
            kill_once --isa avx2 --threads 1
        ) || return 1
    draw
    set -- --threads $((drawn % 3 + 1))
    [ $((drawn % 2)) -eq 0 ] || set -- "$@" --memory $((memory * (drawn % 40 + 60) / 100))
    [ $((drawn % 9)) -ne 0 ] || set -- "$@" --isa scalar
    echo "resume with $*"
    score "$scratch/out" --resume "$@" && same_run "$scratch/whole" "$scratch/out"
}
n=0
while [ "$n" -lt "$rounds" ]; do
    n=$((n + 1))
    check "moment $n" moment
done
echo "$killed of the runs were killed before their end, $checkpoints with a checkpoint"
check "enough were killed in time" [ "$killed" -ge $((rounds / 2)) ]
check "enough had a checkpoint" [ "$checkpoints" -ge $((rounds / 4)) ]
finish
