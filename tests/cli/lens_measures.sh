#!/bin/sh
# plens lens's other tables: entropy and KL, targets, groups, where the answer settles, attribution;
# against float64 (tests/make_lens_goldens.py), and what is said of wrong input.
set -u
. tests/tally.sh
. tests/refuses.sh

model=tests/fixtures/persona-world
ids=1,9,30,7,9,22,11,40 # prompt 0 of the goldens

lens() {
    "$plens" lens --quiet --model "$model" --precision f32 --ids "$ids" "$@"
}
columns_are() { # NAME… : the header of $scratch/out
    printf '%s\n' "$@" | paste -s - >"$scratch/header"
    head -n 1 "$scratch/out" | diff "$scratch/header" -
}
# Two files of lines "key value" agree: the same keys in the same order, values within 2e-5 (1 + x).
agree() {
    [ -s "$1" ] && [ "$(wc -l <"$1")" -eq "$(wc -l <"$2")" ] && paste -d ' ' "$1" "$2" | awk '{
        off = $2 - $4; most = 2e-5 * (1 + ($4 < 0 ? -$4 : $4))
        if ($1 != $3 || off > most || off < -most) { print "unexpected:", $0; exit 1 } }'
}
golden() { # AWK-EXPRESSION of the line to print, of prompt 0 of lens.tsv
    awk -F '\t' '$1 == "persona-world" && $2 == 0 { print '"$1"' }' tests/fixtures/lens/lens.tsv
}

# ---- entropy and KL ----
entropy_and_kl() {
    lens --positions all --top-k 2 --kl --entropy >"$scratch/out" || return 1
    columns_are position layer rank token_id token prob entropy kl || return 1
    for column in 7:5 8:6; do
        awk -F '\t' 'NR > 1 && $3 == 2 { print $1 "," $2 " " $'"${column%:*}"' }' \
            "$scratch/out" >"$scratch/found"
        golden '$3 "," $4 " " $'"${column#*:}" >"$scratch/golden"
        agree "$scratch/found" "$scratch/golden" || return 1
    done
}
check "entropy and KL are those of float64" entropy_and_kl
same_without() { # the columns before them are not changed by them
    lens --top-k 3 --kl >"$scratch/out" && cut -f 1-6 "$scratch/out" >"$scratch/with" &&
        lens --top-k 3 | diff - "$scratch/with"
}
check "more columns change no other" same_without

# ---- targets ----
targets() {
    lens --target ' sushi' --target-ids 1089,5 --layers 5 >"$scratch/out" || return 1
    columns_are position layer token_id token rank prob logit || return 1
    [ "$(awk -F '\t' 'NR > 1 { print $3 }' "$scratch/out" | paste -s -d , -)" = 1089,5,1089 ] || return 1
    # the rank among all tokens, and their probabilities, as the lens itself has them
    lens --layers 5 --top-k 1182 | awk -F '\t' '$4 == 1089 { print $3, $6 }' >"$scratch/golden"
    awk -F '\t' '$3 == 1089 { print $5, $6 }' "$scratch/out" | sort -u | diff - "$scratch/golden"
}
check "targets by text and by id" targets

# ---- groups ----
{
    printf 'group\tid\n'
    awk 'BEGIN { for (id = 0; id < 1182; id += 2) print "even\t" id }'
    printf 'few\t3\nfew\t1\nfew\t1181\n'
} >"$scratch/groups"
groups() {
    lens --positions all --groups "$scratch/groups" >"$scratch/out" || return 1
    columns_are position layer group prob || return 1
    awk -F '\t' 'NR > 1 { print $1 "," $2 "," $3 " " $4 }' "$scratch/out" >"$scratch/found"
    golden '$3 "," $4 ",even " $8 "\n" $3 "," $4 ",few " $7' >"$scratch/golden"
    agree "$scratch/found" "$scratch/golden"
}
check "groups are those of float64" groups
by_text() { # one group by tokens' texts is the group by their ids; of a long text the first token
    printf 'group\ttoken\nx\t sushi\nx\t pizza\n' >"$scratch/texts"
    lens --groups "$scratch/texts" >"$scratch/out" || return 1
    printf 'group\ttext\nx\t sushi\nx\t pizza or pizza\nx\t sushi and sushi\n' >"$scratch/texts"
    lens --groups "$scratch/texts" | diff - "$scratch/out"
}
check "groups by tokens' texts, and by any texts" by_text
note() {
    "$plens" lens --model "$model" --ids 1 --groups "$scratch/texts" 2>&1 >"$scratch/out" |
        grep -qF "2 of 3 texts are several tokens, the first stands for them; 1 share"
}
check "texts of several tokens are counted" note

