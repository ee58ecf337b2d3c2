#!/bin/sh
# plens report: against a recomputation in Python where there is scipy (tests/check_report.py), its
# files, its options, and what it refuses.
set -u
. tests/tally.sh
. tests/refuses.sh

case $plens in /*) ;; *) plens=$PWD/$plens ;; esac
model=tests/fixtures/persona-world-steps/step-1000
tab=$(printf '\t')

# ---- runs ----
# Questions of three tasks, which this checkpoint answers now rightly and now wrongly; one question
# without a persona and one without gold.
awk -F'\t' -v OFS='\t' '
    NR == 1 { print "id", "task", "persona", "prompt", "gold"; next }
    NR % 4 == 0 {
        n[$2]++
        print $1, $2, n[$2] == 3 ? "" : $3, $4, n[$2] == 3 && $2 == "cloze" ? "" : \
            n[$2] % 4 ? $5 "|Thanksgiving" : "pizza|euro"
    }' tests/data/demo.tsv >"$scratch/data.tsv"
score() { # OUT OPTION…
    score_out=$1
    shift
    "$plens" score --quiet --model "$model" --data "$scratch/data.tsv" --out "$score_out" "$@"
}
mkdir "$scratch/runs"
base=$scratch/runs/base
score "$base"

# Another run: the same with all top probabilities of a prompt times a factor, and so S too.
derive() { # NAME FACTOR STEP
    mkdir "$scratch/runs/$1"
    cp "$base/run.json" "$scratch/runs/$1"
    awk -F'\t' -v OFS='\t' -v factor="$2" -v step="$3" '
        function scale(id) { return factor + step * (substr(id, length(id)) + 0) }
        FNR == 1 { file++; for (c = 1; c <= NF; c++) is_s[file, c] = $c ~ /^(ref_)?S[0-9]+$/ ||
            $c == "prob"; name = file == 1 ? "prompts.tsv" : "layers.tsv" }
        FNR > 1 { for (c = 1; c <= NF; c++) if (is_s[file, c] && $c != "NA")
            $c = sprintf(file == 1 ? "%.17g" : "%.9g", $c * scale($1)) }
        { print >(folder "/" name) }' folder="$scratch/runs/$1" "$base/prompts.tsv" \
        "$base/layers.tsv"
}
derive ck1 0.7 0.01
derive ck2 0.9 -0.01
derive ck3 0.6 0.08
derive down1 1 0
derive down2 0.85 0.01 # about a tenth lower: neither hardly nor surely changed
printf '%s\n' "run${tab}label${tab}series${tab}tokens${tab}paper_model" \
    "ck2${tab}second${tab}Small <b>&${tab}2B${tab}NA" \
    "base${tab}${tab}${tab}${tab}llm-jp-3-13b" \
    "ck1${tab}first_100%${tab}Small <b>&${tab}1e9${tab}llm-jp-3-7.2b" \
    "ck3${tab}third${tab}Small <b>&${tab}3000000000${tab}" \
    "down1${tab}${tab}Down${tab}1T${tab}" "down2${tab}${tab}Down${tab}2T${tab}" >"$scratch/runs/runs.tsv"

few="--resamples 200 --flips 199"
report() {
    # shellcheck disable=SC2086  # two options
    "$plens" report --quiet $few "$@"
}

# ---- what comes out ----
has_files() { # FOLDER
    (cd "$1" && ls -A) | sort | tr '\n' ' ' >"$scratch/files"
    [ "$(cat "$scratch/files")" = "claims.tex claims.tsv depth.tsv formation.tsv models.tsv \
report.html statistics.tsv table1.tex tests.tex tests.tsv " ]
}
check "one run" report "$base" --out "$scratch/one"
check "its files" has_files "$scratch/one"
check "a series" report --runs "$scratch/runs/runs.tsv" --out "$scratch/series" --indices
check "a relative F.tsv" sh -c "cd '$scratch/runs' && '$plens' report --quiet $few \
    --runs runs.tsv --out ../again --indices"
cut_paths() { # the column run is as it was given
    for file in "$1"/*; do
        echo "${file##*/}"
        sed "s|$scratch/runs/||g" "$file"
    done
}
same_files() {
    cut_paths "$scratch/series" >"$scratch/a" && cut_paths "$scratch/again" >"$scratch/b" &&
        cmp "$scratch/a" "$scratch/b"
}
check "the same bytes again" same_files
check "arguments with F.tsv" report "$base" "$scratch/runs/ck1/" "$scratch/runs/ck2" \
    "$scratch/runs/ck3" "$scratch/runs/down1" "$scratch/runs/down2" --runs "$scratch/runs/runs.tsv" --out "$scratch/arguments"
