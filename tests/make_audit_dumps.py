#!/usr/bin/env python3
"""Makes dumps of Hugging Face Transformers with one mistake planted in one block, for plens audit.

usage: make_audit_dumps.py MODEL OUT [--seed N] [--tokens N[,N]] [--precision P[,P]] [--mistakes NAME[,NAME]]

  MODEL        a Hugging Face folder
  OUT          the folder that gets NAME.LAYER.T.PRECISION.safetensors and truth.json: for each file the
               step that departs, and words of which the verdict must hold one each
  --tokens     how many ids each dump has (24)
  --precision  f32, bf16, f16: what the model runs in; f32-bf16, f32-f16: float32, stored rounded (f32)
  --mistakes   which (all that the model allows; "clean" is none)

Development only: needs torch, transformers and safetensors (made with transformers 5.23.0 and torch
2.13.0). The tests read the few dumps in tests/fixtures/dumps and need no Python.
"""
import argparse
import json
import os

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
MISTAKES = {}


def mistake(*words):
    """Registers a mistake: plant(model, layer, rng) returns the step that departs if it is not
    "block LAYER", and None if the model has nothing to get wrong there."""

    def register(plant):
        MISTAKES[plant.__name__] = (words, plant)
        return plant

    return register


NOTHING = "nothing to get wrong"


def block(model, layer):
    return model.model.layers[layer - 1]


def entry(rng, matrix, size):
    """Changes one entry by about size times the matrix's root mean square."""
    w = matrix.data
    index = tuple(int(rng.integers(0, n)) for n in w.shape)
    w[index] += float(w.float().pow(2).mean().sqrt()) * size * (1 if rng.random() < 0.5 else -1)


def wrap(module, change):
    """Replaces module.forward(x) by change(forward, x)."""
    forward = module.forward
    module.forward = lambda *a, **k: change(forward, *a, **k)


def roped(model, layer, change):
    """Gives one block other cosines and sines: change(cos, sin, positions, rotary module)."""
    attention = block(model, layer).self_attn
    forward = attention.forward

    def changed(hidden_states, position_embeddings=None, **k):
        cos, sin = position_embeddings
        return forward(hidden_states, position_embeddings=change(cos, sin), **k)

    attention.forward = changed


# ---- norms ----


@mistake("attention", "epsilon")
def eps_attention(model, layer, rng):
    n = block(model, layer).input_layernorm
    n.variance_epsilon = 1e-6 if n.variance_epsilon == 1e-5 else 1e-5


@mistake("MLP", "epsilon")
def eps_mlp(model, layer, rng):
    n = block(model, layer).post_attention_layernorm
    n.variance_epsilon = 1e-6 if n.variance_epsilon == 1e-5 else 1e-5


@mistake("attention and MLP", "epsilon")
def eps_both(model, layer, rng):
    for n in (block(model, layer).input_layernorm, block(model, layer).post_attention_layernorm):
        n.variance_epsilon = 3e-5


@mistake("attention", "weight is missing")
def norm_weight_attention(model, layer, rng):
    block(model, layer).input_layernorm.weight.data.fill_(1)


@mistake("MLP", "1 + weight")
def norm_plus_one(model, layer, rng):
    block(model, layer).post_attention_layernorm.weight.data.add_(1)


@mistake("MLP", "other norm")
def norm_swapped(model, layer, rng):
    b = block(model, layer)
    b.post_attention_layernorm.weight.data.copy_(b.input_layernorm.weight.data)


@mistake("MLP", "post_attention_layernorm.weight[")
def norm_entry(model, layer, rng):
    entry(rng, block(model, layer).post_attention_layernorm.weight, 0.3)


@mistake("attention", "norm of queries")
def no_qk_norm(model, layer, rng):
    a = block(model, layer).self_attn
    if not hasattr(a, "q_norm"):
        return NOTHING
    a.q_norm = a.k_norm = torch.nn.Identity()


