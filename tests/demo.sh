#!/bin/sh
# Shows plens with the trained checkpoint of tests/fixtures: a score and a lens. (make demo)
set -eu
plens=${BUILD:-build}/plens
model=tests/fixtures/stories260k
text='Once upon a time, there was a little girl named Lily. One day,'

echo "stories260k is a very small model that was trained on children's stories. It is asked how a"
echo "story goes on, with a persona before the question and without. (tests/data/demo.tsv)"
echo
"$plens" score --quiet --view --model "$model" --data tests/data/demo.tsv \
    --template tests/data/demo-template.tsv --ratios 0.2,1
echo
echo "Where is the answer formed? The logit lens reads every layer as if it were the last, here of"
echo "\"$text\""
echo
"$plens" lens --quiet --view --model "$model" --positions all --text "$text"
echo
echo "The last column is the question's end: only layers 4 and 5 name Lily, whom the story began with."
echo "For models of your own: $plens score --help"
