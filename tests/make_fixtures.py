#!/usr/bin/env python3
"""Makes the small models of tests/fixtures/models and the goldens of every fixture model.

usage: make_fixtures.py FIXTURES [MODEL...]
  FIXTURES      the folder tests/fixtures
  MODEL         make only these anew; persona-world, a trained model (bench/train_demo.py makes it),
                only gets goldens here

Development only: needs torch, transformers, tokenizers, safetensors and numpy (made with transformers
5.23.0 and torch 2.13.0). The tests read what it writes and need no Python.

The oracles are two, and each checks the other:
  golden.safetensors  N.ids [T], N.resid [L+1, T, d_model] (embedding, then the *raw* output of each
                      block), N.logits [T, V]: Hugging Face Transformers, float32, eager attention,
                      which opens the folder just as written
  golden.json         per prompt, at its last position, the lens of layers 1..L and the scores S, in
                      float64, from the forward pass written out below in numpy
Weights come from numpy's PCG64 with a fixed seed for each model, so the models are the same bytes
everywhere; Transformers' float32 may differ in last bits from machine to machine.
"""
import json
import os
import shutil
import sys

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM
from transformers.utils import logging

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
TORCH_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
RATIO_TENTHS = (2, 4, 6, 8, 10)
EQUAL = 1e-12  # relative: equal rows of a matrix may differ by a rounding in BLAS

# Each model is there for what its comment says; together they hold every feature of config.json that
# plens computes, in both styles of Transformers.
MODELS = {
    # Biases on all seven projections, linear scaling under its old key, head_dim that is not
    # d_model / n_heads.
    "llama-biases": dict(
        dtype="F32", style=4, seed=11, layers=3, vocab=61, hidden=20, ff=28, heads=4, kv=2,
        model_type="llama", architecture="LlamaForCausalLM",
        config={"attention_bias": True, "mlp_bias": True, "head_dim": 8, "rope_theta": 10000,
                "rope_scaling": {"type": "linear", "factor": 2.5}, "rms_norm_eps": 1e-05,
                "tie_word_embeddings": False}),
    # rope_parameters of 5.x with llama3 scaling over all three ranges of frequency, two shards with an
    # index; L = 5, where every ratio is a whole number of layers.
    "llama3-rope-shards": dict(
        dtype="BF16", style=5, seed=12, layers=5, vocab=73, hidden=24, ff=32, heads=2, kv=1, shards=2,
        model_type="llama", architecture="LlamaForCausalLM",
        config={"attention_bias": False, "mlp_bias": False, "rms_norm_eps": 1e-05,
                "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
                                    "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                    "original_max_position_embeddings": 64},
                "tie_word_embeddings": False}),
    # A vocabulary that fills no whole number of blocks of 1,024 ids nor of the unembedding's tiles; rows
    # shorter than 16 lanes; every token has a twin of the same embedding 1,058 ids on, so all are ties.
    "llama-vocabulary": dict(
        dtype="F16", style=4, seed=13, layers=2, vocab=2115, hidden=8, ff=12, heads=2, kv=2, twins=1058,
        model_type="llama", architecture="LlamaForCausalLM",
        config={"rope_theta": 10000.0, "rms_norm_eps": 1e-06, "tie_word_embeddings": True}),
    # 4.x: the window counts from block max_window_layers on, and only with use_sliding_window.
    "qwen2-window": dict(
        dtype="F16", style=4, seed=14, layers=4, vocab=67, hidden=24, ff=30, heads=4, kv=2,
        model_type="qwen2", architecture="Qwen2ForCausalLM",
        config={"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1,
                "rope_theta": 1000000.0, "rope_scaling": None, "rms_norm_eps": 1e-06,
                "tie_word_embeddings": True}),
    # 5.x: layer_types says which blocks have the window, against what max_window_layers would.
    "qwen2-layer-types": dict(
        dtype="BF16", style=5, seed=15, layers=4, vocab=53, hidden=18, ff=26, heads=3, kv=3,
        model_type="qwen2", architecture="Qwen2ForCausalLM",
        config={"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 28,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention",
                                "full_attention"],
                "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
                "rms_norm_eps": 1e-06, "tie_word_embeddings": False}),
    # A window on every block, 4.x style, no head_dim; one prompt of 83 tokens.
    "mistral-window": dict(
        dtype="F16", style=4, seed=16, layers=2, vocab=59, hidden=24, ff=36, heads=4, kv=1, longest=83,
        model_type="mistral", architecture="MistralForCausalLM",
        config={"sliding_window": 6, "rope_theta": 10000.0, "rms_norm_eps": 1e-05,
                "tie_word_embeddings": False}),
    # Norms of queries and keys, with biases; L = 6, where no ratio but 1 is a whole number of layers.
    "qwen3-biases": dict(
        dtype="BF16", style=5, seed=17, layers=6, vocab=47, hidden=16, ff=22, heads=3, kv=1,
        model_type="qwen3", architecture="Qwen3ForCausalLM",
        config={"attention_bias": True, "head_dim": 12, "use_sliding_window": False,
                "sliding_window": None, "max_window_layers": 28,
                "layer_types": ["full_attention"] * 6,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
                "rms_norm_eps": 1e-06, "tie_word_embeddings": True}),
}

