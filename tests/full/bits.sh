#!/bin/sh
# The same bits on a real trained model: `plens score` on SmolLM2 in every precision over the vector
# sets, 1, 2 and 3 threads, alone and in a batch; one prompt against scalar C; gcc against clang and a
# build without OpenMP. Guards against what shapes and values of tiny models do not reach.
set -u
. tests/tally.sh
if [ ! -f "${PLENS_SMOLLM2:-}/config.json" ]; then
    skip "SmolLM2: set PLENS_SMOLLM2 to its folder"
    finish
    exit
fi
model=$PLENS_SMOLLM2
head -n "${PLENS_BITS_QUESTIONS:-22}" tests/data/personas.tsv >"$scratch/questions.tsv"
head -n 2 tests/data/personas.tsv >"$scratch/one.tsv"
builds=$plens
for variant in "CC=clang" "OPENMP=0"; do
    folder=$scratch/build-${variant%%=*}
    if make -s BUILD="$folder" "$variant" "$folder/plens" >"$scratch/log" 2>&1; then
        builds="$builds $folder/plens"
    else
        skip "$variant: $(tail -n 1 "$scratch/log")"
    fi
done

agrees() { # FIRST-FOLDER PLENS DATA OPTION…
    agrees_first=$1 agrees_plens=$2 agrees_data=$3
    shift 3
    rm -rf "$scratch/other"
    "$agrees_plens" score --quiet --model "$model" --data "$agrees_data" --out "$scratch/other" "$@" ||
        return 1
    for table in prompts layers summary; do
        cmp "$agrees_first/$table.tsv" "$scratch/other/$table.tsv" || return 1
    done
}
case $(uname -m) in
x86_64 | amd64) limits="avx2 avx512 avx512bf16 amx" ;;
*) limits=neon ;;
esac
for precision in f32 bf16 bf16x3; do
    rm -rf "$scratch/first" "$scratch/alone"
    check "runs" "$plens" score --quiet --model "$model" --data "$scratch/questions.tsv" \
        --out "$scratch/first" --precision "$precision"
    for binary in $builds; do
        for isa in $limits; do
            for threads in 1 2 3; do
                check "$precision, $isa, $threads threads, ${binary##*build-}" agrees "$scratch/first" \
                    "$binary" "$scratch/questions.tsv" --precision "$precision" --isa "$isa" \
                    --threads "$threads"
            done
        done
    done
    check "one question runs" "$plens" score --quiet --model "$model" --data "$scratch/one.tsv" \
        --out "$scratch/alone" --precision "$precision"
    sed -n '1,3p' "$scratch/first/prompts.tsv" >"$scratch/both.tsv"
    check "$precision: alone as in the batch" cmp "$scratch/both.tsv" "$scratch/alone/prompts.tsv"
    check "$precision: scalar" agrees "$scratch/alone" "$plens" "$scratch/one.tsv" \
        --precision "$precision" --isa scalar
done
finish
