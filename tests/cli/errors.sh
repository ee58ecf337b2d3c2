#!/bin/sh
# Bad input and failed I/O are exit 3 with one line that names the place, and leave nothing behind.
set -u
. tests/tally.sh
. tests/refuses.sh

good=tests/fixtures/persona-world
shards=tests/fixtures/models/llama3-rope-shards

bad() { # PARTS ARGUMENT…
    bad_parts=$1
    shift
    check "exit 3" refuses 3 "plens: |$bad_parts" "$plens" "$@"
}

# A fresh copy of a model to be broken, in $broken.
copy() { # NAME [MODEL]
    broken=$scratch/$1
    cp -r "${2:-$good}" "$broken"
    chmod -R u+w "$broken"
}

# Edits a file in place, byte by byte.
edit() { # FILE SCRIPT
    LC_ALL=C sed "$2" "$1" >"$scratch/edited" && mv "$scratch/edited" "$1"
}

# The copy with one edit of config.json or of the safetensors header is refused.
config() { # PARTS SCRIPT
    copy config
    edit "$broken/config.json" "$2"
    bad "config.json|$1" info --model "$broken"
    rm -r "$broken"
}

header() { # PARTS SCRIPT
    copy header
    edit "$broken/model.safetensors" "$2"
    bad "model.safetensors|$1" info --model "$broken"
    rm -r "$broken"
}

# ---- folders ----
mkdir "$scratch/empty"
: >"$scratch/file"
for command in info "lens --ids 1" "dump --ids 1 --out $scratch/o" "score --data d.tsv"; do
    # shellcheck disable=SC2086  # words
    bad "$scratch/absent" $command --model "$scratch/absent"
    # shellcheck disable=SC2086
    bad "$scratch/empty" $command --model "$scratch/empty"
    # shellcheck disable=SC2086
    bad "$scratch/file" $command --model "$scratch/file"
done
bad "$scratch/empty/tokenizer.json" tokenize --model "$scratch/empty"
copy no-weights
rm "$broken/model.safetensors"
bad "no-weights" info --model "$broken"
copy no-tokenizer
rm "$broken/tokenizer.json"
bad "tokenizer.json" lens --model "$broken" --text Once
bad "tokenizer.json" score --model "$broken" --data d.tsv

# ---- checkpoints ----
copy cut
head -c 100000 "$good/model.safetensors" >"$broken/model.safetensors"
bad "model.safetensors|cut short" info --model "$broken"
copy cut-header
head -c 100 "$good/model.safetensors" >"$broken/model.safetensors"
bad "model.safetensors" info --model "$broken"
copy missing-shard "$shards"
rm "$broken/model-00002-of-00002.safetensors"
bad "model-00002-of-00002.safetensors" info --model "$broken"
copy cut-shard "$shards"
head -c 1500 "$shards/model-00002-of-00002.safetensors" \
    >"$broken/model-00002-of-00002.safetensors"
bad "model-00002-of-00002.safetensors" info --model "$broken"

copy header
edit "$broken/model.safetensors" 's/"model.norm.weight"/"model.morn.weight"/'
check "a tensor is missing" refuses 3 "plens: |weight" "$plens" info --model "$broken"
rm -r "$broken"
header "model.embed_tokens.weight" 's/"shape":\[1182,32\]/"shape":[32,1182]/'
header "I16" 's/"dtype":"F16","shape":\[1182,32\]/"dtype":"I16","shape":[1182,32]/'
header "" 's/"dtype":"F16","shape":\[1182,32\]/"dtype":"X16","shape":[1182,32]/'

# ---- config.json ----
config "" 's/{/[/'
config "GPTWrongForCausalLM" 's/LlamaForCausalLM/GPTWrongForCausalLM/'
config "hidden_size" 's/"hidden_size": 32/"hidden_size": 0/'
config "hidden_size" 's/"hidden_size": 32/"hidden_size": -32/'
config "hidden_size" 's/"hidden_size": 32/"hidden_size": 32.5/'
config "hidden_size" 's/"hidden_size": 32/"hidden_size": 99999999999999999999999/'
config "hidden_size" 's/"hidden_size": 32/"hidden_size": "32"/'
config "hidden_size" '/hidden_size/d'
config "vocab_size" 's/"vocab_size": 1182/"vocab_size": -1/'
config "num_hidden_layers" 's/"num_hidden_layers": 5/"num_hidden_layers": 0/'
config "num_attention_heads" 's/"num_attention_heads": 4/"num_attention_heads": 1e3/'
config "yarn" 's/"rope_scaling": null/"rope_scaling": {"rope_type": "yarn", "factor": 4.0}/'
config "gelu" 's/"silu"/"gelu"/'
copy more-layers
edit "$broken/config.json" 's/"num_hidden_layers": 5/"num_hidden_layers": 6/'
bad "model.layers.5." info --model "$broken"
copy fewer-layers
edit "$broken/config.json" 's/"num_hidden_layers": 5/"num_hidden_layers": 4/'
bad "model.layers.4." info --model "$broken"