labels() { # FOLDER LABELS
    [ "$(sed 1d "$1/models.tsv" | cut -f 1 | tr '\n' ' ')" = "$2" ]
}
check "the order of F.tsv" labels "$scratch/series" "second base first_100% third down1 down2 "
check "the order of the arguments" labels "$scratch/arguments" "base first_100% second third down1 down2 "

# Guards every number.
python=${PYTHON:-python3}
if "$python" -c 'import numpy, scipy' 2>/dev/null; then
    check "the recomputation, one run" report "$base" --out "$scratch/one" --force --indices
    check "the recomputation, one run" "$python" -B tests/check_report.py "$scratch/one"
    check "the recomputation, a series" "$python" -B tests/check_report.py "$scratch/series"
    # Guards the check itself: a digit that is wrong must be found.
    finds() {
        cp -r "$scratch/series" "$scratch/wrong"
        awk -F'\t' -v OFS='\t' 'NR == 3 { $7 += 1 } { print }' "$scratch/series/tests.tsv" \
            >"$scratch/wrong/tests.tsv"
        ! "$python" -B tests/check_report.py "$scratch/wrong"
    }
    check "the recomputation finds a mistake" finds
    check "one without indices again" report "$base" --out "$scratch/one" --force
    check "no indices of another report stay" has_files "$scratch/one"
else
    skip "the recomputation: no numpy and scipy in ${python} (PYTHON=… names another)"
fi

# Guards against statistics over the wrong prompts, without scipy: score has them too.
agrees_with_summary() {
    awk -F'\t' '
        FNR == 1 { file++; next }
        file == 1 { expected[$1, $2, $3, $4] = $5 FS $6 FS $7 FS $8 FS $9; n++ }
        file == 2 && !($3 == "without" && $4 == "data") {
            n--
            if (expected[$2, $3, $5, $6] != $7 FS $8 FS $9 FS $10 FS $11) {
                print; print expected[$2, $3, $5, $6]; bad = 1
            }
        }
        END { exit bad || n }' "$base/summary.tsv" "$scratch/one/statistics.tsv"
}
check "statistics are those of summary.tsv" agrees_with_summary

column() { # FILE NAME
    awk -F'\t' -v name="$2" 'NR == 1 { for (c = 1; c <= NF; c++) if ($c == name) at = c }
        NR > 1 { print $at }' "$1"
}
seeds() {
    report "$base" --out "$scratch/seed" --seed 1 &&
        column "$scratch/one/statistics.tsv" mean >"$scratch/a" &&
        column "$scratch/seed/statistics.tsv" mean | cmp - "$scratch/a" &&
        column "$scratch/one/statistics.tsv" mean_low >"$scratch/a" &&
        ! column "$scratch/seed/statistics.tsv" mean_low | cmp - "$scratch/a"
}
check "--seed moves the intervals and nothing else" seeds

# Guards the exchange of the paper's columns: printed as 0.044 2.185 3.17 10.584.
paper_values() {
    awk -F'\t' '$1 == "base" && $2 == "cloze" && $3 == "with" && $5 == "1" && $6 == "positive" {
        print $16, $17, $18, $19 }' "$scratch/series/statistics.tsv" >"$scratch/found"
    echo "0.043999999999999997 3.1699999999999999 2.1850000000000001 10.584" |
        diff - "$scratch/found"
}
check "the paper's values stand under the right heads" paper_values
check "the report says so" grep -q "the wrong way round" "$scratch/series/report.html"
paper_data() { # the table in C is the file, column by column
    command -v "${CC%% *}" >/dev/null || return 0
    cat >"$scratch/paper.c" <<'END'
#include <stdio.h>
#include "tests/harness/paper.h"
int main(void) {
    static const char *const conditions[] = {"with", "without"};
    for (int m = 0; m < N_PAPER_MODELS; m++)
        for (int c = 0; c < 2; c++)
            for (int t = 0; t < N_PAPER_TASKS; t++) {
                const paper_values *v = paper_find(&paper_models[m], paper_tasks[t], c);
                printf("%s\t%s\t%s\t%g\t%g\t%g\t%g\n", paper_models[m].name, conditions[c],
                       paper_tasks[t], v->min, v->median, v->mean, v->max);
            }
    return 0;
}
END
    $CC -I. -o "$scratch/paper" "$scratch/paper.c" tests/harness/paper.c &&
        "$scratch/paper" >"$scratch/found" &&
        sed 1d "${PLENS_SHARED:-../shared}/paper/table1.tsv" | diff - "$scratch/found"
}
if [ -f "${PLENS_SHARED:-../shared}/paper/table1.tsv" ]; then
    check "the paper's Table 1" paper_data