groups_refused() { # PARTS LINES, \n and \t as in printf
    # shellcheck disable=SC2059  # the format is the text
    printf "$2" >"$scratch/bad"
    check "groups: $1" refuses 3 "plens: |$scratch/bad$1" lens --groups "$scratch/bad"
}
groups_refused "|group" 'name\tid\na\t1\n'
groups_refused "|expected one of the columns id, token and text|none" 'group\tword\na\t1\n'
groups_refused "|expected one of the columns id, token and text|several" 'group\tid\ttext\na\t1\tb\n'
groups_refused "|no groups" 'group\tid\n'
groups_refused ":3|id|'x'" 'group\tid\na\t1\na\tx\n'
groups_refused ":2|1182|1181" 'group\tid\na\t1182\n'
groups_refused ":4|5 is in this group already" 'group\tid\na\t5\nb\t5\na\t5\n'
groups_refused ":2|no name" 'group\tid\n\t5\n'
groups_refused ":2|empty" 'group\ttoken\na\t\n'
groups_refused ":2|no token has the text 'once upon'" 'group\ttoken\na\tonce upon\n'
groups_refused ":2|no text" 'group\ttext\na\t\n'
check "no groups file" refuses 3 "$scratch/absent" lens --groups "$scratch/absent"

# ---- where the answer settles ----
settled() { # against the top tokens of all layers
    lens --positions all --settled >"$scratch/out" || return 1
    columns_are position token_id token prob first_layer stable_layer || return 1
    awk -F '\t' 'NR > 1 { print $1, $2, $5, $6 }' "$scratch/out" >"$scratch/found"
    lens --positions all --top-k 1 | awk -F '\t' 'NR > 1 {
        top[$2] = $4
        if ($2 == 5) {
            first = 1; while (top[first] != $4) first++
            stable = 5; while (stable > 1 && top[stable - 1] == $4) stable--
            print $1, $4, first, stable
        } }' | diff "$scratch/found" -
}
check "where the answer settles" settled

# ---- attribution ----
attribution() { # GOLDEN-POSITION GOLDEN-PARTS OPTION…
    at=$1
    parts=$2
    shift 2
    lens --positions all "$@" >"$scratch/out" || return 1
    columns_are position part layer head share norm || return 1
    [ "$(sed 1d "$scratch/out" | cut -f 6 | sort -u)" = frozen ] || return 1
    awk -F '\t' -v at="$at" 'NR > 1 && $1 == at { print $2 "," $3 "," $4 " " $5 }' "$scratch/out" |
        sort >"$scratch/found"
    awk -F '\t' -v at="$at" -v parts="$parts" '
        BEGIN { name["attn"] = "attn_out"; name["mlp"] = "mlp_out"; name["head"] = "head_out"
                name["bias"] = "o_bias" }
        $1 == "persona-world" && $2 == 0 && $3 == at && index(parts, $6) {
            print ($6 in name ? name[$6] : $6) "," ($7 > 0 ? $7 : "NA") "," \
                ($8 == "" ? "NA" : $8) " " $9
        }' tests/fixtures/lens/attribution.tsv | sort >"$scratch/golden"
    agree "$scratch/found" "$scratch/golden"
}
check "shares of a logit" attribution 7 "embed attn mlp sum logit" --attribution-ids 4
check "shares of a difference, heads" attribution 1 "embed attn mlp head bias sum logit" \
    --attribution-ids 8,13 --heads
by_names() {
    lens --attribution ' sushi' --against ' pizza' >"$scratch/out" || return 1
    sushi=$(lens --layers 5 --target ' sushi' | awk 'NR > 1 { print $3 }')
    pizza=$("$plens" lens --quiet --model "$model" --ids 1 --layers 5 --target ' pizza' |
        awk 'NR > 1 { print $3 }')
    lens --attribution-ids "$sushi,$pizza" | diff - "$scratch/out"
}
check "tokens by their texts" by_names
which_of_the_two() {
    "$plens" lens --model "$model" --ids 1 --attribution-ids 4 2>&1 >"$scratch/out" |
        grep -qF "the final norm frozen"
}
check "which of the two it is" which_of_the_two

# ---- the lens of components ----

biases=tests/fixtures/models/llama-biases
of_biases() {
    "$plens" lens --quiet --model "$biases" --precision f32 --ids "$ids" "$@"
}
# The golden's rows of prompt 0 at its last position; where the margin is small the token may differ.
component() { # POINT
    of_biases --point "$1" --top-k 1 >"$scratch/out" || return 1
    columns_are position part layer head rank token_id token share norm || return 1
    awk -F '\t' 'NR > 1 { print $2 "," $3 "," $4 "," $5 "," $6 "," $9 " " $8 }' \
        "$scratch/out" >"$scratch/found"
    awk -F '\t' -v point="$1" '
        $1 == "llama-biases" && $2 == 0 && $3 == 7 && $4 == point {
            if ($9 < 1e-4) print "a close pair:", $0
            print $4 "," $5 "," ($6 == "" ? "NA" : $6) ",1," $7 ",frozen " $8 }' tests/fixtures/lens/components.tsv \
        >"$scratch/golden"
    agree "$scratch/found" "$scratch/golden"
}
component_targets() { # POINT
    of_biases --point "$1" --target-ids 4,5 --positions 7 >"$scratch/out" || return 1
    columns_are position part layer head token_id token rank share norm || return 1
    awk -F '\t' '$5 == 4 { print $2 "," $3 "," $4 "," $7 "," $9 " " $8 }' \
        "$scratch/out" >"$scratch/found"
    awk -F '\t' -v point="$1" '$1 == "llama-biases" && $2 == 0 && $3 == 7 && $4 == point {
            print $4 "," $5 "," ($6 == "" ? "NA" : $6) "," $11 + 1 ",frozen " $10 }' tests/fixtures/lens/components.tsv \
        >"$scratch/golden"
    agree "$scratch/found" "$scratch/golden"
}
for point in attn_out mlp_out head_out; do
    check "the lens of $point is that of float64" component $point
    check "the same for given tokens" component_targets $point
