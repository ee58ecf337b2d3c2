#!/bin/sh
# Ctrl-C and SIGTERM during a run: exit 130 and 143, one line, no output files.
set -u
. tests/tally.sh

# Many prompts that share no beginning, so that the run is far from its end when the signal comes.
awk 'BEGIN {
    print "id\ttask\tpersona\tprompt\tgold"
    for (i = 0; i < 20000; i++)
        printf "%d\tt\t\t%d times upon a time there was a little girl who had a dog\t\n", i, i
}' >"$scratch/data.tsv"

# Waits until plens says that it begins, then sends the signal.
stopped() { # SIGNAL EXIT-STATUS
    rm -f "$scratch/pipe"
    mkfifo "$scratch/pipe" || return 1
    "$plens" score --model tests/fixtures/persona-world --data "$scratch/data.tsv" --isa scalar \
        --threads 1 --out "$scratch/out/results" 2>"$scratch/pipe" &
    pid=$!
    {
        read -r line
        echo "$line"
        kill "-$1" "$pid"
        cat
    } <"$scratch/pipe" >"$scratch/said"
    wait "$pid"
    found=$?
    cat "$scratch/said"
    [ "$found" -eq "$2" ] || {
        echo "exit status $found"
        return 1
    }
    [ "$(grep -c 'stopped' "$scratch/said")" -eq 1 ] && [ ! -e "$scratch/out" ]
}

check "Ctrl-C" stopped INT 130
check "SIGTERM" stopped TERM 143
finish
