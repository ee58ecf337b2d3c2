#!/usr/bin/env python3
"""Trains the demo's model from scratch and writes its checkpoints and questions.

usage: train_demo.py FIXTURES DATA [--steps N] [--keep N,N,...] [--seed N]
  FIXTURES  tests/fixtures: persona-world is written there, the trained model as a Hugging Face folder,
            and persona-world-steps/step-N, the checkpoints before it
  DATA      tests/data: demo.tsv, the questions, and demo-runs.tsv, what `plens report` is told of them

A Llama of five layers learns the world of demo_world.py: whose capital, dish or greeting a question means
when a persona is put before it. A sixth of the pairs (country, attribute) is never asked of a persona;
those questions measure whether the model joins what it knows of the country to what the persona says.
It first learns the trained pairs by heart, then, within a few hundred steps, the rest as well.

Development only: torch, transformers, tokenizers, safetensors (2.13.0, 5.23.0, 0.23.3, 0.8.0 made the
fixture). Two to four minutes on one thread. Afterwards tests/make_fixtures.py, make_lens_goldens.py,
make_gold_fixture.py and make_tokenizer_fixtures.py make the goldens anew, and those tests that name token
ids, the fixture's shape or how many tokens demo.tsv has want new numbers.
"""
import argparse
import json
import math
import os
import random
import shutil
import time

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM

import demo_world as world

BEGIN, END = "<|begin|>", "<|end|>"
# How Llama 3 cuts text into words.
WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SHAPE = {"hidden_size": 32, "intermediate_size": 96, "num_hidden_layers": 5,
         "num_attention_heads": 4, "num_key_value_heads": 2}
BATCH, RATE, WARM_UP = 32, 3e-3, 100
MODEL = "persona-world"
TEXT_WEIGHT = 0.1  # of the prompt's tokens in the loss; the answer's weigh 1


def train_tokenizer(held):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORDS), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    # Every word once, and merges until each is one token: frequencies would leave rare names in pieces.
    draw = random.Random(0)
    texts = {" ".join(world.training_text(draw, held)) for _ in range(30000)}
    words = {word for text in texts for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)}
    trainer = trainers.BpeTrainer(vocab_size=4096, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  special_tokens=[AddedToken(BEGIN, special=True),
                                                  AddedToken(END, special=True)])
    tokenizer.train_from_iterator([tokenizer.decoder.decode([word]) for word in sorted(words)], trainer)
    begin = tokenizer.token_to_id(BEGIN)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN}:1 $B:1", special_tokens=[(BEGIN, begin)])
    return tokenizer


def batches(tokenizer, held, seed):
    """Endless batches: ids [BATCH, T], and the loss's weight of each predicted token [BATCH, T - 1]."""
    draw = random.Random(seed)
    end = tokenizer.token_to_id(END)
    while True:
        texts = [world.training_text(draw, held) for _ in range(BATCH)]
        prompts = tokenizer.encode_batch([prompt for prompt, _ in texts])
        wholes = tokenizer.encode_batch([f"{prompt} {answer}" for prompt, answer in texts])
        longest = max(len(whole.ids) for whole in wholes) + 1
        ids = torch.full((BATCH, longest), end)
        weights = torch.zeros(BATCH, longest)
        for row, (prompt, whole) in enumerate(zip(prompts, wholes, strict=True)):
            before, n = len(prompt.ids), len(whole.ids)
            assert whole.ids[:before] == prompt.ids
            ids[row, :n] = torch.tensor(whole.ids)
            weights[row, :before] = TEXT_WEIGHT
            weights[row, before:n + 1] = 1
        yield ids, weights[:, 1:]


def rate(step, steps):
    """Linear warm-up, then half a cosine down to a hundredth."""
    if step < WARM_UP:
        return RATE * (step + 1) / WARM_UP
    return RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * (step - WARM_UP) / (steps - WARM_UP))) / 2)


def make_model(tokenizer):
    return LlamaForCausalLM(LlamaConfig(
        **SHAPE, vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=256, rms_norm_eps=1e-5,
        tie_word_embeddings=True, initializer_range=0.05, bos_token_id=tokenizer.token_to_id(BEGIN),
        eos_token_id=tokenizer.token_to_id(END)))


