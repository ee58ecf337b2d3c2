"""compare.sh's report: compare.py LAYERS.tsv PEER.tsv PEER.json START END."""
import json
import sys


def cells(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n").split("\t")


layers, peer_layers, peer_json, start, end = sys.argv[1:]
ours = cells(layers)
column = {name: i for i, name in enumerate(next(ours))}
ours = {(c[column["id"]], c[column["condition"]], c[column["layer"]]):
        (c[column["token_id"]], float(c[column["prob"]])) for c in ours}
theirs = {(c[0], c[1], c[2]): (c[3], float(c[4])) for c in cells(peer_layers)}
assert ours.keys() == theirs.keys(), "the two did not do the same job"

with open(peer_json, encoding="utf-8") as file:
    peer = json.loads(file.read().strip().split("\n")[-1])
ours_s, theirs_s = float(end) - float(start), peer["run_s"]
other = sum(ours[key][0] != theirs[key][0] for key in ours)
worst = max(abs(ours[key][1] - theirs[key][1]) for key in ours if ours[key][0] == theirs[key][0])
print(f"{peer['prompts']} prompts, {peer['tokens']} tokens, {len(ours)} lenses, {peer['threads']} threads")
print(f"plens         {ours_s:8.2f} s  {peer['tokens'] / ours_s:8.0f} tokens/s  (the whole command)")
print(f"Transformers  {theirs_s:8.2f} s  {peer['tokens'] / theirs_s:8.0f} tokens/s  (without loading)")
print(f"plens is {theirs_s / ours_s:.2f} times as fast; top token differs in {other} of {len(ours)}, "
      f"probabilities by at most {worst:.2g}")
