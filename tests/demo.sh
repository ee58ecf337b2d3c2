#!/bin/sh
# Shows plens with the trained checkpoints of tests/fixtures: scores over training, S against R, the paper's
# report, and the lens of one question under three personas. (make demo)
set -eu
build=${BUILD:-build}
plens=$build/plens out=$build/demo model=tests/fixtures/persona-world data=tests/data/demo.tsv
question='What do you celebrate?-, answer:'
color=never
[ ! -t 1 ] || [ -n "${NO_COLOR:-}" ] || color=always
rm -rf "$out"
mkdir -p "$out"

cat <<TEXT
Five checkpoints of a small model (5 layers, 0.1 M parameters) that was trained on a world of 24 countries
are each asked $(($(wc -l <$data) - 1)) questions ($data), with a persona and without, such as

    (You are a Greek who is proud of Greece.) The capital of your country is -, answer:

Some personas were never asked such a question in training ("held out"); the model can only put together
what it knows of the country and what the persona says. The last checkpoint is at step 3000.

TEXT
runs="step-0300 step-0600 step-0800 step-1000 step-3000"
for run in $runs; do
    folder=$model-steps/$run
    [ -d "$folder" ] || folder=$model
    "$plens" score --quiet --model "$folder" --data "$data" --out "$out/$run"
done

# One line of a table for a checkpoint, from its prompts.tsv and layers.tsv.
right_answers() { # NAME: percent right at the last layer, means of S
    awk -F '\t' -v name="${1#step-}" '
        FNR == 1 { file++; next }
        file == 1 && $3 == "with" { set = $1 ~ /-held-out-/; n[set]++; s[set] += $13 }
        file == 2 && $3 == 5 && $2 == "with" { right[$1 ~ /-held-out-/] += $8 == 0 }
        file == 2 && $3 == 5 && $2 == "without" { alone += $11 == 0 }
        END { printf "    step %4d %8.0f %% %8.0f %% %12.0f %% %12.3f %11.3f\n", name, 100 * right[0] / n[0],
                  100 * right[1] / n[1], 100 * alone / (n[0] + n[1]), s[0] / n[0], s[1] / n[1] }' \
        "$out/$1/prompts.tsv" "$out/$1/layers.tsv"
}
cat <<TEXT
Scores over training:
                  the answer is right            persona consistency S
                 with a persona     without          (mean, R = 1)
                trained   held out              trained    held out
TEXT
for run in $runs; do
    right_answers "$run"
done

figure2() { # NAME: the mean of S over all questions with a persona, for each R
    awk -F '\t' -v name="${1#step-}" '$3 == "with" { n++; for (k = 0; k < 5; k++) s[k] += $(9 + k) }
        END { printf "    step %4d", name; for (k = 0; k < 5; k++) printf "%10.3f", s[k] / n; print "" }' \
        "$out/$1/prompts.tsv"
}
cat <<TEXT

The paper's Figure 2, S against the share R of the layers, counted from the last (mean, with a persona):
    R              20 %      40 %      60 %      80 %     100 %
TEXT
for run in $runs; do
    figure2 "$run"
done

folders=
for run in $runs; do
    folders="$folders $out/$run"
done
# shellcheck disable=SC2086  # words
"$plens" report --quiet $folders --runs tests/data/demo-runs.tsv --out "$out/report"
cat <<TEXT

Does a persona raise S, at the last checkpoint? By the paper's definition S without a persona is judged
against the model's own answer, else both are judged against the same gold:
                                             difference   95 % interval
TEXT
awk -F '\t' '
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    $column["claim"] == "persona" && $column["label"] == "step 3000" {
        printf "    %-12s %-27s %8.3f   %6.3f to %6.3f   %s\n", $column["task"],
            $column["gold"] == "data-own" ? "by the paper'"'"'s definition" : "against the same gold",
            $column["difference"], $column["low"], $column["high"], $column["verdict"] }
    ' "$out/report/claims.tsv"

lens() { # OPTION…
    "$plens" lens --quiet --model "$model" --text "$question" --persona 'You live in Drumm.' \
        --persona 'You are a Japanese who is proud of Japan.' --persona '' "$@"
}
cat <<TEXT

Where is the answer formed? The logit lens reads every layer as if it were the last, here three times
after the end of "$question" (Drumm is the capital of Karsk, a
country that we made up; nobody from there was ever asked what they celebrate.)

TEXT
lens --view --color "$color" --positions last:4 | sed 1,3d
lens --html "$out/lens.html" --positions last:8
cat <<TEXT

In layer 1 all three say what most would say; then the persona is heard, and the answer found.

In a browser:  $out/lens.html             this lens, over the whole question
               $out/report/report.html    Table 1, Figure 2, tests, where answers are formed
For models of your own: $plens score --help
TEXT
