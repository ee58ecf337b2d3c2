#!/bin/sh
# plens score --resume: a run that was killed at any moment, or stopped, and gone on with gives the
# bytes of one that was not; a checkpoint of another run is refused.
# PLENS_KILLS=8 kills more often; tests/full/kills.sh at 50 moments, each time with something else.
set -u
. tests/tally.sh
. tests/refuses.sh

model=tests/fixtures/persona-world
awk 'BEGIN {
    print "id\ttask\tpersona\tprompt\tgold"
    for (i = 0; i < 400; i++)
        printf "%d\tt%d\t%s\t%d times upon a time there was a little girl who had a dog\tand|but\n",
            i, i % 3, i % 2 ? "A girl named Lily." : "", i
}' >"$scratch/data.tsv"
score() {
    "$plens" score --quiet --model "$model" --data "$scratch/data.tsv" "$@"
}
run() { # OUT OPTION…: with a checkpoint after every block
    run_out=$1
    shift
    score --checkpoint 0 --out "$run_out" "$@"
}
check "a run in one go" score --out "$scratch/whole"
prompts=$(wc -l <"$scratch/whole/prompts.tsv")
check "of many prompts" [ "$prompts" -eq 601 ]

# The files of a run that is finished, and nothing else.
same() { # FOLDER
    ls -A "$1" >"$scratch/names"
    printf '%s\n' layers.tsv prompts.tsv run.json summary.tsv | diff - "$scratch/names" || return 1
    for table in prompts layers summary; do
        cmp "$scratch/whole/$table.tsv" "$1/$table.tsv" || return 1
    done
    sed -n '/"result"/,/^  },/p' "$scratch/whole/run.json" >"$scratch/result"
    sed -n '/"result"/,/^  },/p' "$1/run.json" | diff "$scratch/result" -
}
check "checkpoints change nothing" run "$scratch/every"
check "and leave nothing" same "$scratch/every"
check "nothing to go on with" run "$scratch/fresh" --resume
check "begins at the beginning" same "$scratch/fresh"

# ---- a finished run stays as it is ----
stays() {
    ls -li --time-style=full-iso "$scratch/fresh" >"$scratch/before" 2>/dev/null ||
        ls -li "$scratch/fresh" >"$scratch/before"
    run "$scratch/fresh" --resume || return 1
    ls -li --time-style=full-iso "$scratch/fresh" 2>/dev/null >"$scratch/after" ||
        ls -li "$scratch/fresh" >"$scratch/after"
    diff "$scratch/before" "$scratch/after"
}
check "a finished run stays as it is" stays
check "one of other options is named" refuses 3 "fresh/run.json: is of another run|ratios" \
    score --resume --ratios 1 --out "$scratch/fresh"
check "a shard of it too" refuses 3 "fresh" score --resume --shard 1/2 --out "$scratch/fresh"
for table in prompts layers summary; do
    rm -rf "$scratch/part"
    cp -r "$scratch/whole" "$scratch/part"
    rm "$scratch/part/$table.tsv"
    check "no longer finished" refuses 3 "part/$table.tsv: not found|--force" \
        score --resume --out "$scratch/part"
done
check "begun anew" run "$scratch/part" --force
check "the same bytes" same "$scratch/part"

# ---- killed once a checkpoint is there ----
killed() { # FOLDER OPTION…: leaves a checkpoint
    killed_out=$1
    shift
    after_checkpoint 'kill -KILL $PPID' score --quiet --model "$model" --data "$scratch/data.tsv" \
        --checkpoint 0 --out "$killed_out" --isa scalar --threads 1 "$@"
    [ $? -eq 137 ] && [ -e "$killed_out/checkpoint" ]
}
check "killed" killed "$scratch/killed"
cp -r "$scratch/killed" "$scratch/again"
cp -r "$scratch/killed" "$scratch/small"
cp -r "$scratch/killed" "$scratch/other"
check "not gone on with unasked" refuses 3 "killed/checkpoint|--resume|--force" \
    score --out "$scratch/killed"
check "gone on with" run "$scratch/killed" --resume --threads 2
check "the same bytes" same "$scratch/killed"
check "begun anew" run "$scratch/again" --force
check "the same bytes" same "$scratch/again"
check "within less memory" run "$scratch/small" --resume --memory 3M
check "the same bytes" same "$scratch/small"
check "killed in many parts" killed "$scratch/parts" --memory 3M
check "gone on with in one" run "$scratch/parts" --resume
check "the same bytes" same "$scratch/parts"

# ---- another run's, and damaged ones ----
refused() { # PARTS OPTION…
    refused_parts=$1
    shift
    check "refused" refuses 3 "other/checkpoint|$refused_parts" score --resume \
        --out "$scratch/other" "$@"
    check "and kept" [ -e "$scratch/other/checkpoint" ]
}
refused "another run|ratios" --ratios 1
refused "another run|condition" --condition without
refused "another run|shard" --shard 1/2
cp -r "$model" "$scratch/model"
chmod -R u+w "$scratch/model"
rm -rf "$scratch/persona-world"
mv "$scratch/model" "$scratch/persona-world"
size=$(wc -c <"$scratch/persona-world/model.safetensors")
edited_model() { # a checkpoint of a later training: the same shapes, another final norm
    printf '\001\002\003\075' | dd of="$scratch/persona-world/model.safetensors" bs=1 \
        seek=$((size - 64)) conv=notrunc 2>/dev/null
}
check "another training" edited_model
check "is refused" refuses 3 "other/checkpoint|have changed" "$plens" score --quiet \
    --model "$scratch/persona-world" --data "$scratch/data.tsv" --resume --out "$scratch/other"
