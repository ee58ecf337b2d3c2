#!/bin/sh
# The same input gives the same bytes: `plens dump` and `plens score` over every instruction set and
# number of threads. A limit above the processor's own is only a limit.
set -u
. tests/tally.sh

# 23 ids that every fixture's vocabulary has: longer than every window.
ids=1,7,3,46,0,12,5,44,9,9,21,33,2,17,40,11,8,26,38,4,19,30,45

dump() { # MODEL OUT OPTION…
    dump_model=$1 dump_out=$2
    shift 2
    "$plens" dump --model "$dump_model" --ids "$ids" --out "$dump_out" --quiet "$@"
}

# A dump under these options is the same file as the first one.
dump_agrees() { # MODEL OPTION…
    agrees_model=$1
    shift
    rm -f "$scratch/other.safetensors"
    dump "$agrees_model" "$scratch/other.safetensors" "$@" &&
        cmp "$scratch/first.safetensors" "$scratch/other.safetensors"
}

score() { # OUT OPTION…
    score_out=$1
    shift
    "$plens" score --model tests/fixtures/stories260k --data "$scratch/questions.tsv" \
        --out "$score_out" --quiet "$@"
}

score_agrees() { # OPTION…
    rm -rf "$scratch/other"
    score "$scratch/other" "$@" || return 1
    for table in prompts layers summary; do
        cmp "$scratch/first/$table.tsv" "$scratch/other/$table.tsv" || return 1
    done
}

limits="scalar avx2 avx512"
for model in $(model_folders); do
    rm -f "$scratch/first.safetensors"
    check "dump runs" dump "$model" "$scratch/first.safetensors"
    for isa in $limits; do
        for threads in 1 2 3; do
            check "$model: the same bytes" dump_agrees "$model" --isa "$isa" --threads "$threads"
        done
    done
done

{
    printf 'id\ttask\tpersona\tprompt\tgold\n'
    printf 'a1\tcloze\tYou are a girl named Lily.\tOnce upon a time, there was a little\tgirl\n'
    printf 'a2\tcloze\tYou are a boy named Tim.\tOnce upon a time, there was a little\tboy|man\n'
    printf 'a3\tcloze\t\tLily and Tom went to the\tpark\n'
    printf 'b1\tcommonsense\tYou are a big red dog.\tThe sun was\tbright\n'
    printf 'b2\tcommonsense\tYou are a big red dog.\tOnce\tupon\n'
} >"$scratch/questions.tsv"
check "score runs" score "$scratch/first"
for isa in $limits; do
    for threads in 1 2 3; do
        check "score: the same bytes" score_agrees --isa "$isa" --threads "$threads"
    done
done
check "score: the same bytes within a small memory" score_agrees --memory 4M
finish