else
    skip "the paper's Table 1: table1.tsv is absent"
fi

# ---- the page ----
page=$scratch/series/report.html
if command -v xmllint >/dev/null; then
    check "the page is well-formed" xmllint --noout "$page" "$scratch/one/report.html"
else
    skip "the page is well-formed: no xmllint"
fi
no_network() { # names of XML's languages are no addresses
    ! sed 's|xmlns="http://www.w3.org/[0-9a-z/]*"||g' "$page" |
        grep -E 'https?:|src=|@import|url\(|<link rel="s|<iframe|<object'
}
check "the page needs nothing else" no_network
not_markup() {
    grep -q 'Small &lt;b&gt;&amp;' "$page" && ! grep -q 'Small <b>' "$page"
}
check "names are no markup" not_markup
check "claims without runs for them say what they need" \
    grep -q "needs a series of checkpoints" "$scratch/one/report.html"
tex() {
    grep -q 'first\\_100\\%' "$scratch/series/table1.tex" &&
        grep -q 'booktabs' "$scratch/series/table1.tex" &&
        awk '{ n += gsub(/[{]/, ""); m += gsub(/[}]/, "") } END { exit n != m }' \
            "$scratch/series/table1.tex" &&
        awk '{ n = gsub(/[^\\]&/, "") } # a row has as many cells as the others of its table
            FNR == 1 { cells = 0 } /multicolumn/ || !/\\\\$/ { next }
            cells && n != cells { print FILENAME, $0; bad = 1 } { cells = n; rows++ }
            END { exit bad || rows < 50 }' "$scratch/series/"*.tex
}
check "LaTeX" tex
# Guards a chart of a series out of order.
ordered_series() {
    grep -o '<li><svg.*</svg> [^<]*' "$page" | sed 's/.*> //' | head -n 3 | tr '\n' ' ' >"$scratch/found"
    [ "$(cat "$scratch/found")" = "first_100% second third " ]
}
check "checkpoints in the order of their tokens" ordered_series

# ---- too few ----
# Guards numbers that mean nothing: no interval and no test from three prompts.
head -n 4 "$scratch/data.tsv" >"$scratch/three.tsv"
check "three questions" "$plens" score --quiet --model "$model" --data "$scratch/three.tsv" \
    --out "$scratch/runs/three"
check "a report on them" report "$scratch/runs/three" --out "$scratch/few"
too_few() {
    [ "$(column "$scratch/few/tests.tsv" p_wilcoxon | sort -u)" = NA ] &&
        [ "$(column "$scratch/few/tests.tsv" p_flips_holm | sort -u)" = NA ] &&
        [ "$(column "$scratch/few/statistics.tsv" mean_low | sort -u)" = NA ] &&
        grep -q "too few" "$scratch/few/report.html" &&
        grep -q "too few values$" "$scratch/few/claims.tsv" &&
        ! grep -Eiq '(^|[^a-z])(nan|inf)([^a-z]|$)' "$scratch/few/"*.tsv "$scratch/few/"*.tex
}
check "say so and give no number" too_few
check "without a condition" score "$scratch/runs/with" --condition with --ratios 0.5
check "a report on it" report "$scratch/runs/with" --out "$scratch/half"
half() {
    [ "$(column "$scratch/half/claims.tsv" verdict | sort -u)" = "not tested" ] &&
        [ "$(column "$scratch/half/tests.tsv" n | sort -u)" = 0 ]
}
check "claims nothing" half

# ---- folders ----
check "exit 3" refuses 3 "one: holds results already|--force" report "$base" --out "$scratch/one"
untouched() {
    cp -r "$scratch/one" "$scratch/before"
    ! report "$scratch/missing" --out "$scratch/one" --force &&
        diff -r "$scratch/before" "$scratch/one"
}
check "a failure leaves what was there" untouched
nothing_made() {
    [ ! -e "$scratch/out" ]
}

