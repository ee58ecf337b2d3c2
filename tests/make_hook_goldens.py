#!/usr/bin/env python3
"""Makes the goldens of hooks and interventions, tests/fixtures/hooks/NAME.safetensors.

usage: make_hook_goldens.py FIXTURES [SMOLLM2]
  FIXTURES  the folder tests/fixtures; its models are read
  SMOLLM2   a folder with SmolLM2-135M; without it the golden that is there stays

Development only: needs torch, transformers and safetensors (made with transformers 5.23.0 and torch
2.13.0). The oracle is Hugging Face Transformers in float32: every point is what one of its modules
gives or gets, but for those inside attention (q_rot, k_rot, attn_scores, attn_pattern, z), which are
taken in a copy of its eager attention that must give the same bits, and head_out, which is z times
the head's columns of o_proj.

In a file:
  a.ids, b.ids     [T] two prompts
  layers           [n] the blocks, from 1, whose points follow
  step             [1] of the points' values every step-th is there, from the first on
  POINT.L, POINT   prompt a's values, flat, in the shapes of `plens dump`; blocks from 1
  write.POINT      logits [V] at the last position of a, after x_i = x_i (0.5 + 0.25 (i mod 3)) along
                   the last axis of this point at all positions of block 2
  patch            logits [T, V] of a with resid_post of block 2 at position 3 from b
  ablate           ... with z of block 2's last head zero
  mean             ... with mlp_out of block 2 everywhere its mean over b
  knockout         ... with all heads of blocks 2 and later stopped from attending from position 4 to 1
  steer            ... with resid_post of block 2 everywhere plus 1.5 times b's at its last position
"""
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

MODELS = ("llama-biases", "llama3-rope-shards", "mistral-window", "qwen2-layer-types", "qwen2-window",
          "qwen3-biases")
MOST_VALUES = 256  # of a point of SmolLM2


class Probe:
    """A model whose points are kept in self.seen and passed through self.edits, {(point, layer): f}.
    Tensors have the shapes of `plens dump`; layers count from 1, 0 for points outside blocks."""

    def __init__(self, folder):
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                          attn_implementation="eager").eval()
        self.seen, self.edits, self.layer = {}, {}, 0
        c = self.model.config
        self.heads, self.kv_heads = c.num_attention_heads, c.num_key_value_heads
        self.layers = c.num_hidden_layers
        library = sys.modules[type(self.model).__module__]
        self.eager = getattr(library.eager_attention_forward, "original", library.eager_attention_forward)
        library.eager_attention_forward = self.attention
        self.attention.__func__.original = self.eager
        self.hook_modules()

    def visit(self, point, layer, x):
        """x [1, T, ...] or [1, heads, T, T] -> the same, edited."""
        y = x[0]
        if (point, layer) in self.edits:
            y = self.edits[point, layer](y.clone())
        self.seen[point, layer] = y.clone()
        return y[None]

    def on_output(self, module, point, layer, heads=None):
        def hook(_module, _inputs, output):
            x = output[0] if isinstance(output, tuple) else output
            shaped = x if heads is None else x.view(*x.shape[:2], heads, -1)
            y = self.visit(point, layer, shaped).reshape(x.shape)
            return (y, *output[1:]) if isinstance(output, tuple) else y
        module.register_forward_hook(hook)

    def on_input(self, module, point, layer):
        def hook(_module, inputs):
            inputs[0].copy_(self.visit(point, layer, inputs[0]))  # in place: also the residual's
        module.register_forward_pre_hook(hook)

    def hook_modules(self):
        m = self.model.model
        self.on_output(m.embed_tokens, "embed", 0)
        for l, block in enumerate(m.layers, 1):
            a, mlp = block.self_attn, block.mlp
            block.register_forward_pre_hook(lambda *_, l=l: setattr(self, "layer", l))
            block.register_forward_pre_hook(
                lambda _m, args, kwargs, l=l: ((self.visit("resid_pre", l, args[0]), *args[1:]), kwargs),
                with_kwargs=True)
            self.on_output(block.input_layernorm, "attn_norm", l)
            self.on_output(a.q_proj, "q", l, self.heads)
            self.on_output(a.k_proj, "k", l, self.kv_heads)
            self.on_output(a.v_proj, "v", l, self.kv_heads)
            a.o_proj.register_forward_hook(lambda o, args, y, l=l: self.head_out(o, args[0], y, l))
            self.on_output(a, "attn_out", l)
            self.on_input(block.post_attention_layernorm, "resid_mid", l)
            self.on_output(block.post_attention_layernorm, "mlp_norm", l)
            self.on_output(mlp.gate_proj, "mlp_gate", l)
            self.on_output(mlp.up_proj, "mlp_up", l)
            self.on_output(mlp.act_fn, "mlp_act", l)
            self.on_input(mlp.down_proj, "mlp_post", l)
            self.on_output(mlp, "mlp_out", l)
            self.on_output(block, "resid_post", l)
        self.on_output(m.norm, "final_norm", 0)
        self.on_output(self.model.lm_head, "logits", 0)

    def head_out(self, o_proj, z, output, layer):
        z = z.view(*z.shape[:2], self.heads, -1)
        w = o_proj.weight.view(o_proj.weight.shape[0], self.heads, -1)
        parts = self.visit("head_out", layer, torch.einsum("bthd,mhd->bthm", z, w))
        if ("head_out", layer) not in self.edits:
            return output
        return parts.sum(2) + (0 if o_proj.bias is None else o_proj.bias)

    def attention(self, module, query, key, value, attention_mask, scaling, dropout=0.0, **kwargs):
        groups, l = module.num_key_value_groups, self.layer
        visible = attention_mask[0, 0] == 0  # [T, T]
        query = self.visit("q_rot", l, query.transpose(1, 2)).transpose(1, 2)
        key = self.visit("k_rot", l, key.transpose(1, 2)).transpose(1, 2)
        expected = self.eager(module, query, key, value, attention_mask, scaling, dropout, **kwargs)
        keys, values = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        scores = torch.matmul(query, keys.transpose(2, 3)) * scaling
        scores = self.visit("attn_scores", l, scores.masked_fill(~visible, 0)) + attention_mask
        pattern = self.visit("attn_pattern", l, torch.softmax(scores, -1).masked_fill(~visible, 0))
        z = torch.matmul(pattern, values).transpose(1, 2).contiguous()
        if not any(point in ("attn_scores", "attn_pattern") for point, _ in self.edits):
            assert torch.equal(z, expected[0]) and torch.equal(pattern, expected[1])
        return self.visit("z", l, z), pattern

    def run(self, ids, edits=None):
        """The logits [T, V]; self.seen is filled."""
        self.seen, self.edits = {}, edits or {}
        with torch.inference_mode():
            logits = self.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].clone()
        self.edits = {}
        return logits