# ---- attention ----


@mistake("attention", "attention scale")
def scale(model, layer, rng):
    block(model, layer).self_attn.scaling *= 1.07


@mistake("attention", "attention scale")
def scale_missing(model, layer, rng):
    block(model, layer).self_attn.scaling = 1.0


@mistake("attention", "rope theta")
def rope_base(model, layer, rng):
    config = model.config
    parameters = dict(config.rope_parameters)
    old = model.model.rotary_emb

    def change(cos, sin):
        other = type(config)(**{**config.to_dict(), "rope_parameters": {
            **parameters, "rope_theta": 1e6 if parameters["rope_theta"] != 1e6 else 10000.0}})
        rotary = type(old)(other)
        positions = torch.arange(cos.shape[1])[None]
        return rotary(torch.zeros(1, dtype=cos.dtype), positions)

    roped(model, layer, change)


@mistake("attention", "rotary embedding is missing")
def rope_missing(model, layer, rng):
    roped(model, layer, lambda cos, sin: (torch.ones_like(cos), torch.zeros_like(sin)))


def wrong_queries(model, layer, change):
    """Transformers rotates q and k together; one block's rotation is replaced."""
    import sys
    module = sys.modules[type(block(model, layer).self_attn).__module__]
    attention, rotate = block(model, layer).self_attn, module.apply_rotary_pos_emb
    forward = attention.forward

    def changed(*a, **k):
        module.apply_rotary_pos_emb = lambda q, k_, cos, sin, **kw: change(rotate, q, k_, cos, sin)
        try:
            return forward(*a, **k)
        finally:
            module.apply_rotary_pos_emb = rotate

    attention.forward = changed


@mistake("attention", "off by one in the queries only")
def positions_q(model, layer, rng):
    rotary = model.model.rotary_emb

    def change(rotate, q, k, cos, sin):
        c, s = rotary(q, 1 + torch.arange(cos.shape[1])[None])
        return rotate(q, q, c, s)[0], rotate(k, k, cos, sin)[1]

    wrong_queries(model, layer, change)


@mistake("attention", "pairs neighbours")
def rope_interleaved(model, layer, rng):
    def change(rotate, q, k, cos, sin):
        half = cos.shape[-1] // 2
        order = torch.arange(2 * half).reshape(2, half).T.reshape(-1)  # (0, half, 1, half+1, ...)

        def turn(x):
            a, b = x[..., 0::2], x[..., 1::2]
            c, s = cos[:, None, :, :half], sin[:, None, :, :half]
            return torch.stack((a * c - b * s, b * c + a * s), -1).flatten(-2)

        return turn(q), turn(k)

    wrong_queries(model, layer, change)


def swap_rows(matrix, a, b, size):
    w = matrix.data
    w[a * size:(a + 1) * size], w[b * size:(b + 1) * size] = (
        w[b * size:(b + 1) * size].clone(), w[a * size:(a + 1) * size].clone())


@mistake("attention", "query heads 0 and 1 are swapped")
def heads_q(model, layer, rng):
    a = block(model, layer).self_attn
    swap_rows(a.q_proj.weight, 0, 1, a.head_dim)
    if a.q_proj.bias is not None:
        swap_rows(a.q_proj.bias, 0, 1, a.head_dim)


@mistake("attention", "are swapped")
def heads_out(model, layer, rng):
    a = block(model, layer).self_attn
    w = a.o_proj.weight.data
    n = a.head_dim
    last = model.config.num_attention_heads - 1
    w[:, :n], w[:, last * n:] = w[:, last * n:].clone(), w[:, :n].clone()