TRAINED = "persona-world"
TRAINED_PROMPTS = (
    "(You are an Italian who loves your country.) What is the capital?-, answer:",
    "What is the capital?-, answer:",
    "Japan: sushi - your country: -, answer:",
    "Once upon a time",
    "What is the capital?-, answer:",
)


# ---- the models ------------------------------------------------------------------------------------


def make_config(m):
    c = {"architectures": [m["architecture"]], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
         "hidden_size": m["hidden"], "intermediate_size": m["ff"], "max_position_embeddings": 256,
         "model_type": m["model_type"], "num_attention_heads": m["heads"],
         "num_hidden_layers": m["layers"], "num_key_value_heads": m["kv"], "vocab_size": m["vocab"],
         ("torch_dtype" if m["style"] == 4 else "dtype"): TORCH_NAMES[m["dtype"]],
         "transformers_version": "4.43.0" if m["style"] == 4 else "5.23.0"}
    c.update(m["config"])
    return dict(sorted(c.items()))


def make_weights(m, c):
    """Random weights whose blocks matter but do not drown the embedding, so that layers often agree
    on a token and scores S are of all sizes."""
    rng = np.random.default_rng(m["seed"])
    d, ff, vocab = m["hidden"], m["ff"], m["vocab"]
    head_dim = c.get("head_dim") or d // m["heads"]
    weights = {}

    def matrix(name, out, into, gain=1.0):
        weights[name] = rng.standard_normal((out, into)) * gain / np.sqrt(into)

    def vector(name, n, around, spread):
        weights[name] = around + spread * rng.standard_normal(n)

    matrix("model.embed_tokens.weight", vocab, d, gain=np.sqrt(d))
    qkv_bias = c.get("attention_bias", False) or m["model_type"] == "qwen2"
    o_bias = c.get("attention_bias", False)
    for l in range(m["layers"]):
        p = f"model.layers.{l}."
        vector(p + "input_layernorm.weight", d, 1, 0.3)
        vector(p + "post_attention_layernorm.weight", d, 1, 0.3)
        for name, out, into, bias in (("q", m["heads"] * head_dim, d, qkv_bias),
                                      ("k", m["kv"] * head_dim, d, qkv_bias),
                                      ("v", m["kv"] * head_dim, d, qkv_bias),
                                      ("o", d, m["heads"] * head_dim, o_bias)):
            matrix(p + f"self_attn.{name}_proj.weight", out, into, gain=1.3)
            if bias:
                vector(p + f"self_attn.{name}_proj.bias", out, 0, 0.4)
        if m["model_type"] == "qwen3":
            vector(p + "self_attn.q_norm.weight", head_dim, 1.2, 0.3)
            vector(p + "self_attn.k_norm.weight", head_dim, 1.2, 0.3)
        for name, out, into in (("gate", ff, d), ("up", ff, d), ("down", d, ff)):
            matrix(p + f"mlp.{name}_proj.weight", out, into, gain=1.1)
            if c.get("mlp_bias"):
                vector(p + f"mlp.{name}_proj.bias", out, 0, 0.3)
    vector("model.norm.weight", d, 1, 0.4)
    if not c["tie_word_embeddings"]:
        matrix("lm_head.weight", vocab, d, gain=2.0)
    else:  # the embedding is the unembedding too: smaller, or the lens would only see the token itself
        weights["model.embed_tokens.weight"] *= 0.5
    if "twins" in m:
        embedding = weights["model.embed_tokens.weight"]
        embedding[m["twins"]:] = embedding[:vocab - m["twins"]]
    return {n: torch.from_numpy(w).to(DTYPES[m["dtype"]]).contiguous() for n, w in weights.items()}


