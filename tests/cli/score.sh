#!/bin/sh
# plens score: against the goldens, against S and the statistics recomputed here from its own tables
# by DESIGN's formulas, and byte for byte where the format is fixed.
set -u
. tests/tally.sh

model=tests/fixtures/persona-world
score() {
    "$plens" score --quiet --model "$model" "$@"
}

# ---- the goldens: prompts without a persona are judged against the model's own last token ----
# A prompt is a text again once its BOS (id 0) is off.
awk '/"ids": \[0, / {
    ids = substr($0, index($0, "[0, ") + 4); ids = substr(ids, 1, index(ids, "]") - 1)
    print "[" ids "]"
}' "$model/golden.json" >"$scratch/ids"
"$plens" tokenize --model "$model" --decode <"$scratch/ids" | sed 's/^"//;s/"$//' |
    awk 'BEGIN { print "prompt\tid\tgold\ttask\tpersona\tmore" }
        { print $0 "\t" NR "\t\tgolden\t\tignored" }' >"$scratch/golden.tsv"
tr '{' '\n' <"$model/golden.json" | grep -A 1 '"score_none": $' | grep '^"0.2"' |
    sed 's/}.*//;s/"[0-9.]*": //g;s/,//g' >"$scratch/golden-scores"
golden_scores() {
    score --data "$scratch/golden.tsv" --out "$scratch/golden" || return 1
    cut -f 9-13 "$scratch/golden/prompts.tsv" | sed 1d >"$scratch/found"
    [ -s "$scratch/found" ] || return 1
    paste "$scratch/golden-scores" "$scratch/found" | awk '
        NF != 10 { print "not five and five:", $0; exit bad = 1 }
        { for (i = 1; i <= 5; i++) if (($i - $(i + 5)) ^ 2 > ($i * 1e-4) ^ 2) {
            print "S differs:", $0; exit bad = 1 } }
        END { exit bad || NR < 4 }'
}
check "S is the reference's" golden_scores

# ---- a data set with everything in it ----
tab=$(printf '\t')
printf '%s\n' "id${tab}task${tab}persona${tab}prompt${tab}gold" \
    "q1${tab}names${tab}You live in Rome.${tab}You greet a friend with -, answer:${tab}ciao" \
    "q2${tab}places${tab}Tim is a boy.${tab}Lily and Tim went to the${tab}park|store|sea" \
    "q3${tab}names${tab}${tab}You greet a friend with -, answer:${tab}ciao|ciao" \
    "q4${tab}places${tab}${tab}They went to the${tab}" \
    "q\\\\5\\t${tab}names${tab}Tom is sad.${tab}Every\\nday,${tab}he" >"$scratch/data.tsv"
check "a run" score --data "$scratch/data.tsv" --out "$scratch/run"

columns_are() { # FILE COLUMN…
    file=$1
    shift
    echo "$*" | tr ' ' '\t' >"$scratch/columns"
    head -n 1 "$file" | diff "$scratch/columns" -
}
check "prompts.tsv" columns_are "$scratch/run/prompts.tsv" id task condition n_tokens gold_id gold \
    top_id top S20 S40 S60 S80 S100 gold_note ref_S20 ref_S40 ref_S60 ref_S80 ref_S100
check "layers.tsv" columns_are "$scratch/run/layers.tsv" id condition layer token_id token prob \
    gold_prob gold_rank entropy ref_prob ref_rank
check "summary.tsv" columns_are "$scratch/run/summary.tsv" task condition ratio population n min \
    mean median max
ordered() {
    cut -f 1-3 "$scratch/run/prompts.tsv" | sed 1d | tr '\t\n' ' ,' |
        grep -qxF 'q1 names with,q1 names without,q2 places with,q2 places without,'\
'q3 names without,q4 places without,q\\5\t names with,q\\5\t names without,' || return 1
    cut -f 1-4 "$scratch/run/summary.tsv" | sed 1d >"$scratch/found"
    for group in "names with" "names without" "places with" "places without"; do
        for ratio in 0.2 0.4 0.6 0.8 1; do
            for population in all positive; do
                echo "$group $ratio $population"
            done
        done
    done | tr ' ' '\t' | diff - "$scratch/found"
}
check "rows are in order" ordered