@mistake("attention", "mod n_kv_heads")
def heads_grouped(model, layer, rng):
    a = block(model, layer).self_attn
    groups = model.config.num_attention_heads // model.config.num_key_value_heads
    if groups == 1 or model.config.num_key_value_heads == 1:
        return NOTHING

    import sys
    module = sys.modules[type(a).__module__]
    repeat, forward = module.repeat_kv, a.forward

    def changed(*args, **k):
        module.repeat_kv = lambda x, n: x.repeat(1, n, 1, 1)
        try:
            return forward(*args, **k)
        finally:
            module.repeat_kv = repeat

    a.forward = changed


@mistake("attention", "is transposed")
def transposed(model, layer, rng):
    w = block(model, layer).self_attn.o_proj.weight
    if w.shape[0] != w.shape[1]:
        return NOTHING
    w.data = w.data.T.contiguous()


@mistake("attention", "causal mask")
def no_mask(model, layer, rng):
    attention = block(model, layer).self_attn
    forward = attention.forward

    def changed(*a, attention_mask=None, **k):
        return forward(*a, attention_mask=torch.zeros_like(attention_mask), **k)

    attention.forward = changed


@mistake("attention", "sliding window")
def window(model, layer, rng):
    attention = block(model, layer).self_attn
    forward = attention.forward
    has = getattr(attention, "sliding_window", None)

    def changed(*a, attention_mask=None, **k):
        mask = attention_mask.clone()
        n = mask.shape[-1]
        i, j = torch.arange(n)[:, None], torch.arange(n)[None]
        seen = (j <= i) if has else (j <= i) & (j > i - 5)
        mask[..., :, :] = torch.where(seen, 0.0, torch.finfo(mask.dtype).min)
        return forward(*a, attention_mask=mask, **k)

    attention.forward = changed


@mistake("attention", "bias")
def bias_v(model, layer, rng):
    b = block(model, layer).self_attn.v_proj.bias
    if b is None:
        return NOTHING
    b.data.zero_()


@mistake("attention", "bias")
def bias_k(model, layer, rng):
    b = block(model, layer).self_attn.k_proj.bias
    if b is None or hasattr(block(model, layer).self_attn, "k_norm"):
        return NOTHING
    b.data.zero_()


@mistake("attention", "bias")
def bias_qkv(model, layer, rng):
    a = block(model, layer).self_attn
    if a.q_proj.bias is None:
        return NOTHING
    for p in (a.q_proj, a.k_proj, a.v_proj):
        p.bias.data.zero_()


def plant_entry(name, part, attribute, size):
    def plant(model, layer, rng):
        entry(rng, getattr(getattr(block(model, layer), part), attribute).weight, size)

    plant.__name__ = name
    mistake("MLP" if part == "mlp" else "attention", attribute)(plant)


for _name in ("q", "k", "v", "o"):
    plant_entry(f"entry_{_name}", "self_attn", f"{_name}_proj", 3)
for _name in ("gate", "up", "down"):
    plant_entry(f"entry_{_name}", "mlp", f"{_name}_proj", 3)
plant_entry("entry_down_tiny", "mlp", "down_proj", 0.01)
plant_entry("entry_v_tiny", "self_attn", "v_proj", 0.01)


@mistake("MLP", "down_proj")
def entries_down(model, layer, rng):
    for _ in range(3):
        entry(rng, block(model, layer).mlp.down_proj.weight, 2)


# ---- the MLP ----


@mistake("MLP", "swapped")
def swapgate(model, layer, rng):
    m = block(model, layer).mlp
    m.gate_proj, m.up_proj = m.up_proj, m.gate_proj


@mistake("MLP", "activation is gelu")
def gelu(model, layer, rng):
    block(model, layer).mlp.act_fn = torch.nn.GELU()


@mistake("MLP", "activation is gelu (tanh")
def gelu_tanh(model, layer, rng):
    block(model, layer).mlp.act_fn = torch.nn.GELU(approximate="tanh")


@mistake("MLP", "activation is relu")
def relu(model, layer, rng):
    block(model, layer).mlp.act_fn = torch.nn.ReLU()