# ---- tokenizer.json ----
copy tokenizer
echo '{' >"$broken/tokenizer.json"
bad "tokenizer.json" tokenize --model "$broken"
cp "$good/tokenizer.json" "$broken/tokenizer.json"
edit "$broken/tokenizer.json" 's/"TemplateProcessing"/"StrangeProcessing"/'
bad "tokenizer.json|StrangeProcessing" tokenize --model "$broken"

# ---- prompts ----
bad "--ids|1182|1181" lens --model "$good" --ids 1,1182
bad "--ids|-1" lens --model "$good" --ids 1,-1
bad "--ids|token id 99999999999999999999 is|1181" dump --model "$good" \
    --ids 99999999999999999999 --out "$scratch/o"
bad "--ids|token id -99999999999999999999 is" lens --model "$good" --ids 1,-99999999999999999999,2
bad "--text|empty" lens --model "$good" --text ""
bad "--text|UTF-8" lens --model "$good" --text "$(printf 'a\377b')"
bad "--text|UTF-8" dump --model "$good" --text "$(printf 'a\377b')" --out "$scratch/o"

# The last weight of the final norm becomes NaN: no number that comes of it is printed.
copy not-a-number
bytes=$(wc -c <"$broken/model.safetensors")
printf '\000\176' | dd of="$broken/model.safetensors" bs=1 seek=$((bytes - 2)) \
    conv=notrunc 2>/dev/null
bad "position 1, layer 1" lens --quiet --model "$broken" --ids 1,2
printf 'id\ttask\tpersona\tprompt\tgold\nodd\tt\tTim.\tOnce\tupon\n' >"$scratch/odd.tsv"
bad "odd.tsv:2|'odd'|with a persona|layer 1" score --quiet --model "$broken" \
    --data "$scratch/odd.tsv" --out "$scratch/odd"
check "nothing is left of it" [ ! -e "$scratch/odd" ]

# ---- data ----
head='id\ttask\tpersona\tprompt\tgold\n'
row='a\tt\tYou are Tim.\tOnce\tupon\n'

data() { # PARTS CONTENT [OPTION…]
    data_parts=$1
    printf "$2" >"$scratch/data.tsv"
    shift 2
    bad "data.tsv|$data_parts" score --model "$good" --data "$scratch/data.tsv" \
        --out "$scratch/results" "$@"
    check "nothing is left of it" [ ! -e "$scratch/results" ]
}

data "" ""
data "" "$head"
data "gold" 'id\ttask\tpersona\tprompt\na\tt\t\tOnce\n'
data "prompt" 'id\ttask\tpersona\tgold\na\tt\t\tOnce\n'
data "id" 'id\tid\ttask\tpersona\tprompt\tgold\na\ta\tt\t\tOnce\tx\n'
data ":2" "${head}a\tt\tOnce\tupon\n"
data ":3" "$head${row}b\tt\t\tOnce\tup\ton\n"
data ":3|\\q" "$head${row}b\tt\t\tOn\\\\qce\tupon\n"
data ":3|UTF-8" "$head${row}b\tt\t\tOn\377ce\tupon\n"
data ":3|prompt is empty" "$head${row}b\tt\tTim.\t\tupon\n"
data ":3|id is empty" "$head$row\tt\tTim.\tOnce\tupon\n"
data ":4|'a'|:2" "$head${row}b\tt\t\tOnce\tupon\na\tt\t\tTwo\tupon\n"
data ":3|gold is empty" "$head${row}b\tt\tTim.\tOnce\t\n"
data ":2|alternative" "${head}b\tt\tTim.\tOnce\tupon||a\n"
data ":2|alternative" "${head}b\tt\tTim.\tOnce\tupon|\n"
data "persona" "${head}b\tt\t\tOnce\tupon\n" --condition with
bad "absent.tsv" score --model "$good" --data "$scratch/absent.tsv"
printf "$head$row" >"$scratch/one.tsv"
printf "$head$row" >"$scratch/two.tsv"
bad "two.tsv:2|'a'|one.tsv:2" score --model "$good" --data "$scratch/one.tsv" \
    --data "$scratch/two.tsv"

# ---- templates ----
template() { # PARTS CONTENT
    printf "$2" >"$scratch/template.tsv"
    bad "template.tsv|$1" score --model "$good" --data "$scratch/one.tsv" \
        --template "$scratch/template.tsv"
}