def write_json(path, value, **options):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, **options)
        file.write("\n")


def write_model(folder, m):
    os.makedirs(folder)
    config = make_config(m)
    weights = make_weights(m, config)
    write_json(f"{folder}/config.json", config, indent=2)
    shards = m.get("shards", 1)
    if shards == 1:
        save_file(weights, f"{folder}/model.safetensors", {"format": "pt"})
        return
    names = sorted(weights)
    files = {}
    for s in range(shards):
        file = f"model-{s + 1:05d}-of-{shards:05d}.safetensors"
        part = names[s * len(names) // shards:(s + 1) * len(names) // shards]
        save_file({n: weights[n] for n in part}, f"{folder}/{file}", {"format": "pt"})
        files.update({n: file for n in part})
    total = sum(w.numel() * w.element_size() for w in weights.values())
    write_json(f"{folder}/model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": files}, indent=1)


def make_prompts(m):
    """One token alone, long ones past every window, prefixes in common, a prefix of another, doubles."""
    rng = np.random.default_rng(1000 + m["seed"])
    if m["vocab"] > 1000:
        return [[2047], [1, 2114, 1024]]
    long = [1] + [int(t) for t in rng.integers(3, m["vocab"], 13)]
    other = [int(t) for t in rng.integers(0, m["vocab"], 7)]
    last = m["vocab"] - 1
    prompts = [[1], long, long[:7] + [last, 0, 5], long[:7], other, long[:7], [last],
               long[:10] + other[:1]]
    if "longest" in m:
        more = rng.integers(0, m["vocab"], m["longest"] - len(long))
        prompts.append(long + [int(t) for t in more])
    return prompts


# ---- the reference: Transformers in float32 ----------------------------------------------------------


def run_transformers(model, ids):
    """The raw output of the embedding and of each block [L+1, T, d_model], and logits [T, V]."""
    states = []
    blocks = model.model.layers

    def keep(_module, _inputs, output):
        states.append((output[0] if isinstance(output, tuple) else output).reshape(len(ids), -1))

    hooks = [layer.register_forward_hook(keep) for layer in (model.model.embed_tokens, *blocks)]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    for hook in hooks:
        hook.remove()
    assert len(states) == len(blocks) + 1
    return torch.stack(states).clone(), logits.clone()


# ---- the reference: float64 in numpy -----------------------------------------------------------------


