#!/bin/sh
# bench/make_checkpoint: what it writes is a model folder that opens and runs, the same each time.
set -u
. tests/tally.sh

check "it compiles" "$CC" -std=c99 -O2 -Wall -Wextra -Wpedantic -Werror -o "$scratch/make" \
    bench/make_checkpoint.c
make() { # FOLDER NAME OPTION…
    make_folder=$1 make_name=$2
    shift 2
    "$scratch/make" "$make_folder" --like "$make_name" --layers 2 --hidden 64 --ffn 96 --heads 4 \
        --kv-heads 2 --head-dim 16 --vocab 1182 \
        --tokenizer tests/fixtures/persona-world/tokenizer.json "$@"
}
runs() { # FOLDER ARCHITECTURE
    "$plens" info --model "$1" | grep -qx "architecture: $2" &&
        "$plens" lens --quiet --model "$1" --text "Once upon a time" --top-k 3 >"$scratch/lens" &&
        [ "$(wc -l <"$scratch/lens")" -eq 7 ]
}
for name in llama-3.1-8b:LlamaForCausalLM qwen2.5-14b:Qwen2ForCausalLM \
    smollm2-135m:LlamaForCausalLM; do
    check "makes ${name%%:*}" make "$scratch/${name%%:*}" "${name%%:*}"
    check "runs ${name%%:*}" runs "$scratch/${name%%:*}" "${name#*:}"
done
check "again" make "$scratch/again" qwen2.5-14b
check "the same bytes" cmp "$scratch/qwen2.5-14b/model-00001-of-00001.safetensors" \
    "$scratch/again/model-00001-of-00001.safetensors"
check "another seed" make "$scratch/other" qwen2.5-14b --seed 5
differs() {
    ! cmp -s "$scratch/other/model-00001-of-00001.safetensors" \
        "$scratch/again/model-00001-of-00001.safetensors"
}
check "other bytes" differs
finish
