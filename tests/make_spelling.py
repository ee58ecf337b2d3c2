#!/usr/bin/env python3
"""Makes tests/fixtures/spelling.tsv, the words that tests/data/personas.tsv may use, and prints
those that pyspellchecker does not know, for a person to read before the list is committed.

usage: python3 tests/make_spelling.py        (from the repository's root; needs pyspellchecker)
"""
import csv
import re

from spellchecker import SpellChecker


def lower(word):
    return "".join(c.lower() if c.isascii() else c for c in word)


def main():
    with open("tests/data/personas.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    text = "\n".join(row[column] for row in rows for column in ("persona", "prompt", "gold"))
    words = sorted({lower(word) for word in re.findall(r"[A-Za-z0-9\u0080-\U0010ffff]+", text)},
                   key=lambda word: word.encode())
    with open("tests/fixtures/spelling.tsv", "w", encoding="utf-8", newline="\n") as out:
        print("word", *words, sep="\n", file=out)
    print(*sorted(SpellChecker().unknown(word for word in words if word.isalpha())))


if __name__ == "__main__":
    main()
