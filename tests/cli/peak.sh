#!/bin/sh
# The budget is kept: a model several times as large runs within --memory, as the kernel counts
# resident memory (file pages that are mapped included), and in a control group of that size.
set -u
. tests/tally.sh
. tests/synthetic.sh

check "it compiles" "$CC" -std=c99 -O2 -Wall -Wextra -Wpedantic -Werror -o "$scratch/measure" \
    bench/measure.c
check "a model of 150 MB" synthetic_model "$scratch/model" --layers 24 --hidden 512 --ffn 1536 \
    --heads 8 --kv-heads 2 --head-dim 64 --vocab 8192
synthetic_questions 30 >"$scratch/data.tsv"
size=$(cat "$scratch"/model/*.safetensors | wc -c)
score() { # OPTION…
    "$scratch/measure" "$scratch/took" "$plens" score --model "$scratch/model" \
        --data "$scratch/data.tsv" --checkpoint 0 --force "$@"
}
took() { # KEY
    sed -n "s/^$1 \([0-9]*\).*/\1/p" "$scratch/took"
}

if nm "$BUILD/libplens.a" 2>/dev/null | grep -q __asan_; then
    skip "a sanitizer's own memory is no part of the budget"
    finish
fi
within() { # MEBIBYTES OPTION…
    mebibytes=$1
    shift
    score --memory "${mebibytes}M" --out "$scratch/out" "$@" 2>"$scratch/said" || {
        cat "$scratch/said"
        return 1
    }
    cat "$scratch/said" "$scratch/took"
    [ "$(took peak_bytes)" -le $((mebibytes << 20)) ]
}
check "the model is large" [ "$size" -gt 140000000 ]
check "36M, in parts" within 36 --threads 1
check "which are several" grep -q 'plan: [2-9][0-9]* parts' "$scratch/said"
cp -r "$scratch/out" "$scratch/parts"
check "48M" within 48 --threads 2
check "64M" within 64 --threads 2
check "the same bytes" cmp "$scratch/parts/layers.tsv" "$scratch/out/layers.tsv"
check "more than it needs" within 1024 --threads 2
check "does not tempt it" [ "$(took peak_bytes)" -lt $((160 << 20)) ]

# ---- a control group: pages of the cache count there too, but those that are read can go ----
# Ours, below the one that this shell is in; version 2 lets only some make one.
group() { # prints a new group's folder
    version1=$(sed -n 's/^[0-9]*:\(.*,\)\{0,1\}memory\(,.*\)\{0,1\}:\(.*\)/\3/p' /proc/self/cgroup 2>/dev/null)
    version2=$(sed -n 's/^0:://p' /proc/self/cgroup 2>/dev/null)
    for group_place in "/sys/fs/cgroup/memory$version1" "/sys/fs/cgroup$version2"; do
        group_folder=$group_place/plens-test-$$
        mkdir "$group_folder" 2>/dev/null || continue
        for group_limit in memory.limit_in_bytes memory.max; do
            if echo $((64 << 20)) 2>/dev/null >"$group_folder/$group_limit"; then
                echo "$group_folder"
                return 0
            fi
        done
        rmdir "$group_folder"
    done
    return 1
}
if folder=$(group); then
    in_group() { # without --memory the group's limit is the budget
        sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' in-group "$folder" \
            "$plens" score --model "$scratch/model" --data "$scratch/data.tsv" --threads 2 \
            --out "$scratch/grouped" "$@" 2>"$scratch/said" || {
            cat "$scratch/said"
            return 1
        }
        cat "$scratch/said"
    }
    check "in a group of 64M" in_group
    check "the same bytes" cmp "$scratch/parts/layers.tsv" "$scratch/grouped/layers.tsv"
    check "with a budget of 64M" in_group --memory 64M --force
    rmdir "$folder"
else
    skip "no control group can be made here"
fi
finish
