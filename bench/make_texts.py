#!/usr/bin/env python3
"""Writes texts of a given number of words, one prompt each, as `plens score` reads them.

usage: make_texts.py N WORDS

No two begin alike; the words are common ones, so that most tokenizers make a token of each. The
same arguments give the same bytes.
"""
import sys

WORDS = ("time year people way day man thing woman life child world school state family student group country problem hand "
         "part place case week company system program question work government number night point home water room mother "
         "area money story fact month lot right study book eye job word business issue side kind head house service friend "
         "father power hour game line end member law car city community name").split()


def main():
    n, length = int(sys.argv[1]), int(sys.argv[2])
    state = 20251124
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    print("id", "task", "persona", "prompt", "gold", sep="\t")
    for i in range(n):
        words = [WORDS[i % len(WORDS)]]
        for _ in range(1, length):
            state = state * 16807 % 2147483647  # [Lewis, Goodman, Miller 1969]
            words.append(WORDS[state % len(WORDS)])
        print(f"text{i + 1}", "length", "", " ".join(words), "", sep="\t")


main()
