#!/bin/sh
# plens lens against the float64 lens of every golden: the top token wherever the margin allows, its
# probability within 1e-4; and the shape of what it prints.
set -u
. tests/tally.sh

model=tests/fixtures/persona-world

# One line a prompt and layer of golden.json: prompt, ids, layer, top, top_prob, margin.
golden_lens() { # FILE
    awk '{
        n = split($0, prompts, /[{]"ids": /)
        for (i = 2; i <= n; i++) {
            ids = list(prompts[i], "")
            n_layers = split(list(prompts[i], "\"top\": "), top, ",")
            split(list(prompts[i], "\"top_prob\": "), prob, ",")
            split(list(prompts[i], "\"margin\": "), margin, ",")
            prompt++
            for (l = 1; l <= n_layers; l++)
                print prompt, ids, l, top[l], prob[l], margin[l]
        }
    }
    function list(text, key) { # the first array after the key, without brackets and spaces
        text = substr(text, index(text, key) + length(key))
        text = substr(text, 2, index(text, "]") - 2)
        gsub(" ", "", text)
        return text
    }' "$1"
}

# What plens prints for every prompt of the golden agrees with it.
agrees() { # FOLDER
    golden_lens "$1/golden.json" >"$scratch/golden"
    [ -s "$scratch/golden" ] || return 1
    : >"$scratch/found"
    for prompt in $(awk '$1 != last { print $2; last = $1 }' "$scratch/golden"); do
        "$plens" lens --quiet --model "$1" --precision f32 --top-k 1 --ids "$prompt" \
            >"$scratch/lens" || return 1
        sed 1d "$scratch/lens" >>"$scratch/found"
    done
    # found: position layer rank token_id token prob, by tabs; golden by spaces
    awk -F '\t' -v golden="$scratch/golden" '{
        if ((getline line < golden) <= 0) { print "more lines than expected"; exit bad = 1 }
        split(line, g, " ")
        off = ($6 - g[5]) / g[5]
        if ($2 != g[3] || $3 != 1 || ($4 != g[4] && g[6] > 1e-4) || off > 1e-4 || off < -1e-4) {
            print "expected prompt ids layer top prob margin:", line; print "found:", $0
            exit bad = 1
        }
    }
    END { if (!bad && (getline line < golden) > 0) { print "missing:", line; bad = 1 }; exit bad }
    ' "$scratch/found"
}

model_folders >"$scratch/folders"
while read -r folder; do
    check "$folder: the goldens" agrees "$folder"
done <"$scratch/folders"

lens() {
    "$plens" lens --quiet --model "$model" "$@"
}

# Runs and keeps what it prints in $scratch/lens.
lens_rows() { # ROWS OPTION…
    rows=$1
    shift
    lens "$@" >"$scratch/lens" || return 1
    [ "$(wc -l <"$scratch/lens")" -eq $((rows + 1)) ]
}
header_is() {
    printf 'position\tlayer\trank\ttoken_id\ttoken\tprob\n' >"$scratch/header"
    head -n 1 "$scratch/lens" | diff "$scratch/header" -
}
# Positions, layers and ranks as they should be counted.
counts() { # FIRST-POSITION LAYERS TOP-K
    sed 1d "$scratch/lens" | awk -F '\t' -v p="$1" -v n_layers="$2" -v top_k="$3" '
        BEGIN { l = 1; r = 1 }
        $1 != p || $2 != l || $3 != r { print "unexpected:", $0; exit 1 }
        r > 1 && $6 > prob { print "probability rises:", $0; exit 1 }
        { prob = $6; if (++r > top_k) { r = 1; if (++l > n_layers) { l = 1; p++ } } }'
}
check "the last position and 5 tokens are the default" lens_rows 25 --ids 0,908,680,1073,1096
check "header" header_is
check "positions from 0, layers from 1, rank from 1" counts 4 5 5
check "all positions" lens_rows 50 --ids 0,908,680,1073,1096 --positions all --top-k 2
check "in order" counts 0 5 2
cp "$scratch/lens" "$scratch/all"
check "more tokens than there are" lens_rows 5910 --ids 1 --top-k 100000
whole() { # the probabilities of all tokens sum to 1 in each layer
    sed 1d "$scratch/lens" | awk -F '\t' '{ sum[$2] += $6 }
        END { for (l in sum) if (sum[l] < 0.99999 || sum[l] > 1.00001) exit 1 }'
}
check "the probabilities of all tokens sum to 1" whole

same_as_ids() {
    lens --text 'What is the capital' --positions all --top-k 2 | diff "$scratch/all" -
}
check "a text is its ids, the post-processor's among them" same_as_ids
ids_are_told() {
    "$plens" lens --model "$model" --text 'What is the capital' 2>&1 >"$scratch/lens" |
        grep -qxF 'plens: token ids 0,908,680,1073,1096'
}
check "the ids used are told" ids_are_told

# The model was made for 256 positions: a longer prompt runs, but not without a word. One of 256 has
# nothing to be told.
told_of_length() { # TOKENS NOTES
    "$plens" lens --model "$model" --ids "$(awk -v n="$1" \
        'BEGIN { while (--n > 0) printf "5,"; print 5 }')" 2>"$scratch/notes" >"$scratch/lens" &&
        [ "$(grep -c "1 of 1 prompts are longer than the 256 positions" "$scratch/notes")" -eq "$2" ]
}
check "a prompt longer than the model was made for is told" told_of_length 257 1
check "and one just as long is not" told_of_length 256 0

# Ids without a token: [N]; here a folder without a tokenizer.
bare_ids() {
    "$plens" lens --quiet --model tests/fixtures/models/qwen2-window --ids 1,2,3 |
        awk -F '\t' 'NR > 1 && $5 != "[" $4 "]" { exit 1 }'
}
check "ids without a token" bare_ids
space_stays() {
    grep -qF "$(printf '1096\t capital\t')" "$scratch/all"
}
check "a leading space stays" space_stays

# The table for people: a line a layer, the last on top.
view_has() {
    lens --text 'What is the capital' --positions all --view >"$scratch/view" || return 1
    grep -n '^layer [0-9]' "$scratch/view" | sed 's/^[0-9]*:layer \([0-9]*\).*/\1/' | tr '\n' ' ' |
        grep -qx '5 4 3 2 1 ' && grep -q '^read .*What.*capital' "$scratch/view"
}
check "a table for people" view_has
finish
