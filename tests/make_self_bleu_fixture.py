#!/usr/bin/env python3
"""Makes tests/fixtures/self_bleu.tsv: Self-BLEU by NLTK's sentence_bleu, as Texygen calls it.

usage: python3 tests/make_self_bleu_fixture.py        (from the repository's root; needs nltk)

Run it again when tests/data/personas.tsv or tests/fixtures/self_bleu_texts.tsv changes. The words
are cut by Python's own idea of letters and digits, not by plens's.
"""
import csv
import re
import warnings

import nltk
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

TAIL = "-, answer:"
WEIGHTS = (0.25, 0.25, 0.25, 0.25)


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def words(text):
    return re.findall(r"[^\W_]+|\S", text)


def question(row):
    prompt = row["prompt"]
    return prompt[: -len(TAIL)].rstrip(" ") if prompt.endswith(TAIL) else prompt


def full(row):
    return f"({row['persona']}) {row['prompt']}" if row["persona"] else row["prompt"]


def self_bleu(texts, smoothing):
    lines = [words(text) for text in texts]
    scores = [
        sentence_bleu(lines[:i] + lines[i + 1 :], line, WEIGHTS, smoothing)
        for i, line in enumerate(lines)
    ]
    return sum(scores) / len(scores)


def measure(path, by, sample):
    rows = read(path)
    groups = {}
    for row in rows:
        group = groups.setdefault(row[by] if by else "all", [])
        if len(group) < sample:
            group.append(row)
    kinds = [("question", question), ("prompt", lambda row: row["prompt"])]
    if "persona" in rows[0]:
        kinds.append(("full", full))
    smoothing = SmoothingFunction()
    for group, members in groups.items():
        for kind, text in kinds:
            texts = [text(row) for row in members]
            plain = self_bleu(texts, smoothing.method0)
            method1 = self_bleu(texts, smoothing.method1)
            yield path, by, sample, group, kind, len(texts), repr(float(plain)), repr(float(method1))


def main():
    warnings.simplefilter("ignore")  # NLTK warns of every count of 0
    runs = [
        ("tests/data/personas.tsv", "task", 500),
        ("tests/data/personas.tsv", "task", 37),
        ("tests/data/personas.tsv", "", 500),
        ("tests/fixtures/self_bleu_texts.tsv", "set", 500),
        ("tests/fixtures/self_bleu_texts.tsv", "", 500),
    ]
    with open("tests/fixtures/self_bleu.tsv", "w", encoding="utf-8", newline="\n") as out:
        print("file", "by", "sample", "group", "text", "n", "self_bleu", "self_bleu_method1",
              sep="\t", file=out)
        for run in runs:
            for row in measure(*run):
                print(*row, sep="\t", file=out)
    print("nltk", nltk.__version__)


if __name__ == "__main__":
    main()
