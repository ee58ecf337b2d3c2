#!/bin/sh
# plens against Hugging Face Transformers, side by side on this machine, the same job for both: N
# questions, each with and without its persona, the lens of every layer at the last position.
#
# usage: bench/compare.sh MODEL PEER [OPTION…]
#        bench/compare.sh --like SHAPE --layers N --tokenizer FILE PEER [OPTION…]
#   MODEL    a Hugging Face folder; or a synthetic one of a shape that bench/make_checkpoint knows
#   PEER     a script that takes MODEL DATA --dtype float32|bfloat16 --batch B --threads T --out FILE,
#            writes lines "id condition layer token prob" and prints a JSON line with run_s, its
#            seconds without loading; run by $PYTHON, which must have torch and transformers
#   --questions N    (600)         --threads T    (one per processor)
#   --precision P    f32, bf16 or "f32 bf16" (bf16)
#   --batch B        the peer's, one or several: "32 1" (32)
#   --shape OPTIONS  more of make_checkpoint's: "--hidden 256 --ffn 512 …", for a small version
#   --inline         the persona is part of the prompt: N prompts, not 2 N
#
# The two jobs of the README:
#   bench/compare.sh SMOLLM2 PEER --batch "32 1" --threads 2
#   bench/compare.sh --like llama-3.1-8b --layers 4 --tokenizer LLAMA/tokenizer.json PEER \
#       --questions 1200 --inline --threads 2
#
# plens's time is the whole command with opening, encoding, scoring and writing; the peer's is its run
# alone. It also tells where they disagree: near ties may, and more of them in bf16.

set -eu
. "$(dirname "$0")/tools.sh"
like='' layers='' tokenizer='' model='' peer='' questions=600 threads=$(getconf _NPROCESSORS_ONLN)
precisions=bf16 batches=32 inline='' shape=''
while [ $# -gt 0 ]; do
    case $1 in
    --inline) inline=--inline ;;
    --*)
        [ $# -ge 2 ] || usage
        case $1 in
        --like) like=$2 ;;
        --layers) layers=$2 ;;
        --tokenizer) tokenizer=$2 ;;
        --shape) shape=$2 ;;
        --questions) questions=$2 ;;
        --threads) threads=$2 ;;
        --precision) precisions=$2 ;;
        --batch) batches=$2 ;;
        *) usage ;;
        esac
        shift
        ;;
    *)
        if [ -z "$model$like" ]; then model=$1; elif [ -z "$peer" ]; then peer=$1; else usage; fi
        ;;
    esac
    shift
done
[ -n "$peer" ] && [ -f "$peer" ] || usage

prepare
if [ -n "$like" ]; then
    [ -n "$layers" ] && [ -f "$tokenizer" ] || usage
    # shellcheck disable=SC2086  # options
    model "$like-$layers" --like "$like" --layers "$layers" --tokenizer "$tokenizer" $shape
    model=$made
fi
data=$scratch/questions.tsv
# shellcheck disable=SC2086  # an option or nothing
"$PYTHON" "$here/make_questions.py" "$questions" $inline >"$data"

for precision in $precisions; do
    case $precision in
    f32) dtype=float32 ;;
    bf16) dtype=bfloat16 ;;
    *) usage ;;
    esac
    echo "plens score --precision $precision --threads $threads" >&2
    score --model "$model" --data "$data" --precision "$precision" --threads "$threads"
    for batch in $batches; do
        echo "$(basename "$peer") --dtype $dtype --batch $batch --threads $threads" >&2
        OMP_NUM_THREADS=$threads "$PYTHON" "$peer" "$model" "$data" --dtype "$dtype" \
            --batch "$batch" --threads "$threads" --out "$scratch/peer.tsv" >"$scratch/peer.json"
        cat "$scratch/peer.json" >&2
        "$PYTHON" "$here/compare.py" "$scratch/out" "$scratch/peer.tsv" "$scratch/peer.json" \
            "$whole_seconds" "$flops"
    done
done
