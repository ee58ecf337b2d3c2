#!/usr/bin/env python3
"""Recomputes a report of `plens report --indices` from the folders of `plens score` and compares.

usage: check_report.py REPORT        (needs numpy and scipy)

Everything starts from layers.tsv and prompts.tsv of the runs that REPORT/models.tsv names: S by its
formula, its statistics, bootstrap intervals over the resamples that REPORT/resamples.tsv lists,
Wilcoxon's test by scipy, sign flips with SplitMix64 written anew here, Holm's correction, the
layers, and the claims. Prints how many numbers were compared, and exits with 1 if any differs.
"""
import csv
import json
import math
import os
import sys
from collections import defaultdict

import numpy as np
from scipy import stats

READINGS = [("with", "data"), ("without", "own"), ("without", "data"), ("with", "own")]
SCORED = READINGS[:3]
FEWEST = 6
MARGIN = 0.1


class Tally:
    def __init__(self):
        self.compared = self.differing = 0

    def equal(self, where, found, expected):
        self.compared += 1
        if found != expected:
            self.complain(where, found, expected)

    def close(self, where, found, expected, tolerance=1e-12):
        """Numbers within a relative tolerance; None stands for NA."""
        self.compared += 1
        number = None if found == "NA" else float(found)
        if (number is None) != (expected is None) or (number is not None and not math.isclose(
                number, expected, rel_tol=tolerance, abs_tol=tolerance * 1e-3)):
            self.complain(where, found, expected)

    def complain(self, where, found, expected):
        self.differing += 1
        if self.differing <= 20:
            print(f"{where}: found {found}, expected {expected}")


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def number(cell):
    return math.nan if cell == "NA" else float(cell)


def n_counted(ratio, n_layers):
    """floor(L R) in exact decimal arithmetic."""
    whole, _, digits = ratio.partition(".")
    return int(whole + digits) * n_layers // 10 ** len(digits)


class Run:
    """What a score's folder says, indexed by (condition, gold)."""

    def __init__(self, about):
        folder = about["run"]
        with open(os.path.join(folder, "run.json"), encoding="utf-8") as file:
            result = json.load(file)["result"]
        self.label = about["label"]
        self.series = about["series"]
        self.tokens = number(about["tokens"])
        self.paper = about["paper_model"]
        self.n_layers = result["model"]["n_layers"]
        self.ratios = [f"{r:g}" for r in result["options"]["ratios"]]
        prompts = read(os.path.join(folder, "prompts.tsv"))
        layers = defaultdict(list)
        for row in read(os.path.join(folder, "layers.tsv")):
            layers[row["id"], row["condition"]].append(row)
        self.ids = defaultdict(list)  # task -> ids in order
        self.tops = {key: {} for key in READINGS}  # id -> [n_layers] gold is on top
        self.golds = {key: {} for key in SCORED}  # id -> [n_layers, (probability, rank)]
        self.s = {key: {} for key in SCORED}  # id -> {ratio: S}
        self.written = {key: {} for key in SCORED}
        for row in prompts:
            if row["id"] not in self.ids[row["task"]]:
                self.ids[row["task"]].append(row["id"])
            self.take(row, sorted(layers[row["id"], row["condition"]],
                                  key=lambda layer: int(layer["layer"])))

    def take(self, row, layers):
        assert [int(layer["layer"]) for layer in layers] == list(range(1, self.n_layers + 1))
        key, condition = row["id"], row["condition"]
        probs = np.array([float(layer["prob"]) for layer in layers])
        golds = set(row["gold_id"].split("|"))
        own = np.array([layer["token_id"] == row["top_id"] for layer in layers])
        hit = np.array([layer["token_id"] in golds for layer in layers])
        gold = np.array([[float(layer["gold_prob"]), float(layer["gold_rank"])]
                         for layer in layers])
        ref = np.array([[number(layer["ref_prob"]), number(layer["ref_rank"])]
                        for layer in layers])
        if condition == "with":
            self.add(("with", "data"), key, hit, gold, probs, row, "S")
            self.tops["with", "own"][key] = own
        else:
            self.add(("without", "own"), key, hit, gold, probs, row, "S")
            if not np.isnan(ref).any():
                self.add(("without", "data"), key, ref[:, 1] == 0, ref, probs, row, "ref_S")

    def add(self, reading, key, top, gold, probs, row, prefix):
        self.tops[reading][key] = top
        self.golds[reading][key] = gold
        weights = 1 - np.arange(self.n_layers) / self.n_layers
        terms = probs * weights * top
        self.s[reading][key] = {
            ratio: float(terms[self.n_layers - n_counted(ratio, self.n_layers):].sum())
            for ratio in self.ratios}
        self.written[reading][key] = {
            ratio: row[f"{prefix}{100 * float(ratio):g}"] for ratio in self.ratios}


