#!/bin/sh
# plens lens --html and --svg: whether they show what the TSV says, in colours that can be read, in
# files that hold no more than that; and the lens of several prompts. The page's behaviour is
# tests/cli/browser.sh.
set -u
. tests/tally.sh
. tests/refuses.sh

model=tests/fixtures/persona-world
text='What do you love to eat?-, answer:'
lens() {
    "$plens" lens --quiet --model "$model" "$@"
}
draw() { # NAME OPTION…: NAME.html and NAME.svg
    name=$1
    shift
    lens --html "$scratch/$name.html" --svg "$scratch/$name.svg" "$@" && [ ! -s "$scratch/check.log" ]
}
personas() { # COMMAND…: with two personas and a text
    "$@" --persona 'You live in Rome.' --persona 'You live in Tokyo.' --text "$text"
}

# ---- Several prompts, some positions, some layers ----

several() {
    personas lens --top-k 2 >"$scratch/several" || return 1
    n=0
    for persona in 'You live in Rome.' 'You live in Tokyo.'; do
        n=$((n + 1))
        lens --top-k 2 --text "($persona) $text" | sed "1s/^/prompt	/; 1!s/^/$n	/" >"$scratch/one"
        awk -v n=$n 'NR == 1 || $1 == n' "$scratch/several" | diff "$scratch/one" - || return 1
    done
}
check "personas are prompts, numbered" several
no_persona() {
    lens --persona '' --text "$text" >"$scratch/none"
    lens --text "$text" | diff "$scratch/none" -
}
check "no persona is no parenthesis" no_persona
lens --positions all --text "$text" >"$scratch/all"
part() { # AWK-CONDITION OPTION…
    condition=$1
    shift
    lens --text "$text" "$@" >"$scratch/part" || return 1
    awk "NR == 1 || ($condition)" "$scratch/all" | diff - "$scratch/part"
}
last=$(tail -n 1 "$scratch/all" | cut -f 1)
check "some positions" part '$1 >= 2 && $1 <= 4' --positions 2-4
check "one position" part '$1 == 3' --positions 3
check "the last three" part "\$1 > $last - 3" --positions last:3
check "more than there are" part 1 --positions last:1000
check "some layers" part '$2 >= 2 && $2 <= 3' --positions all --layers 2-3
check "one layer" part '$2 == 4' --positions all --layers 4
check "a layer too many" refuses 3 "--layers|6|1 to 5" lens --text "$text" --layers 4-6
check "a position too many" refuses 3 "--positions 2-99|0 to $last" lens --text "$text" \
    --positions 2-99

# ---- What a picture holds ----

check "pictures of two personas" personas draw two
check "the same bytes again" personas draw again --threads 1
same() {
    cmp "$scratch/two.html" "$scratch/again.html" && cmp "$scratch/two.svg" "$scratch/again.svg"
}
check "whatever the threads" same
if command -v xmllint >/dev/null 2>&1; then
    well_formed() { # NAME
        xmllint --nonet --noout "$scratch/$1.html" && xmllint --nonet --noout "$scratch/$1.svg"
    }
else
    well_formed() {
        return 0
    }
    skip "no xmllint here: the pictures are not checked as XML"
fi
check "well-formed" well_formed two

# One line a cell: panel, layer, position, final, next, step of the colour, then id and probability
# of all tokens.
page_cells() { # FILE.html
    awk '/<li data-id="/ { split($0, part, "\""); id[n++] = part[2] }
         /<script/ { exit }
         { line[NR] = $0 }
         END {
            for (i = 1; i <= NR; i++) {
                if (line[i] ~ /<table/) panel++
                if (line[i] ~ /^<tr><th/) {
                    layer = line[i]
                    gsub(/<[^>]*>/, "", layer)
                    position = -1
                }
                if (line[i] !~ /^<td/) continue
                split(line[i], part, "\"")
                n_classes = split(part[2], class, " ")
                printf "%d %d %d %d %d %s", panel, layer, ++position, part[2] ~ / f/, \
                    part[2] ~ / n/, substr(class[1], 2)
                n_tokens = split(part[4], token, " ")
                for (k = 1; k <= n_tokens; k += 2) printf " %s %s", id[token[k]], token[k + 1]
                print ""
            }
         }' "$1"
}
page_cells "$scratch/two.html" >"$scratch/cells"
personas lens --positions all --top-k 10 >"$scratch/rows"