done
some_layers() {
    of_biases --point head_out --positions all --top-k 2 >"$scratch/all" &&
        of_biases --point head_out --positions all --top-k 2 --layers 2 >"$scratch/out" &&
        awk -F '\t' 'NR == 1 || $3 == 2' "$scratch/all" | diff - "$scratch/out"
}
check "of some layers" some_layers
as_ever() {
    lens --positions all >"$scratch/with" && lens --positions all --point resid_post |
        diff - "$scratch/with"
}
check "resid_post is the lens" as_ever
component_is_said() {
    "$plens" lens --model "$biases" --ids 1 --point mlp_out 2>&1 >"$scratch/out" |
        grep -qF "the final norm frozen"
}
check "which of the two it is" component_is_said

# ---- targets by any text ----

any_text() { # of several tokens the first, which is told
    "$plens" lens --model "$model" --ids 1 --target-text ' zebra upon' 2>&1 >"$scratch/log" |
        grep -q "'  *zebra upon': [2-9] tokens, the first, id [0-9]*, stands for them" || return 1
    "$plens" lens --model "$model" --ids 1 --target-text ' answer' 2>&1 >"$scratch/log" |
        grep -q 'stands for them' && return 1
    lens --target ' answer' >"$scratch/out" && lens --target-text ' answer' | diff - "$scratch/out"
}
check "targets by any text" any_text
# Where the tokenizer puts a space before every text, " word" alone begins with a bare space.
after_a_word() {
    [ "$("$plens" lens --quiet --model "$stories" --ids 1 --layers 5 --target-text ' day' |
        cut -f 4 | sed 1d)" = ' day' ]
}
stories=${PLENS_SHARED:-../shared}/models/stories260k
if [ -d "$stories" ]; then
    check "a leading space belongs to the word" after_a_word
else
    skip "a leading space belongs to the word: needs a tokenizer of the shared data"
fi

several_prompts() {
    "$plens" lens --quiet --model "$model" --ids 1,2 --ids "$ids" --settled >"$scratch/out" &&
        columns_are prompt position token_id token prob first_layer stable_layer &&
        [ "$(wc -l <"$scratch/out")" -eq 3 ]
}
check "several prompts" several_prompts

# ---- wrong options ----
wrong() { # PARTS ARGUMENT…
    wrong_part=$1
    shift
    check "exit 2" refuses 2 "plens: |$wrong_part|--help" lens "$@"
}
wrong "one table" --settled --target x
wrong "one table" --groups f --attribution x
wrong "neither drawn nor viewed" --settled --html "$scratch/f"
wrong "neither drawn nor viewed" --target x --view
wrong "--entropy and --kl" --kl --view
wrong "--entropy and --kl" --entropy --settled
wrong "without --layers" --settled --layers 2
wrong "either --attribution" --attribution x --attribution-ids 1
wrong "--against needs" --against x
wrong "--heads needs" --heads
wrong "no probabilities" --point mlp_out --kl
wrong "no probabilities" --point mlp_out --groups f
wrong "no probabilities" --point head_out --settled
wrong "no probabilities" --point attn_out --html "$scratch/f"
wrong "no probabilities" --point attn_out --view
wrong "no probabilities" --point attn_out --attribution x
wrong "--point|'q'|head_out" --point q
bad() { # PARTS ARGUMENT…
    bad_parts=$1
    shift
    check "exit 3" refuses 3 "plens: |$bad_parts" lens "$@"
}
bad "--target|no token has the text ' once upon'" --target ' once upon'
bad "--target-text|no text" --target-text ''
bad "--target-ids|1,x" --target-ids 1,x
bad "--target-ids|1182|1181" --target-ids 1182
bad "--attribution|no token" --attribution 'once upon'
bad "--against|no token" --attribution ' sushi' --against 'once upon'
bad "--attribution-ids|one token or two|3" --attribution-ids 1,2,3
bad "--attribution-ids|-1" --attribution-ids=-1
finish