class Check:
    def __init__(self, folder):
        self.folder = folder
        self.tally = Tally()
        self.runs = [Run(row) for row in read(os.path.join(folder, "models.tsv"))]
        self.by_label = {run.label: run for run in self.runs}
        self.ids = self.runs[0].ids
        self.ratios = self.runs[0].ratios
        self.whole = max(self.ratios, key=float)
        questions = defaultdict(list)
        for row in read(os.path.join(folder, "questions.tsv")):
            self.tally.equal("questions.tsv", int(row["question"]), len(questions[row["task"]]))
            questions[row["task"]].append(row["id"])
        self.tally.equal("questions.tsv", dict(questions), dict(self.ids))
        lists = defaultdict(list)
        for row in read(os.path.join(folder, "resamples.tsv")):
            lists[row["task"]].append([int(i) for i in row["questions"].split(" ")])
        self.resamples = {task: np.array(rows) for task, rows in lists.items()}
        with open(os.path.join(folder, "tests.tex"), encoding="utf-8") as file:
            words = file.read().split("sign flips: ")[-1].split(";")
        self.n_flips, self.seed = int(words[0]), int(words[1].split("seed ")[1].split(".")[0])

    def column(self, values, task):
        """[n questions of the task], NaN where there is no value."""
        return np.array([values.get(key, math.nan) for key in self.ids[task]])

    def scores(self, run, reading, task, ratio):
        return self.column({k: v[ratio] for k, v in run.s[reading].items()}, task)

    def intervals(self, values, task):
        """95 % intervals of mean and median."""
        if np.count_nonzero(~np.isnan(values)) < FEWEST:
            return [None] * 4
        drawn = values[self.resamples[task]]
        drawn = drawn[~np.isnan(drawn).all(axis=1)]
        found = []
        for statistic in (np.nanmean, np.nanmedian):
            found += list(np.quantile(statistic(drawn, axis=1), [0.025, 0.975]))
        return found

    def compare(self, where, row, values, task):
        """min, mean, median and max, and the intervals."""
        there = values[~np.isnan(values)]
        four = [None] * 4 if there.size == 0 else [
            there.min(), there.mean(), np.median(there), there.max()]
        for name, expected in zip(["min", "mean", "median", "max"], four):
            self.tally.close(f"{where} {name}", row[name], expected)
        names = ["mean_low", "mean_high", "median_low", "median_high"]
        for name, expected in zip(names, self.intervals(values, task)):
            self.tally.close(f"{where} {name}", row[name], expected, 1e-11)

    # ---- the files ----

    def prompts(self):
        for run in self.runs:
            for reading in SCORED:
                for key, expected in run.s[reading].items():
                    for ratio, s in expected.items():
                        # prob is written with nine digits
                        self.tally.close(f"{run.label} {key} {reading} {ratio}",
                                         run.written[reading][key][ratio], s, 1e-7)
                        expected[ratio] = float(run.written[reading][key][ratio])

    def statistics(self):
        rows = read(os.path.join(self.folder, "statistics.tsv"))
        expected = [(run.label, task, *reading, ratio, population) for run in self.runs
                    for task in self.ids for reading in SCORED for ratio in self.ratios
                    for population in ("all", "positive")]
        names = ["label", "task", "condition", "gold", "ratio", "population"]
        self.tally.equal("rows of statistics.tsv", [tuple(r[n] for n in names) for r in rows],
                         expected)
        for row in rows:
            values = self.scores(self.by_label[row["label"]], (row["condition"], row["gold"]),
                                 row["task"], row["ratio"])
            if row["population"] == "positive":
                values[~(values > 0)] = math.nan
            where = "statistics.tsv " + " ".join(row[n] for n in names)
            self.tally.equal(where + " n", int(row["n"]), np.count_nonzero(~np.isnan(values)))
            self.compare(where, row, values, row["task"])

    def tests(self):
        rows = read(os.path.join(self.folder, "tests.tsv"))
        self.tally.equal("rows of tests.tsv", len(rows), 2 * len(self.runs) * len(self.ids))
        ranks, flips = {}, {}
        for i, row in enumerate(rows):
            run, task = self.by_label[row["label"]], row["task"]
            values = self.scores(run, ("with", "data"), task, self.whole) - \
                self.scores(run, ("without", row["gold"]), task, self.whole)
            where = f"tests.tsv {row['label']} {task} {row['gold']}"
            self.compare(where, row, values, task)
            d = values[~np.isnan(values)]
            for name, n in (("n", d.size), ("n_higher", (d > 0).sum()), ("n_lower", (d < 0).sum())):
                self.tally.equal(f"{where} {name}", int(row[name]), n)
            left = d[d != 0]
            if left.size < FEWEST:
                for name in ("w_plus", "w_minus", "method", "rank_biserial", "p_wilcoxon",
                             "p_wilcoxon_holm", "p_flips", "p_flips_holm"):
                    self.tally.equal(f"{where} {name}", row[name], "NA")
                continue
            order = stats.rankdata(np.abs(left))
            plus, minus = order[left > 0].sum(), order[left < 0].sum()
            exact = left.size <= 50 and left.size == d.size and \
                np.unique(np.abs(left)).size == left.size
            p = stats.wilcoxon(left, zero_method="wilcox", correction=False,
                               method="exact" if exact else "approx").pvalue
            self.tally.close(f"{where} w_plus", row["w_plus"], plus)
            self.tally.close(f"{where} w_minus", row["w_minus"], minus)
            self.tally.equal(f"{where} method", row["method"], "exact" if exact else "normal")
            self.tally.close(f"{where} rank_biserial", row["rank_biserial"],
                             (plus - minus) / (plus + minus))
            self.tally.close(f"{where} p_wilcoxon", row["p_wilcoxon"], p, 1e-9)
            flip = self.flip(d, task)
            self.tally.close(f"{where} p_flips", row["p_flips"], flip)
            ranks[i], flips[i] = p, flip
        self.holm = {}
        for name, values in (("p_wilcoxon_holm", ranks), ("p_flips_holm", flips)):
            for gold in ("own", "data"):
                family = [i for i in values if rows[i]["gold"] == gold]
                for i, expected in zip(family, holm([values[i] for i in family])):
                    row = rows[i]
                    self.tally.close(f"tests.tsv {row['label']} {row['task']} {gold} {name}",
                                     row[name], expected, 1e-9)
                    if name == "p_wilcoxon_holm":
                        self.holm[row["label"], row["task"], gold] = expected

    def flip(self, d, task):
        seed = splitmix(self.seed, np.array([(1 << 32) + list(self.ids).index(task)]))[0]
        n_words = (d.size + 63) // 64
        beyond = 0
        for first in range(0, self.n_flips, 5000):
            n = min(5000, self.n_flips - first)
            words = splitmix(int(seed), np.arange(first * n_words, (first + n) * n_words))
            bits = words[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)
            signs = 1 - 2 * bits.reshape(n, 64 * n_words)[:, :d.size].astype(float)
            beyond += int((np.abs(signs @ d) >= abs(d.sum()) * (1 - 1e-12)).sum())
        return (1 + beyond) / (1 + self.n_flips)

    def depth(self):
        rows = read(os.path.join(self.folder, "depth.tsv"))
        self.tally.equal("rows of depth.tsv", len(rows),
                         sum(4 * len(self.ids) * run.n_layers for run in self.runs))
        for row in rows:
            run, reading = self.by_label[row["label"]], (row["condition"], row["gold"])
            layer = int(row["layer"]) - 1
            keys = [k for k in self.ids[row["task"]] if k in run.tops[reading]]
            where = "depth.tsv " + " ".join(row[n] for n in
                                            ("label", "task", "condition", "gold", "layer"))
            self.tally.equal(where + " n", int(row["n"]), len(keys))
            expected = [None] * 3
            if keys:
                expected[0] = np.mean([run.tops[reading][k][layer] for k in keys])
            if keys and reading in SCORED:
                # float32, as score computes
                gold = np.array([run.golds[reading][k][layer] for k in keys])
                expected[1] = gold[:, 0].astype(np.float32).astype(float).mean()
                expected[2] = gold[:, 1].mean()
            for name, value in zip(("top_share", "gold_prob", "gold_rank"), expected):
                self.tally.close(f"{where} {name}", row[name], value)

    def formation(self):
        rows = read(os.path.join(self.folder, "formation.tsv"))
        self.tally.equal("rows of formation.tsv", len(rows), 14 * len(self.runs) * len(self.ids))
        for row in rows:
            run, task = self.by_label[row["label"]], row["task"]
            keys = list(zip(row["condition"].split("-"), row["gold"].split("-")))
            columns = [self.column({k: formed(v, row["layer"]) for k, v in run.tops[key].items()},
                                   task) for key in keys]
            n = sum(all(k in run.tops[key] for key in keys) for k in self.ids[task])
            values = columns[0] if len(keys) == 1 else columns[0] - columns[1]
            where = "formation.tsv " + " ".join(row[n] for n in (
                "label", "task", "layer", "condition", "gold"))
            self.tally.equal(where + " n", int(row["n"]), n)
            self.tally.equal(where + " n_formed", int(row["n_formed"]),
                             np.count_nonzero(~np.isnan(values)))
            self.compare(where, row, values, task)

    def claims(self):
        rows = read(os.path.join(self.folder, "claims.tsv"))
        self.tally.equal("claims", {row["claim"] for row in rows},
                         {"persona", "rise", "no_further", "checkpoints", "size"})
        shares = {"rise": ("0.4", "0.2"), "no_further": ("1", "0.4")}
        for row in rows:
            where = "claims.tsv " + " ".join(row[n] for n in ("claim", "label", "task", "condition",
                                                              "gold"))
            if row["verdict"] == "not tested":
                self.tally.equal(where, self.can_test(row["claim"]), False)
                continue
            run, task, claim = self.by_label[row["label"]], row["task"], row["claim"]
            other = run if row["other"] == "NA" else self.by_label[row["other"]]
            high, low = shares.get(claim, (self.whole, self.whole))
            if claim == "persona":
                gold = row["gold"].split("-")[1]
                b = self.scores(run, ("without", gold), task, low)
                d = self.scores(run, ("with", "data"), task, high) - b
            else:
                reading = row["condition"], row["gold"]
                b = self.scores(other, reading, task, low)
                d = self.scores(run, reading, task, high) - b
            low_end, high_end = self.intervals(d, task)[:2]
            self.tally.close(where + " difference", row["difference"], np.nanmean(d))
            self.tally.close(where + " low", row["low"], low_end, 1e-11)
            self.tally.close(where + " high", row["high"], high_end, 1e-11)
            margin = None
            if claim in ("no_further", "checkpoints"):
                margin = MARGIN * np.nanmean(b[~np.isnan(d)])
            self.tally.close(where + " margin", row["margin"], margin)
            p = self.holm.get((row["label"], task, row["gold"][5:])) if claim == "persona" else None
            self.tally.close(where + " p_holm", row["p_holm"], p, 1e-9)
            self.tally.equal(where + " verdict", row["verdict"],
                             verdict(claim, d, low_end, high_end, margin, p))

    def can_test(self, claim):
        names = {run.paper for run in self.runs}
        series = [run.series for run in self.runs if run.series != "NA"]
        return {"persona": any(run.s["with", "data"] and run.s["without", "own"]
                               for run in self.runs),
                "rise": {"0.2", "0.4"} <= set(self.ratios),
                "no_further": {"0.4", "1"} <= set(self.ratios),
                "checkpoints": len(series) > len(set(series)),
                "size": {"llm-jp-3-13b", "llm-jp-3-7.2b (2.1T)"} <= names}[claim]

    def all(self):
        for part in (self.prompts, self.statistics, self.tests, self.depth, self.formation,
                     self.claims):
            part()
        return self.tally