# S and ref_S of every prompt, again from layers.tsv.
recomputed_scores() { # LAYERS PROMPTS N-LAYERS
    awk -F '\t' -v n_layers="$3" '
        FNR == 1 { file++; next }
        file == 1 { top[$1, $2, $3] = $4; prob[$1, $2, $3] = $6; ref[$1, $2, $3] = $11 == "0" }
        file == 2 {
            n = split($5, ids, "|")
            for (k = 1; k <= 5; k++) {
                s = ref_s = 0
                for (l = n_layers - int(n_layers * 2 * k / 10) + 1; l <= n_layers; l++) {
                    hit = 0
                    for (i = 1; i <= n; i++) hit = hit || top[$1, $3, l] == ids[i]
                    part = prob[$1, $3, l] * (1 - (l - 1) / n_layers)
                    if (hit) s += part
                    if (ref[$1, $3, l]) ref_s += part
                }
                if ((s - $(8 + k)) ^ 2 > 1e-14 * s ^ 2) { print "S", s, $0; exit bad = 1 }
                if ($(14 + k) != "NA" && (ref_s - $(14 + k)) ^ 2 > 1e-14 * ref_s ^ 2) {
                    print "ref_S", ref_s, $0; exit bad = 1 }
                if ($3 == "with" && $(14 + k) != $(8 + k)) { print "ref_S", $0; exit bad = 1 }
            }
        }
        END { exit bad }' "$1" "$2"
}
check "S from the layers" recomputed_scores "$scratch/run/layers.tsv" "$scratch/run/prompts.tsv" 5

# The summary again from prompts.tsv.
recomputed_summary() { # SUMMARY PROMPTS
    awk -F '\t' '
        FNR == 1 { file++; next }
        file == 1 { # prompts
            for (k = 1; k <= 5; k++) {
                key = $2 "\t" $3 "\t" (k == 5 ? "1" : "0." 2 * k) "\t"
                add(key "all", $(8 + k))
                if ($(8 + k) > 0) add(key "positive", $(8 + k))
            }
        }
        file == 2 {
            key = $1 "\t" $2 "\t" $3 "\t" $4
            if ($5 != n[key] + 0) { print "n", n[key], $0; exit bad = 1 }
            if ($5 == 0) {
                if ($6 $7 $8 $9 != "NANANANA") { print "not NA:", $0; exit bad = 1 }
                next
            }
            m = n[key]
            same($6, value[key, 1]); same($7, sum[key] / m); same($9, value[key, m])
            same($8, (value[key, int((m + 1) / 2)] + value[key, int(m / 2) + 1]) / 2)
        }
        function add(key, x, i) { # keeps the values sorted
            for (i = ++n[key]; i > 1 && value[key, i - 1] > x; i--)
                value[key, i] = value[key, i - 1]
            value[key, i] = x
            sum[key] += x
        }
        function same(found, expected) {
            if ((found - expected) ^ 2 > 1e-24 * expected ^ 2) {
                print "expected", expected, "in", $0; exit bad = 1 }
        }
        END { exit bad }' "$2" "$1"
}
check "the summary from the prompts" recomputed_summary "$scratch/run/summary.tsv" \
    "$scratch/run/prompts.tsv"

