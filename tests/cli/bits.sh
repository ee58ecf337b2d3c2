#!/bin/sh
# The same input gives the same bytes: `plens dump` and `plens score` in every precision over every
# instruction set and number of threads. A limit above the processor's own is only a limit.
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
    "$plens" score --model tests/fixtures/persona-world --data "$scratch/questions.tsv" \
        --out "$score_out" --quiet "$@"
}

score_agrees() { # OPTION…
    rm -rf "$scratch/other"
    score "$scratch/other" "$@" || return 1
    for table in prompts layers summary; do
        cmp "$scratch/first/$table.tsv" "$scratch/other/$table.tsv" || return 1
    done
}

case $(uname -m) in
x86_64 | amd64) limits="scalar avx2 avx512 avx512bf16 amx" ;;
aarch64 | arm64) limits="scalar neon" ;;
*) limits=scalar ;;
esac

# In the default precision every number of threads, in the others one.
for model in $(model_folders); do
    default=$("$plens" info --model "$model" | sed -n 's/^precision: //p')
    for precision in f32 bf16 bf16x3; do
        case $precision:$default in
        "$default:$default") counts="1 2 3" ;;
        bf16x3:f32) continue ;; # not for these weights
        *) counts=2 ;;
        esac
        rm -f "$scratch/first.safetensors"
        check "dump runs" dump "$model" "$scratch/first.safetensors" --precision "$precision"
        for isa in $limits; do
            for threads in $counts; do
                check "$model, $precision: the same bytes" dump_agrees "$model" \
                    --precision "$precision" --isa "$isa" --threads "$threads"
            done
        done
    done
done

# Precisions that are all the same would pass the above.
differ() { # PRECISION PRECISION
    dump "$model" "$scratch/one" --precision "$1" && dump "$model" "$scratch/two" --precision "$2" &&
        ! cmp -s "$scratch/one" "$scratch/two"
}
model=tests/fixtures/models/qwen3-biases
check "bf16 is not f32" differ bf16 f32
check "bf16x3 is not bf16" differ bf16x3 bf16
check "bf16 is the default of BF16 weights" dump "$model" "$scratch/first.safetensors" \
    --precision bf16
check "bf16 is the default of BF16 weights" dump_agrees "$model"

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
