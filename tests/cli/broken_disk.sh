#!/bin/sh
# plens score where the disk is full, a shard becomes short under the running pass, or memory
# shrinks: an error of one line that names the place, no output file that is not whole, and what
# --resume makes of it afterwards are the bytes of one run.
set -u
. tests/tally.sh
. tests/synthetic.sh

check "a model" synthetic_model "$scratch/model"
synthetic_questions 40 >"$scratch/data.tsv"
score() { # OUT OPTION…: with a checkpoint after every block
    score_out=$1
    shift
    "$plens" score --quiet --model "$scratch/model" --data "$scratch/data.tsv" --checkpoint 0 \
        --threads 1 --out "$score_out" "$@"
}
check "a run in one go" score "$scratch/whole"

# ---- a full disk ----
# A small file system of our own, which goes with its namespace.
alone() {
    unshare -m sh -c 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && "$@"' alone "$@"
}
mkdir "$scratch/small"
if alone 24k "$scratch/small" true 2>/dev/null; then
    cat >"$scratch/full.sh" <<'FULL'
# In the small file system: no room for checkpoints and results, then for checkpoints alone.
out=$1/out whole=$2 said=$3
shift 3
"$@" --out "$out" 2>"$said"
code=$?
cat "$said"
[ "$code" -eq 3 ] || { echo "exit status $code"; exit 1; }
[ "$(grep -c 'cannot be written: No space left' "$said")" -eq 2 ] || exit 1 # the checkpoint first
[ ! -e "$out" ] || { ls -lA "$out"; exit 1; }
mount -o remount,size=64m "$(dirname "$out")" || exit 1
"$@" --out "$out" --resume || exit 1
for table in prompts layers summary; do
    cmp "$out/$table.tsv" "$whole/$table.tsv" || exit 1
done
FULL
    check "no room at all, then some" alone 24k "$scratch/small" sh "$scratch/full.sh" \
        "$scratch/small" "$scratch/whole" "$scratch/said" "$plens" score --quiet --model "$scratch/model" \
        --data "$scratch/data.tsv" --checkpoint 0 --threads 1
else
    skip "no small file system can be mounted here (that takes root)"
fi

# No file may be larger than a limit, in units of 512 bytes: the same for users without root.
limited() { # LIMIT
    (
        ulimit -f "$1"
        score "$scratch/limited" --resume
    ) 2>"$scratch/said"
    code=$?
    cat "$scratch/said"
    [ "$code" -eq 3 ] && grep -q 'limited/[a-z]*.tsv: cannot be written' "$scratch/said" &&
        [ ! -e "$scratch/limited" ]
}
check "files may not grow" limited 8
check "nor longer ones" limited 24
check "then they may" score "$scratch/limited" --resume
check "the same bytes" same_run "$scratch/whole" "$scratch/limited"

# ---- a shard that becomes short under the running pass ----
shard=$scratch/model/model-00001-of-00001.safetensors
cp "$shard" "$scratch/shard"
size=$(wc -c <"$shard")
short() { # BYTES: cuts the shard once the first block is done
    rm -rf "$scratch/short"
    after_checkpoint "dd if=/dev/null of='$shard' bs=1 seek=$1 2>/dev/null" score --quiet \
        --model "$scratch/model" --data "$scratch/data.tsv" --checkpoint 0 --threads 1 --isa scalar \
        --out "$scratch/short" 2>"$scratch/said"
    code=$?
    cat "$scratch/shard" >"$shard"
    cat "$scratch/said"
    ls -A "$scratch/short"
    [ "$code" -eq 3 ] && [ "$(wc -l <"$scratch/said")" -eq 1 ] &&
        grep -q 'model-00001-of-00001.safetensors: .*expected .*[0-9].* found' "$scratch/said" &&
        [ "$(ls -A "$scratch/short")" = checkpoint ]
}
for bytes in $((size * 2 / 3)) 4096 0; do
    check "a shard cut to $bytes bytes" short $bytes
    check "whole again" score "$scratch/short" --resume
    check "the same bytes" same_run "$scratch/whole" "$scratch/short"
done

# ---- memory that shrinks between two runs ----
killed() { # OUT: ended after a checkpoint
    after_checkpoint 'kill -KILL $PPID' score --quiet --model "$scratch/model" \
        --data "$scratch/data.tsv" --checkpoint 0 --threads 1 --isa scalar --out "$1"
    [ $? -eq 137 ] && [ -e "$1/checkpoint" ]
}
if (ulimit -v 200000) 2>/dev/null && ! nm "$BUILD/libplens.a" | grep -q __asan_; then
    address_space() {
        (
            ulimit -v 60000
            score "$scratch/shrunk" --resume
        )
    }
    check "killed" killed "$scratch/shrunk"
    check "on with less address space" address_space
    check "the same bytes" same_run "$scratch/whole" "$scratch/shrunk"
else
    skip "no limit on address space here"
fi
finish