# ---- what stands in the rows ----
row() { # ID CONDITION COLUMN
    awk -F '\t' -v id="$1" -v c="$2" -v column="$3" '$1 == id && $3 == c { print $column }' \
        "$scratch/run/prompts.tsv"
}
gold_ids() { # as Hugging Face has it "ciao" is 1093, "park" begins with 457, "store" 450, "sea" 260
    [ "$(row q1 with 5)" = 1093 ] && [ "$(row q1 with 6)" = " ciao" ] &&
        [ "$(row q2 with 5)" = "457|450|260" ] && [ "$(row q2 with 6)" = " par| st| s" ] &&
        [ "$(row q2 without 5)" = "$(row q2 without 7)" ] &&
        [ "$(row q2 without 6)" = "$(row q2 without 8)" ]
}
check "gold and its alternatives" gold_ids
nothing_to_say() {
    [ "$(row q4 without 15)" = NA ] && [ "$(row q4 without 19)" = NA ] &&
        [ "$(row q3 without 15)" != NA ] && [ "$(row q1 with 14)" = NA ] &&
        awk -F '\t' '$1 == "q4" && ($10 != "NA" || $11 != "NA") { exit 1 }
            $1 == "q3" && $10 == "NA" { exit 1 }' "$scratch/run/layers.tsv"
}
check "NA where the data has no gold" nothing_to_say
lens_tokens() { # prompts' text: (PERSONA) PROMPT and PROMPT
    for text in 'with:(You live in Rome.) You greet a friend with -, answer:' 'without:You greet a friend with -, answer:'; do
        "$plens" lens --quiet --model "$model" --top-k 1 --text "${text#*:}" | sed 1d |
            cut -f 2,4,5,6 >"$scratch/expected"
        awk -F '\t' -v c="${text%%:*}" '$1 == "q1" && $2 == c' "$scratch/run/layers.tsv" |
            cut -f 3-6 | diff "$scratch/expected" - || return 1
    done
}
check "the texts are (PERSONA) PROMPT and PROMPT" lens_tokens
own_gold() { # without: gold is the final layer's top token, so its rank there is 0
    awk -F '\t' '$2 == "without" && $3 == 5 && ($8 != 0 || $7 != $6) { print; exit 1 }' \
        "$scratch/run/layers.tsv"
}
check "without a persona gold is the model's own" own_gold

# ---- the same rows in other clothes ----
same_tables() { # FOLDER
    for table in prompts layers summary; do
        cmp "$scratch/run/$table.tsv" "$1/$table.tsv" || return 1
    done
}
sed "s/\$/$(printf '\r')/" "$scratch/data.tsv" >"$scratch/lines"
{
    printf '\357\273\277'
    cat "$scratch/lines"
} >"$scratch/crlf.tsv"
check "BOM and CRLF" score --data "$scratch/crlf.tsv" --out "$scratch/crlf"
check "BOM and CRLF: the same" same_tables "$scratch/crlf"
head -n 3 "$scratch/data.tsv" >"$scratch/one.tsv"
sed '2,3d' "$scratch/data.tsv" >"$scratch/two.tsv"
check "two files" score --data "$scratch/one.tsv" --data="$scratch/two.tsv" --out "$scratch/both/"
check "two files: the same" same_tables "$scratch/both"
cp -r "$model" "$scratch/persona-world"
check "elsewhere" "$plens" score --quiet --model "$scratch/persona-world/" --threads 2 --isa scalar \
    --memory 64M --data "$scratch/data.tsv" --out "$scratch/elsewhere"
check "without sharing" "$plens" score --quiet --model "$model" --data "$scratch/data.tsv" \
    --no-share --out "$scratch/unshared"
check "without sharing: the same" same_tables "$scratch/unshared"
# A part of the work that no lap counts, or that counts twice: the parts add up to the whole.
profile() {
    rm -rf "$scratch/profiled"
    "$plens" score --quiet --profile --model "$model" --data "$scratch/data.tsv" \
        --out "$scratch/profiled" 2>"$scratch/profile" && same_tables "$scratch/profiled" || return 1
    for part in read pack q_proj k_proj v_proj o_proj gate_proj up_proj down_proj attention rows \
        unembed "softmax and top-k" rest; do
        grep -q "  $part\$" "$scratch/profile" || return 1
    done
    sed -n 's/^plens: *\([0-9.]*\) s .*the matrix products of \([0-9.]*\) s in all$/\2/p' \
        "$scratch/profile" >"$scratch/whole" && [ -s "$scratch/whole" ] &&
        awk -v whole="$(cat "$scratch/whole")" '!/in all/ { sum += $2 }
            END { exit !(sum > whole - 0.02 && sum < whole + 0.02) }' "$scratch/profile"
}
check "--profile" profile
rows() { # OPTION…
    "$plens" score --model "$model" --data "$scratch/data.tsv" --plan "$@" |
        sed -n 's/^rows: \([0-9]*\).*/\1/p'
}
check "with it there are fewer rows" [ "$(rows)" -lt "$(rows --no-share)" ]
result() {
    sed -n '/"result"/,/^  },/p' "$1/run.json"
}
same_result() {
    result "$scratch/run" >"$scratch/result"
    [ "$(wc -l <"$scratch/result")" -gt 10 ] &&
        result "$scratch/elsewhere" | diff "$scratch/result" - &&
        same_tables "$scratch/elsewhere"
}
check "run.json's result knows no machine" same_result
counted() {
    grep -qF '"prompts": 8, "with": 3, "without": 5,' "$scratch/run/run.json" &&
        grep -qF '"files": [{"name": "data.tsv", "rows": 5}]' "$scratch/run/run.json"
}
check "run.json's counts" counted
printed() {
    score --data "$scratch/data.tsv" | cmp "$scratch/run/summary.tsv" -
}
check "without --out the summary is printed" printed