template "condition" 'x\ttemplate\nwith\t{persona} {prompt}\n'
template "'without'" 'condition\ttemplate\nwith\t{persona} {prompt}\n'
template ":2|{prompt}" 'condition\ttemplate\nwith\t{persona} x\nwithout\t{prompt}\n'
template ":2|no {persona}" 'condition\ttemplate\nwith\t{prompt}\nwithout\t{prompt}\n'
template ":3|{persona}" 'condition\ttemplate\nwith\t{persona}{prompt}\nwithout\t{persona}{prompt}\n'
template ":2|'both'" 'condition\ttemplate\nboth\t{persona} {prompt}\n'
template ":3|second" 'condition\ttemplate\nwith\t{persona}{prompt}\nwith\t{persona}{prompt}\n'

# ---- output ----
score() {
    "$plens" score --quiet --model "$good" --data "$scratch/one.tsv" "$@"
}

# Files in a folder, hidden ones too.
holds() { # FOLDER COUNT
    [ "$(find "$1" -type f | wc -l)" -eq "$2" ]
}

check "a first run" score --out "$scratch/new/folder"
check "it writes four files" holds "$scratch/new" 4
check "a second one is refused" refuses 3 "new/folder|--force" score --out "$scratch/new/folder"
check "unless forced" score --out "$scratch/new/folder" --force
check "still four files" holds "$scratch/new" 4
check "a file is no folder" refuses 3 "one.tsv" score --out "$scratch/one.tsv"
check "nor has it folders" refuses 3 "one.tsv" score --out "$scratch/one.tsv/below"
mkdir -p "$scratch/blocked/layers.tsv"
check "a name is taken" refuses 3 "layers.tsv" score --force --out "$scratch/blocked"
check "nothing is left there" holds "$scratch/blocked" 0
bad "$scratch/absent/d.st" dump --quiet --model "$good" --ids 1,2 --out "$scratch/absent/d.st"
bad "$scratch/empty" dump --quiet --model "$good" --ids 1,2 --out "$scratch/empty"

if [ "$(id -u)" -ne 0 ]; then
    mkdir "$scratch/locked"
    chmod 555 "$scratch/locked"
    check "a locked folder" refuses 3 "locked" score --out "$scratch/locked"
    check "a locked parent" refuses 3 "locked" score --out "$scratch/locked/new"
    bad "locked/d.st" dump --quiet --model "$good" --ids 1,2 --out "$scratch/locked/d.st"
else
    skip "locked folders: root may write everywhere"
fi

if [ -d /proc/self ]; then
    check "a folder of the kernel's" refuses 3 "/proc/plens" score --out /proc/plens/results
    bad "/proc/d.st" dump --quiet --model "$good" --ids 1,2 --out /proc/d.st
else
    skip "no /proc here"
fi

# A limit on the size of files ends a write like a full disk does. (Below 2 LLVM's OpenMP fails.)
limited() { # 512-BYTE-BLOCKS COMMAND…
    limited_blocks=$1
    shift
    (
        ulimit -f "$limited_blocks"
        "$@"
    )
}

mkdir "$scratch/full"
check "no room for a dump" refuses 3 "full/d.st" limited 2 \
    "$plens" dump --quiet --model "$good" --ids 1,2,3 --out "$scratch/full/d.st"
check "nothing is left of it" holds "$scratch/full" 0
check "no room for a score" refuses 3 "full/results" limited 2 \
    "$plens" score --quiet --model "$good" --data tests/data/demo.tsv --ratios 1 \
    --out "$scratch/full/results"
check "nothing is left of it" [ ! -e "$scratch/full/results" ]

if [ -c /dev/full ]; then
    to_full() {
        "$@" >/dev/full
    }
    printf '"Once"\n' >"$scratch/lines"
    tokenize() {
        "$plens" tokenize --model "$good" <"$scratch/lines"
    }
    check "full: score" refuses 3 "standard output" to_full score
    check "full: lens" refuses 3 "standard output" to_full \
        "$plens" lens --quiet --model "$good" --ids 1
    check "full: info" refuses 3 "standard output" to_full "$plens" info --model "$good"
    check "full: tokenize" refuses 3 "standard output" to_full tokenize
    check "full: help" refuses 3 "standard output" to_full "$plens" --help
    check "full: a command's help" refuses 3 "standard output" to_full "$plens" score --help
    check "full: dump" refuses 3 "/dev/full" \
        "$plens" dump --quiet --model "$good" --ids 1,2,3 --out /dev/full
    check "/dev/full is still a device" [ -c /dev/full ]
else
    skip "no /dev/full here"
fi
finish
