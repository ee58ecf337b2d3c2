#!/usr/bin/env python3
"""Writes tests/fixtures/tokenizers/NAME/{tokenizer.json,golden.jsonl} and splits.jsonl there, and
golden.jsonl of tests/fixtures/persona-world.

    pip install tokenizers==0.22.2
    python3 tests/make_tokenizer_fixtures.py [--train]

Small tokenizers of every kind of component, trained here on a few sentences, and what Hugging
Face's own library makes of texts that are hard to cut up: the ids with and without special tokens,
and the ids decoded again. splits.jsonl: the pieces that pre-tokenizers make of texts. Training breaks ties at random, so tokenizers
that are there stay unless --train is given. The texts keep clear of characters newer than the library's Unicode.
"""
import json
import os
import random
import sys

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures", "tokenizers")

CORPUS = """
The most important holiday of the year is Christmas, answer: I'm sure it's not what they've told you.
You are an American who is proud of America. We'll see whether he'd say that she's right.
The capital of France is Paris; that of Japan is Tokyo, and in 1868 it was renamed from Edo.
In 2024, 12345 people bought 678 tickets at $9.99 each (about 15% more than in 2023).
日本の首都は東京です。最も重要な祝日は正月で、多くの人が神社に行きます。
私は日本人で、日本の文化を誇りに思っています。ペルソナの役割と内部動作の理解。
カタカナとひらがなが混ざった文章、「かぎかっこ」や全角ＡＢＣ１２３もある。
대한민국의 수도는 서울입니다. 한국어 문장도 조금 있습니다.
Die Straße ist schön, und der Fluß fließt über die Brücke. Élève, naïve, cœur, garçon, señor.
Москва — столица России. Ελληνικά γράμματα: αβγδ. שלום עולם. مرحبا بالعالم.
for (int i = 0; i < 10; i++) { printf("%d\\n", i); }  // code with   spaces
def f(x):\n    return x ** 2\n\n\tif True:\n\t\tpass
""".strip().split("\n")
CORPUS = [line.replace("\\n", "\n").replace("\\t", "\t") for line in CORPUS] * 4

FIXED = [
    "", "a", " ", "  ", "   ", "\n", "\n\n", " \n", "\n ", " \n \n  x", "\t\tx", "\r\n\r\n", "Hello",
    "Hello world", " Hello world", "Hello  world ", "  two  spaces  ", "I'm you're we've they'll he'd it's",
    "I'M YOU'RE WE'VE THEY'LL HE'D IT'S", "'ſ and 'S", "'s", "''s", "don't can't", "1", "12", "123", "1234",
    "12345678901234567890", "3.14159", "1,000,000", "x²+y³=½", "a　　b", "　全角　空白　", "日本の首都は東京です。",
    "東京", "ペルソナ", "ﾊﾝｶｸ ｶﾅ", "ＡＢＣ１２３", "㈱㌔①Ⅷ", "한국어 문장", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "e\u0301te\u0301",
    "\u0301start", "a\u0323\u0307", "q\u0307\u0323", "Å Å Å", "ﬁne ﬂow", "naïve café", "Straße STRASSE ẞ", "İstanbul ıı",
    "Ελληνικά ΣΑΣ", "Привет, мир!", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया", "สวัสดีชาวโลก",
    "😀😃", "👨\u200d👩\u200d👧\u200d👦", "🇯🇵🇺🇸", "❤️", "👍🏽!", "a\u200bb", "a\ufeffb", "a\u00a0b", "\u2028x\u2029", "a\x1cb\x1fc",
    "\x00\x01\x7f", "�", "▁", "▁▁a", "a▁b", " ▁ ", "Ġ Ċ", "<0x0A>", "<0xE3><0x81>", "<unk>", "<s>", "</s>", "<s>Hello</s>",
    " <s> Hello </s> ", "a<mask>b", "a <mask> b", "a\n<mask>\nb", "<mask><mask>", "xyz", "wxyz", "xyz!", "(xyz)", "xyz xyz",
    "_xyz", "éxyz", "XYZ", "x y z", "[NEW]", "a[NEW]b", "  [NEW]  ", "<|eot|>", "<|eot|><|eot|>", "<|eot", "|eot|>",
    "for (int i = 0; i < 10; i++) {\n\treturn;\n}\n", "def f(x):\n    return x\n\n\n", "!!!???...", "a.b,c;d:e", "--- ---",
    "http://example.com/?q=1&r=2#x", "snake_case CamelCase kebab-case", "ABCdef123ghi", "\\ / | ` ~ ^ $ + < = >",
    "\U00020000\U0002A6D6", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "the the the the", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "                                                                 x", "\n\n\n\n\n\n\n\n",
]