viewed() { # the table for people: a line a task, condition and share
    score --data "$scratch/data.tsv" --view >"$scratch/view" || return 1
    grep -c '0\.[0-9][0-9][0-9][0-9]' "$scratch/view" | grep -qx 20 &&
        grep -q '^names  *with  *0.2  *2 ' "$scratch/view"
}
check "a table for people" viewed

# ---- options ----
option_score() { # OPTION…
    rm -rf "$scratch/option"
    score --data "$scratch/data.tsv" --out "$scratch/option" "$@"
}
one_condition() { # CONDITION
    option_score --condition "$1" || return 1
    awk -F '\t' -v c="$1" 'NR == 1 || $3 == c' "$scratch/run/prompts.tsv" |
        cmp - "$scratch/option/prompts.tsv" || return 1
    awk -F '\t' -v c="$1" 'NR == 1 || $2 == c' "$scratch/run/summary.tsv" |
        cmp - "$scratch/option/summary.tsv"
}
check "--condition with" one_condition with
check "--condition without" one_condition without
ratios() {
    option_score --ratios 1.0,0.25,.125 || return 1
    head -n 1 "$scratch/option/prompts.tsv" | cut -f 9-17 |
        grep -qx "S100${tab}S25${tab}S12.5${tab}gold_note${tab}ref_S100${tab}ref_S25${tab}ref_S12.5" ||
        return 1
    sed 1d "$scratch/option/summary.tsv" | cut -f 3 | uniq | tr '\n' ' ' |
        grep -q '^1 0.25 0.125 1 ' || return 1
    # 0.25 of 5 layers is one layer, 0.125 none
    cut -f 10 "$scratch/option/prompts.tsv" | sed 1d >"$scratch/s25"
    cut -f 9 "$scratch/run/prompts.tsv" | sed 1d | cmp - "$scratch/s25" || return 1
    cut -f 11 "$scratch/option/prompts.tsv" | sed 1d | sort -u | grep -qx 0
}
check "--ratios" ratios
template() {
    printf 'condition\ttemplate\nwithout\tSay: {prompt}{prompt}\nwith\t{prompt} {persona}{x}\n' \
        >"$scratch/template.tsv"
    option_score --template "$scratch/template.tsv" || return 1
    for text in 'with:You greet a friend with -, answer: You live in Rome.{x}' 'without:Say: You greet a friend with -, answer:You greet a friend with -, answer:'; do
        "$plens" lens --quiet --model "$model" --top-k 1 --text "${text#*:}" | sed 1d |
            cut -f 2,4,5,6 >"$scratch/expected"
        awk -F '\t' -v c="${text%%:*}" '$1 == "q1" && $2 == c' "$scratch/option/layers.tsv" |
            cut -f 3-6 | diff "$scratch/expected" - || return 1
    done
}
check "--template" template
forms() { # with `either` gold is what `none` and `space` give, in this order
    for form in none space either; do
        option_score --gold-form $form --condition with || return 1
        awk -F '\t' '$1 == "q1" { print $5 }' "$scratch/option/prompts.tsv" >"$scratch/$form"
    done
    cmp "$scratch/space" "$scratch/none" && return 1
    sed 's/|/\n/' "$scratch/either" | sort >"$scratch/found"
    sort "$scratch/none" "$scratch/space" | diff - "$scratch/found"
}
check "--gold-form" forms
merged() { # " cap" + "ital" is one token: the prompt's own last token changes
    printf 'id\ttask\tpersona\tprompt\tgold\nm\tt\t\tWhat is the cap\tital\n' >"$scratch/merged.tsv"
    score --data "$scratch/merged.tsv" --gold-form none --out "$scratch/merged" &&
        [ "$(cut -f 14 "$scratch/merged/prompts.tsv" | tail -n 1)" = merged ] &&
        grep -qF '"merged": 1' "$scratch/merged/run.json"
}
check "a merge is noted" merged
finish
