#!/usr/bin/env python3
"""Makes tests/fixtures/statistics.tsv: what scipy and numpy say of the report's statistics.

usage: python3 tests/make_statistics_fixture.py > tests/fixtures/statistics.tsv

A row is a test, its parameters, its values and what is expected, numbers with spaces between them.
Resampling needs the program's random numbers: SplitMix64 is written here anew.
"""
import numpy as np
from mpmath import erfc, mp, mpf, sqrt
from scipy import stats

MASK = (1 << 64) - 1
mp.dps = 40


def splitmix(seed, k):
    z = (seed + (k + 1) * 0x9E3779B97F4A7C15) & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def text(numbers):
    return " ".join(n if isinstance(n, str) else "%.17g" % n for n in numbers)


def row(test, parameters, values, expected):
    print(test, text(parameters), text(values), text(expected), sep="\t")


def normal():
    for z in (0, 1e-9, 0.1, 0.5, 1, 1.5, 1.959963984540054, 1.9999999, 2, 2.0000001, 3, 5, 8, 12.5,
              20, 37):
        row("normal", [], [z], [float(erfc(mpf(z) / sqrt(mpf(2))))])
        row("normal", [], [-z], [float(erfc(mpf(z) / sqrt(mpf(2))))])


def quantiles(rng):
    for n in (1, 2, 3, 10, 101):
        values = np.sort(rng.normal(size=n))
        for q in (0, 0.025, 0.25, 0.5, 0.9, 0.975, 1):
            row("quantile", [q], values, [np.quantile(values, q)])


def wilcoxon(values):
    values = np.array(values, float)
    left = values[values != 0]
    ranks = stats.rankdata(np.abs(left))
    plus, minus = ranks[left > 0].sum(), ranks[left < 0].sum()
    exact = len(left) <= 50 and len(left) == len(values) and \
        len(np.unique(np.abs(left))) == len(left)
    p = stats.wilcoxon(left, zero_method="wilcox", correction=False,
                       method="exact" if exact else "approx").pvalue
    row("wilcoxon", [], values, [len(left), plus, minus, int(exact), p,
                                 (plus - minus) / (plus + minus)])


def wilcoxons(rng):
    wilcoxon([1.5])
    wilcoxon([-1, 2])
    wilcoxon([1, 2, 3, 4, 5, 6])  # the smallest p of six
    wilcoxon([-1, -2, -3, -4, -5, -6])
    wilcoxon([1, -2, 3, -4, 5, -6, 7.5])
    wilcoxon([3, -3, 1, 0, 2, 2, -2, 5])  # zeros and ties
    wilcoxon([0, 0, 1, 2, 3, -4, 5])  # a zero alone: no more exact
    wilcoxon([1, 1, 1, 1, 1, 1, 1, 1])
    wilcoxon([1, -1, 1, -1])  # W at its mean
    for n in (10, 49, 50, 51, 200):
        wilcoxon(rng.normal(0.2, 1, size=n))
    wilcoxon(np.round(rng.normal(0.3, 2, size=80)))
    wilcoxon(rng.normal(2, 0.5, size=50))  # p near 2^-49


def flips(rng):
    for n, n_flips, mean in ((1, 99, 1), (6, 999, 0.4), (64, 499, 0.1), (65, 499, 0.2),
                             (200, 499, 0.15)):
        values = rng.normal(mean, 1, size=n)
        values[: n // 3] = np.round(values[: n // 3])
        seed = int(rng.integers(1 << 62))
        words = (n + 63) // 64
        beyond = 0
        for flip in range(n_flips):
            bits = [splitmix(seed, flip * words + i // 64) >> i % 64 & 1 for i in range(n)]
            total = np.sum(values * (1 - 2 * np.array(bits)))
            beyond += abs(total) >= abs(values.sum()) * (1 - 1e-12)
        row("flips", [str(seed), n_flips], values, [(1 + beyond) / (1 + n_flips)])


def flips_of_tenths():
    """Sums that are equal but for their rounding: counted in whole numbers."""
    tenths = np.array([1, 7, 2, 1, -3, 6, -1, 2, 9, -7, 3, 1, 2])
    seed, n_flips = 77, 999
    beyond = 0
    for flip in range(n_flips):
        word = splitmix(seed, flip)
        signs = [1 - 2 * (word >> i & 1) for i in range(len(tenths))]
        beyond += abs(int(np.dot(tenths, signs))) >= abs(int(tenths.sum()))
    row("flips", [str(seed), n_flips], tenths / 10, [(1 + beyond) / (1 + n_flips)])


def holms(rng):
    for p in ([0.04], [0.01, 0.04, 0.03], [0.5, 0.6, 0.9], [0.01, 0.01, 0.01], [0.02, 0.02, 0.011],
              list(rng.random(20) ** 3)):
        expected = [0.0] * len(p)
        order = np.argsort(p, kind="stable")
        for place, i in enumerate(order):
            expected[i] = min(1.0, max((len(p) - j) * p[order[j]] for j in range(place + 1)))
        row("holm", [], p, expected)
        with_gaps = [x for value in p for x in (value, np.nan)]
        row("holm", [], with_gaps, [x for value in expected for x in (value, np.nan)])


def bootstraps(rng):
    for n, n_missing in ((6, 0), (20, 0), (40, 30), (40, 34), (200, 20)):
        values = np.round(np.exp(rng.normal(size=n)), 2)
        values[rng.permutation(n)[:n_missing]] = np.nan
        seed, n_resamples = int(rng.integers(1 << 62)), 400
        drawn = np.array([[values[(splitmix(seed, b * n + i) >> 32) * n >> 32] for i in range(n)]
                          for b in range(n_resamples)])
        drawn = drawn[~np.isnan(drawn).all(axis=1)]
        means, medians = np.nanmean(drawn, axis=1), np.nanmedian(drawn, axis=1)
        row("bootstrap", [str(seed), n_resamples], values,
            [*np.quantile(means, [0.025, 0.975]), *np.quantile(medians, [0.025, 0.975])])
    row("bootstrap", ["1", 400], [1, 2, 3, 4, 5, np.nan], [np.nan] * 4)  # too few


def main():
    rng = np.random.default_rng(2025)
    print("test\tparameters\tvalues\texpected")
    normal()
    quantiles(rng)
    wilcoxons(rng)
    flips(rng)
    flips_of_tenths()
    holms(rng)
    bootstraps(rng)


main()
