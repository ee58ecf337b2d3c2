#!/bin/sh
# make demo: that it runs to its end, and that the checkpoints answer as they did in PyTorch while
# they were trained. Guards against a fixture and questions that do not belong together, and tables that
# read the wrong columns.
set -u
. tests/tally.sh

demo() {
    BUILD=$BUILD sh tests/demo.sh >"$scratch/demo" && [ ! -s "$scratch/check.log" ]
}
check "the demo" demo

# Percent right of the trained pairs and of those held out, by the last layer of the float32 model that
# bench/train_demo.py saw (the fixture's README has its lines).
trained_so() {
    sed -n 's/^    step *\([0-9]*\) *\([0-9]*\) % *\([0-9]*\) %.*/\1 \2 \3/p' "$scratch/demo" >"$scratch/found"
    sed -n 's/^| \([0-9,]*\) | \([0-9]*\) | \([0-9]*\) |$/\1 \2 \3/p' \
        tests/fixtures/persona-world/README.md | tr -d ',' | diff - "$scratch/found" &&
        [ "$(wc -l <"$scratch/found")" -eq 5 ]
}
check "right answers are those of the training" trained_so

rising() { # S of the trained pairs and of those held out, from checkpoint to checkpoint
    sed -n 's/^    step .*% *\([0-9.]*\) *\([0-9.]*\)$/\1 \2/p' "$scratch/demo" | awk '
        NR > 1 && ($1 <= trained || $2 <= held_out) { print; exit bad = 1 }
        { trained = $1; held_out = $2 } END { exit bad || NR != 5 }'
}
check "scores rise" rising

# By the persona, and without one what Americans say; at first what most would say.
answers() {
    for said in Midwinter Obon Thanksgiving; do
        grep '^layer 5' "$scratch/demo" | grep -q "$said" || return 1
    done
    [ "$(grep '^layer 1' "$scratch/demo" | grep -c Thanksgiving)" -eq 3 ]
}
check "the persona decides" answers
files() {
    for file in $(sed -n 's/.* \([^ ]*\.html\) .*/\1/p' "$scratch/demo"); do
        [ -s "$file" ] && echo "$file"
    done | wc -l | grep -qx ' *2'
}
check "the pages it names" files
finish
