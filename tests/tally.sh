# Sourced by the command-line tests: counts what passes and cleans up. Not a test itself.
#
#     . tests/tally.sh
#     check "what is tested" COMMAND…      passes if the command does
#     finish                               prints "N passed, N failed, N skipped" and exits
: "${BUILD:=build}" "${CC:=cc}"
plens=$BUILD/plens
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check() {
    what=$1
    shift
    if "$@" >"$scratch/check.log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what: $*"
        head -n 20 "$scratch/check.log" | sed 's/^/    /'
    fi
}

skip() {
    skipped=$((skipped + 1))
    echo "skipped: $*"
}

# The command, with something done once its first checkpoint is there: tests/after_checkpoint.c. In
# DOING, $PPID is the process: after_checkpoint DOING score OPTION…
after_checkpoint() (
    AFTER_CHECKPOINT=$1
    export AFTER_CHECKPOINT
    shift
    exec "$BUILD/tests/plens" "$@"
)

# The fixture models, and the shared ones where they are present, one a line.
model_folders() (
    for model in tests/fixtures/models/* tests/fixtures/persona-world \
        "${PLENS_SHARED:-../shared}"/models/*; do
        if [ -f "$model/golden.safetensors" ]; then
            echo "$model"
        fi
    done
)

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}
