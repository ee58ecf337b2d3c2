#!/bin/sh
# The page of plens lens --html in a real browser, where there is one: tests/browser/pictures.py.
set -u
. tests/tally.sh

for tool in python3 chromium chromedriver; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        skip "the page in a browser: no $tool here"
        finish
    fi
done
mkdir "$scratch/home"
HOME=$scratch/home python3 -B tests/browser/pictures.py "$plens" "$scratch" ${PLENS_SCREENSHOTS:+"$PLENS_SCREENSHOTS"}
