#!/bin/sh
# What a job costs as it grows: prompts, lengths, models larger than memory, shared beginnings.
#
# usage: bench/scale.sh prompts MODEL ["150 300 600 1200 2400"]
#            seconds for so many prompts: half as many questions, with and without persona
#        bench/scale.sh lengths MODEL ["16 32 64 128 256 512 1024 2048" [TOKENS]]
#            texts of so many words, TOKENS (16384) in all: seconds against FLOPs
#        bench/scale.sh large ["6G" [PROMPTS [SHAPE LAYERS CUT TOKENIZER ["OPTIONS"]]]]
#            a model larger than the budget (Qwen2.5-14B's shape, 48 layers) with a cold page cache,
#            and the same with CUT (8) layers in memory: peak memory, bytes read, time per FLOP
#        bench/scale.sh sharing MODEL [QUESTIONS]
#            with and without sharing the prompts' beginnings: the same bytes, the time saved
#
# $SCORE_OPTIONS go to every plens score ("--threads 2 --precision bf16"). Times are those of the
# run, which run.json has; peak memory and bytes read from the disk are the kernel's, of the whole
# command. $SCRATCH is kept where it is given: synthetic models are then made only once.

set -eu
. "$(dirname "$0")/tools.sh"
options=${SCORE_OPTIONS:-}
data=$scratch/data.tsv

# FLOPs a second of the run, in units of 10^9
rate() {
    calculate %.1f "$flops / $seconds / 1e9"
}

# One row, and how its seconds per FLOP stand to those of the first: report NAME
first=''
report() {
    [ -n "$first" ] || first=$(calculate %.9g "$seconds / $flops")
    printf '%s\t%s\t%s\t%s\t%.4g\t%s\t%s\t%s\n' "$1" "$tokens" "$rows" "$parts" "$flops" \
        "$seconds" "$(rate)" "$(calculate %.3f "$seconds / $flops / $first")"
}
heading() {
    printf '%s\ttokens\trows\tparts\tflops\tseconds\tGFLOP/s\ttime per FLOP\n' "$1"
}

prompts() { # MODEL COUNTS
    heading prompts
    for n in $2; do
        "$PYTHON" "$here/make_questions.py" $((n / 2)) >"$data"
        # shellcheck disable=SC2086  # options
        score --model "$1" --data "$data" $options
        report "$n"
    done
}

lengths() { # MODEL LENGTHS TOKENS
    heading words
    for n in $2; do
        "$PYTHON" "$here/make_texts.py" $(($3 / n > 0 ? $3 / n : 1)) "$n" >"$data"
        # shellcheck disable=SC2086
        score --model "$1" --data "$data" --no-share $options
        report "$n"
    done
}

large() { # MEMORY PROMPTS SHAPE LAYERS CUT TOKENIZER OPTIONS
    # shellcheck disable=SC2086
    model "$3-$4" --like "$3" --layers "$4" --tokenizer "$6" $7
    whole=$made
    # shellcheck disable=SC2086
    model "$3-$5" --like "$3" --layers "$5" --tokenizer "$6" $7
    "$PYTHON" "$here/make_questions.py" "$2" --inline >"$data"
    heading layers
    # shellcheck disable=SC2086
    score --model "$made" --data "$data" $options # warm: it was just written, or read by --plan
    report "$5"
    cold "$whole"
    # shellcheck disable=SC2086
    rm -rf "$scratch/out" && "$plens" score --plan --model "$whole" --data "$data" --memory "$1" \
        $options >/dev/null
    cold "$whole"
    # shellcheck disable=SC2086
    score --model "$whole" --data "$data" --memory "$1" $options
    report "$4"
    size=$(cat "$whole"/*.safetensors | wc -c)
    echo "budget $1, peak resident memory $peak_bytes bytes"
    echo "read from the disk: $read_bytes bytes, planned $reads, the model has $size"
}

sharing() { # MODEL QUESTIONS
    "$PYTHON" "$here/make_questions.py" "$2" >"$data"
    heading sharing
    # shellcheck disable=SC2086
    score --model "$1" --data "$data" --no-share $options
    report no
    before=$seconds
    rm -rf "$scratch/alone"
    mv "$scratch/out" "$scratch/alone"
    # shellcheck disable=SC2086
    score --model "$1" --data "$data" $options
    report yes
    for table in prompts layers summary; do
        cmp "$scratch/alone/$table.tsv" "$scratch/out/$table.tsv"
    done
    echo "the same bytes; saved $(calculate %.1f "100 * (1 - $seconds / $before)") % of the time"
}

[ $# -ge 1 ] || usage
what=$1
shift
case $what in
prompts | lengths | sharing) [ $# -ge 1 ] && [ -d "$1" ] || usage ;;
large) ;;
*) usage ;;
esac
prepare
case $what in
prompts) prompts "$1" "${2:-150 300 600 1200 2400}" ;;
lengths) lengths "$1" "${2:-16 32 64 128 256 512 1024 2048}" "${3:-16384}" ;;
sharing) sharing "$1" "${2:-600}" ;;
large)
    large "${1:-6G}" "${2:-600}" "${3:-qwen2.5-14b}" "${4:-48}" "${5:-8}" \
        "${6:-$root/tests/fixtures/tokenizers/qwen-bpe/tokenizer.json}" "${7:-}"
    ;;
esac
