#!/bin/sh
# The scripts that measure whole jobs, on the smallest jobs: they run, and what they report is there.
set -u
. tests/tally.sh
. tests/synthetic.sh

: "${PYTHON:=python3}"
export PYTHON OMP_WAIT_POLICY=passive SCORE_OPTIONS="--threads 1" BUILD
command -v "$PYTHON" >/dev/null || {
    skip "no Python to write questions with"
    finish
}
check "a model" synthetic_model "$scratch/model"
rows() { # HOW-MANY ARGUMENT…: that many lines of numbers, the first line is a heading
    wanted=$1
    shift
    SCRATCH=$scratch/bench sh bench/scale.sh "$@" >"$scratch/table" || return 1
    cat "$scratch/table"
    [ "$(grep -c '^[0-9a-z]*	[0-9]*	[0-9]*	[0-9]*	[0-9.e+]*	[0-9.]*	[0-9.]*	[0-9.]*$' \
        "$scratch/table")" -eq "$wanted" ]
}
check "prompts" rows 2 prompts "$scratch/model" "8 16"
check "lengths" rows 3 lengths "$scratch/model" "4 8 16" 32
check "sharing" rows 2 sharing "$scratch/model" 8
check "the same bytes" grep -q 'the same bytes' "$scratch/table"
check "large" rows 2 large 8M 16 qwen2.5-14b 6 2 \
    tests/fixtures/tokenizers/qwen-bpe/tokenizer.json \
    "--hidden 128 --ffn 384 --heads 4 --kv-heads 2 --head-dim 32 --vocab 1024"
check "what it took" grep -q 'peak resident memory [0-9][0-9]* bytes' "$scratch/table"

# The peer stands in for Transformers: it answers as plens does.
cat >"$scratch/peer.py" <<'PEER'
import json, os, subprocess, sys
model, data, out = sys.argv[1], sys.argv[2], sys.argv[sys.argv.index("--out") + 1]
folder = out + ".folder"
subprocess.run([os.environ["BUILD"] + "/plens", "score", "--quiet", "--force", "--model", model, "--data", data,
                "--out", folder], check=True)
rows = [line.rstrip("\n").split("\t") for line in open(folder + "/layers.tsv", encoding="utf-8")][1:]
with open(out, "w", encoding="utf-8") as file:
    file.writelines("\t".join([r[0], r[1], r[2], r[3], r[5]]) + "\n" for r in rows)
counts = json.load(open(folder + "/run.json", encoding="utf-8"))["result"]["counts"]
print(json.dumps(dict(prompts=counts["prompts"], tokens=counts["tokens"], run_s=1.5, threads=1, batch=32,
                      dtype="bfloat16")))
PEER
compares() {
    SCRATCH=$scratch/bench sh bench/compare.sh "$@" "$scratch/peer.py" --questions 9 --threads 1 \
        >"$scratch/table" || return 1
    cat "$scratch/table"
    grep -q 'top token differs in 0 of' "$scratch/table"
}
check "a model beside a peer" compares "$scratch/model"
check "a synthetic one, two batches" compares --like llama-3.1-8b --layers 2 --inline \
    --tokenizer tests/fixtures/tokenizers/llama3-bpe/tokenizer.json --batch "32 1" \
    --shape "--hidden 128 --ffn 384 --heads 4 --kv-heads 2 --head-dim 32 --vocab 1024"
finish
