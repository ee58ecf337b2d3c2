#!/usr/bin/env python3
"""Writes tests/fuzz/corpus/TARGET/NAME: small seeds for the fuzz targets, one for each feature of a
format that is easier given than found. What a fuzzer finds is kept there too, as found-N.

usage: tests/fuzz/make_corpus.py [CORPUS]
"""
import json
import os
import struct
import sys

ROOT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def write(target, name, data):
    os.makedirs(os.path.join(ROOT, target), exist_ok=True)
    with open(os.path.join(ROOT, target, name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else compact(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, start, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


# ---- json ----

write("json", "ids", "[1,-2,0, 2147483647]\n")
write("json", "text", r'"a\u00e9\ud83d\ude00\n\"\\\/ é"')
write("json", "answer", '{"choices":[{"message":{"role":"assistant","content":"Tokyo, \\u6771"}}],"a":{"b":null}}')
write("json", "values", '[true,false,null,1.5e-3,-0,1E400,{"":[]},[[[1]],[1,[2,3]]]]')
write("json", "deep", "[" * 70 + "]" * 70)
write("json", "twice", '{"a":1,"b":{"c":2,"c":3}}')

# ---- safetensors ----

write("safetensors", "two", safetensors(
    {"__metadata__": {"format": "pt"}, "b": tensor("BF16", [2, 2], 0, 8), "a": tensor("F32", [3], 8, 20)}, bytes(range(20))))
write("safetensors", "scalar-and-empty", safetensors({"s": tensor("F64", [], 0, 8), "e": tensor("F16", [0, 7], 8, 8)}, bytes(8)))
write("safetensors", "small-types", safetensors(
    {"f4": tensor("F4", [4], 0, 2), "f6": tensor("F6_E2M3", [4], 2, 5), "i": tensor("I8", [1], 5, 6)}, bytes(6)))
write("safetensors", "padded", safetensors(compact({"a": tensor("U8", [1], 0, 1)}).encode() + b"   ", b"x"))
write("safetensors", "huge-shape", safetensors({"a": tensor("F32", [2, 2**64 - 2], 0, 8)}, bytes(8)))
write("safetensors", "overlap", safetensors({"a": tensor("U8", [4], 0, 4), "b": tensor("U8", [4], 2, 6)}, bytes(6)))
write("safetensors", "longer-than-file", struct.pack("<Q", 2**64 - 1) + b"{}")
write("safetensors", "nothing", safetensors({}))

# ---- index ----

write("index", "both", compact({"metadata": {"total_size": 8}, "weight_map": {"a": "A", "b": "B"}}))
write("index", "one", compact({"weight_map": {"b": "B"}}))
write("index", "path", compact({"weight_map": {"a": "../A", "b": "B"}}))
write("index", "missing", compact({"weight_map": {"a": "A", "c": "B"}}))

# ---- config ----

SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 99}


def config(name, architecture, **more):
    write("config", name, compact({"architectures": [architecture], **SIZES, **more}))


config("llama-4", "LlamaForCausalLM", model_type="llama", rope_theta=500000.0, rms_norm_eps=1e-05, hidden_act="silu",
       torch_dtype="bfloat16", eos_token_id=[1, 2], attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
       max_position_embeddings=128, rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                                  "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})
config("llama-5", "LlamaForCausalLM", head_dim=6, rope_parameters={"rope_type": "linear", "factor": 2, "rope_theta": 10000})
config("mistral", "MistralForCausalLM", sliding_window=9, head_dim=None, rope_scaling=None)
config("qwen2", "Qwen2ForCausalLM", use_sliding_window=True, sliding_window=5, max_window_layers=1)
config("qwen3", "Qwen3ForCausalLM", head_dim=8, use_sliding_window=True, sliding_window=5, partial_rotary_factor=1.0,
       layer_types=["full_attention", "sliding_attention", "full_attention"])
config("foreign", "LlamaForCausalLM", attn_logit_softcapping=None, embedding_multiplier=1.0, quantization_config={"a": 1})

# ---- tokenizer ----

BYTES = [chr(b) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174 else None for b in range(256)]
extra = 256
for b in range(256):
    if BYTES[b] is None:
        BYTES[b] = chr(extra)
        extra += 1


def added(id, content, **flags):
    return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **flags}


def bpe(tokens, merges, **more):
    return {"type": "BPE", "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges, **more}


def unigram(tokens, **more):
    return {"type": "Unigram", "unk_id": 0, "vocab": [[t, -float(i % 7)] for i, t in enumerate(tokens)], **more}


def tokenizer(name, text, model, **parts):
    write("tokenizer", name, compact({"version": "1.0", **parts, "model": model}).encode() + b"\0" + text.encode())


def template(before, id):
    part = {"SpecialToken": {"id": before, "type_id": 0}}
    sequence = {"Sequence": {"id": "A", "type_id": 0}}
    return {"type": "TemplateProcessing", "single": [part, sequence], "pair": [part, sequence, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {before: {"id": before, "ids": [id], "tokens": [before]}}}


LETTERS = ["<unk>", "▁"] + [BYTES[b] for b in b" \nabehlotx1\xe3\x81\x82"]
SPLIT = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEXT = "hello  the 111's あ\u0301\n <s> x"
tokenizer("byte-level", TEXT, bpe(LETTERS + ["he", "hel", "Ġt"], ["h e", "he l", "Ġ t"], ignore_merges=True),
          added_tokens=[added(len(LETTERS) + 3, "<s>", lstrip=True, rstrip=True)], normalizer={"type": "NFC"},
          pre_tokenizer={"type": "Sequence", "pretokenizers": [
              {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False},
              {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]},
          post_processor=template("<s>", len(LETTERS) + 3), decoder={"type": "ByteLevel"})
tokenizer("byte-fallback", TEXT,
          bpe(["<unk>", "▁", "h", "e", "he", "<0xE3>", "<0x81>", "<0x82>", "<0x0A>"], [["h", "e"]], byte_fallback=True,
              fuse_unk=True, unk_token="<unk>"),
          normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Lowercase"},
                                                          {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
          decoder={"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                                    {"type": "ByteFallback"}, {"type": "Fuse"},
                                                    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})
tokenizer("unigram", TEXT, unigram(["<unk>", "▁", "▁h", "h", "e", "l", "ll", "o", "a", "<0xE3>", "▁the"], byte_fallback=False),
          normalizer={"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Strip", "strip_left": True, "strip_right": True},
                                                          {"type": "Replace", "pattern": {"Regex": "(?<!\\n)^"}, "content": "▁"}]},
          pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
          decoder={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True})
tokenizer("words", TEXT, bpe(["<unk>", "h", "##e", "##l", "##o</w>", "x</w>"], [], unk_token="<unk>", fuse_unk=False,
                             continuing_subword_prefix="##", end_of_word_suffix="</w>"),
          normalizer={"type": "StripAccents"},
          pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "Digits", "individual_digits": True},
                                                               {"type": "Punctuation", "behavior": "MergedWithNext"}]},
          decoder={"type": "BPEDecoder", "suffix": "</w>"},
          added_tokens=[added(6, "The", normalized=True, single_word=True, special=False)])

# ---- regex ----

for i, (pattern, text) in enumerate([
        (SPLIT, TEXT), ("[^\\w\\s]+|\\w+", "a_b, c"), ("(?<!\\n)^ ", " a\n b"), ("(?:ab|a)(?:b)?c?$", "abc\nab"), ("a{2,3}+a", "aaaa"),
        ("[a-c[x-z]\\p{Lu}\\-]*(?=1)", "abX-1"), ("\\P{N}\\S\\D\\W", "éa ."), ("", "ab")]):
    write("regex", f"pattern-{i}", pattern.encode() + b"\0" + text.encode())

# ---- table ----

write("table", "rows", "id\tprompt\tx\na\tb c\t\n\t\\t\\n\\r\\\\あ\tz\n")
write("table", "crlf-and-bom", "\ufeffx\tid\r\na\\\\n\tb\r\n\r\n")
write("table", "control", "x\n\x01\x7f\n\u0085\u2028\n")
write("table", "ragged", "x\ty\na\n")
write("table", "escape", "x\n\\q\n")

# ---- dump: of tests/fixtures/models/llama-biases (3 blocks, d_model 20, vocabulary 61) ----


def dump(name, dtype, bytes_of_one, prefix, ids_dtype, lead):
    header, at = {}, 0

    def put(tensor_name, kind, size, shape):
        nonlocal at
        n = size
        for s in shape:
            n *= s
        header[tensor_name] = tensor(kind, lead + shape, at, at + n)
        at += n

    for l in range(4):
        put(f"{prefix}.{l}", dtype, bytes_of_one, [1, 20])
    put("input_ids", ids_dtype, 8 if ids_dtype == "I64" else 4, [1])
    write("dump", name, safetensors(header, bytes(at)))


dump("transformers-bf16", "BF16", 2, "hidden_states", "I64", [1])
dump("own-f16", "F16", 2, "resid", "I32", [])