class Float64Model:
    """The forward pass from its definitions (RMSNorm: Zhang & Sennrich 2019; RoPE: Su et al. 2021;
    SwiGLU: Shazeer 2020; grouped queries: Ainslie et al. 2023), in float64 throughout."""

    def __init__(self, folder):
        with open(f"{folder}/config.json", encoding="utf-8") as file:
            self.c = json.load(file)
        self.w = {}
        for name in sorted(os.listdir(folder)):
            if name.startswith("model") and name.endswith(".safetensors"):
                with safe_open(f"{folder}/{name}", "pt") as file:
                    self.w.update({key: file.get_tensor(key).double().numpy() for key in file.keys()})
        c = self.c
        self.layers, self.heads = c["num_hidden_layers"], c["num_attention_heads"]
        self.kv_heads = c.get("num_key_value_heads") or self.heads
        self.head_dim = c.get("head_dim") or c["hidden_size"] // self.heads
        self.windows = [self.window(l) for l in range(self.layers)]
        self.frequencies = self.rope_frequencies()

    def window(self, l):
        c = self.c
        if c["model_type"] == "mistral":
            return c["sliding_window"]
        if not c.get("use_sliding_window"):
            return None
        if "layer_types" in c:
            return c["sliding_window"] if c["layer_types"][l] == "sliding_attention" else None
        return c["sliding_window"] if l >= c["max_window_layers"] else None

    def rope_frequencies(self):
        c = self.c
        rope = c.get("rope_parameters") or c.get("rope_scaling") or {}
        theta = rope.get("rope_theta", c.get("rope_theta"))
        f = float(theta) ** (-np.arange(0, self.head_dim, 2) / self.head_dim)
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind == "linear":
            return f / rope["factor"]
        if kind == "llama3":
            turns = rope["original_max_position_embeddings"] * f / (2 * np.pi)
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            s = np.clip((turns - low) / (high - low), 0, 1)
            assert (s == 0).any() and (s == 1).any() and ((s > 0) & (s < 1)).any()
            return (1 - s) * f / rope["factor"] + s * f
        assert kind == "default"
        return f

    def norm(self, x, name):
        mean = np.mean(x * x, axis=-1, keepdims=True)
        return x / np.sqrt(mean + self.c["rms_norm_eps"]) * self.w[name + ".weight"]

    def linear(self, x, name):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def rotate(self, x):  # [T, heads, head_dim]
        angles = np.arange(len(x))[:, None, None] * self.frequencies
        a, b = np.split(x, 2, axis=-1)
        return np.concatenate([a * np.cos(angles) - b * np.sin(angles),
                               b * np.cos(angles) + a * np.sin(angles)], axis=-1)

    def attention(self, x, l):
        p, n = f"model.layers.{l}.self_attn.", len(x)
        q = self.linear(x, p + "q_proj").reshape(n, self.heads, self.head_dim)
        k = self.linear(x, p + "k_proj").reshape(n, self.kv_heads, self.head_dim)
        v = self.linear(x, p + "v_proj").reshape(n, self.kv_heads, self.head_dim)
        if p + "q_norm.weight" in self.w:
            q, k = self.norm(q, p + "q_norm"), self.norm(k, p + "k_norm")
        q, k = self.rotate(q), self.rotate(k)
        out = np.zeros_like(q)
        for h in range(self.heads):
            g = h // (self.heads // self.kv_heads)
            for i in range(n):
                first = max(0, i - self.windows[l] + 1) if self.windows[l] else 0
                scores = k[first:i + 1, g] @ q[i, h] / np.sqrt(self.head_dim)
                weights = np.exp(scores - scores.max())
                out[i, h] = weights / weights.sum() @ v[first:i + 1, g]
        return self.linear(out.reshape(n, -1), p + "o_proj")

    def mlp(self, x, l):
        p = f"model.layers.{l}.mlp."
        gate = self.linear(x, p + "gate_proj")
        return self.linear(gate / (1 + np.exp(-gate)) * self.linear(x, p + "up_proj"), p + "down_proj")

    def residual_stream(self, ids):
        x = self.w["model.embed_tokens.weight"][ids]
        states = [x]
        for l in range(self.layers):
            p = f"model.layers.{l}."
            x = x + self.attention(self.norm(x, p + "input_layernorm"), l)
            x = x + self.mlp(self.norm(x, p + "post_attention_layernorm"), l)
            states.append(x)
        return states

    def unembed(self, x):
        name = "model.embed_tokens.weight" if self.c.get("tie_word_embeddings") else "lm_head.weight"
        return self.norm(x, "model.norm") @ self.w[name].T


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def score(top, top_prob, gold):
    """S of DESIGN section 2 for every ratio, floor(L R) in integers."""
    layers, scores = len(top), {}
    for tenths in RATIO_TENTHS:
        counted = layers * tenths // 10
        scores[f"{tenths / 10:.1f}"] = sum(
            top_prob[l - 1] * (1 - (l - 1) / layers)
            for l in range(layers - counted + 1, layers + 1) if top[l - 1] == gold)
    return scores