sed '2s/little/small/' "$scratch/data.tsv" >"$scratch/changed.tsv"
mkdir "$scratch/elsewhere"
mv "$scratch/changed.tsv" "$scratch/elsewhere/data.tsv"
check "other data" refuses 3 "other/checkpoint|another run|fingerprint" "$plens" score --quiet \
    --model "$model" --data "$scratch/elsewhere/data.tsv" --resume --out "$scratch/other"
cp "$scratch/other/checkpoint" "$scratch/good"
bytes=$(wc -c <"$scratch/good")
for at in 3 30 3000 $((bytes / 2)) $((bytes - 3)); do
    cp "$scratch/good" "$scratch/other/checkpoint"
    printf '\377' | dd of="$scratch/other/checkpoint" bs=1 seek="$at" conv=notrunc 2>/dev/null
    cmp -s "$scratch/good" "$scratch/other/checkpoint" ||
        refused "" --threads 1
done
for n in 0 7 100 5000 $((bytes - 1)); do
    head -c "$n" "$scratch/good" >"$scratch/other/checkpoint"
    refused ""
done
cp "$scratch/good" "$scratch/other/checkpoint"
check "the good one" run "$scratch/other" --resume
check "the same bytes" same "$scratch/other"

# ---- stopped by a signal ----
stopped() { # SIGTERM once a checkpoint is there
    after_checkpoint 'kill -TERM $PPID' score --model "$model" --data "$scratch/data.tsv" \
        --checkpoint 0 --isa scalar --threads 1 --out "$scratch/stopped" 2>"$scratch/said"
    code=$?
    cat "$scratch/said"
    [ "$code" -eq 143 ] && grep -q -e '--resume goes on' "$scratch/said"
}
check "SIGTERM" stopped
check "gone on with" run "$scratch/stopped" --resume
check "the same bytes" same "$scratch/stopped"

# ---- another run finishes in the folder meanwhile ----
overtaken() { # FOLDER EXIT-STATUS OPTION…: files as of a finished run appear once a checkpoint is there
    overtaken_out=$1 overtaken_code=$2
    shift 2
    after_checkpoint "cp '$scratch/theirs/'* '$overtaken_out'" score --quiet --model "$model" \
        --data "$scratch/data.tsv" --checkpoint 0 --out "$overtaken_out" "$@" 2>"$scratch/said"
    code=$?
    cat "$scratch/said"
    [ "$code" -eq "$overtaken_code" ] || return 1
    [ "$code" -eq 0 ] || grep -q 'holds results already (run.json); --force' "$scratch/said"
}
mkdir "$scratch/theirs"
for name in run.json prompts.tsv layers.tsv summary.tsv; do
    echo "theirs" >"$scratch/theirs/$name"
done
theirs_stay() { # FOLDER: but for the checkpoint, and no unfinished files
    ls -A "$1" | grep -vx checkpoint | diff "$scratch/theirs.names" - || return 1
    while read -r name; do
        cmp "$scratch/theirs/$name" "$1/$name" || return 1
    done <"$scratch/theirs.names"
}
ls -A "$scratch/theirs" >"$scratch/theirs.names"
check "overtaken" overtaken "$scratch/overtaken" 3
check "their results stay" theirs_stay "$scratch/overtaken"
check "overtaken when gone on with" overtaken "$scratch/resumed" 3 --resume
check "their results stay" theirs_stay "$scratch/resumed"
check "unless forced" overtaken "$scratch/forced" 0 --force
check "the run's own bytes" same "$scratch/forced"

# ---- no room for a checkpoint: the run goes on without ----
no_room() {
    (
        ulimit -f 1600
        "$plens" score --quiet --model "$model" --data "$scratch/data.tsv" --checkpoint 0 \
            --out "$scratch/no-room" 2>"$scratch/said"
    ) || return 1
    cat "$scratch/said"
    [ "$(grep -c 'without checkpoints' "$scratch/said")" -eq 1 ]
}
check "no room for a checkpoint" no_room
check "the same bytes" same "$scratch/no-room"

# ---- killed at random moments, until it is done ----
# Moments are fractions of what a whole run takes here; what comes out must not depend on them.
if timeout -s KILL 10 true 2>/dev/null; then
    started=$(date +%s%N)
    run "$scratch/timed" --isa scalar --threads 1
    took=$((($(date +%s%N) - started) / 1000000))
    rounds=${PLENS_KILLS:-2}
    moments() {
        i=0
        while [ $i -lt "$rounds" ]; do
            i=$((i + 1))
            rm -rf "$scratch/random"
            n=0
            for part in 13 37 61 89; do # thousandths of the whole, another each round
                n=$((n + 1))
                ms=$((took * ((part * 7 * i + 31 * n * i) % 997) / 1000))
                timeout -s KILL "$((ms / 1000)).$(printf %03d $((ms % 1000)))" \
                    "$plens" score --quiet --model "$model" --data "$scratch/data.tsv" \
                    --checkpoint 0 --resume --isa scalar --threads 1 --out "$scratch/random" \
                    2>>"$scratch/random.log"
            done
            run "$scratch/random" --resume --threads $((i % 3 + 1)) || return 1
            same "$scratch/random" || return 1
        done
    }
    check "killed at $((rounds * 4)) moments" moments
else
    skip "no timeout command"
fi
finish
