"""compare.sh's report: compare.py PLENS_FOLDER PEER.tsv PEER.json SECONDS FLOPS."""
import json
import sys


def cells(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n").split("\t")


folder, peer_layers, peer_json, seconds, flops = sys.argv[1:]
ours = cells(folder + "/layers.tsv")
column = {name: i for i, name in enumerate(next(ours))}
ours = {(c[column["id"]], c[column["condition"]], c[column["layer"]]):
        (c[column["token_id"]], float(c[column["prob"]])) for c in ours}
theirs = {(c[0], c[1], c[2]): (c[3], float(c[4])) for c in cells(peer_layers)}
assert ours.keys() == theirs.keys(), "the two did not do the same job"

with open(peer_json, encoding="utf-8") as file:
    peer = json.loads(file.read().strip().split("\n")[-1])
with open(folder + "/run.json", encoding="utf-8") as file:
    run = json.load(file)
assert run["result"]["counts"]["tokens"] == peer["tokens"], "the two read other tokens"
machine, precision = run["machine"], run["result"]["precision"]
whole_s, run_s, theirs_s = float(seconds), machine["run_seconds"], peer["run_s"]
other = sum(ours[key][0] != theirs[key][0] for key in ours)
worst = max((abs(ours[key][1] - theirs[key][1]) for key in ours if ours[key][0] == theirs[key][0]),
            default=0)
print(f"{peer['prompts']} prompts, {peer['tokens']} tokens, {len(ours)} lenses, {peer['threads']} threads")
print(f"plens         {precision:8s} {machine['matrices']:10s} {whole_s:8.2f} s  "
      f"{peer['tokens'] / whole_s:8.0f} tokens/s  (the whole command; its run {run_s:.2f} s, "
      f"{float(flops) / max(run_s, 1e-9) * 1e-9:.0f} GFLOP/s over the FLOPs needed)")
print(f"Transformers  {peer['dtype']:8s} batch {peer['batch']:<4d} {theirs_s:8.2f} s  "
      f"{peer['tokens'] / theirs_s:8.0f} tokens/s  (without loading)")
print(f"plens is {theirs_s / whole_s:.2f} times as fast; top token differs in {other} of {len(ours)}, "
      f"probabilities by at most {worst:.2g}")