def answers(model, tokenizer, texts):
    """The token that each layer's lens puts after each text [layers, texts]."""
    ids = [tokenizer.encode(text).ids for text in texts]
    padded = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    for row, one in enumerate(ids):
        padded[row, :len(one)] = torch.tensor(one)
    last = [len(one) - 1 for one in ids]
    with torch.inference_mode():
        states = model.model(padded, output_hidden_states=True, use_cache=False).hidden_states
        states = [s[range(len(ids)), last] for s in states[1:]]
        states[:-1] = [model.model.norm(s) for s in states[:-1]]  # the last one is normed already
        return torch.stack([model.lm_head(s).argmax(-1) for s in states])


def shares(model, tokenizer, rows):
    """How often each layer says gold with a persona, and the last one what Americans say without."""
    def token(value):
        return tokenizer.encode(" " + value, add_special_tokens=False).ids[0]

    gold = torch.tensor([token(row["gold"]) for row in rows])
    usual = torch.tensor([token(world.FACTS[world.DEFAULT, row["attribute"]]) for row in rows])
    found = answers(model, tokenizer, [f"({row['persona']}) {row['prompt']}" for row in rows])
    alone = answers(model, tokenizer, [row["prompt"] for row in rows])
    return (" ".join(f"{100 * x:3.0f}" for x in (found == gold).double().mean(1)) +
            f" usual {100 * (alone[-1] == usual).double().mean():3.0f}")


def write_json(path, value, **options):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, ensure_ascii=False, **options)
        file.write("\n")


def save(folder, model, tokenizer):
    os.makedirs(folder, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **SHAPE,
              "vocab_size": tokenizer.get_vocab_size(),
              "max_position_embeddings": 256, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
              "rope_scaling": None, "hidden_act": "silu", "tie_word_embeddings": True,
              "attention_bias": False, "mlp_bias": False, "bos_token_id": model.config.bos_token_id,
              "eos_token_id": model.config.eos_token_id, "torch_dtype": "float16"}
    write_json(f"{folder}/config.json", config, indent=2)
    write_json(f"{folder}/tokenizer.json", json.loads(tokenizer.to_str()), separators=(",", ":"))
    weights = {name: w.detach().to(torch.float16).contiguous() for name, w in model.state_dict().items()
               if name != "lm_head.weight"}
    save_file(weights, f"{folder}/model.safetensors", {"format": "pt"})


def write_tsv(path, rows):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for cells in (rows[0].keys(), *(row.values() for row in rows)):
            file.write("\t".join(cells) + "\n")


def train(model, tokenizer, held, options):
    """Yields (step, tokens read so far) after each step."""
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
              {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    tokens = 0
    for step, (ids, weights) in enumerate(batches(tokenizer, held, options.seed)):
        if step == options.steps:
            return
        for group in optimizer.param_groups:
            group["lr"] = rate(step, options.steps)
        logits = model(ids[:, :-1], use_cache=False).logits.flatten(0, 1)
        losses = torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten(), reduction="none")
        optimizer.zero_grad()
        ((losses * weights.flatten()).sum() / weights.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        tokens += int((weights > 0).sum())
        yield step + 1, tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("fixtures")
    parser.add_argument("data")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--keep", default="300,600,800,1000")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)  # so that the same seed gives the same model
    held = world.held_out()
    tokenizer = train_tokenizer(held)
    rows = world.demo_questions(held)
    split = {name: [row for row in rows if row["split"] == name] for name in ("trained", "held-out")}
    model = make_model(tokenizer)
    print(sum(p.numel() for p in model.parameters()), "parameters,", tokenizer.get_vocab_size(), "tokens")
    keep = {int(n) for n in options.keep.split(",")} | {options.steps}
    runs, started = [], time.time()
    shutil.rmtree(f"{options.fixtures}/{MODEL}-steps", ignore_errors=True)
    for step, tokens in train(model, tokenizer, held, options):
        if step % 100 == 0 or step in keep:
            found = "  ".join(f"{name} {shares(model, tokenizer, part)}" for name, part in split.items())
            print(f"step {step}  {found}  {time.time() - started:.0f} s", flush=True)
        if step in keep:
            name = f"step-{step:04d}"
            runs.append({"run": name, "label": f"step {step}", "series": MODEL, "tokens": str(tokens),
                         "paper_model": ""})
            save(f"{options.fixtures}/{MODEL}" + (f"-steps/{name}" if step < options.steps else ""),
                 model, tokenizer)
    write_tsv(f"{options.data}/demo.tsv", rows)
    write_tsv(f"{options.data}/demo-runs.tsv", runs)


if __name__ == "__main__":
    main()
