#!/bin/sh
# plens tokenize over every golden encoding of Hugging Face's tokenizers at hand: `ids`,
# `ids_special` and `decoded` of each line of golden.jsonl.
set -u
. tests/tally.sh
. tests/refuses.sh

# The JSON value of one key, a line for each line of golden.jsonl.
texts() {
    sed 's/^{"text":\(".*"\),"ids":\[.*/\1/' "$1/golden.jsonl"
}
ids() {
    sed 's/^.*"ids":\(\[[0-9,]*\]\),"ids_special":.*$/\1/' "$1/golden.jsonl"
}
special_ids() {
    sed 's/^.*,"ids_special":\(\[[0-9,]*\]\),"decoded":.*$/\1/' "$1/golden.jsonl"
}
decoded() {
    sed 's/^.*,"ids_special":\[[0-9,]*\],"decoded":\(".*"\)}$/\1/' "$1/golden.jsonl"
}

same() { # EXPECTED INPUT OPTION…
    expected=$1 input=$2
    shift 2
    "$plens" tokenize "$@" <"$input" >"$scratch/found" || return 1
    diff "$expected" "$scratch/found"
}

# Strings may be escaped in more than one way, so they are compared as what they encode to.
decodes() { # FOLDER
    ids "$1" >"$scratch/ids"
    "$plens" tokenize --model "$1" --decode <"$scratch/ids" >"$scratch/decoded" || return 1
    decoded "$1" | "$plens" tokenize --model "$1" >"$scratch/expected" || return 1
    same "$scratch/expected" "$scratch/decoded" --model "$1"
}

for folder in tests/fixtures/persona-world "${PLENS_SHARED:-../shared}"/tokenizers/*; do
    [ -f "$folder/golden.jsonl" ] || continue
    texts "$folder" >"$scratch/texts"
    ids "$folder" >"$scratch/ids"
    special_ids "$folder" >"$scratch/special"
    check "$folder: ids" same "$scratch/ids" "$scratch/texts" --model "$folder"
    check "$folder: ids_special" same "$scratch/special" "$scratch/texts" --model "$folder" --special
    check "$folder: decoded" decodes "$folder"
done

model=tests/fixtures/persona-world
prints() { # EXPECTED INPUT OPTION…
    prints_expected=$1 prints_input=$2
    shift 2
    printf "$prints_input" | "$plens" tokenize --model "$model" "$@" >"$scratch/found" || return 1
    printf "$prints_expected" | diff - "$scratch/found"
}

check "no line, no output" prints '' ''
check "a last line without LF" prints '[908,680]\n' '"What is"'
check "CRLF and spaces" prints '[908,680]\n[]\n' ' "What is" \r\n""\r\n'
check "escapes" prints '[908,680]\n' '"\\u0057hat\\u0020is"\n'
check "decode" prints '"What is"\n' '[908, 680]\n' --decode
check "special tokens are decoded" prints '"<|begin|>What is"\n' '[0,908,680]\n' --decode

# One line of a million letters.
long() {
    printf '"'
    awk 'BEGIN { for (i = 0; i < 100000; i++) printf " What is" }'
    printf '"\n'
}
long_has_all() {
    long | "$plens" tokenize --model "$model" | tr ',' '\n' | grep -c 979 | grep -qx 100000
}
check "a line of a million letters" long_has_all

bad_line() { # PARTS INPUT OPTION…
    bad_parts=$1 bad_input=$2
    shift 2
    printf "$bad_input" >"$scratch/input"
    tokenize_input() {
        "$plens" tokenize --model "$model" "$@" <"$scratch/input"
    }
    check "exit 3" refuses 3 "plens: |$bad_parts" tokenize_input "$@"
}
bad_line ":1" 'Once\n'
bad_line ":1" '\n'
bad_line ":1" '"Once\n'
bad_line ":1" '"a" "b"\n'
bad_line ":1" '[1]\n'
bad_line ":1" '"a\377"\n'
bad_line ":1" '"\\ud800"\n'
bad_line ":1" '"a"\n' --decode
bad_line ":1" '[1.5]\n' --decode
bad_line ":1|99999" '[99999]\n' --decode
bad_line ":1" '[1,-1]\n' --decode

second_line() {
    printf '"What"\nis\n' | "$plens" tokenize --model "$model" 2>&1 >"$scratch/found" |
        grep -F "standard input:2:" && echo '[908]' | diff - "$scratch/found"
}
check "the line is named" second_line
finish
