"""Draws what bench/kernels.sh measured: GFLOP/s by rows, the roof on top. One panel for each precision,
all threads. usage: roofline.py KERNELS.tsv OUT.svg"""
import csv
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

source, out = sys.argv[1:]
with open(source, encoding="ascii", newline="") as file:
    lines = list(csv.DictReader(file, delimiter="\t"))
threads = max(int(line["threads"]) for line in lines)
lines = [line for line in lines if int(line["threads"]) == threads]
for line in lines:
    line["flops"] = 2.0 * int(line["n_out"]) * int(line["n_in"]) * int(line["rows"])
    line["rate"] = line["flops"] / float(line["seconds"]) * 1e-9

precisions = ["f32", "bf16", "bf16x3"]
figure, axes = plt.subplots(1, len(precisions), figsize=(13, 4.2), sharey=True, layout="constrained")
shapes = sorted({(int(line["n_out"]), int(line["n_in"])) for line in lines})
colours = dict(zip(shapes, plt.get_cmap("tab10").colors))
marks = {"torch": ("x", ":"), "avx2": (".", "--")}
for axis, precision in zip(axes, precisions):
    here = [line for line in lines if line["precision"] == precision]
    ours = [line for line in here if line["isa"] not in marks]
    for isa in sorted({line["isa"] for line in here}):
        mark, style = marks.get(isa, ("o", "-"))
        for shape in shapes:
            points = sorted((int(line["rows"]), line["rate"]) for line in here
                            if line["isa"] == isa and (int(line["n_out"]), int(line["n_in"])) == shape)
            if points:
                axis.plot(*zip(*points), mark + style, color=colours[shape], markersize=5, linewidth=1,
                          label=f"{shape[0]}×{shape[1]} {isa}")
    if ours:
        peak, bandwidth = float(ours[0]["peak"]) * 1e-9, float(ours[0]["bandwidth"]) * 1e-9
        rows = sorted({int(line["rows"]) for line in ours})
        axis.plot(rows, [min(peak, r * bandwidth) for r in rows], color="black", linewidth=2,
                  label=f"roof: {peak:.0f} GFLOP/s, {bandwidth:.0f} GB/s")
    axis.set(title=f"{precision}, {threads} threads", xscale="log", yscale="log", xlabel="rows")
    axis.grid(True, which="both", linewidth=0.3)
    axis.legend(fontsize=6)
axes[0].set_ylabel("GFLOP/s")
figure.savefig(out)
print(f"the plot: {out}")
