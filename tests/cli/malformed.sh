#!/bin/sh
# Malformed safetensors files and indices, through the command: those that the reference
# implementation's own tests hold, and what a download or a disk does to a folder. Each is exit 3 with
# one line that names the file, and tells the case apart from the others.
set -u
. tests/tally.sh
. tests/refuses.sh
. tests/write_safetensors.sh

model=$scratch/model
mkdir "$model"
cp tests/fixtures/models/llama-biases/config.json "$model"
weights=$model/model.safetensors

# A file of a header (its escapes resolved by printf) and some zero bytes, to be refused.
file() { # PARTS HEADER N_DATA
    write_safetensors "$weights" "$2" "$3"
    is_refused "$1"
}

is_refused() { # PARTS
    check "exit 3" refuses 3 "plens: $weights: |$1" "$plens" info --model "$model"
}

: >"$weights"
is_refused "8 bytes|0"
printf '\002\0\0\0\0\0\0\0' >"$weights"
is_refused "2|8"
printf '\377\377\377\377\377\377\377\377{}' >"$weights"
is_refused "100000000|18446744073709551615"
printf '\001\341\365\005\0\0\0\0{}' >"$weights" # 100,000,001
is_refused "100000000|100000001"
file "header: byte 1:|the end" '{' 0
file "{" '' 0
file "{" '[]' 0
file "{" ' {}' 0
file "header: byte 7:|'}'" '{"a":1}}' 0
file "UTF-8" '{"\377":1}' 0
file '"b"|a begin of 8|found 0' "{\"a\":$(x '[2]' 0 8),\"b\":$(x '[2]' 0 8)}" 8 # one span for two
file '"b"' "{\"a\":$(x '[2]' 0 8),\"b\":$(x '[2]' 4 12)}" 12   # overlap
file '"b"' "{\"a\":$(x '[1]' 0 4),\"b\":$(x '[1]' 8 12)}" 12   # hole
file '"a"|0' "{\"a\":$(x '[1]' 4 8)}" 8                        # hole in front
file "7" "{\"a\":$(x '[1]' 0 4)}" 7                            # trailing bytes: a polyglot
file "3" "{\"a\":$(x '[1]' 0 4)}" 3                            # cut short
file '"a"|data_offsets' "{\"a\":$(x '[1]' 4 0)}" 4
file '"a"|data_offsets|-4' "{\"a\":$(x '[1]' -4 0)}" 4
file '"a"|shape' "{\"a\":$(x '[-1]' 0 4)}" 4
file '"a"|shape|1.5' "{\"a\":$(x '[1.5]' 0 4)}" 4
file '"a"|8|4' "{\"a\":$(x '[2]' 0 4)}" 4
file '"a"|shape|2^64' "{\"a\":$(x '[2,18446744073709551614]' 0 16)}" 16
file '"a"|shape|2^64' "{\"a\":$(x '[2,9223372036854775807]' 0 8)}" 8
file '"a"|F4' "{\"a\":$(x '[3]' 0 2 F4)}" 2 # one byte and a half
file '"a"|"F33"' "{\"a\":$(x '[1]' 0 4 F33)}" 4
file '"a" again' "{\"a\":$(x '[1]' 0 4),\"a\":$(x '[1]' 0 4)}" 4
file '__metadata__' '{"__metadata__":{"a":1}}' 0
file 'shape' '{"a":{"dtype":"F32","data_offsets":[0,4]}}' 4
file 'F16|I32' "{\"model.embed_tokens.weight\":$(x '[61,20]' 0 4880 I32)}" 4880

# As many overlapping entries as the reference tests: quadratic work would show.
awk 'BEGIN {
    printf "{"
    for (i = 0; i < 100000; i++)
        printf "%s\"t%d\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", i ? "," : "", i
    printf "}"
}' >"$scratch/header"
{
    safetensors_length "$(wc -c <"$scratch/header")"
    cat "$scratch/header"
    printf '\0\0\0\0'
} >"$weights"
is_refused '"t1"'

# Folders as the Hub's cache and broken downloads leave them: links to blobs work, a link to nothing,
# a pointer of Git LFS and a folder in the file's place do not.
cp -r tests/fixtures/models/llama3-rope-shards "$scratch/hub"
mkdir "$scratch/blobs"
for shard in "$scratch"/hub/model-*; do
    mv "$shard" "$scratch/blobs"
    ln -s "../blobs/${shard##*/}" "$shard"
done
for extra in generation_config.json tokenizer_config.json .gitattributes pytorch_model.bin; do
    printf '{' >"$scratch/hub/$extra"
done
mkdir "$scratch/hub/original"
check "links, and files that are none of ours" "$plens" info --model "$scratch/hub"
shard=model-00002-of-00002.safetensors
mv "$scratch/blobs/$shard" "$scratch/blobs/away"
check "a link to nothing" refuses 3 "plens: $scratch/hub/$shard: " "$plens" info \
    --model "$scratch/hub"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' >"$scratch/blobs/$shard"
check "a pointer of Git LFS" refuses 3 "plens: $scratch/hub/$shard: " "$plens" info \
    --model "$scratch/hub"
rm "$scratch/hub/$shard"
mkdir "$scratch/hub/$shard"
check "a folder for a file" refuses 3 "plens: $scratch/hub/$shard: " "$plens" info \
    --model "$scratch/hub"
finish
