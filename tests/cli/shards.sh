#!/bin/sh
# plens score --shard and plens merge: shards joined are the bytes of one run, whatever each machine
# had; what does not belong together is refused by name.
set -u
. tests/tally.sh
. tests/refuses.sh

model=tests/fixtures/persona-world
tab=$(printf '\t')
score() {
    "$plens" score --quiet --model "$model" --data "$scratch/data.tsv" "$@"
}

# Six personas by eight questions, shuffled, two tasks, one persona-only task, odd cells.
awk 'BEGIN {
    print "id\ttask\tpersona\tprompt\tgold"
    split("You live in Rome.|You live in Tokyo.|You were born in Peru.|You come from India and miss it.|You are a Greek who loves your country.|You live in Osk.",
        personas, "|")
    for (i = 0; i < 48; i++) {
        k = i * 29 % 48
        printf "q%d\t%s\t%s\tOne day, number %d went to the\tpark|store\n", k,
            k % 3 ? "places" : "odd\\ttask", personas[k % 6 + 1], int(k / 6)
    }
    print "alone\tlate\t\tEvery day,\t"
}' >"$scratch/data.tsv"
check "one run" score --out "$scratch/whole"

same_result() { # FOLDER FOLDER
    for table in prompts layers summary; do
        cmp "$1/$table.tsv" "$2/$table.tsv" || return 1
    done
    for folder; do
        sed -n '/"result"/,/^  },/p' "$folder/run.json" >"$scratch/result-${folder##*/}"
    done
    [ "$(wc -l <"$scratch/result-${1##*/}")" -gt 10 ] || return 1
    cmp "$scratch/result-${1##*/}" "$scratch/result-${2##*/}"
}

# ---- 1/7 .. 7/7, each with its own threads, instructions and memory ----
isas="scalar avx2 avx512 scalar avx2 avx512 avx2"
seven() {
    i=0
    for isa in $isas; do
        i=$((i + 1))
        score --shard $i/7 --out "$scratch/{shard}" --threads $((i % 3 + 1)) --isa "$isa" \
            --memory "$((2 + i))M" || return 1
    done
}
check "seven shards" seven
check "merge" "$plens" merge --quiet "$scratch"/[1-7] --out "$scratch/merged"
check "seven shards are one run" same_result "$scratch/whole" "$scratch/merged"
check "in any order" "$plens" merge --quiet --out "$scratch/other" "$scratch/5" "$scratch/1" \
    "$scratch/7" "$scratch/3" "$scratch/2" "$scratch/6" "$scratch/4"
check "the same" cmp "$scratch/merged/run.json" "$scratch/other/run.json"
valid_json() {
    command -v python3 >/dev/null || return 0
    python3 -m json.tool "$scratch/merged/run.json"
}
check "run.json is JSON" valid_json

# Every prompt in one shard alone, and all of a persona's prompts in few: a cut costs at most one.
together() {
    cat "$scratch"/[1-7]/prompts.tsv | grep -c '^q.*with'"$tab" | grep -qx 48 || return 1
    n=0
    for i in 1 2 3 4 5 6 7; do
        personas=$(cut -f 1,3 "$scratch/$i/prompts.tsv" | sed -n "s/^q\([0-9]*\)${tab}with$/\1/p" |
            awk '{ print $1 % 6 }' | sort -u | wc -l)
        n=$((n + personas))
    done
    echo "6 personas in $n pieces"
    [ "$n" -le 9 ]
}
check "prefixes stay together" together

# ---- the same in bf16, where the instruction sets differ most ----
. tests/synthetic.sh
check "a model of bf16" synthetic_model "$scratch/bf16" --layers 3
synthetic_questions 40 >"$scratch/bf16.tsv"
seven_bf16() {
    i=0
    for isa in scalar avx2 avx512 avx512bf16 amx avx2 avx512bf16; do
        i=$((i + 1))
        "$plens" score --quiet --model "$scratch/bf16" --data "$scratch/bf16.tsv" --shard $i/7 \
            --out "$scratch/bf16-{shard}" --threads $((i % 3 + 1)) --isa "$isa" \
            --memory "$((2 + i))M" || return 1
    done
    "$plens" merge --quiet "$scratch"/bf16-[1-7] --out "$scratch/bf16-merged" &&
        "$plens" score --quiet --model "$scratch/bf16" --data "$scratch/bf16.tsv" \
            --out "$scratch/bf16-whole" && same_result "$scratch/bf16-whole" "$scratch/bf16-merged"
}
case $(uname -m) in
x86_64) check "seven shards in bf16 are one run" seven_bf16 ;;
*) skip "another processor: no bf16 shards of several instruction sets" ;;
esac

