#!/usr/bin/env python3
"""Makes dumps of Hugging Face Transformers with one mistake planted in one block, for plens audit.

usage: make_audit_dumps.py MODEL OUT [--seed N] [--tokens N[,N]] [--precision P[,P]] [--mistakes NAME[,NAME]]
                           [--vary] [--judge PLENS] [--keep] [--again]

  MODEL        a Hugging Face folder
  OUT          the folder that gets NAME.LAYER.T.PRECISION.safetensors and truth.json: for each file the
               step that departs, words that the verdict must hold ("a|b": one of them), and visible: how
               many times farther from float64 the block is than the same block without the mistake
  --tokens     how many ids each dump has (24); r before it: one id, repeated
  --precision  f32, bf16, f16: what the model runs in; f32-bf16, f32-f16: float32, stored rounded;
               mixed: torch's autocast to bf16, which leaves the logits in bf16; logits16: float32,
               the logits stored in bf16 (f32)
  --mistakes   which (all that the model allows; "clean" is none)
  --vary       some as plens dump writes them (resid.*, the last one raw) and some without logits
  --judge      runs this plens on each dump and prints every verdict that is wrong; dumps that are judged
               right are not kept unless --keep says so. A mistake below twice the rounding may pass, and
               one below 16 times of it may be seen or not; what is seen must be in its place.
  --again      makes nothing: judges what is in OUT

Development only: needs torch, transformers and safetensors (made with transformers 5.23.0 and torch
2.13.0). The tests read the few dumps in tests/fixtures/dumps and need no Python.
"""
import argparse
import copy
import json
import os
import subprocess

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

import audit_more_mistakes  # noqa: F401 (registers)
from audit_mistakes import MISTAKES, NOTHING, block

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "mixed": torch.float32,
          "logits16": torch.float32}

# ---- dumps ----


def run(model, ids, precision):
    """hidden_states.0 to .L and logits; resid.L too, the last one without the final norm."""
    held = {}
    hook = model.model.layers[-1].register_forward_hook(lambda m, a, out: held.__setitem__("out", out))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed"):
        out = model(input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False)
    hook.remove()
    tensors = {f"hidden_states.{i}": h[0] for i, h in enumerate(out.hidden_states)}
    return {**tensors, f"resid.{len(out.hidden_states) - 1}": held["out"][0], "logits": out.logits[0]}


def as_raw(tensors):
    """The same in the names of plens dump."""
    raw = {k.replace("hidden_states", "resid"): x for k, x in tensors.items()}
    return {**raw, **{k: x for k, x in tensors.items() if k.startswith("resid")}}


def store(precision, tensors, ids, odd):
    """Odd ones the other way: 16 bits kept, ids in 64 bits, a leading dimension of 1."""
    kind = precision.split("-")[-1]
    out = {}
    for name, x in tensors.items():
        x = x.to(torch.bfloat16 if kind in ("mixed", "logits16") and name == "logits" else DTYPES[kind])
        x = x if odd else x.float()
        out[name] = (x[None] if odd else x).contiguous().clone()
    out["input_ids"] = torch.tensor([ids] if odd else ids, dtype=torch.int64 if odd else torch.int32)
    return out


def through(model, layer, x, ids):
    """Block `layer` fed with x."""
    b = block(model, layer)
    held = {}
    hooks = [b.register_forward_pre_hook(lambda m, a, k: ((x,), k), with_kwargs=True),
             b.register_forward_hook(lambda m, a, out: held.__setitem__("out", out))]
    with torch.inference_mode():
        model(input_ids=torch.tensor([ids]), use_cache=False)
    for h in hooks:
        h.remove()
    return held["out"].double()


def visibility(clean, exact, wrong, layer, x, ids, stored):
    """How far the wrong block, stored, is from float64, in multiples of what the clean one is."""
    truth = through(exact, layer, x.double(), ids)
    off = [float((through(m, layer, x, ids).to(stored).double() - truth).norm()) for m in (wrong, clean)]
    return off[0] / (off[1] + 1e-30)


def norm_visibility(clean, exact, wrong, x, stored):
    """The same of the final norm, fed with x."""
    with torch.inference_mode():
        truth = exact.model.norm(x.double())
        off = [float((m.model.norm(x).to(stored).double() - truth).norm()) for m in (wrong, clean)]
    return off[0] / (off[1] + 1e-30)