# The cells are the TSV's rows, layers from the last; the colour is the probability in whole
# percent; the marks are where they should be.
as_the_tsv() {
    awk -F '\t' 'NR == FNR { if (FNR > 1) { at = $1 " " $3 " " $2; row[at] = row[at] " " $5 " " $7 }
                             next }
        { n = split($0, c, " "); at = c[1] " " c[2] " " c[3]; seen[at] = 1; m = split(row[at], r, " ")
          if (n != m + 6) { print "not as many tokens:", $0; exit bad = 1 }
          for (k = 1; k <= m; k += 2)
              if (c[6 + k] != r[k] || (d = c[7 + k] - r[k + 1]) > 1e-4 || d < -1e-4) {
                  print "unlike the TSV:", $0; exit bad = 1 }
          if (c[6] != int(100 * r[2] + 0.5)) { print "another colour:", $0; exit bad = 1 }
          split(row[c[1] " 5 " c[3]], final, " ")
          if (c[4] != (c[7] == final[1])) { print "final:", $0; exit bad = 1 }
          if (c[2] > above && c[1] == panel) { print "not in order:", $0; exit bad = 1 }
          panel = c[1]; above = c[2] }
        END { for (at in row) if (!seen[at]) bad = 1; exit bad }' "$scratch/rows" "$scratch/cells"
}
check "the page holds what the TSV says" as_the_tsv
next_tokens() { # the ids are told on standard error
    personas "$plens" lens --model "$model" 2>&1 >"$scratch/rows" | sed -n 's/.*ids //p' |
        tr ',' ' ' >"$scratch/ids"
    awk 'NR == FNR { for (i = 1; i <= NF; i++) id[FNR, i - 1] = $i; next }
        $5 != ($7 == id[$1, $3 + 1]) { print; exit bad = 1 } END { exit bad }' \
        "$scratch/ids" "$scratch/cells"
}
check "what follows is marked" next_tokens

# The figure's rectangles have the colours of the page's cells. Few positions, so that they are in
# one band.
personas draw few --positions last:3
page_cells "$scratch/few.html" >"$scratch/few-cells"
as_the_page() {
    sed -n 's/^\[data-palette=blue-red\] \.c\([0-9]*\){background:\(#[0-9a-f]*\);color:\(#[0-9a-f]*\)}/\1 \2/p' \
        "$scratch/two.html" >"$scratch/colours"
    [ "$(wc -l <"$scratch/colours")" -eq 101 ] || return 1
    awk 'NR == FNR { colour[$1] = $2; next } { print colour[$6] }' "$scratch/colours" \
        "$scratch/few-cells" >"$scratch/expected"
    sed -n 's/^<rect x.*fill="\(#[0-9a-f]*\)".*/\1/p' "$scratch/few.svg" | diff "$scratch/expected" -
}
check "the figure has the page's colours" as_the_page

# Two prompts of the lengths of a paper's would be a strip seven times as wide as high: in bands they
# are a page. Cells are where their band has room, none twice, none missing, all inside the figure;
# and what the personas are asked alike stands side by side.
long_text='What do you love to eat on the day that you love, what do you love to eat on it?-, answer:'
bands() {
    lens --persona 'You live in Rome.' --persona 'You live in the city of Tokyo.' \
        --text "$long_text" --svg "$scratch/long.svg" --html "$scratch/long.html" || return 1
    awk -F '"' 'FNR == NR { cells += /^<td/; next }
        /^<svg/ { width = $4; height = $6 }
        /^<rect x/ && !/url/ {
            n++
            if ($2 + $6 > width || $4 + $8 > height || seen[$2, $4]++) { print; exit bad = 1 }
            if ($2 > width / 2) { column[$2] = right[$2] = 1 } else left[$2] = 1
            if (!($4 in row)) { row[$4] = 1; n_rows++ }
        }
        END {
            print n, "of", cells, "cells in", n_rows, "rows,", width, "x", height
            for (x in left) n_left++
            for (x in right) n_right++
            exit bad || n != cells || n_rows % 5 || n_rows == 5 || width > 910 || n_left != n_right
        }' "$scratch/long.html" "$scratch/long.svg"
}
check "long prompts are a page, not a strip" bands
last_band() { # the tokens read in the last band's columns, of both panels
    awk -F '[">]' '/^<text/ && /text-anchor="middle"/ && / font-size="10"/ && !/fill=/ {
            if ($4 > last) { last = $4; text = "" }
            if ($4 == last) { text = text " " $0 } }
        END { gsub(/<[^>]*>/, "", text); n = split(text, token, " ")
              for (i = 1; i <= n / 2; i++) if (token[i] != token[n / 2 + i]) bad = 1
              print text; exit bad || n % 2 || n == 0 }' "$scratch/long.svg"
}
check "what is asked alike stands side by side" last_band
# A panel of one column has room for its heading and its prompt all the same.
whole_headings() {
    personas draw single --positions last &&
        [ "$(grep -c '>You live in \(Rome\|Tokyo\)\.<' "$scratch/single.svg")" -eq 2 ] &&
        ! grep -q '…' "$scratch/single.svg"
}
check "headings are wider than one column" whole_headings