def splitmix(seed, k):
    """The k-th numbers of SplitMix64's sequence for a seed [Steele, Lea, Flood 2014]."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (k.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def holm(p):
    """By the definition: the largest (m - j) p_(j) over the j that are no larger."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    corrected = [0.0] * len(p)
    for place, i in enumerate(order):
        corrected[i] = min(1.0, max((len(p) - j) * p[order[j]] for j in range(place + 1)))
    return corrected


def formed(tops, kind):
    where = np.flatnonzero(tops)
    if kind == "first":
        return float(where[0] + 1) if where.size else math.nan
    if not tops[-1]:
        return math.nan
    misses = np.flatnonzero(~tops)
    return float(misses[-1] + 2) if misses.size else 1.0


def verdict(claim, d, low, high, margin, p):
    if claim == "persona":
        if p is None:
            return "too few values"
        left = d[~np.isnan(d) & (d != 0)]
        order = stats.rankdata(np.abs(left))
        effect = order[left > 0].sum() - order[left < 0].sum()
        return "undecided" if p >= 0.05 or effect == 0 else \
            "supported" if effect > 0 else "not supported"
    if low is None:
        return "too few values"
    yes, no = {"no_further": lambda: (high < margin, low > margin),
               "checkpoints": lambda: (-margin < low and high < margin,
                                       low > margin or high < -margin)}.get(
        claim, lambda: (low > 0, high < 0))()
    return "supported" if yes else "not supported" if no else "undecided"


def main():
    tally = Check(sys.argv[1]).all()
    print(f"{tally.compared} compared, {tally.differing} differ")
    return tally.differing > 0 or tally.compared == 0


if __name__ == "__main__":
    sys.exit(main())