POINTS = ("resid_pre", "attn_norm", "q", "k", "v", "q_rot", "k_rot", "attn_scores", "attn_pattern", "z",
          "head_out", "attn_out", "resid_mid", "mlp_norm", "mlp_gate", "mlp_up", "mlp_act", "mlp_post",
          "mlp_out", "resid_post")


def ramp(x):
    return x * (0.5 + 0.25 * (torch.arange(x.shape[-1]) % 3))


def set_at(x, index, value):
    x[index] = value
    return x


def interventions(probe, a, b):
    probe.run(b)
    other = dict(probe.seen)
    state, mean = other["resid_post", 2], other["mlp_out", 2].mean(0)
    last = probe.heads - 1
    stop = lambda x: set_at(x, (slice(None), 4, 1), -torch.inf)
    return {
        "patch": probe.run(a, {("resid_post", 2): lambda x: set_at(x, 3, state[3])}),
        "ablate": probe.run(a, {("z", 2): lambda x: set_at(x, (slice(None), last), 0)}),
        "mean": probe.run(a, {("mlp_out", 2): lambda x: mean.expand_as(x).clone()}),
        "knockout": probe.run(a, {("attn_scores", l): stop for l in range(2, probe.layers + 1)}),
        "steer": probe.run(a, {("resid_post", 2): lambda x: x + 1.5 * state[-1]}),
    }


def make(folder, target, a, b, layers, most):
    probe = Probe(folder)
    plain = probe.run(a)
    seen, tensors, step = dict(probe.seen), {}, 1
    if most:
        step = max(1, max(seen[p, layers[0]].numel() for p in POINTS) // most)
    for point, layer in [("embed", 0), *((p, l) for l in layers for p in POINTS), ("final_norm", 0),
                         ("logits", 0)]:
        name = f"{point}.{layer}" if layer else point
        tensors[name] = seen[point, layer].flatten()[::step].clone()
    assert torch.equal(seen["logits", 0], plain)
    changed = interventions(probe, a, b)
    for point in ("embed", *POINTS, "final_norm", "logits"):
        where = (point, 2 if point in POINTS else 0)
        tensors[f"write.{point}"] = probe.run(a, {where: ramp})[-1].clone()
    if most:  # a large vocabulary: the last position, every step-th id
        changed = {name: logits[-1, ::step].clone() for name, logits in changed.items()}
        for name in list(tensors):
            if name.startswith("write."):
                tensors[name] = tensors[name][::step].clone()
    for name, logits in [*changed.items(), *((n, t) for n, t in tensors.items() if n[:6] == "write.")]:
        same = plain[-1, ::step] if logits.dim() == 1 else plain
        assert (logits - same).norm() > 1e-3 * same.norm(), f"{name} changes nothing"
    tensors.update(changed)
    tensors["a.ids"], tensors["b.ids"] = (torch.tensor(x, dtype=torch.int32) for x in (a, b))
    tensors["layers"] = torch.tensor(layers, dtype=torch.int32)
    tensors["step"] = torch.tensor([step], dtype=torch.int32)
    save_file(tensors, target)
    os.chmod(target, 0o644)
    print(target, os.path.getsize(target))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    fixtures = sys.argv[1]
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    a, b = [1, 7, 5, 9, 30, 2, 11], [1, 7, 5, 12, 3, 40]
    for name in MODELS:
        folder, target = f"{fixtures}/models/{name}", f"{fixtures}/hooks/{name}.safetensors"
        layers = {"mistral-window": [1, 2], "llama-biases": [1, 2, 3]}.get(name, [1, 2, 4])
        make(folder, target, a, b, layers, 0)
    if len(sys.argv) == 3:
        a, b = [504, 3575, 282, 4649, 314], [504, 3575, 282, 3650, 314]
        make(sys.argv[2], f"{fixtures}/hooks/smollm2.safetensors", a, b, [1, 2, 15, 30], MOST_VALUES)


if __name__ == "__main__":
    main()
