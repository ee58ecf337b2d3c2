#!/bin/sh
# What hooks cost, side by side in one run: no hooks against the same without the hooks' code, and
# against a run that reads the residual stream after every block at every position (bench/hooks.c).
#
# usage: bench/hooks.sh [MODEL [PROMPTS [TOKENS [ROUNDS [THREADS]]]]]
#   MODEL   a Hugging Face folder; without one, or "", a synthetic one in the shape of SmolLM2-135M
#   PROMPTS of TOKENS tokens each (16 of 64); ROUNDS (5); THREADS (one per processor)
# Needs a linker that knows --wrap (GNU ld, lld, mold).
set -eu
: "${BUILD:=build}"
model=${1:-}
[ $# -eq 0 ] || shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

make BUILD="$BUILD" "$BUILD/bench/hooks" "$BUILD/bench/make_checkpoint" >&2
if [ -z "$model" ]; then
    model=$scratch/model
    "$BUILD/bench/make_checkpoint" "$model" --like smollm2-135m >&2
fi
"$BUILD/bench/hooks" "$model" "$@"
