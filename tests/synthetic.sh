# Sourced by the command-line tests of long jobs, after tests/tally.sh: a model of any size with
# random weights and a real tokenizer, and questions for it. Not a test itself.

# Compiles bench/make_checkpoint.c once.
synthetic_make() {
    [ -x "$scratch/make_checkpoint" ] ||
        "$CC" -std=c99 -O2 -o "$scratch/make_checkpoint" bench/make_checkpoint.c
}

# A model of about two megabytes unless options say otherwise: synthetic_model FOLDER OPTION…
synthetic_model() {
    synthetic_folder=$1
    shift
    synthetic_make && "$scratch/make_checkpoint" "$synthetic_folder" --like smollm2-135m --layers 6 \
        --hidden 128 --ffn 256 --heads 4 --kv-heads 2 --head-dim 32 --vocab 1024 \
        --tokenizer tests/fixtures/tokenizers/llama3-bpe/tokenizer.json "$@"
}

# N questions, half of them with one of four personas, in three tasks: synthetic_questions N
synthetic_questions() {
    awk -v n="$1" 'BEGIN {
        split("You are a girl named Lily.|You are a boy named Tom.|You are a big dog.|You are sad.",
            personas, "|")
        print "id\ttask\tpersona\tprompt\tgold"
        for (i = 0; i < n; i++)
            printf "q%d\tt%d\t%s\tNumber %d of the most important days of the year is -, answer:\t%s\n",
                i, i % 3, i % 2 ? personas[i * 7 % 4 + 1] : "", i * 37 % 1000, i % 5 ? "New|Sun" : "Day"
    }'
}

# Passes if FOLDER holds the files of a finished run and nothing else, with the bytes of WHOLE:
# same_run WHOLE FOLDER
same_run() {
    ls -A "$2" >"$scratch/names"
    printf '%s\n' layers.tsv prompts.tsv run.json summary.tsv | diff - "$scratch/names" || return 1
    for table in prompts layers summary; do
        cmp "$1/$table.tsv" "$2/$table.tsv" || return 1
    done
    sed -n '/"result"/,/^  },/p' "$1/run.json" >"$scratch/result"
    [ "$(wc -l <"$scratch/result")" -gt 10 ] || return 1
    sed -n '/"result"/,/^  },/p' "$2/run.json" | diff "$scratch/result" -
}
