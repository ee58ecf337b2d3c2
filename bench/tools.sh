# Sourced by the scripts that measure whole jobs. Not one itself.
#
# $PYTHON (python3) writes the questions; $BUILD (build) is where make puts things, $SCRATCH a folder
# with room for the models (a new one in $TMPDIR).
: "${PYTHON:=python3}" "${BUILD:=build}" "${CC:=cc}"
here=$(dirname "$0")
root=$here/..
plens=$BUILD/plens
if [ -n "${SCRATCH:-}" ]; then
    scratch=$SCRATCH
    mkdir -p "$scratch"
else
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
fi

prepare() {
    make -C "$root" BUILD="$BUILD" "$BUILD/plens" "$BUILD/bench/make_checkpoint" \
        "$BUILD/bench/measure" >&2
}

usage() { # prints the script's first comment
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

# The number of a key: value FILE KEY, in a file of lines "KEY NUMBER" or "KEY: NUMBER"
value() {
    sed -n "s/^ *$2:\{0,1\} \([0-9.e+]*\).*/\1/p" "$1"
}

# A synthetic model of a shape, made once in $scratch: model NAME OPTION…; its folder is $made
model() {
    made=$scratch/$1
    shift
    [ -e "$made/model.safetensors.index.json" ] || "$BUILD/bench/make_checkpoint" "$made" "$@" >&2
}

# Runs plens score into a folder, leaving $scratch/plan and $scratch/took: score OPTION…
score() { # also reads the plan: --plan itself reads a little of the model
    rm -rf "$scratch/out"
    "$plens" score --plan "$@" >"$scratch/plan"
    "$BUILD/bench/measure" "$scratch/took" "$plens" score --quiet --out "$scratch/out" "$@"
    flops=$(value "$scratch/plan" work) rows=$(value "$scratch/plan" rows)
    tokens=$(value "$scratch/plan" tokens) parts=$(value "$scratch/plan" parts)
    reads=$(value "$scratch/plan" reads)
    seconds=$(sed -n 's/.*"run_seconds": \([0-9.]*\).*/\1/p' "$scratch/out/run.json")
    whole_seconds=$(value "$scratch/took" seconds)
    peak_bytes=$(value "$scratch/took" peak_bytes) read_bytes=$(value "$scratch/took" read_bytes)
}

# awk's arithmetic on its arguments: calculate FORMAT EXPRESSION
calculate() {
    awk "BEGIN { printf \"$1\", $2 }"
}

# Makes the system forget a folder's pages: the next read comes from the disk.
cold() {
    sync
    for file in "$1"/*; do
        dd if="$file" iflag=nocache count=0 2>/dev/null || true
    done
}
