#!/bin/sh
# The examples, as C and as C++, do what they promise.
set -u
. tests/tally.sh

model=tests/fixtures/persona-world

# The top token of every layer is the one of `plens lens`.
top_tokens() { # PROGRAM
    "$1" "$model" "What is the capital?-, answer:" >"$scratch/found" || return 1
    "$plens" lens --quiet --model "$model" --text "What is the capital?-, answer:" --top-k 1 |
        awk -F '\t' 'NR > 1 { printf "layer %d: \"%s\" %.3f\n", $2, $5, $6 }' |
        diff - "$scratch/found"
}

# The lengths of the states that `plens dump` writes.
read_state() { # PROGRAM
    "$1" "$model" "What is the capital?-, answer:" >"$scratch/found" &&
        "$plens" dump --quiet --model "$model" --text "What is the capital?-, answer:" --out "$scratch/dump" \
            --points resid_post && [ -s "$scratch/found" ] || return 1
    header=$(($(od -A n -t u4 -N 4 "$scratch/dump")))
    od -v -A n -t f4 -w128 -j $((8 + header + 4 * 8)) "$scratch/dump" | awk '
        { s = 0; for (i = 1; i <= 32; i++) s += $i * $i
          printf "layer %d position %d: %.3f\n", int((NR - 1) / 8) + 1, (NR - 1) % 8, sqrt(s) }' |
        diff - "$scratch/found"
}
# Patched after the last block it says what OTHER says.
patch_activation() { # PROGRAM
    "$1" "$model" "You live in Rome" "You live in" >"$scratch/found" || return 1
    "$plens" lens --quiet --model "$model" --text "You live in" --top-k 1 | tail -n 1 |
        awk -F '\t' '{ printf "after block %d: \"%s\" %.3f\n", $2, $5, $6 }' |
        diff - "$scratch/found" | grep -v '^[0-9>]' && return 1
    [ "$(wc -l <"$scratch/found")" -eq 5 ]
}
# Each of 5 x 4 heads once, in order; without ablation the probability is that of the lens.
ablate_heads() { # PROGRAM
    "$1" "$model" "The capital of Norway is -, answer:" Oslo >"$scratch/found" || return 1
    "$plens" lens --quiet --model "$model" --text "The capital of Norway is -, answer:" --target " Oslo" | tail -n 1 |
        awk -F '\t' '{ printf "all heads: %.4f\n", $6 }' >"$scratch/expected"
    head -n 1 "$scratch/found" | diff "$scratch/expected" - || return 1
    sed 1d "$scratch/found" | awk '{ print $5 }' | sort -c -n || return 1
    [ "$(sed 1d "$scratch/found" | awk '$2 >= 1 && $2 <= 5 && $4 < 4 { print $2, $4 }' |
        sort -u | wc -l)" -eq 20 ]
}
# Without a push it says what the lens says; with one, something else.
steer() { # PROGRAM
    "$plens" lens --quiet --model "$model" --text "You drink -, answer:" --top-k 5 | tail -n 5 |
        awk -F '\t' '{ printf "\"%s\" %.3f\n", $5, $6 }' >"$scratch/expected"
    "$1" "$model" "You drink -, answer:" Rome Tokyo 0 >"$scratch/found" &&
        diff "$scratch/expected" "$scratch/found" &&
        "$1" "$model" "You drink -, answer:" Rome Tokyo 2 >"$scratch/found" || return 1
    ! diff "$scratch/expected" "$scratch/found" >"$scratch/log"
}
# Each persona's column is the lens of (PERSONA) TEXT; apart where the tokens are not the same.
compare_personas() { # PROGRAM
    "$1" "$model" "What do you love to eat?-, answer:" "You live in Rome." "" >"$scratch/found" || return 1
    "$plens" lens --quiet --model "$model" --text "What do you love to eat?-, answer:" --persona "You live in Rome." \
        --persona "" --top-k 1 | awk -F '\t' '
        NR > 1 { cell[$1, $3] = sprintf("\t\"%s\"\t%.3f", $6, $7); id[$1, $3] = $5 }
        END { for (l = 5; l > 0; l--)
            print "layer " l cell[1, l] cell[2, l] (id[1, l] == id[2, l] ? "" : "\tapart") }' |
        diff - "$scratch/found" && grep -q apart "$scratch/found"
}
# A cell for each layer and position, with the lens's token on it.
write_heat_map() { # PROGRAM
    "$1" "$model" "Tom & <Lily> said" "$scratch/map.svg" || return 1
    if command -v xmllint >/dev/null 2>&1; then
        xmllint --nonet --noout "$scratch/map.svg" || return 1
    fi
    "$plens" lens --quiet --model "$model" --text "Tom & <Lily> said" --positions all --top-k 1 |
        awk -F '\t' 'NR > 1 {
            gsub(/&/, "\\&amp;", $5); gsub(/</, "\\&lt;", $5)
            printf "layer %d, position %d: %.4f %s\n", $2, $1, $6, $5 }' >"$scratch/expected"
    sed -n 's/.*<title>\(.*\)<\/title>.*/\1/p; s/^<text[^>]*>\(.*\)<\/text>$/\1/p' \
        "$scratch/map.svg" | paste -d ' ' - - | diff "$scratch/expected" -
}
names_the_mistake() { # PROGRAM
    case $1 in
    */top_tokens | */read_state) set -- "$1" "$scratch/absent" "Once" ;;
    */steer) set -- "$1" "$scratch/absent" "Once" "upon" "a" 1 ;;
    */compare_personas) set -- "$1" "$scratch/absent" "Once" "upon" "a" ;;
    *) set -- "$1" "$scratch/absent" "Once" "upon" ;;
    esac
    if "$@" 2>"$scratch/said"; then
        return 1
    fi
    grep -qF "$scratch/absent" "$scratch/said"
}

for folder in "$BUILD/tests/examples" "$BUILD/tests/examples-cxx"; do
    if [ -x "$folder/top_tokens" ]; then
        for name in top_tokens read_state compare_personas patch_activation ablate_heads steer \
            write_heat_map; do
            check "$name" "$name" "$folder/$name"
            check "$name: a wrong folder" names_the_mistake "$folder/$name"
        done
    else
        skip "$folder: not built; is there a C++ compiler?"
    fi
done
check "the first example has at most 30 lines" \
    [ "$(wc -l <tests/examples/top_tokens.c)" -le 30 ]
for name in tests/examples/*.c; do
    check "$name: less than 60 lines" [ "$(wc -l <"$name")" -lt 60 ]
done
finish
