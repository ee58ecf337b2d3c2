#!/bin/sh
# Broken dumps through plens audit: each is exit 3 with one line that names the file and what is wrong,
# and nothing on standard output, which a script could take for a verdict. Guards against: a file cut
# short being judged by what is there; a number that is none, a state that is missing or of another
# model, ids of another text passing for a mistake of the engine, or for none.
set -u
. tests/tally.sh
. tests/refuses.sh
. tests/write_safetensors.sh

model=tests/fixtures/models/llama-biases # 3 blocks, 20 wide, 61 ids
whole=tests/fixtures/dumps/llama-biases/clean.3.12.f32.safetensors
broken=$scratch/broken.safetensors

refused() { # PARTS
    refuses 3 "plens: $broken: |$1" "$plens" audit --quiet --model "$model" --dump "$broken"
}

# Cut everywhere in the header's length, at every 64th byte after it, and one byte before the end.
size=$(wc -c <"$whole")
cuts() {
    for at in 0 1 2 3 4 5 6 7 8 9 $(awk "BEGIN { for (i = 10; i < $size; i += 64) print i }") \
        $((size - 1)); do
        head -c "$at" "$whole" >"$broken"
        refused "" >"$scratch/said" 2>&1 || {
            echo "cut after $at of $size bytes:"
            cat "$scratch/said"
            return 1
        }
    done
}
check "cut short" cuts
cp "$whole" "$broken"
printf 0 >>"$broken"
check "a byte too many" refused ""

# The same length of header, another word in it.
edited() { # FROM TO PARTS
    LC_ALL=C sed "s/$1/$2/" "$whole" >"$broken"
    [ "$(wc -c <"$broken")" -eq "$size" ] && ! cmp -s "$whole" "$broken" && refused "$3"
}
check "a state is missing" edited '"hidden_states.2"' '"hidden_states.7"' '"hidden_states.2"'
check "the first is missing" edited '"hidden_states.0"' '"hidden_states.7"' '"hidden_states.0"'
check "a name twice" edited '"hidden_states.2"' '"hidden_states.1"' '"hidden_states.1" again'
check "no ids" edited '"input_ids"' '"inputXids"' '"input_ids"'

# Where a tensor's data begin in a file.
offset_in() { # FILE NAME
    offset_header=$(od -A n -t u1 -N 2 "$1" | awk '{ print $1 + 256 * $2 }')
    offset_data=$(head -c $((8 + offset_header)) "$1" | tail -c "$offset_header" | tr '{}' '\n\n' |
        awk -v name="\"$2\":" 'found { sub(/.*data_offsets":\[/, ""); sub(/,.*/, ""); print; exit }
                              index($0, name) { found = 1 }')
    echo $((8 + offset_header + offset_data))
}
offset_of() { # NAME
    offset_in "$whole" "$1"
}
put() { # OFFSET BYTES PARTS
    cp "$whole" "$broken"
    printf "$2" | dd of="$broken" bs=1 seek="$1" conv=notrunc 2>"$scratch/dd" || return 1
    refused "$3"
}
nan='\000\000\300\177' infinity='\000\000\200\377'
first=$(offset_of hidden_states.1)
check "NaN" put $((first + 4 * 21)) "$nan" 'state 1, position 1, element 1|NaN'
check "infinity" put "$first" "$infinity" 'state 1, position 0, element 0|inf'
check "NaN in the first state" put "$(offset_of hidden_states.0)" "$nan" 'state 0, position 0|NaN'
check "NaN in the last state" put "$(offset_of hidden_states.3)" "$nan" 'state 3, position 0|NaN'
check "NaN in the logits" put $(($(offset_of logits) + 4 * 62)) "$nan" \
    'the logits, position 1, element 1|NaN'
id=$(offset_of input_ids)
check "an id beyond the vocabulary" put $((id + 8)) '\075\000\000\000' \
    'input_ids, position 2: expected 0 to 60|found 61'
check "a negative id" put "$id" '\377\377\377\377' 'input_ids, position 0: expected 0 to 60|found -1'

# Files made: the states of T positions, D wide; ids of N.
made() { # T D N DTYPE-OF-STATE-1 ITEM-SIZE PARTS
    made_states=$(($1 * $2 * 4)) made_one=$(($1 * $2 * $5)) made_ids=$(($3 * 4))
    made_a=$((made_ids + made_states)) made_b=$((made_ids + made_states + made_one))
    write_safetensors "$broken" "{\"input_ids\":$(x "[$3]" 0 $made_ids I32),\
\"resid.0\":$(x "[$1,$2]" $made_ids $made_a),\
\"resid.1\":$(x "[$1,$2]" $made_a $made_b "$4"),\
\"resid.2\":$(x "[$1,$2]" $made_b $((made_b + made_states))),\
\"resid.3\":$(x "[$1,$2]" $((made_b + made_states)) $((made_b + 2 * made_states)))}" \
        $((made_b + 2 * made_states))
    refused "$6"
}
check "another width" made 3 24 3 F32 4 '"resid.0"|expected shape [3, 20]|found [3, 24]'
check "more ids than positions" made 3 20 4 F32 4 '"resid.0"|expected shape [4, 20]|found [3, 20]'
check "fewer ids than positions" made 3 20 2 F32 4 '"resid.0"|expected shape [2, 20]|found [3, 20]'
check "double precision" made 3 20 3 F64 8 '"resid.1"|expected F32, F16 or BF16, found F64'
check "integers" made 3 20 3 I32 4 '"resid.1"|found I32'
check "no tokens" made 0 20 0 F32 4 '"input_ids"|at least one id'
# Well formed: zeros are judged, and depart.
zeros() {
    made 3 20 3 F32 4 ""
    "$plens" audit --quiet --model "$model" --dump "$broken" >"$scratch/zeros"
    [ $? -eq 1 ] && tail -n 1 "$scratch/zeros" | grep '^departs at embedding: '
}
check "zeros are no broken file" zeros

# A weight that is not a number: the model is broken, and no engine departs from it.
cp -r "$model" "$scratch/model"
chmod -R u+w "$scratch/model"
printf '\300\177\300\177' | dd of="$scratch/model/model.safetensors" bs=1 conv=notrunc 2>"$scratch/dd" \
    seek="$(offset_in "$scratch/model/model.safetensors" model.layers.1.mlp.down_proj.weight)"
check "a weight of the model is a NaN" \
    refuses 3 "the model's own block 2|finite" "$plens" audit --quiet --model "$scratch/model" --dump "$whole"

finish
