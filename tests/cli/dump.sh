#!/bin/sh
# plens dump: a safetensors file that holds Transformers' states and logits (golden.safetensors).
set -u
. tests/tally.sh

# The header's JSON, and where the data begin.
header() { # FILE
    dd if="$1" bs=1 skip=8 count="$(header_bytes "$1")" 2>/dev/null
}
header_bytes() {
    od -A n -t u4 -N 4 "$1" | tr -d ' '
}
# "FIRST LAST" of a tensor, offsets in the file.
span() { # FILE NAME
    first=$((8 + $(header_bytes "$1")))
    header "$1" | tr '{' '\n' | grep -A 1 "\"$2\":\$" | tail -n 1 |
        sed 's/.*"data_offsets": *\[\([0-9]*\), *\([0-9]*\)\].*/\1 \2/' |
        awk -v first="$first" '{ print first + $1, first + $2 }'
}
floats() { # FILE FIRST LAST
    od -v -A n -t f4 -j "$2" -N $(($3 - $2)) "$1" | tr -s ' ' '\n' | sed '/^$/d'
}
# The relative distance of two columns of numbers, state by state of `width`, is below 5e-5.
close_to() { # WIDTH EXPECTED FOUND
    paste "$2" "$3" | awk -v width="$1" '
        NF != 2 { print "not of the same length, line " NR; exit bad = 1 }
        { d += ($1 - $2) ^ 2; n += $1 ^ 2 }
        NR % width == 0 {
            if (!(d <= 25e-10 * n)) { print "state " NR / width ": " sqrt(d / n); exit bad = 1 }
            d = n = 0
        }
        END { exit bad }'
}

width_of() { # FOLDER: of the residual stream
    sed -n 's/.*"hidden_size": *\([0-9]*\).*/\1/p' "$1/config.json"
}

# resid.0 .. resid.L lie one after the other, as the golden's 0.resid [L+1, T, d_model] does.
agrees() { # FOLDER
    ids=$(sed 's/.*"prompts"//' "$1/golden.json" | tr '{' '\n' |
        sed -n 's/^"ids": \[\([0-9, ]*\)\].*/\1/p' | head -n 1 | tr -d ' ')
    "$plens" dump --quiet --model "$1" --ids "$ids" --precision f32 --out "$scratch/dump" ||
        return 1
    golden=$1/golden.safetensors
    # shellcheck disable=SC2046  # two words
    set -- "$1" $(span "$scratch/dump" resid.0) $(span "$scratch/dump" logits)
    floats "$scratch/dump" "$2" "$4" >"$scratch/found"
    floats "$scratch/dump" "$4" "$5" >"$scratch/found-logits"
    # shellcheck disable=SC2046
    floats "$golden" $(span "$golden" 0.resid) >"$scratch/resid"
    # shellcheck disable=SC2046
    floats "$golden" $(span "$golden" 0.logits) >"$scratch/logits"
    [ -s "$scratch/resid" ] && [ -s "$scratch/logits" ] || return 1
    close_to "$(width_of "$1")" "$scratch/resid" "$scratch/found" &&
        close_to 1000000 "$scratch/logits" "$scratch/found-logits"
}
model_folders >"$scratch/folders"
while read -r folder; do
    check "$folder: the goldens" agrees "$folder"
done <"$scratch/folders"

model=tests/fixtures/persona-world
check "dump" "$plens" dump --quiet --model "$model" --ids 0,908,680 --out "$scratch/dump"

resid='"resid.%s":{"dtype":"F32","shape":[3,32],"data_offsets":[%s,%s]},'
header_is() {
    {
        printf '{"input_ids":{"dtype":"I32","shape":[3],"data_offsets":[0,12]},'
        for layer in 0 1 2 3 4 5; do
            printf "$resid" $layer $((12 + 384 * layer)) $((396 + 384 * layer))
        done
        printf '"logits":{"dtype":"F32","shape":[3,1182],"data_offsets":[2316,16500]}}'
    } >"$scratch/expected"
    header "$scratch/dump" | sed 's/ *$//' | diff "$scratch/expected" -
}
check "the header" header_is
sized() {
    bytes=$(header_bytes "$scratch/dump")
    [ $((bytes % 8)) -eq 0 ] && [ "$(wc -c <"$scratch/dump")" -eq $((8 + bytes + 16500)) ]
}
check "its length is a multiple of 8, the file's as it says" sized
holds_ids() {
    od -A n -t d4 -j $((8 + $(header_bytes "$scratch/dump"))) -N 12 "$scratch/dump" |
        tr -s ' ' | grep -qx ' 0 908 680'
}
check "input_ids" holds_ids

