#!/bin/sh
# The page of plens report in a real browser, where there is one: tests/browser/report.py.
set -u
. tests/tally.sh

for tool in python3 chromium chromedriver; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        skip "the report in a browser: no $tool here"
        finish
    fi
done
# One task has its gold and the other a word that the model does not know, so that there are rows with
# numbers and without.
awk -F'\t' -v OFS='\t' '
    NR == 1 || n[$2]++ < 12 && $2 != "cloze" {
        print $1, $2, $3, $4, NR == 1 || $2 == "comparison" ? $5 : "Zz"
    }' tests/data/demo.tsv >"$scratch/data.tsv"
"$plens" score --quiet --model tests/fixtures/persona-world --data "$scratch/data.tsv" \
    --out "$scratch/early" || exit 1
cp -r "$scratch/early" "$scratch/late"
printf 'run\tseries\ttokens\tpaper_model\nearly\ta\t1B\tQwen2.5-14B\nlate\ta\t2B\tNA\n' \
    >"$scratch/runs.tsv"
"$plens" report --quiet --resamples 200 --flips 99 --runs "$scratch/runs.tsv" \
    --out "$scratch/report" || exit 1
mkdir "$scratch/home"
HOME=$scratch/home python3 -B tests/browser/report.py "$scratch/report/report.html" \
    ${PLENS_SCREENSHOTS:+"$PLENS_SCREENSHOTS"}
