#!/bin/sh
# The examples, as C and as C++, do what they promise.
set -u
. tests/tally.sh

model=tests/fixtures/stories260k

# The top token of every layer is the one of `plens lens`.
top_tokens() { # PROGRAM
    "$1" "$model" "Once upon a time" >"$scratch/found" || return 1
    "$plens" lens --quiet --model "$model" --text "Once upon a time" --top-k 1 |
        awk -F '\t' 'NR > 1 { printf "layer %d: \"%s\" %.3f\n", $2, $5, $6 }' |
        diff - "$scratch/found"
}
names_the_mistake() { # PROGRAM
    if "$1" "$scratch/absent" "Once" 2>"$scratch/said"; then
        return 1
    fi
    grep -qF "$scratch/absent" "$scratch/said"
}

for folder in "$BUILD/tests/examples" "$BUILD/tests/examples-cxx"; do
    if [ -x "$folder/top_tokens" ]; then
        check "top_tokens" top_tokens "$folder/top_tokens"
        check "a wrong folder" names_the_mistake "$folder/top_tokens"
    else
        skip "$folder: not built; is there a C++ compiler?"
    fi
done
check "the first example has at most 30 lines" \
    [ "$(wc -l <tests/examples/top_tokens.c)" -le 30 ]
finish