@mistake("MLP", "residual connection around the MLP")
def no_residual(model, layer, rng):
    b = block(model, layer)
    held = {}
    wrap(b.post_attention_layernorm, lambda f, x: (held.__setitem__("x", x), f(x))[1])
    wrap(b.mlp, lambda f, x: f(x) - held["x"])


@mistake("MLP", "the MLP is missing")
def no_mlp(model, layer, rng):
    wrap(block(model, layer).mlp, lambda f, x: f(x) * 0)


@mistake("MLP", "factor")
def scaled_up(model, layer, rng):
    block(model, layer).mlp.up_proj.weight.data.mul_(1.25)


# ---- the ends ----


@mistake("weight")
def final_norm_weight(model, layer, rng):
    model.model.norm.weight.data.fill_(1)
    return "final norm"


@mistake("missing")
def final_norm_missing(model, layer, rng):
    model.model.norm.forward = lambda x: x
    return "final norm"


@mistake("epsilon")
def final_norm_eps(model, layer, rng):
    model.model.norm.variance_epsilon = 1e-3
    return "final norm"


@mistake("token id")
def embedding_row(model, layer, rng):
    table = model.model.embed_tokens
    old = table.forward

    def changed(ids):
        ids = ids.clone()
        t = int(rng.integers(0, ids.shape[1]))
        ids[0, t] = (ids[0, t] + 1) % table.weight.shape[0]
        return old(ids)

    table.forward = changed
    return "embedding"


@mistake("row")
def unembed_row(model, layer, rng):
    # a copy, so that a tied embedding stays right
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.data.clone())
    model.lm_head.weight.data[int(rng.integers(0, model.lm_head.weight.shape[0]))] *= 1.1
    return "unembed"


@mistake()
def clean(model, layer, rng):
    return None


# ---- dumps ----


def run(model, ids):
    with torch.inference_mode():
        out = model(input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False)
    tensors = {f"hidden_states.{i}": h[0] for i, h in enumerate(out.hidden_states)}
    return {**tensors, "logits": out.logits[0]}


def store(precision, tensors, ids, odd):
    """Odd ones the other way: 16 bits kept, ids in 64 bits, a leading dimension of 1."""
    kind = precision.split("-")[-1]
    out = {}
    for name, x in tensors.items():
        x = x.to(DTYPES[kind])
        x = x if odd else x.float()
        out[name] = (x[None] if odd else x).contiguous().clone()
    out["input_ids"] = torch.tensor([ids] if odd else ids, dtype=torch.int64 if odd else torch.int32)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", default="24")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--mistakes", default=",".join(MISTAKES))
    parser.add_argument("--no-logits", action="store_true")
    options = parser.parse_args()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    os.makedirs(options.out, exist_ok=True)
    path = f"{options.out}/truth.json"
    truth = json.load(open(path)) if os.path.exists(path) else {}
    rng = np.random.default_rng(options.seed)
    for precision in options.precision.split(","):
        for count in (int(n) for n in options.tokens.split(",")):
            for name in options.mistakes.split(","):
                words, plant = MISTAKES[name]
                model = AutoModelForCausalLM.from_pretrained(
                    options.model, dtype=DTYPES[precision.split("-")[0]], attn_implementation="eager")
                model.eval()
                layer = int(rng.integers(1, model.config.num_hidden_layers + 1))
                ids = [int(t) for t in rng.integers(0, model.config.vocab_size, count)]
                with torch.no_grad():
                    where = plant(model, layer, rng)
                if where == NOTHING:
                    continue
                file = f"{name}.{layer}.{count}.{precision}.safetensors"
                tensors = store(precision, run(model, ids), ids, bool(rng.integers(0, 2)))
                if options.no_logits:
                    del tensors["logits"]
                save_file(tensors, f"{options.out}/{file}")
                truth[file] = {"departs": where or (f"block {layer}" if name != "clean" else None),
                               "words": list(words)}
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        json.dump(truth, file, indent=1)
        file.write("\n")


main()
