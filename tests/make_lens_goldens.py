#!/usr/bin/env python3
"""Makes the goldens of the lens's measures and of attribution: lens.tsv, attribution.tsv and
components.tsv.

usage: make_lens_goldens.py FIXTURES [OUT]
  FIXTURES  the folder tests/fixtures; its models are read
  OUT       where the files go (FIXTURES/lens)

Development only: needs what make_fixtures.py needs. The oracle is the float64 forward pass written
out there, in numpy; nothing here is plens's own output.

lens.tsv, one line for each position and layer of a prompt (V the size of the vocabulary):
  entropy  of the layer's distribution, nats
  kl       KL(last layer || this layer), nats; 0 at the last layer
  few      the probability of tokens {3, 1, V - 1} together
  even     of all even tokens
attribution.tsv, for token a, and for a against token b (b empty: a alone), at one position:
  part     embed, attn, mlp, head (with its number from 0), bias (of o_proj), sum, logit
  value    the part's output times the final norm's weight, over the root mean square of the last
           state, times W_U[a] (- W_U[b]); sum: embed and all attn and mlp; logit: the model's own
components.tsv, the same over the whole vocabulary, of each part (attn_out, mlp_out, head_out), layer
and head, at the last position and at 1 (not of persona-world):
  top, share, margin  the token with the largest share, that share, and how far the next is below it
  target, rank        the share of token 4, and how many tokens have a larger one
  final               the share of the token that is top at the last layer
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from make_fixtures import Float64Model  # noqa: E402

MODELS = ("llama-biases", "llama-vocabulary", "llama3-rope-shards", "mistral-window",
          "qwen2-layer-types", "qwen2-window", "qwen3-biases", "persona-world")
PROMPTS = ([1, 9, 30, 7, 9, 22, 11, 40], [5, 17, 2])


class Components(Float64Model):
    """Keeps what each component adds to the residual stream."""

    def linear(self, x, name):
        if name.endswith("o_proj"):
            w = self.w[name + ".weight"].reshape(-1, self.heads, self.head_dim)
            z = x.reshape(len(x), self.heads, self.head_dim)
            self.head_out.append(np.einsum("thd,mhd->thm", z, w))
            self.bias.append(self.w.get(name + ".bias", np.zeros(len(w))))
        return super().linear(x, name)

    def attention(self, x, l):
        self.attn_out.append(super().attention(x, l))
        return self.attn_out[-1]

    def mlp(self, x, l):
        self.mlp_out.append(super().mlp(x, l))
        return self.mlp_out[-1]

    def run(self, ids):
        self.head_out, self.bias, self.attn_out, self.mlp_out = [], [], [], []
        self.states = self.residual_stream(np.array(ids))


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def lens_rows(model, name, prompt, ids):
    logs = [log_softmax(model.unembed(x)) for x in model.states[1:]]
    vocab = logs[0].shape[1]
    few = [3, 1, vocab - 1]
    for position in range(len(ids)):
        final = logs[-1][position]
        for layer, log in enumerate(logs, 1):
            q, p = log[position], np.exp(log[position])
            numbers = (-(p * q).sum(), (np.exp(final) * (final - q)).sum(), p[few].sum(), p[::2].sum())
            yield [name, prompt, position, layer] + [f"{x:.12g}" for x in numbers]


def unembedding(model):
    embed = "model.embed_tokens.weight"
    return model.w[embed if model.c.get("tie_word_embeddings") else "lm_head.weight"]


def frozen(model, position, direction):
    """What a state's product with is its share in the logit of `direction` of the unembedding."""
    last = model.states[-1][position]
    scale = 1 / np.sqrt(np.mean(last * last) + model.c["rms_norm_eps"])
    return direction * model.w["model.norm.weight"] * scale


def attribution_rows(model, name, prompt, position, a, b):
    unembed, last = unembedding(model), model.states[-1][position]
    direction = frozen(model, position, unembed[a] - (unembed[b] if b is not None else 0))
    rows = [("embed", 0, "", model.states[0][position] @ direction)]
    for l in range(model.layers):
        rows.append(("attn", l + 1, "", model.attn_out[l][position] @ direction))
        rows.append(("mlp", l + 1, "", model.mlp_out[l][position] @ direction))
    total = sum(row[3] for row in rows)
    for l in range(model.layers):
        for h in range(model.heads):
            rows.append(("head", l + 1, h, model.head_out[l][position, h] @ direction))
        rows.append(("bias", l + 1, "", model.bias[l] @ direction))
    logits = model.unembed(last)
    logit = logits[a] - (logits[b] if b is not None else 0)
    assert abs(logit - total) < 1e-9
    rows += [("sum", 0, "", total), ("logit", 0, "", logit)]
    for part, layer, head, value in rows:
        yield [name, prompt, position, a, "" if b is None else b, part, layer, head, f"{value:.12g}"]


def component_rows(model, name, prompt, position):
    unembed = frozen(model, position, unembedding(model))
    answer = int(np.argmax(model.unembed(model.states[-1][position])))
    for l in range(model.layers):
        parts = [("attn_out", "", model.attn_out[l][position]), ("mlp_out", "", model.mlp_out[l][position])]
        parts += [("head_out", h, model.head_out[l][position, h]) for h in range(model.heads)]
        for part, head, c in parts:
            share = unembed @ c
            top, second = np.argsort(-share)[:2]
            rank = int((share > share[4]).sum())
            numbers = (share[top], share[top] - share[second], share[4])
            yield [name, prompt, position, part, l + 1, head, top, *(f"{x:.12g}" for x in numbers), rank,
                   f"{share[answer]:.12g}"]


def write(path, columns, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in [columns, *rows]:
            file.write("\t".join(str(cell) for cell in row) + "\n")


def main():
    fixtures = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else f"{fixtures}/lens"
    lens, attribution, components = [], [], []
    for name in MODELS:
        folder = f"{fixtures}/{name}" if name == "persona-world" else f"{fixtures}/models/{name}"
        model = Components(folder)
        for prompt, ids in enumerate(PROMPTS):
            model.run(ids)
            lens += lens_rows(model, name, prompt, ids)
            attribution += attribution_rows(model, name, prompt, len(ids) - 1, 4, None)
            attribution += attribution_rows(model, name, prompt, 1, 8, 13)
            if name != "persona-world":
                for position in (1, len(ids) - 1):
                    components += component_rows(model, name, prompt, position)
    write(f"{out}/lens.tsv", ["model", "prompt", "position", "layer", "entropy", "kl", "few", "even"], lens)
    write(f"{out}/attribution.tsv",
          ["model", "prompt", "position", "a", "b", "part", "layer", "head", "value"], attribution)
    write(f"{out}/components.tsv",
          ["model", "prompt", "position", "part", "layer", "head", "top", "share", "margin", "target", "rank",
           "final"], components)


if __name__ == "__main__":
    main()