captions() {
    for part in 'You live in Rome.' 'persona-world' 'resid_post' ' f32 ' 'LlamaForCausalLM' \
        'probability of the top token' "(You live in Tokyo.) $text"; do
        grep -qF "$part" "$scratch/two.html" && grep -qF "$part" "$scratch/two.svg" || {
            echo "nothing about: $part"
            return 1
        }
    done
}
check "captions" captions
titled() {
    personas draw titled --title 'Two & <more>' && grep -q 'Two &amp; &lt;more&gt;' \
        "$scratch/titled.html" "$scratch/titled.svg"
}
check "a title" titled
check "well-formed" well_formed titled

alone() { # nothing from outside, and no script in the figure
    sed 's/xmlns="http[^"]*"//; s/href="data:,"//' "$scratch/two.html" >"$scratch/stripped"
    sed 's/xmlns="http[^"]*"//' "$scratch/two.svg" >"$scratch/stripped.svg"
    ! grep -nE 'https?:|src=|href=|@import|url\(' "$scratch/stripped" &&
        ! grep -nE 'https?:|href|<script|<style|@import|<image|<use|<foreignObject' \
            "$scratch/stripped.svg" && grep -q "default-src 'none'" "$scratch/two.html"
}
check "files that need nothing else" alone

# ---- Colours (Web Content Accessibility Guidelines 2.1: luminance and contrast) ----

readable() { # PALETTE RISES: 1, -1, or 0 if its luminance may turn
    sed -n "s/^\[data-palette=$1\] \.c[0-9]*{background:#\([0-9a-f]*\);color:#\([0-9a-f]*\)}/\1 \2/p" \
        "$scratch/two.html" | awk -v rises="$2" '
        function hex(text, value, i) {
            for (i = 1; i <= 2; i++)
                value = 16 * value + index("0123456789abcdef", substr(text, i, 1)) - 1
            return value
        }
        function light(c) { c /= 255; return c <= 0.03928 ? c / 12.92 : exp(2.4 * log((c + 0.055) / 1.055)) }
        { back = 0.2126 * light(hex(substr($1, 1))) + 0.7152 * light(hex(substr($1, 3))) + \
                 0.0722 * light(hex(substr($1, 5)))
          ink = $2 == "fff"
          contrast = ink > back ? (ink + 0.05) / (back + 0.05) : (back + 0.05) / (ink + 0.05)
          if (contrast < 4.5) { print "contrast", contrast, $0; exit bad = 1 }
          if (NR > 1 && (back - before) * rises < 0) { print "turns", $0; exit bad = 1 }
          before = back; n++ }
        END { exit bad || n != 101 }'
}
check "blue-red can be read" readable blue-red 0
check "blue-yellow too, and only gets lighter" readable blue-yellow 1
check "grey too, and only gets darker" readable grey -1
ends() {
    grep -q '^\[data-palette=blue-red\] \.c0{background:#3156a3' "$scratch/two.html" &&
        grep -q '^\[data-palette=blue-red\] \.c100{background:#b01f2e' "$scratch/two.html"
}
check "red is high and blue is low" ends
chosen() {
    personas draw chosen --palette blue-yellow &&
        grep -q '<html .*data-palette="blue-yellow"' "$scratch/chosen.html" &&
        ! cmp -s "$scratch/two.svg" "$scratch/chosen.svg"
}
check "another palette" chosen

# ---- In a terminal ----