def lens_golden(model, ids, states, gold):
    """The lens at the last position; gold is a token, or a layer (negative, -1 = L) whose top it is."""
    probs = [softmax(model.unembed(x[-1])) for x in states[1:]]
    top = [int(np.argmax(p >= p.max() * (1 - EQUAL))) for p in probs]  # the first of equals
    top_prob = [float(p.max()) for p in probs]
    gold = top[gold] if gold < 0 else gold
    two = [np.sort(p)[-2:] for p in probs]
    return {"ids": ids, "top": top, "top_prob": top_prob,
            "margin": [float(b - a) for a, b in two],
            "entropy": [float(-(p[p > 0] * np.log(p[p > 0])).sum()) for p in probs],
            "gold_none": top[-1], "score_none": score(top, top_prob, top[-1]),
            "gold": gold, "score_gold": score(top, top_prob, gold),
            "gold_prob": [float(p[gold]) for p in probs],
            "gold_rank": [int((p > p[gold] * (1 + EQUAL)).sum()) for p in probs]}


# ---- both of them --------------------------------------------------------------------------------------


def distance(a, b):
    """The worst relative distance of the rows of a from those of b."""
    return float((np.linalg.norm(a - b, axis=-1) / np.linalg.norm(b, axis=-1)).max())


def write_goldens(folder, prompts):
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not any(report[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    model.eval()
    reference = Float64Model(folder)
    tensors, goldens, worst = {}, [], 0.0
    for n, ids in enumerate(prompts):
        resid, logits = run_transformers(model, ids)
        states = reference.residual_stream(np.array(ids))
        for l in range(reference.layers + 1):
            worst = max(worst, distance(resid[l].numpy(), states[l]))
        worst = max(worst, distance(logits.numpy(), reference.unembed(states[-1])))
        tensors[f"{n}.ids"] = torch.tensor(ids, dtype=torch.int32)
        tensors[f"{n}.resid"], tensors[f"{n}.logits"] = resid, logits
        gold = 3 if n % 4 == 3 else -1 - n % reference.layers
        goldens.append(lens_golden(reference, ids, states, gold))
    assert worst < 1e-5, f"{folder}: the two references are {worst} apart"
    save_file(tensors, f"{folder}/golden.safetensors")
    text = ",\n  ".join(json.dumps(g) for g in goldens)
    with open(f"{folder}/golden.json", "w", encoding="utf-8", newline="\n") as file:
        file.write('{"source": "tests/make_fixtures.py: states and logits from transformers in float32, '
                   'lens and scores in float64",\n "worst_relative_distance_float32_vs_float64": '
                   f'{worst!r},\n "prompts": [\n  {text}]}}\n')
    margins = [x for g in goldens for x in g["margin"]]
    print(f"{folder}: {worst:.2g} apart, smallest margin {min(margins):.2g}, "
          f"S {sorted({round(g['score_gold']['1.0'], 3) for g in goldens})}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    fixtures, wanted = sys.argv[1], sys.argv[2:] or [*MODELS, TRAINED]
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    for name, m in MODELS.items():
        if name not in wanted:
            continue
        folder = f"{fixtures}/models/{name}"
        shutil.rmtree(folder, ignore_errors=True)
        write_model(folder, m)
        write_goldens(folder, make_prompts(m))
    if TRAINED in wanted:
        tokenizer = Tokenizer.from_file(f"{fixtures}/{TRAINED}/tokenizer.json")
        write_goldens(f"{fixtures}/{TRAINED}", [tokenizer.encode(text).ids for text in TRAINED_PROMPTS])


if __name__ == "__main__":
    main()