# ---- more shards than prompts: the empty ones write headers ----
head -n 3 "$scratch/data.tsv" >"$scratch/few.tsv"
few() {
    "$plens" score --quiet --model "$model" --data "$scratch/few.tsv" "$@"
}
many() {
    for i in 1 2 3 4 5 6 7 8 9; do
        few --shard $i/9 --out "$scratch/few-$i" || return 1
    done
}
check "nine shards of four prompts" many
empty() {
    n=0
    for i in 1 2 3 4 5 6 7 8 9; do
        [ "$(wc -l <"$scratch/few-$i/prompts.tsv")" -eq 1 ] || continue
        n=$((n + 1))
        [ "$(wc -l <"$scratch/few-$i/layers.tsv")" -eq 1 ] &&
            [ "$(wc -l <"$scratch/few-$i/summary.tsv")" -eq 1 ] || return 1
    done
    [ "$n" -ge 5 ]
}
check "the empty ones are headers" empty
check "merge" "$plens" merge --quiet "$scratch"/few-[1-9] --out "$scratch/few-merged"
check "one run" few --out "$scratch/few-whole"
check "nine shards are one run" same_result "$scratch/few-whole" "$scratch/few-merged"
one_of_one() {
    few --shard 1/1 --out "$scratch/few-all" &&
        "$plens" merge --quiet "$scratch/few-all" --out "$scratch/few-all-merged" &&
        same_result "$scratch/few-whole" "$scratch/few-all-merged"
}
check "one shard is all" one_of_one
options() { # options that change the rows: one condition, other shares
    for i in 1 2; do
        few --shard $i/2 --condition with --ratios 1,.25 --out "$scratch/options-$i" || return 1
    done
    "$plens" merge --quiet "$scratch"/options-[12] --out "$scratch/options-merged" &&
        few --condition with --ratios 1,.25 --out "$scratch/options-whole" &&
        same_result "$scratch/options-whole" "$scratch/options-merged"
}
check "other options" options

# ---- launchers ----
slurm() { # ID MIN MAX STEP COUNT OPTION…
    SLURM_ARRAY_TASK_ID=$1 SLURM_ARRAY_TASK_MIN=$2 SLURM_ARRAY_TASK_MAX=$3 \
        SLURM_ARRAY_TASK_STEP=$4 SLURM_ARRAY_TASK_COUNT=$5
    export SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_MAX SLURM_ARRAY_TASK_STEP \
        SLURM_ARRAY_TASK_COUNT
    shift 5
    "$@"
}
array() { # ids 5-11 are the shards 1/7 .. 7/7
    (slurm 7 5 11 1 7 score --shard slurm --out "$scratch/slurm-{shard}") &&
        cmp "$scratch/3/prompts.tsv" "$scratch/slurm-3/prompts.tsv" &&
        cmp "$scratch/3/shard.tsv" "$scratch/slurm-3/shard.tsv"
}
check "--shard slurm" array
refuses_slurm() { # PART ID MIN MAX STEP COUNT
    part=$1
    shift
    (slurm "$@" refuses 2 "$part" "$plens" score --model "$model" --data "$scratch/data.tsv" \
        --shard slurm --out "$scratch/never")
}
check "an array with steps" refuses_slurm "step 2" 3 1 7 2 4
check "an array with holes" refuses_slurm "consecutive" 3 1 7 1 3
check "a task beyond the array" refuses_slurm "consecutive" 9 1 7 1 7
check "no number" refuses_slurm "SLURM_ARRAY_TASK_ID|'x'" x 1 7 1 7
check "no array" refuses 2 "SLURM_ARRAY_TASK_ID is not set" score --shard slurm --out "$scratch/never"
mpi() {
    env "$1_RANK=2" "$1_SIZE=7" "$plens" score --quiet --model "$model" --data "$scratch/data.tsv" \
        --shard mpi --out "$scratch/$1-{shard}" && cmp "$scratch/3/shard.tsv" "$scratch/$1-3/shard.tsv"
}
for prefix in OMPI_COMM_WORLD PMI MV2_COMM_WORLD; do
    check "--shard mpi" mpi $prefix
done
check "no MPI" refuses 2 "OMPI_COMM_WORLD_RANK" score --shard mpi --out "$scratch/never"
never_unasked() { # the same variables change nothing where --shard is not given
    rm -rf "$scratch/unasked"
    (slurm 2 1 7 1 7 env OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=7 "$plens" score --quiet \
        --model "$model" --data "$scratch/data.tsv" --out "$scratch/unasked") &&
        same_result "$scratch/whole" "$scratch/unasked"
}
check "never unasked" never_unasked