# ---- what does not belong together ----
refuse() { # PARTS ARGUMENT…: exit 3, and no folder is left
    refuse_parts=$1
    shift
    check "exit 3" refuses 3 "$refuse_parts" report "$@" --out "$scratch/out"
    check "nothing is left" nothing_made
}
other() { # NAME WHAT OPTION…
    other_name=$1 other_what=$2
    shift 2
    score "$scratch/runs/$other_name" "$@"
    refuse "$other_name: does not belong with|base: $other_what differs" "$base" \
        "$scratch/runs/$other_name"
}
other precision "the precision" --precision bf16
other ratios "the ratios" --ratios 0.2,1
other form "the gold form" --gold-form none
printf 'condition\ttemplate\nwith\t{persona}: {prompt}\nwithout\t{prompt}\n' >"$scratch/template"
other template "the template with a persona" --template "$scratch/template"
other one_condition "the condition" --condition without
refuse "three: does not belong with|the data differs" "$base" "$scratch/runs/three"
mkdir "$scratch/elsewhere"
cp -r "$base" "$scratch/elsewhere"
refuse "the label 'base'|--runs" "$base" "$scratch/elsewhere/base"
refuse "the label 'base'" "$base" "$base"
score "$scratch/runs/shard" --shard 1/2
refuse "runs/shard: holds a shard|merge" "$scratch/runs/shard"
refuse "missing/run.json: cannot be read|plens score" "$scratch/missing"

# ---- --runs ----
runs_file() { # LINE…
    printf '%s\n' "$@" | tr ' ' '\t' >"$scratch/runs/bad.tsv"
}
bad=$scratch/runs/bad.tsv
runs_file "label series" "a b"
refuse 'bad.tsv|"run"' --runs "$bad"
runs_file "run"
refuse "bad.tsv: no runs" --runs "$bad"
runs_file "run label" "base x" "ck1 x"
refuse "the label 'x'" --runs "$bad"
runs_file "run label" "base x" "base y"
refuse "bad.tsv:3: 'base' has a row already" "$base" --runs "$bad"
runs_file "run label" "ck1 x"
refuse "bad.tsv:2: 'ck1' does not name one of the folders" "$base" --runs "$bad"
runs_file "run label" "base x" # which of the two?
refuse "bad.tsv:2: 'base' does not name one of the folders" "$base" "$scratch/elsewhere/base" \
    --runs "$bad"
runs_file "run series" "base s"
refuse "bad.tsv:2: expected how many tokens" --runs "$bad"
for tokens in 0 -1 lots 1X 1TT nan inf 0x10 1e999; do
    runs_file "run tokens" "base $tokens"
    refuse "bad.tsv:2: tokens: expected a number|'$tokens'" --runs "$bad"
done
runs_file "run series tokens" "base s 1000" "ck1 s 1K"
refuse "ck1: is the checkpoint of the series 's' at 1000 tokens, and so is" --runs "$bad"
runs_file "run paper_model" "base GPT-2"
refuse "bad.tsv:2: paper_model: expected one of|'GPT-2'" --runs "$bad"
runs_file "run" "nowhere"
refuse "nowhere/run.json: cannot be read" --runs "$bad"
refuse "missing.tsv" --runs "$scratch/missing.tsv"

# ---- broken folders ----
broken() { # PARTS FILE SED-SCRIPT
    rm -rf "$scratch/runs/broken"
    cp -r "$base" "$scratch/runs/broken"
    sed "$3" "$base/$2" >"$scratch/runs/broken/$2"
    refuse "broken/$2$1" "$scratch/runs/broken"
}
broken ':3: S20: expected a number from 0 to 5|'"'nan'" prompts.tsv \
    "3s/^\(\([^$tab]*$tab\)\{8\}\)[^$tab]*/\1nan/"
broken ":3: S20|'-1'" prompts.tsv "3s/^\(\([^$tab]*$tab\)\{8\}\)[^$tab]*/\1-1/"
broken ":3: S20|'NA'" prompts.tsv "3s/^\(\([^$tab]*$tab\)\{8\}\)[^$tab]*/\1NA/"
broken ":3: ref_S100: expected a number from 0 to 5 or NA|'1x'" prompts.tsv "3s/[^$tab]*\$/1x/"
broken ': expected a column "ref_S40"' prompts.tsv "1s/ref_S40/more/"
broken ': expected a column "gold_id"' prompts.tsv "1s/gold_id/more/"
broken ':1: the column "S20" stands there twice' prompts.tsv "1s/S40/S20/"
broken ':4: expected 19 cells' prompts.tsv "4s/$tab[^$tab]*\$//"
broken ":2: condition: expected with or without|'maybe'" prompts.tsv "2s/${tab}with/${tab}maybe/"
broken ": no prompts" prompts.tsv 2,999d
broken ": the id|stands in two places" prompts.tsv "2{p;s/.*/x/;d};5{p;d};6s/^[^$tab]*/cloze-trained-03/"
broken ':2: expected \t, \n' prompts.tsv '2s/^/\\q/'
broken ': expected a column "ref_rank"' layers.tsv 1s/ref_rank/more/
broken ':2: gold_prob: expected' layers.tsv \
    "2s/^\(\([^$tab]*$tab\)\{6\}\)[^$tab]*/\1inf/"
