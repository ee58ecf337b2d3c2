#!/bin/sh
# plens self-bleu against NLTK (tests/make_self_bleu_fixture.py), and the data set's targets.
set -u
. tests/tally.sh
. tests/refuses.sh

fixture=tests/fixtures/self_bleu.tsv
data=tests/data/personas.tsv

# Guards every number: groups, words, clipped counts, lengths, both smoothings, to 1e-12.
equals_nltk() { # FILE BY SAMPLE
    if [ -n "$2" ]; then
        "$plens" self-bleu "$1" --by "$2" --sample "$3" >"$scratch/found" || return 1
    else
        "$plens" self-bleu "$1" --sample "$3" >"$scratch/found" || return 1
    fi
    awk -F'\t' -v file="$1" -v by="$2" -v sample="$3" '
        function far(a, b) { return a - b > 1e-12 || b - a > 1e-12 || a == "NA" }
        NR == FNR {
            if ($1 == file && $2 == by && $3 == sample)
                expected[++n] = $4 "\t" $5 "\t" $6 "\t" $7 "\t" $8
            next
        }
        FNR > 1 {
            split(expected[FNR - 1], e, "\t")
            if (e[1] != $1 || e[2] != $2 || e[3] != $3 || far(e[4], $4) || far(e[5], $5)) {
                print "found " $0 ", expected " expected[FNR - 1]
                bad = 1
            }
        }
        END { exit bad || n == 0 || FNR != n + 1 }' "$fixture" "$scratch/found"
}
cut -f 1-3 "$fixture" | sed 1d | uniq >"$scratch/runs"
while IFS="$(printf '\t')" read -r file by sample; do
    case $sample in '') sample=$by by= ;; esac # an empty cell in the middle
    check "$file by ${by:-nothing}, sample $sample" equals_nltk "$file" "$by" "$sample"
done <"$scratch/runs"

# Guards the data set: less of the same than in the paper's.
below() { # TASK TARGET
    "$plens" self-bleu "$data" --by task |
        awk -F'\t' -v task="$1" -v target="$2" '
            $1 == task && $2 == "question" { found = 1; print; bad = !($4 < target) }
            END { exit bad || !found }'
}
check "cloze below the paper's" below cloze 0.63
check "comparison below the paper's" below comparison 0.14
check "commonsense below the paper's" below commonsense 0.47

prints() { # EXPECTED TEXT OPTION…
    prints_expected=$1 prints_text=$2
    shift 2
    printf "$prints_text" >"$scratch/data.tsv"
    "$plens" self-bleu "$scratch/data.tsv" "$@" >"$scratch/found" || return 1
    printf "group\ttext\tn\tself_bleu\tself_bleu_method1\n$prints_expected" |
        diff - "$scratch/found"
}
# Guards a group of one against a number that means nothing.
check "one question alone" prints \
    'x\tquestion\t1\tNA\tNA\nx\tprompt\t1\tNA\tNA\ny\tquestion\t2\t1\t1\ny\tprompt\t2\t1\t1\n' \
    'prompt\ttask\na b c d\tx\na b c d\ty\na b c d\ty\n' --by task
check "a sample of one" prints 'all\tquestion\t1\tNA\tNA\nall\tprompt\t1\tNA\tNA\n' \
    'prompt\na b c d\na b c d\n' --sample 1
check "texts without a word" prints 'all\tquestion\t2\t0\t0\nall\tprompt\t2\t0\t0\n' \
    'prompt\n \n \n'

# Guards the time of large sets: 10,200 questions, each occurring 17 times.
large() {
    head -n 1 "$data" >"$scratch/large.tsv"
    for copy in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do
        sed 1d "$data" >>"$scratch/large.tsv"
    done
    "$plens" self-bleu "$scratch/large.tsv" | grep -q "^all	prompt	10200	1	1$"
}
check "10,200 questions" large

check "exit 2" refuses 2 "F.tsv is missing" "$plens" self-bleu
check "exit 2" refuses 2 "unexpected argument 'b.tsv'" "$plens" self-bleu a.tsv b.tsv
check "exit 2" refuses 2 "unknown option" "$plens" self-bleu "$data" --model x
check "exit 2" refuses 2 "--sample takes" "$plens" self-bleu "$data" --sample 0
check "exit 3" refuses 3 "missing.tsv" "$plens" self-bleu "$scratch/missing.tsv"
check "exit 3" refuses 3 'expected a column "color"' "$plens" self-bleu "$data" --by color
printf 'prompt\n' >"$scratch/none.tsv"
check "exit 3" refuses 3 "none.tsv|no questions" "$plens" self-bleu "$scratch/none.tsv"
printf 'id\nx\n' >"$scratch/other.tsv"
check "exit 3" refuses 3 'other.tsv|"prompt"' "$plens" self-bleu "$scratch/other.tsv"
full_disk() {
    "$plens" self-bleu "$data" >/dev/full
}
if [ -e /dev/full ]; then
    check "exit 3" refuses 3 "cannot be written" full_disk
fi
finish
