#!/bin/sh
# plens against Hugging Face Transformers, side by side on this machine, the same job for both: N
# questions, each with and without its persona, the lens of every layer at the last position, float32.
#
# usage: bench/compare.sh MODEL PEER [N [THREADS]]
#   MODEL    a Hugging Face folder
#   PEER     a script that takes MODEL DATA --dtype float32 --batch 32 --threads T --out FILE, writes
#            lines "id condition layer token prob" and prints a JSON line with run_s, its seconds without
#            loading; run by $PYTHON (python3), which must have torch and transformers
#   N        questions (600); THREADS (one per processor)
#
# plens's time is the whole command with opening, encoding, scoring and writing; the peer's is its run
# alone. Both also tell where they disagree: near ties may, in float32.
set -eu
[ $# -ge 2 ] || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
model=$1 peer=$2 n=${3:-600} threads=${4:-$(getconf _NPROCESSORS_ONLN)}
: "${PYTHON:=python3}" "${BUILD:=build}"
here=$(dirname "$0")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

make BUILD="$BUILD" "$BUILD/plens" >&2
"$PYTHON" "$here/make_questions.py" "$n" >"$scratch/questions.tsv"

echo "plens score --precision f32 --threads $threads" >&2
start=$(date +%s.%N)
"$BUILD/plens" score --model "$model" --data "$scratch/questions.tsv" --out "$scratch/plens" \
    --precision f32 --threads "$threads" --quiet
end=$(date +%s.%N)

echo "$(basename "$peer") --dtype float32 --batch 32 --threads $threads" >&2
OMP_NUM_THREADS=$threads "$PYTHON" "$peer" "$model" "$scratch/questions.tsv" --dtype float32 --batch 32 \
    --threads "$threads" --out "$scratch/peer.tsv" >"$scratch/peer.json"
cat "$scratch/peer.json" >&2

"$PYTHON" "$here/compare.py" "$scratch/plens/layers.tsv" "$scratch/peer.tsv" "$scratch/peer.json" \
    "$start" "$end"
