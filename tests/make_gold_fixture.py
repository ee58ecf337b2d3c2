#!/usr/bin/env python3
"""Make tests/fixtures/gold.tsv: by which token gold follows a text, with Hugging Face's tokenizers
library and an independent reading of the rule in plens.h.

usage: make_gold_fixture.py SHARED_DIR > tests/fixtures/gold.tsv      (needs tokenizers, regex)
"""
import os
import sys
import regex
from tokenizers import Tokenizer

FORMS = {"auto": 0, "none": 1, "space": 2, "either": 3}
CASES = [
    ("The most important holiday of the year is -, answer:", "Thanksgiving"),
    ("The capital of Japan is", "Tokyo"),
    ("The capital of Japan is ", "Tokyo"),
    ("The capital of Japan is\n", "Tokyo"),
    ("Your country's calling code is (0", "81"),
    ("Your country's calling code is (0)", "81"),
    ("calling code: +", "1"),
    ("日本の首都は", "東京"),
    ("日本の首都は", "Tokyo"),
    ("日本の挨拶は\u3000", "こんにちは"),
    ("The Japanese word for cat is", "ネコ"),
    ("The Thai word is", "แมว"),
    ("Once upon a time there was a little", "girl"),
    ("un", "happiness"),
    ("She said: don", "'t"),
    ("It is 19", "45"),
    ("a", "b"),
    ("price:", "$5"),
    ("The answer is (", "A)"),
    ("x", " leading space"),
    ("x", "々"),
    ("x", "ｱ"),
    ("x", "🙂"),
    ("", "word"),
    ("(You are an Italian who love your country.) What is the capital?-, answer:", "Rome"),
    ("Tom had a big red", "ball and a cat"),
    ("The number is", "1234567"),
]


def escape(s):
    return s.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def token_is_space(tk, i):
    # what one token contributes in the middle of a text
    s = tk.decode([tk.token_to_id("a") if tk.token_to_id("a") is not None else i, i], skip_special_tokens=False)
    one = tk.decode([tk.token_to_id("a")], skip_special_tokens=False) if tk.token_to_id("a") is not None else ""
    tail = s[len(one):]
    return tail != "" and regex.fullmatch(r"\p{White_Space}+", tail) is not None


def one_form(tk, text, gold, sep):
    ids = lambda s: tk.encode(s, add_special_tokens=False).ids
    p, f = ids(text), ids(text + sep + gold)
    n = 0
    while n < len(p) and n < len(f) and p[n] == f[n]:
        n += 1
    merged = n < len(p)
    rest = ids(sep + gold) if merged else f[n:]
    return rest[0], len(rest), merged, token_is_space(tk, rest[0])


def gold(tk, text, g, form):
    ends = regex.search(r"\p{White_Space}$", text) is not None
    bare = regex.match(r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}]", g) is not None
    auto = "" if ends or bare else " "
    seps = {"auto": [auto], "none": [""], "space": [" "], "either": ["", " "]}[form]
    rows = [one_form(tk, text, g, s) for s in seps]
    out = []
    for r in rows:
        if r[0] not in out:
            out.append(r[0])
    return out, max(r[1] for r in rows), any(r[2] for r in rows), any(r[3] for r in rows)


def main(shared):
    folders = {"llama-3.1": "tokenizers/llama-3.1", "qwen2.5": "tokenizers/qwen2.5",
               "llm-jp-3": "tokenizers/llm-jp-3", "stories260k": "models/stories260k"}
    folders = {name: f"{shared}/{folder}" for name, folder in folders.items()}
    folders["persona-world"] = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures", "persona-world")
    print("tokenizer", "text", "gold", "form", "ids", "n_tokens", "merged", "bare_space", sep="\t")
    for name, folder in folders.items():
        tk = Tokenizer.from_file(f"{folder}/tokenizer.json")
        for text, g in CASES:
            for form in FORMS:
                ids, n, merged, bare = gold(tk, text, g, form)
                print(name, escape(text), escape(g), FORMS[form], "|".join(map(str, ids)), n,
                      int(merged), int(bare), sep="\t")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