def random_texts(count):
    rng = random.Random(20241123)
    parts = [" ", "  ", "\n", " \n", "\t", "'s", "'LL", "12", "345", "6", "the", " the", "Tokyo", "東京", "の", "です", "한국", "é", "e\u0301",
             "　", "😀", "\u200d", "!", "...", "(", ")", "▁", "<s>", "</s>", "<unk>", "<mask>", "xyz", "[NEW]", "<|eot|>", "ſ", "ß", "½", "Ａ",
             "م", "न", "\u0301", "A", "b", "_", "-", "\r", "\u00a0", "Ω", "\U00010400"]
    return ["".join(rng.choice(parts) for _ in range(rng.randint(1, 14))) for _ in range(count)]


TEXTS = FIXED + random_texts(60)
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTE_TOKENS = [f"<0x{b:02X}>" for b in range(256)]


def template(tokenizer, single, names):
    return processors.TemplateProcessing(
        single=single, special_tokens=[(name, tokenizer.token_to_id(name)) for name in names])


def train_bpe(tokenizer, vocab_size, special_tokens, **options):
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=special_tokens, show_progress=False, **options))


def llama3_bpe():
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    train_bpe(tokenizer, 600, [], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_special_tokens(["<s>", "</s>", "<|eot|>"])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False), template(tokenizer, "<s> $A", ["<s>"])])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def qwen_bpe():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3.replace("{1,3}", "")), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    train_bpe(tokenizer, 500, [], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_special_tokens(["<|eot|>"])
    tokenizer.add_tokens([AddedToken("[NEW]", normalized=True), AddedToken("e\u0301te\u0301")])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def gpt2_digits_bpe():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True)])
    train_bpe(tokenizer, 500, ["<|eot|>", "<s>", "</s>"],
              initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_tokens([AddedToken("xyz", single_word=True), AddedToken("<mask>", lstrip=True),
                          AddedToken("[NEW]", rstrip=True, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def llama2_bpe():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    train_bpe(tokenizer, 700, ["<unk>", "<s>", "</s>"] + BYTE_TOKENS, limit_alphabet=120)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = data["added_tokens"][:3]
    data["model"]["merges"] = [" ".join(merge) for merge in data["model"]["merges"]]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.add_tokens([AddedToken("[NEW]", normalized=True), AddedToken("<mask>", lstrip=True, rstrip=True)])
    tokenizer.post_processor = template(tokenizer, "<s> $A", ["<s>"])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                           decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return tokenizer, data


def mistral_bpe():
    """Metaspace in the newer style, prepended to the first word only; no byte fallback."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    train_bpe(tokenizer, 400, ["<unk>", "<s>", "</s>", "<mask>"], limit_alphabet=90)
    tokenizer.post_processor = template(tokenizer, "<s> $A </s>", ["<s>", "</s>"])
    tokenizer.decoder = decoders.Sequence([decoders.Metaspace(prepend_scheme="first"), decoders.ByteFallback()])
    return tokenizer


def words_bpe():
    """The oldest style: words with a suffix, accents dropped."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", continuing_subword_prefix="##"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits()])
    train_bpe(tokenizer, 500, ["<unk>", "<s>", "</s>"], limit_alphabet=80, end_of_word_suffix="</w>",
              continuing_subword_prefix="##")
    tokenizer.add_tokens([AddedToken("XYZ"), AddedToken("[NEW]", single_word=True, normalized=False)])
    tokenizer.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 1))
    tokenizer.decoder = decoders.BPEDecoder()
    return tokenizer


def pieces(tokenizer, vocab_size):
    """Tokens and scores of a Unigram model trained on the corpus."""
    tokenizer.train_from_iterator(CORPUS, trainers.UnigramTrainer(
        vocab_size=vocab_size, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False))
    return [(text, score) for text, score in json.loads(tokenizer.to_str())["model"]["vocab"] if text != "<unk>"]


def llmjp_unigram():
    normalizer = normalizers.Sequence([normalizers.Replace(Regex(r"(?<!\n)^"), "▁"),
                                       normalizers.Replace(Regex(" "), "▁")])
    trained = Tokenizer(models.Unigram())
    trained.normalizer = normalizer
    vocab = [("<unk>", -20.0), ("<s>", -20.0), ("</s>", -20.0), ("<mask>", -20.0)]
    vocab += [(token, -20.0) for token in BYTE_TOKENS] + pieces(trained, 400)
    tokenizer = Tokenizer(models.Unigram(vocab, 0, True))
    tokenizer.normalizer = normalizer
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>", "<mask>"])
    tokenizer.post_processor = template(tokenizer, "<s> $A", ["<s>"])
    tokenizer.decoder = decoders.Sequence([
        decoders.ByteFallback(), decoders.Replace(Regex("▁"), " "), decoders.Fuse(),
        decoders.Replace(Regex(r"(?<!\n)^ "), "")])
    return tokenizer