def judge(plens, model, path, truth):
    """What is wrong with the verdict of plens audit, or None."""
    run = subprocess.run([plens, "audit", "--quiet", "--threads", "1", "--model", model, "--dump", path],
                         capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    text = (run.stdout or run.stderr).strip().split("\n")[-1]
    departs, visible = truth["departs"], truth.get("visible", 1e9)
    if run.returncode not in (0, 1):
        return f"exit {run.returncode}: {text}"
    if departs is None:
        expected = ("ok: ", "rounding: ") if ".f32." in path else ("rounding: ",)
        return None if run.returncode == 0 and text.startswith(expected) else text
    if run.returncode == 0:
        return f"MISSED ({visible:.3g}): {text}" if visible > 16 else None
    if visible < 2:
        return f"seen though invisible ({visible:.3g}): {text}"
    if not text.startswith(f"departs at {departs}: "):
        return f"PLACE ({visible:.3g}): {text}"
    parts = truth["words"][:1] if visible > 16 else []
    words = truth["words"] if visible > 1000 else parts
    missing = [w for w in words if not any(v in text for v in w.split("|"))]
    return f"words {missing} ({visible:.3g}): {text}" if missing else None


def sequence(rng, count, vocab):
    if count.startswith("r"):
        return [int(rng.integers(0, vocab))] * int(count[1:])
    return [int(t) for t in rng.integers(0, vocab, int(count))]


def make(options, clean, exact, name, count, precision, rng):
    """A model with the mistake, and its dump: (file, tensors, truth)."""
    words, plant = MISTAKES[name]
    model = copy.deepcopy(clean)
    layer = int(rng.integers(1, model.config.num_hidden_layers + 1))
    ids = model.audit_ids = sequence(rng, count, model.config.vocab_size)
    with torch.no_grad():
        where = plant(model, layer, rng)
    if where == NOTHING:
        return None
    truth = {"departs": where or (f"block {layer}" if words else None), "words": list(words)}
    tensors = run(model, ids, precision)
    stored = DTYPES[precision.split("-")[-1]]
    if truth["departs"] == "final norm":
        x = tensors[f"resid.{model.config.num_hidden_layers}"][None]
        truth["visible"] = norm_visibility(clean, exact, model, x, stored)
    elif truth["departs"] == f"block {layer}":
        x = tensors[f"hidden_states.{layer - 1}"][None]
        truth["visible"] = visibility(clean, exact, model, layer, x.to(stored).to(x.dtype), ids, stored)
    raw, logits = (bool(rng.integers(0, 2)) or not options.vary for _ in range(2))
    raw = raw and options.vary
    if not logits and (truth["departs"] == "unembed" or (raw and truth["departs"] == "final norm")):
        return None
    tensors = as_raw(tensors) if raw else {k: x for k, x in tensors.items() if not k.startswith("resid")}
    if not logits:
        del tensors["logits"]
    tensors = store(precision, tensors, ids, bool(rng.integers(0, 2)))
    return f"{name}.{layer}.{count}.{precision}{'.resid' if raw else ''}.safetensors", tensors, truth


def judge_again(options, truth):
    n_wrong = 0
    for file in truth:
        problem = judge(options.judge, options.model, f"{options.out}/{file}", truth[file])
        n_wrong += problem is not None
        if problem is not None:
            print(f"{file}: {problem}", flush=True)
    print(f"{len(truth)} judged, {n_wrong} wrong")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", default="24")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--mistakes", default=",".join(MISTAKES))
    parser.add_argument("--vary", action="store_true")
    parser.add_argument("--judge")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    os.makedirs(options.out, exist_ok=True)
    path = f"{options.out}/truth.json"
    truth = json.load(open(path)) if os.path.exists(path) else {}
    rng = np.random.default_rng(options.seed)
    n_judged = n_wrong = 0
    if options.again:
        judge_again(options, truth)
        return
    exact = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float64,
                                                 attn_implementation="eager").eval()
    for precision in options.precision.split(","):
        clean = AutoModelForCausalLM.from_pretrained(
            options.model, dtype=DTYPES[precision.split("-")[0]], attn_implementation="eager").eval()
        for count in options.tokens.split(","):
            for name in options.mistakes.split(","):
                made = make(options, clean, exact, name, count, precision, rng)
                if made is None:
                    continue
                file, tensors, truth[file] = made[0], made[1], made[2]
                save_file(tensors, f"{options.out}/{file}")
                if not options.judge:
                    continue
                problem = judge(options.judge, options.model, f"{options.out}/{file}", truth[file])
                n_judged += 1
                n_wrong += problem is not None
                if problem is None and not options.keep:
                    os.remove(f"{options.out}/{file}")
                    del truth[file]
                elif problem is not None:
                    print(f"{file}: {problem}", flush=True)
    if options.judge:
        print(f"{n_judged} judged, {n_wrong} wrong")
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        json.dump(truth, file, indent=1)
        file.write("\n")


main()