view() {
    COLORTERM=truecolor lens --text "$text" --positions all --layers 5 --view "$@"
}
escape=$(printf '\033')
painted() {
    view --color always >"$scratch/painted" || return 1
    colour=$(awk '$1 == 1 && $2 == 5 && $3 == 0 { print $6 }' "$scratch/plain-cells")
    [ -n "$colour" ] || return 1
    hex=$(sed -n "s/^\[data-palette=blue-red\] \.c$colour{background:#\([0-9a-f]*\).*/\1/p" \
        "$scratch/two.html")
    rgb=$(printf '%d;%d;%d' "0x$(echo "$hex" | cut -c 1-2)" "0x$(echo "$hex" | cut -c 3-4)" \
        "0x$(echo "$hex" | cut -c 5-6)")
    grep '^layer 5' "$scratch/painted" | head -n 1 | grep -qF "$escape[48;2;$rgb;38;2;"
}
plain() {
    view >"$scratch/plain" && ! grep -q "$escape" "$scratch/plain"
}
narrow() { # one column a sign: the middle dot is two bytes
    sed "s/$escape\[[0-9;]*m//g; s/·/./g" "$scratch/painted" "$scratch/plain" |
        LC_ALL=C awk 'length > 100 || (/^(Across|that every)/ && length > 79) { print; bad = 1 } END { exit bad }'
}
lens --text "$text" --html "$scratch/plain.html"
page_cells "$scratch/plain.html" >"$scratch/plain-cells"
check "colours when asked for" painted
check "plain when piped" plain
check "never wider than the terminal" narrow
# In a terminal of 40 columns an explanation of 76 and a token of 24 once broke every line in two. (Bytes
# are counted, which these texts have no more of than columns.)
if script -qec true /dev/null >/dev/null 2>&1; then
    in_terminal() { # COLUMNS LENS-OPTION…
        columns=$1
        shift
        script -qec "stty cols $columns rows 50; TERM=xterm-256color '$plens' lens --quiet $*" \
            /dev/null >"$scratch/terminal" </dev/null && grep -q "$escape\[48;" "$scratch/terminal" &&
            sed "s/$escape\[[0-9;]*m//g; s/\r//g; s/·/./g; s/…/./g" "$scratch/terminal" |
            LC_ALL=C awk -v most="$columns" '/^Prompt/ { next } length > most { print; bad = 1 }
                END { exit bad || NR < 7 }'
    }
    for columns in 40 80 200; do
        check "$columns columns" in_terminal $columns --model "$model" --positions all \
            --text "'$text' --persona 'You live in Rome.' --persona ''"
        check "$columns columns, one position" in_terminal $columns --model "$model" \
            --text "'$text'" --top-k 9
    done
    longest=$(sed -n 's/.*"id": \([0-9]*\), "content": "longlong.*/\1/p' \
        tests/fixtures/odd-tokens/tokenizer.json)
    wide=$scratch/wide-model
    cp -r tests/fixtures/models/qwen2-window "$wide"
    chmod -R u+w "$wide"
    cp tests/fixtures/odd-tokens/tokenizer.json "$wide"
    check "40 columns, a long token" in_terminal 40 --model "$wide" --positions all \
        --layers 2-4 --ids "$longest,$longest"
else
    skip "no script(1) here that runs a command: no terminal to print to"
fi
all_there() { # in bands, each with the layers
    lens --text "$text $text $text $text" --positions all --view >"$scratch/bands" &&
        [ "$(grep -c '^read' "$scratch/bands")" -gt 1 ] &&
        [ "$(grep -c '^layer 1 ' "$scratch/bands")" -eq "$(grep -c '^read' "$scratch/bands")" ]
}
check "all positions, in bands" all_there

# ---- Tokens that want to be something else ----

odd=$scratch/odd-model
cp -r tests/fixtures/models/qwen2-window "$odd"
chmod -R u+w "$odd"
cp tests/fixtures/odd-tokens/tokenizer.json "$odd"
odd_ids=0
for id in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 \
    33 34 35 36 37 38 39 40 41 42 43 44 45 46 47; do
    odd_ids=$odd_ids,$id
done
odd_pictures() {
    "$plens" lens --quiet --model "$odd" --ids "$odd_ids" --top-k 67 --title '<script>throw 1' \
        --html "$scratch/odd.html" --svg "$scratch/odd.svg"
}
check "pictures of odd tokens" odd_pictures
check "well-formed" well_formed odd
one_script() {
    [ "$(grep -c '<script' "$scratch/odd.html")" -eq 1 ] &&
        [ "$(grep -c '</script' "$scratch/odd.html")" -eq 1 ] &&
        ! grep -E '<script|<img|<h1' "$scratch/odd.svg" && ! grep -E '<img|<!--' "$scratch/odd.html"
}
check "none becomes markup" one_script
# Controls, and the signs that turn the direction of writing (U+202E, U+2066), U+FEFF, U+FFFE.
no_hidden_bytes() {
    "$plens" lens --quiet --model "$odd" --ids "$odd_ids" --positions all --view \
        >"$scratch/odd.txt" || return 1
    for file in odd.html odd.svg odd.txt; do
        LC_ALL=C tr -d '\n\040-\176\200-\377' <"$scratch/$file" >"$scratch/controls"
        [ ! -s "$scratch/controls" ] || return 1
        for bytes in '\342\200\256' '\342\201\246' '\357\273\277' '\357\277\276' '\302\233'; do
            ! LC_ALL=C grep -qF "$(printf "$bytes")" "$scratch/$file" || return 1
        done
    done
}
check "nor a command to whoever shows it" no_hidden_bytes
shown() {
    for part in '<u>\\xE3</u><u>\\x81</u>' '<u>U+202E</u>over' '<i>·</i>the' '<u>\\n</u>' '◌́' '日本' \
        '<bdi>مرحبا</bdi>' '<bdi>می‌خواهم</bdi>' '👨‍👩‍👧' '>\\n<' '\[47\]'; do
        grep -q "$part" "$scratch/odd.html" || {
            echo "not shown: $part"
            return 1
        }
    done
}
check "but shown" shown
# In a figure as in the page, an Arabic or Hebrew token is a line from right to left (its space and an
# ellipsis would else be at the wrong end), and the hex of a byte in it still reads "\xD7".
leftward() {
    grep -q '<text [^>]*direction="rtl"[^>]*>مرحبا<' "$scratch/odd.svg" &&
        grep -q 'direction="rtl"[^>]*>ו<tspan [^>]*direction="ltr" unicode-bidi="embed">\\xD7<' \
            "$scratch/odd.svg" && ! grep -q 'direction="rtl"[^>]*>日本<' "$scratch/odd.svg"
}
check "right to left in a figure" leftward

