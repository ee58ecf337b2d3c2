#!/bin/sh
# plens questions and plens import: requests to a language model and its answers, recorded-like
# ones, broken ones included (tests/make_batch_fixture.py).
set -u
. tests/tally.sh
. tests/refuses.sh

fixtures=tests/fixtures/batch
categories=tests/data/categories.tsv

# Guards the requests' bytes: the draws, the prompts, the settings, the questions of stage 2.
writes() { # FIXTURE OPTION…
    writes_expected=$fixtures/$1
    shift
    "$plens" questions --categories "$categories" "$@" >"$scratch/found" || return 1
    cmp "$writes_expected" "$scratch/found"
}
check "stage 1" writes requests-cloze.jsonl --task cloze --n 40
check "stage 1, seed 0" writes requests-cloze.jsonl --task cloze --n 40 --seed 0
check "stage 1, the largest seed" writes requests-comparison.jsonl --task comparison --n 3 \
    --seed 9223372036854775807
check "stage 2" writes requests-stage2.jsonl --answers "$fixtures/stage1-output.jsonl" \
    --answers "$fixtures/stage1-errors.jsonl"
check "stage 2, files the other way" writes requests-stage2.jsonl \
    --answers "$fixtures/stage1-errors.jsonl" --answers "$fixtures/stage1-output.jsonl"

# Guards the drawing: a longer run begins with the shorter one; another seed is another run.
draws() {
    "$plens" questions --categories "$categories" --task cloze --n 300 --out "$scratch/long" &&
        head -n 40 "$scratch/long" | cmp - "$fixtures/requests-cloze.jsonl" &&
        "$plens" questions --categories "$categories" --task cloze --n 40 --seed 1 |
        sed 's/"seed":1/"seed":0/' >"$scratch/other" &&
        ! cmp -s "$scratch/other" "$fixtures/requests-cloze.jsonl" &&
        [ "$(sed 's/.*Topic: \([^,]*\),.*/\1/' "$scratch/long" | sort -u | wc -l)" -eq 20 ]
}
check "draws" draws

# Guards a model's name and a prompt with quotes, and that filled-in text is not filled again.
own_prompts() {
    printf 'parent\tchild\nhats "A"\t{parent}\n' >"$scratch/own.tsv"
    printf 'stage\ttask\ttext\tnote\n1\triddle\tOn {child}\\n{parent}!\tx\n' >"$scratch/prompts.tsv"
    printf '%s' '{"custom_id":"stage1-riddle-0001","method":"POST","url":"/v1/chat/completions",' \
        '"body":{"model":"m\"1","messages":[{"role":"user","content":"On {parent}\nhats \"A\"!"}],' \
        '"seed":5,"max_tokens":200,"top_p":1.0,"temperature":1.0}}' >"$scratch/expected"
    echo >>"$scratch/expected"
    "$plens" questions --categories "$scratch/own.tsv" --task riddle --n 1 --seed 5 --model 'm"1' \
        >"$scratch/found" && cmp "$scratch/expected" "$scratch/found" &&
        "$plens" questions --categories "$scratch/own.tsv" --prompts "$scratch/prompts.tsv" \
            --task riddle --n 1 --seed 5 --model 'm"1' --out "$scratch/found2" &&
        cmp "$scratch/expected" "$scratch/found2"
}
check "prompts beside the categories" own_prompts

# Guards what is kept, what is dropped, and each reason; whatever the order of files and lines.
imports() { # FILE…
    "$plens" import "$@" --out "$scratch/imported.tsv" 2>"$scratch/dropped" || return 1
    cmp "$fixtures/imported.tsv" "$scratch/imported.tsv" || return 1
    sort "$fixtures/dropped.txt" >"$scratch/expected"
    sort "$scratch/dropped" | diff "$scratch/expected" -
}
check "import" imports $fixtures/stage2-errors.jsonl $fixtures/stage1-output.jsonl \
    $fixtures/stage2-output.jsonl $fixtures/stage1-errors.jsonl
check "import, files in another order" imports $fixtures/stage1-errors.jsonl \
    $fixtures/stage2-output.jsonl $fixtures/stage1-output.jsonl $fixtures/stage2-errors.jsonl
shuffled() {
    for file in stage1-output stage2-output; do
        sed -n '1!G;h;$p' $fixtures/$file.jsonl | grep -v second >"$scratch/$file.jsonl"
    done
    "$plens" import "$scratch/stage1-output.jsonl" "$scratch/stage2-output.jsonl" 2>/dev/null |
        cmp "$fixtures/imported.tsv" -
}
check "import, lines in another order" shuffled

