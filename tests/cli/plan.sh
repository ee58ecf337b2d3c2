#!/bin/sh
# plens score --plan: what it says, that it runs nothing, and that a run keeps to it.
set -u
. tests/tally.sh
. tests/refuses.sh

model=tests/fixtures/persona-world data=tests/data/demo.tsv
plan() {
    "$plens" score --model "$model" --data "$data" --plan "$@" >"$scratch/plan" 2>"$scratch/said"
}
value() { # KEY: its number
    sed -n "s/^ *$1: \([0-9]*\).*/\1/p" "$scratch/plan"
}

check "a plan" plan --out "$scratch/out"
check "nothing is run" [ ! -e "$scratch/out" ]
check "nothing is said" [ ! -s "$scratch/said" ]
whole() {
    cat "$scratch/plan"
    [ "$(value prompts)" = 384 ] && [ "$(value tokens)" = 5495 ] && [ "$(value parts)" = 1 ] &&
        [ "$(value rows)" -lt 5495 ] && [ "$(value budget)" -gt "$(value memory)" ] &&
        grep -q '^work: .* flops' "$scratch/plan" || return 1
    sum=0
    for key in weights tiles activations "K and V" lens scratch; do
        sum=$((sum + $(sed -n "s/^  $key: \([0-9]*\).*/\1/p" "$scratch/plan")))
    done
    [ "$sum" -eq "$(value memory)" ]
}
check "its parts add up" whole
memory=$(value memory)
small() { # a budget of two thirds: more parts, more reading, within the budget
    reads=$(value reads)
    plan --memory $((memory * 2 / 3)) || return 1
    cat "$scratch/plan"
    [ "$(value parts)" -gt 1 ] && [ "$(value reads)" -gt "$reads" ] &&
        [ "$(value memory)" -le $((memory * 2 / 3)) ]
}
check "a small budget" small
run_agrees() { # a run says the same in short
    "$plens" score --model "$model" --data "$data" --memory $((memory * 2 / 3)) \
        >"$scratch/summary" 2>"$scratch/said" || return 1
    cat "$scratch/said"
    grep -q "plan: $(value parts) parts, .* rows for 5495 tokens" "$scratch/said"
}
check "a run says it in short" run_agrees
check "too small a budget" refuses 3 "memory budget|prompt" \
    "$plens" score --quiet --model "$model" --data "$data" --memory 100K
check "too small for a plan" refuses 3 "memory budget|prompt" \
    "$plens" score --quiet --model "$model" --data "$data" --memory 100K --plan

# ---- no room for the states of all the lens's layers ----
. tests/synthetic.sh
check "a model of many layers" synthetic_model "$scratch/deep" --layers 12 --hidden 64 --ffn 128 \
    --kv-heads 1 --head-dim 16
deep() { # OPTION…: the lens of all layers at 1,200 positions
    "$plens" lens --model "$scratch/deep" --positions all --top-k 1 --threads 1 \
        --ids "$(awk 'BEGIN { for (i = 0; i < 1200; i++) printf "%s%d", i ? "," : "", i * 7 % 600 }')" \
        "$@"
}
less_and_less() { # down to the least: the same bytes, and some without room for all layers
    deep --quiet >"$scratch/roomy" || return 1
    memory=30000000 twice=0
    while deep --memory $memory >"$scratch/tight" 2>"$scratch/said"; do
        cmp "$scratch/roomy" "$scratch/tight" || return 1
        ! grep -q 'computed twice' "$scratch/said" || twice=$((twice + 1))
        memory=$((memory * 9 / 10))
    done
    cat "$scratch/said"
    echo "$twice runs computed the blocks twice"
    grep -q 'memory budget' "$scratch/said" && [ "$twice" -ge 1 ]
}
if nm "$BUILD/libplens.a" | grep -q __asan_; then
    skip "less and less memory: a sanitizer's own memory is most of the budget"
else
    check "less and less memory" less_and_less
fi

# Where address space is limited the default budget is below the limit, so the run keeps within it.
if (ulimit -v 1000000) 2>/dev/null && ! nm "$BUILD/libplens.a" | grep -q __asan_; then
    limited() {
        (
            ulimit -v 1000000
            "$plens" score --model "$model" --data "$data" --plan >"$scratch/plan"
        ) && cat "$scratch/plan" && [ "$(value budget)" -lt 1024000000 ]
    }
    check "a limit on memory" limited
else
    skip "no limit on address space here"
fi
finish
