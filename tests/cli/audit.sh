#!/bin/sh
# plens audit: verdicts, exit statuses and rows for dumps of Transformers and of plens dump; what it
# refuses; and its example.
set -u
. tests/tally.sh
. tests/refuses.sh

dumps=tests/fixtures/dumps
audit() { # MODEL OPTION…
    audit_model=tests/fixtures/models/$1
    shift
    "$plens" audit --quiet --model "$audit_model" "$@"
}

# Exits with CODE, and the last line begins with VERDICT.
says() { # CODE VERDICT MODEL OPTION…
    says_code=$1 says_verdict=$2
    shift 2
    audit "$@" >"$scratch/audit"
    found=$?
    cat "$scratch/audit"
    [ "$found" -eq "$says_code" ] || return 1
    case $(tail -n 1 "$scratch/audit") in "$says_verdict"*) return 0 ;; esac
    return 1
}
check "clean" says 0 'ok: ' llama-biases --dump "$dumps/llama-biases/clean.3.12.f32.safetensors"
check "bf16" says 0 'rounding: ' llama-biases --dump "$dumps/llama-biases/clean.3.12.bf16.safetensors"
gelu=$dumps/llama-biases/gelu.3.12.f32.safetensors
check "a mistake" says 1 'departs at block 3: MLP: ' llama-biases --dump "$gelu"

# A row a step: embedding, three blocks, the logits; only block 3 departs.
rows() {
    head -n 1 "$scratch/audit" | grep -qx "$(printf 'step\tverdict\tdistance\tworst\tposition\tchange\trounding\texcess')" || return 1
    sed '1d;$d' "$scratch/audit" | cut -f 1,2 | tr '\t\n' '=;' |
        grep -qx 'embedding=ok;block 1=ok;block 2=ok;block 3=departs;unembed=ok;' || return 1
    sed '1d;$d' "$scratch/audit" | awk -F '\t' '
        NF != 8 || ($2 == "departs") != ($8 > 1) || ($6 == "NA") != ($1 !~ /^block/) { exit 1 }'
}
check "a row a step" rows
check "a wide tolerance" says 0 'ok: every step is within 1000 ' llama-biases --dump "$gelu" --tolerance 1e3
check "a narrow tolerance" says 1 'departs at ' llama-biases \
    --dump "$dumps/llama-biases/clean.3.12.bf16.safetensors" --tolerance 1e-5
same_bytes() { # the same for one thread and two
    audit llama-biases --dump "$gelu" --threads 1 >"$scratch/one"
    audit llama-biases --dump "$gelu" --threads 2 | diff "$scratch/one" -
}
check "the same bytes with any number of threads" same_bytes

# What plens dump writes, raw last state and all; bf16 is rounding in every model.
own_dump() { # FOLDER PRECISION VERDICT
    "$plens" dump --quiet --model "$1" --ids 1,5,9,2,8,30 --precision "$2" --out "$scratch/dump" &&
        "$plens" audit --quiet --model "$1" --dump "$scratch/dump" >"$scratch/audit" || return 1
    tail -n 1 "$scratch/audit" | grep "^$3: "
}
model_folders >"$scratch/folders"
while read -r folder; do
    check "$folder: plens's own dump" own_dump "$folder" f32 ok
    check "$folder: plens's own dump in bf16" own_dump "$folder" bf16 rounding
done <"$scratch/folders"

refuses_audit() { # CODE PARTS OPTION…
    refuses_audit_code=$1 refuses_audit_parts=$2
    shift 2
    refuses "$refuses_audit_code" "$refuses_audit_parts" "$plens" audit --quiet "$@"
}
model=tests/fixtures/models/llama-biases
check "no dump" refuses_audit 2 '--dump' --model $model
check "a bad tolerance" refuses_audit 2 '--tolerance|-1' --model $model --dump "$gelu" --tolerance -1
check "no such file" refuses_audit 3 "$scratch/absent" --model $model --dump "$scratch/absent"
check "no safetensors" refuses_audit 3 'tests/tally.sh' --model $model --dump tests/tally.sh
check "another model's dump" refuses_audit 3 'hidden_states.' \
    --model tests/fixtures/models/mistral-window --dump "$gelu"

# The example: an engine that is right, and one with a mistake in block 2.
example() { # CODE VERDICT ARGUMENT…
    example_code=$1 example_verdict=$2
    shift 2
    "$BUILD/tests/examples/audit_in_a_unit_test" $model "$@" >"$scratch/example"
    [ $? -eq "$example_code" ] && grep "^$example_verdict" "$scratch/example"
}
check "example: right" example 0 'ok: ' 1e-4
check "example: wrong" example 1 'departs at block 2: ' 1e-4 2
finish