# ---- Sizes ----

# A page grows by the same for each layer: 40 layers from the pages of 1 and of 2.
sixty=$(awk 'BEGIN { for (i = 0; i < 60; i++) printf "%s%d", i ? "," : "", 7 * i }')
small() {
    wide=tests/fixtures/models/llama-vocabulary
    for layers in 1 1-2; do
        "$plens" lens --quiet --model "$wide" --ids "$sixty" --layers $layers \
            --html "$scratch/size-$layers.html" || return 1
    done
    one=$(wc -c <"$scratch/size-1.html") two=$(wc -c <"$scratch/size-1-2.html")
    echo "$((one + 39 * (two - one))) bytes" && [ $((one + 39 * (two - one))) -lt 2000000 ]
}
check "60 tokens and 40 layers are less than 2 MB" small

# ---- The README's picture ----

# As in tests/data/README.md; its bits are the same everywhere.
readme_picture() {
    "$plens" lens --quiet --precision f32 --model "$PLENS_SMOLLM2" --title SmolLM2-135M-Instruct \
        --persona 'You are Japanese.' --persona 'You are French.' \
        --text 'The capital of your country is the city of' --positions last:8 --layers 17-30 \
        --svg "$scratch/readme.svg" && cmp "$scratch/readme.svg" tests/data/smollm2-lens.svg
}
if [ -n "${PLENS_SMOLLM2:-}" ]; then
    check "plens still draws it so" readme_picture
else
    skip "the README's picture: set PLENS_SMOLLM2 to a folder with SmolLM2-135M"
fi

# ---- Failures ----

mkdir "$scratch/out"
holds() { # COUNT
    [ "$(find "$scratch/out" -type f | wc -l)" -eq "$1" ]
}
out=$scratch/out
check "no folder" refuses 3 "absent/p.html" lens --ids 1 --html "$scratch/absent/p.html"
check "no folder" refuses 3 "absent/p.svg" lens --ids 1 --html "$out/p.html" \
    --svg "$scratch/absent/p.svg"
check "nothing is left" holds 0
check "a folder is no file" refuses 3 "$out" lens --ids 1 --svg "$out"
check "an id out of range" refuses 3 "--ids|1182" lens --ids 1182 --html "$out/p.html"
nan=$scratch/nan-model
cp -r "$model" "$nan"
chmod -R u+w "$nan"
printf '\000\176' | dd of="$nan/model.safetensors" bs=1 \
    seek=$(($(wc -c <"$nan/model.safetensors") - 2)) conv=notrunc 2>/dev/null
check "not a number" refuses 3 "position 0, layer 1" "$plens" lens --quiet --model "$nan" --ids 1,2 \
    --html "$out/p.html" --svg "$out/p.svg"
check "nothing is left" holds 0
limited() { # a limit on the size of files ends a write like a full disk does
    (
        ulimit -f 2
        "$@"
    )
}
echo before >"$out/p.html"
check "no room" refuses 3 "out/p.html" limited "$plens" lens --quiet --model "$model" --ids 1,2,3 \
    --html "$out/p.html" --svg "$out/p.svg"
untouched() {
    [ "$(cat "$out/p.html")" = before ] && holds 1
}
check "what was there is untouched" untouched
if [ -c /dev/full ]; then
    check "a full device" refuses 3 "/dev/full" lens --ids 1 --svg /dev/full
fi
finish