def metaspace_unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    pieces(tokenizer, 400)
    tokenizer.add_special_tokens(["</s>", AddedToken("<mask>", lstrip=True)])
    tokenizer.add_tokens([AddedToken("XYZ"), AddedToken("[NEW]", rstrip=True)])
    tokenizer.post_processor = template(tokenizer, "$A </s>", ["</s>"])
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def train(path, make):
    made = make()
    tokenizer, strings = made if isinstance(made, tuple) else (made, None)
    data = json.loads(tokenizer.to_str())
    if strings is not None:  # merges as strings: the rest as the library writes it
        data["model"]["merges"] = strings["model"]["merges"]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


def write(name, make):
    folder = os.path.join(ROOT, name)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "tokenizer.json")
    if "--train" in sys.argv or not os.path.exists(path):
        train(path, make)
    write_golden(folder, TEXTS)


def write_golden(folder, texts):
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "golden.jsonl"), "w", encoding="utf-8") as file:
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            special = tokenizer.encode(text).ids
            # The library overflows on an empty list in its BPEDecoder.
            decoded = tokenizer.decode(ids, skip_special_tokens=False) if ids else ""
            json.dump({"text": text, "ids": ids, "ids_special": special, "decoded": decoded}, file,
                      ensure_ascii=False, separators=(",", ":"))
            file.write("\n")


def write_persona_world():
    """The trained model's: the same hard texts, and some of those it was trained for."""
    fixtures = os.path.dirname(ROOT)
    with open(os.path.join(fixtures, "..", "data", "demo.tsv"), encoding="utf-8") as file:
        rows = [line.split("\t") for line in file.read().splitlines()[1::8]]
    write_golden(os.path.join(fixtures, "persona-world"),
                 TEXTS + [f"({row[2]}) {row[3]} {row[4]}" for row in rows])


# Regular expressions of well-known tokenizers, and some that try out a feature each.
PATTERNS = [
    LLAMA3, LLAMA3.replace("{1,3}", ""),
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    " ?[^(\\s|[.,!?…。，、।۔،])]+", "[一-龥ࠀ-一가-퟿]+", r"\s?\p{P}+", r"[0-9][0-9][0-9]", " {2,}", r"\.", "the",
    r"(?<!\n)^", r"(?<!\n)^ ", r"\s+$", r"(?<=[a-z])[A-Z]+|\p{L}(?=\d)", r"a(?:bc|b)?c|(x|yz)?\p{P}{0,2}!", r"\s*",
    r"[^a-z\s]{2,3}", r"\P{L}+", r"(?i:[k-s]x|straKe)", r"\w+|[^\w\s]+", r"\W+", r"\D+|\d",
]


def split_lines():
    behaviors = {"Removed": "removed", "Isolated": "isolated", "MergedWithPrevious": "merged_with_previous",
                 "MergedWithNext": "merged_with_next", "Contiguous": "contiguous"}
    rng = random.Random(7)
    texts = [text for text in TEXTS if text] + ["abc abcc ac xz,!", "yz..! a1 b2", "KX \u212ax ſx STRAKE", "aBCd eF", "x\n y\n"]
    for pattern in PATTERNS:
        for behavior, name in behaviors.items():
            for invert in (False, True):
                text = "".join(rng.sample(texts, 3))
                split = pre_tokenizers.Split(Regex(pattern), name, invert)
                yield {"component": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior,
                                     "invert": invert},
                       "text": text, "pieces": [piece for piece, _ in split.pre_tokenize_str(text)]}
    others = [pre_tokenizers.Split("the", "merged_with_next"), pre_tokenizers.Digits(), pre_tokenizers.Digits(True),
              pre_tokenizers.Whitespace(), pre_tokenizers.WhitespaceSplit(), pre_tokenizers.CharDelimiterSplit("-"),
              pre_tokenizers.Punctuation(), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(),
              pre_tokenizers.ByteLevel(False, False), pre_tokenizers.Metaspace(),
              pre_tokenizers.Metaspace("_", "first", False), pre_tokenizers.Metaspace("▁", "never"),
              pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace("▁", "first")])]
    for other in others:
        for text in rng.sample(texts, 20):
            yield {"component": json.loads(other.__getstate__()), "text": text,
                   "pieces": [piece for piece, _ in other.pre_tokenize_str(text)]}


def write_splits():
    with open(os.path.join(ROOT, "splits.jsonl"), "w", encoding="utf-8") as file:
        for line in split_lines():
            json.dump(line, file, ensure_ascii=False, separators=(",", ":"))
            file.write("\n")


if __name__ == "__main__":
    write_splits()
    write("llama3-bpe", llama3_bpe)
    write("qwen-bpe", qwen_bpe)
    write("gpt2-digits-bpe", gpt2_digits_bpe)
    write("llama2-bpe", llama2_bpe)
    write("mistral-bpe", mistral_bpe)
    write("words-bpe", words_bpe)
    write("llmjp-unigram", llmjp_unigram)
    write("metaspace-unigram", metaspace_unigram)
    write_persona_world()