# resid.0 is the embedding: in this checkpoint 32 halves a row at the head of the data, none of them
# subnormal, so that a float has the same sign and mantissa and an exponent that is 112 more.
embeds() {
    embedding=$((8 + $(header_bytes "$model/model.safetensors")))
    od -v -A n -t u2 -j $((embedding + 680 * 64)) -N 64 "$model/model.safetensors" |
        tr -s ' ' '\n' | sed '/^$/d' | awk '{ sign = int($1 / 32768); rest = $1 % 32768
            if (rest < 1024) exit 1
            printf "%.0f\n", sign * 2147483648 + rest * 8192 + 112 * 8388608 }' >"$scratch/row"
    od -v -A n -t u4 -j $((8 + $(header_bytes "$scratch/dump") + 12 + 2 * 128)) -N 128 \
        "$scratch/dump" | tr -s ' ' '\n' | sed '/^$/d' >"$scratch/found"
    [ "$(wc -l <"$scratch/row")" -eq 32 ] && diff "$scratch/row" "$scratch/found"
}
check "resid.0 is the embedding" embeds

# ---- points ----

all=embed,resid_pre,attn_norm,q,k,v,q_rot,k_rot,attn_scores,attn_pattern,z,head_out,attn_out
all=$all,resid_mid,mlp_norm,mlp_gate,mlp_up,mlp_act,mlp_post,mlp_out,resid_post,final_norm,logits

# Every point against Transformers (tests/make_hook_goldens.py).
points_agree() { # MODEL
    golden=tests/fixtures/hooks/$1.safetensors
    "$plens" dump --quiet --model "tests/fixtures/models/$1" --ids 1,7,5,9,30,2,11 \
        --precision f32 --points "$all" --layers 1-2 --out "$scratch/points" || return 1
    compared=0
    for name in embed $(echo "$all" | tr ',' '\n' | sed '/^embed$/d;/^final_norm$/d;/^logits$/d
        s/.*/&.1 &.2/') final_norm logits; do
        # shellcheck disable=SC2046  # two words
        floats "$golden" $(span "$golden" "$name") >"$scratch/expected"
        # shellcheck disable=SC2046
        floats "$scratch/points" $(span "$scratch/points" "$name") >"$scratch/found"
        [ -s "$scratch/found" ] && close_to "$(wc -l <"$scratch/found")" "$scratch/expected" \
            "$scratch/found" || { echo "$name" && return 1; }
        compared=$((compared + 1))
    done
    [ "$compared" -eq 43 ]
}
for name in llama-biases mistral-window qwen2-window qwen3-biases; do
    check "$name: points" points_agree "$name"
done

shapes_are() { # NAME SHAPE…
    while [ $# -gt 1 ]; do
        header "$scratch/shapes" | grep -qF "\"$1\":{\"dtype\":\"F32\",\"shape\":[$2]," || {
            echo "$1" && return 1
        }
        shift 2
    done
}
check "points" "$plens" dump --quiet --model $model --ids 0,908,680 --points "$all" --layers 3 \
    --out "$scratch/shapes"
check "shapes: 4 heads of 8, 2 for keys" shapes_are embed 3,32 attn_norm.3 3,32 q_rot.3 3,4,8 \
    v.3 3,2,8 attn_scores.3 4,3,3 attn_pattern.3 4,3,3 z.3 3,4,8 head_out.3 3,4,32 \
    mlp_act.3 3,96 resid_post.3 3,32 final_norm 3,32 logits 3,1182
check "no other layer" [ "$(header "$scratch/shapes" | grep -c '\.[1245]"')" -eq 0 ]
beyond() {
    "$plens" dump --quiet --model $model --ids 1 --points z --layers 3-6 --out "$scratch/f" \
        2>"$scratch/said"
    [ $? -eq 3 ] && grep -F "$model has blocks 1 to 5" "$scratch/said" && [ ! -e "$scratch/f" ]
}
check "a layer that is not there" beyond

# The same bytes as in the whole dump, wherever they lie.
same_state() {
    # shellcheck disable=SC2046
    set -- $(span "$scratch/dump" resid.3) $(span "$scratch/shapes" resid_post.3)
    dd if="$scratch/dump" bs=1 skip="$1" count=384 of="$scratch/expected" 2>/dev/null
    dd if="$scratch/shapes" bs=1 skip="$3" count=384 of="$scratch/found" 2>/dev/null
    cmp "$scratch/expected" "$scratch/found"
}
check "resid.3 is resid_post.3" same_state

# A text is its ids; a file that is there is replaced; no other file is left.
mkdir "$scratch/folder"
echo old >"$scratch/folder/d.safetensors"
check "a text" "$plens" dump --quiet --model "$model" --text "What is" \
    --out "$scratch/folder/d.safetensors"
check "is its ids" cmp "$scratch/dump" "$scratch/folder/d.safetensors"
check "nothing else is left" [ "$(find "$scratch/folder" -type f | wc -l)" -eq 1 ]
piped() {
    "$plens" dump --quiet --model "$model" --ids 0,908,680 --out /dev/stdout |
        cmp "$scratch/dump" -
}
if [ -e /dev/stdout ]; then
    check "through a pipe" piped
else
    skip "no /dev/stdout here"
fi
finish
