#!/usr/bin/env python3
"""Compares `plens dump` with Transformers at all points and layers.

usage: compare_points.py PLENS [MODEL ...]
  PLENS  the command
  MODEL  folders; without one, models of random weights are made: grouped and single key heads, odd
         head sizes, biases, tied embeddings, windows in all or some layers; in float32 and bfloat16

Development only: needs what make_hook_goldens.py needs, whose oracle this is. Prompts have 1 to 300
tokens. A line for each model and precision: the farthest tensor, ||a - b|| / ||b||; exit 1 if it is
beyond 5e-5 (bf16: 0.1).
"""
import os
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import (AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config)
from transformers.utils import logging

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from make_hook_goldens import POINTS, Probe  # noqa: E402

SHAPE = dict(vocab_size=300, hidden_size=96, intermediate_size=200, num_hidden_layers=4,
             num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=2048,
             rms_norm_eps=1e-5, initializer_range=0.15)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=128)
CONFIGS = {
    "llama-biases": LlamaConfig(**SHAPE, head_dim=32, attention_bias=True, mlp_bias=True),
    "llama-tied": LlamaConfig(**SHAPE | dict(num_key_value_heads=6), tie_word_embeddings=True,
                              rope_theta=5e5, rope_scaling=LLAMA3),
    "mistral-window": MistralConfig(**SHAPE, head_dim=24, sliding_window=13),
    "qwen2-windows": Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=7,
                                 max_window_layers=2),
    "qwen3-one-key-head": Qwen3Config(**SHAPE | dict(num_key_value_heads=1), head_dim=40,
                                      use_sliding_window=True, sliding_window=20,
                                      max_window_layers=1, attention_bias=True),
}


def make_models(folder):
    torch.manual_seed(3)
    for name, config in CONFIGS.items():
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for part, weight in model.named_parameters():
                if weight.dim() == 1:  # norms and biases, which begin as 1 and 0
                    weight.copy_(torch.randn_like(weight) * 0.3 + ("norm" in part))
        for dtype in ("float32", "bfloat16"):
            path = os.path.join(folder, f"{name}-{dtype}")
            model.to(getattr(torch, dtype)).save_pretrained(path)
            yield path


def dump(plens, model, ids, precision, scratch):
    """The tensors, or None where the weights are none for bf16x3."""
    path, points = os.path.join(scratch, "dump.safetensors"), ("embed", *POINTS, "final_norm", "logits")
    done = subprocess.run([plens, "dump", "--quiet", "--model", model, "--ids", ",".join(map(str, ids)),
                           "--precision", precision, "--points", ",".join(points), "--out", path],
                          stderr=subprocess.PIPE, text=True)
    if done.returncode == 3 and "expected BF16" in done.stderr:
        return None
    assert done.returncode == 0, done.stderr
    return load_file(path)


def farthest(found, expected, ids):
    """(distance, tensor) of the worst; the names, shapes and masked places must be the same."""
    names = {f"{point}.{layer}" if layer else point: x for (point, layer), x in expected.items()}
    assert set(found) == {*names, "input_ids"} and found["input_ids"].tolist() == ids
    worst = (0.0, "")
    for name, x in names.items():
        y = found[name]
        assert y.shape == x.shape and y.dtype == torch.float32, (name, y.shape, x.shape)
        if name.startswith(("attn_scores", "attn_pattern")):
            assert torch.all(y[x == 0] == 0), name
        worst = max(worst, (((y - x).norm() / x.norm().clamp_min(1e-30)).item(), name))
    return worst


def compare(plens, model, scratch):
    probe, bad = Probe(model), 0
    small = probe.model.config.vocab_size < 1000
    for precision in ("f32", "bf16", "bf16x3"):
        worst = (0.0, "", 0)
        for n in (1, 2, 9, 70, 300) if small else (1, 40):
            chance = torch.Generator().manual_seed(n)
            ids = torch.randint(0, probe.model.config.vocab_size, (n,), generator=chance).tolist()
            probe.run(ids)
            found = dump(plens, model, ids, precision, scratch)
            if found is None:
                break
            worst = max(worst, (*farthest(found, probe.seen, ids), n))
        if found is None:
            continue
        bad |= worst[0] > (0.1 if precision == "bf16" else 5e-5)
        print(f"{os.path.basename(model)}\t{precision}\t{worst[0]:.2g}\t{worst[1]}\t{worst[2]} tokens")
    return bad


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode(False):
        models = sys.argv[2:] or list(make_models(scratch))
        sys.exit(max(compare(sys.argv[1], model, scratch) for model in models))


if __name__ == "__main__":
    main()