broken ":2: gold_rank: expected" layers.tsv \
    "2s/^\(\([^$tab]*$tab\)\{7\}\)[^$tab]*/\11e300/"
broken ":2: ref_prob: expected" layers.tsv "2s/[^$tab]*\($tab[^$tab]*\)\$/1e300\1/"
broken ":3: S20" prompts.tsv "3s/^\(\([^$tab]*$tab\)\{8\}\)[^$tab]*/\11e300/"
broken ':3: S20' prompts.tsv "3s/^\(\([^$tab]*$tab\)\{8\}\)[^$tab]*/\10x1/"
broken ': expected |rows|for each prompt' layers.tsv 2d
broken ':3: expected layer 2 of' layers.tsv '3{h;d};4{G}'
broken ': expected "result/precision"' run.json s/precision/recision/
broken ': ' run.json 1s/{/{{/
broken ': expected a number of layers' run.json 's/"n_layers": [0-9]*/"n_layers": 0.5/'
cp -r "$base" "$scratch/runs/cut"
printf 'id\ttask' >"$scratch/runs/cut/layers.tsv"
refuse "cut/layers.tsv: is not whole" "$scratch/runs/cut"
rm "$scratch/runs/cut/layers.tsv"
refuse "cut/layers.tsv: cannot be read" "$scratch/runs/cut"
rm -rf "$scratch/runs/cut"
cp -r "$base" "$scratch/runs/cut" # the same data, it says, but a row less in the second run
sed 3d "$base/prompts.tsv" >"$scratch/runs/cut/prompts.tsv"
refuse "cut/prompts.tsv:3: expected 'cloze-trained-03' without a persona, as in" "$base" \
    "$scratch/runs/cut"
# Guards tokens that are no UTF-8, which score writes so.
bytes() {
    rm -rf "$scratch/runs/bytes" && cp -r "$base" "$scratch/runs/bytes" &&
        sed "2s/^\(\([^$tab]*$tab\)\{5\}\)[^$tab]*/\1\\\\xE3/" "$base/prompts.tsv" \
            >"$scratch/runs/bytes/prompts.tsv" && grep -q 'xE3' "$scratch/runs/bytes/prompts.tsv" &&
        report "$scratch/runs/bytes" --out "$scratch/bytes"
}
check "bytes that are no UTF-8" bytes

# ---- usage ----
wrong() { # PART ARGUMENT…
    wrong_part=$1
    shift
    check "exit 2" refuses 2 "plens: |$wrong_part|--help" "$plens" report "$@"
}
wrong "no run is given" --out x
wrong "--out DIR is missing" "$base"
wrong "--out DIR is missing" "$base" --out ""
wrong "'--nonsense'" "$base" --nonsense
wrong "--resamples takes" "$base" --out x --resamples 0
wrong "--flips takes" "$base" --out x --flips few
wrong "--seed takes" "$base" --out x --seed -1
check "help" "$plens" report --help

# ---- the chain on a real model ----
if [ -n "${PLENS_SMOLLM2:-}" ]; then
    real() {
        grep -E "^(id|cloze-00[1-8]|comparison-00[1-8]|commonsense-00[1-8])$tab" \
            tests/data/personas.tsv >"$scratch/real.tsv"
        "$plens" score --quiet --model "$PLENS_SMOLLM2" --data "$scratch/real.tsv" \
            --out "$scratch/runs/real" &&
            report "$scratch/runs/real" --out "$scratch/real" --indices &&
            { ! "$python" -c 'import numpy, scipy' 2>/dev/null ||
                "$python" -B tests/check_report.py "$scratch/real"; }
    }
    check "SmolLM2" real
else
    skip "SmolLM2: PLENS_SMOLLM2 is not set"
fi
finish