overlaps() {
    "$plens" import $fixtures/stage1-output.jsonl $fixtures/stage2-output.jsonl --overlap 0.6 \
        2>"$scratch/dropped" >"$scratch/found" &&
        grep -q "stage1-commonsense-0012: dropped: a duplicate of commonsense-0002" \
            "$scratch/dropped" &&
        grep -v commonsense-0012 "$fixtures/imported.tsv" | cmp - "$scratch/found"
}
check "a lower overlap" overlaps

# Guards the chain: what was imported can be read as data.
measured() {
    "$plens" self-bleu "$fixtures/imported.tsv" --by task | grep -q "^commonsense	full	3	"
}
check "imported data is data" measured

nothing_written() { # CODE PARTS COMMAND…
    rm -f "$scratch/out"
    refuses "$@" --out "$scratch/out" && [ ! -e "$scratch/out" ]
}
wrong() { # PART ARGUMENT…
    wrong_part=$1
    shift
    check "exit 2" refuses 2 "plens: |$wrong_part|--help" "$plens" "$@"
}
bad() { # PARTS ARGUMENT…
    bad_parts=$1
    shift
    check "exit 3" nothing_written 3 "plens: |$bad_parts" "$plens" "$@"
}
wrong "--categories FILE is missing" questions
wrong "--task is missing" questions --categories c
wrong "--n is missing" questions --categories c --task cloze
wrong "--n takes a number" questions --categories c --task cloze --n 0
wrong "--answers goes without" questions --categories c --task cloze --answers a
for seed in -1 x "" 9223372036854775808; do
    wrong "--seed takes a number" questions --categories c --task cloze --n 1 --seed "$seed"
done
wrong "unexpected argument 'a'" questions a
wrong "F.jsonl is missing" import
wrong "--overlap" import a --overlap 1.5
wrong "--overlap" import a --overlap 0

category_file() { # PARTS TEXT
    printf "$2" >"$scratch/c.tsv"
    bad "c.tsv$1" questions --categories "$scratch/c.tsv" --task cloze --n 1
}
category_file '|"parent"' 'a\tb\n'
category_file '|no categories' 'parent\tchild\n'
category_file ':3: the parent is empty' 'parent\tchild\na\tb\n\tb\n'
category_file ':2: the child is empty' 'parent\tchild\na\t\n'
category_file ":4: 'a' has a child 'b' already" 'parent\tchild\na\tb\nc\tb\na\tb\n'
bad "missing.tsv" questions --categories "$scratch/missing.tsv" --task cloze --n 1
bad "prompts.tsv|no prompt for stage 1 of the task 'chess'" questions --categories "$categories" \
    --task chess --n 1
printf 'stage\ttask\ttext\n1\tcloze\tWrite.\n2\tcloze\tWhich?\n' >"$scratch/p.tsv"
bad "p.tsv:2: the prompt has no {child}" questions --categories "$categories" --task cloze --n 1 \
    --prompts "$scratch/p.tsv"
printf '{"custom_id":"stage1-cloze-0001","response":{"status_code":200,"body":{"choices":[{"message":{"content":"My city is -, answer:"},"finish_reason":"stop"}]}}}\n' >"$scratch/a.jsonl"
bad "p.tsv:3: the prompt has no {question}" questions --categories "$categories" \
    --answers "$scratch/a.jsonl" --prompts "$scratch/p.tsv"
bad "missing.jsonl" questions --categories "$categories" --answers "$scratch/missing.jsonl"
bad "missing.jsonl" import "$scratch/missing.jsonl"
bad "cannot be read" import "$scratch"

# Two lines are said here: what was dropped or kept, and that nothing is left.
nothing_left() { # PART COMMAND…
    part=$1
    shift
    "$@" --out "$scratch/nothing" >"$scratch/stdout" 2>"$scratch/stderr"
    [ $? -eq 3 ] && [ ! -e "$scratch/nothing" ] && [ ! -s "$scratch/stdout" ] &&
        grep -F "$part" "$scratch/stderr"
}
: >"$scratch/empty.jsonl"
check "nothing to import" nothing_left "kept 0 of 0" "$plens" import "$scratch/empty.jsonl"
check "nothing to import" nothing_left "no question can be used" "$plens" import \
    "$fixtures/stage1-errors.jsonl"
check "no question left" nothing_left "no question of the first stage" "$plens" questions \
    --categories "$categories" --answers "$fixtures/stage2-output.jsonl"
unwritable() {
    "$plens" import "$fixtures"/stage?-output.jsonl --out "$scratch/none/out" 2>&1 |
        grep -F "none/out: cannot be written" && return 0
}
check "an unwritable output" unwritable
finish