# ---- GNU parallel, as the README has it ----
if command -v parallel >/dev/null && parallel --version 2>/dev/null | grep -q GNU; then
    in_parallel() {
        parallel --will-cite -j 2 "$plens" score --quiet --model "$model" \
            --data "$scratch/data.tsv" --shard {}/4 --out "$scratch/parallel/{}" ::: 1 2 3 4 &&
            "$plens" merge --quiet "$scratch"/parallel/* --out "$scratch/from-parallel" &&
            same_result "$scratch/whole" "$scratch/from-parallel"
    }
    check "GNU parallel" in_parallel
else
    skip "no GNU parallel: its example runs as a loop of background jobs"
    in_a_loop() {
        for i in 1 2 3 4; do
            score --shard $i/4 --out "$scratch/loop/$i" &
        done
        wait
        "$plens" merge --quiet "$scratch"/loop/* --out "$scratch/from-loop" &&
            same_result "$scratch/whole" "$scratch/from-loop"
    }
    check "four at once" in_a_loop
fi

# ---- what merge refuses ----
bad_merge() { # PARTS FOLDER…
    bad_parts=$1
    shift
    check "merge refuses" refuses 3 "plens: |$bad_parts" "$plens" merge "$@" --out "$scratch/bad"
    check "nothing is left of it" [ ! -e "$scratch/bad" ]
}
bad_merge "shard 4/7 is missing" "$scratch"/[1-35-7]
bad_merge "shard 1/7 is missing, and 5 more" "$scratch/6"
cp -r "$scratch/3" "$scratch/copy"
bad_merge "$scratch/copy: is shard 3/7, and so is $scratch/3" "$scratch"/[1-7] "$scratch/copy"
bad_merge "few-2|9" "$scratch/1" "$scratch/few-2"
bad_merge "whole run" "$scratch"/[1-6] "$scratch/whole"
bad_merge "absent/run.json|finished" "$scratch"/[1-6] "$scratch/absent"
score --shard 4/7 --condition with --out "$scratch/foreign"
bad_merge "foreign: is a shard of another run" "$scratch"/[1-35-7] "$scratch/foreign"
sed '2s/went/want/' "$scratch/data.tsv" >"$scratch/changed.tsv"
mkdir "$scratch/elsewhere"
mv "$scratch/changed.tsv" "$scratch/elsewhere/data.tsv"
"$plens" score --quiet --model "$model" --data "$scratch/elsewhere/data.tsv" --shard 4/7 \
    --out "$scratch/changed"
bad_merge "changed: is a shard of another run|run.json" "$scratch"/[1-35-7] "$scratch/changed"
# Another step of the training: a model of the same name and shapes, with other weights.
mkdir "$scratch/later"
cp -r "$model" "$scratch/later"
chmod -R u+w "$scratch/later"
weights=$scratch/later/${model##*/}/model.safetensors
printf '\001\002\003\075' | dd of="$weights" bs=1 seek=$(($(wc -c <"$weights") - 64)) \
    conv=notrunc 2>/dev/null
"$plens" score --quiet --model "${weights%/*}" --data "$scratch/data.tsv" --shard 4/7 \
    --out "$scratch/trained"
bad_merge "trained: is a shard of another run|run.json" "$scratch"/[1-35-7] "$scratch/trained"
broken() { # FILE SED-SCRIPT: shard 3 with one edit
    rm -rf "$scratch/broken"
    cp -r "$scratch/3" "$scratch/broken"
    sed "$2" "$scratch/3/$1" >"$scratch/broken/$1"
}
broken prompts.tsv '$d'
bad_merge "broken/prompts.tsv|rows" "$scratch"/[124-7] "$scratch/broken"
broken layers.tsv '$d'
bad_merge "broken/layers.tsv|rows" "$scratch"/[124-7] "$scratch/broken"
broken shard.tsv '$s/[0-9]*$/1/'
bad_merge "shard.tsv|place" "$scratch"/[124-7] "$scratch/broken"
broken prompts.tsv "2s/${tab}0[.0-9]*${tab}/${tab}zero${tab}/"
bad_merge "broken/prompts.tsv:2|scores" "$scratch"/[124-7] "$scratch/broken"
: >"$scratch/broken/layers.tsv"
bad_merge "broken/layers.tsv|cut short" "$scratch"/[124-7] "$scratch/broken"
echo '{}' >"$scratch/broken/run.json"
bad_merge "broken/run.json|expected" "$scratch"/[124-7] "$scratch/broken"
check "results are kept" refuses 3 "merged|--force" "$plens" merge "$scratch"/[1-7] \
    --out "$scratch/merged"
check "unless forced" "$plens" merge --quiet "$scratch"/[1-7] --out "$scratch/merged" --force

# A result in a shard's place would leave the set without it.
cp -r "$scratch/1" "$scratch/first"
ln -s first "$scratch/link"
for out in first first/ link; do
    check "no shard is replaced" refuses 2 "--out|$out|would be lost" "$plens" merge \
        "$scratch/first" "$scratch"/[2-7] --out "$scratch/$out" --force
    check "it is as it was" diff -r "$scratch/1" "$scratch/first"
done

# A whole run over a shard's folder leaves no shard.tsv for merge to find.
check "a whole run in its place" score --force --out "$scratch/copy"
check "is no shard" [ ! -e "$scratch/copy/shard.tsv" ]

# ---- usage ----
wrong() { # PART ARGUMENT…
    wrong_part=$1
    shift
    check "exit 2" refuses 2 "plens: |$wrong_part|--help" "$plens" "$@"
}
for shard in 0/7 8/7 1 1/ /7 1/0 a/7 1/7x -1/7 1/99999999999 ""; do
    wrong "--shard takes I/N" score --model "$model" --data q.tsv --out o --shard "$shard"
done
wrong "--shard needs --out" score --model "$model" --data q.tsv --shard 1/2
wrong "no folder" merge --out o
wrong "--out DIR is missing" merge a b
wrong "'--nonsense'" merge a --nonsense
finish
