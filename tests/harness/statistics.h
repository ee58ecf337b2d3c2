/* What a report infers from scores. Nothing here calls libm's transcendentals, so that the same
 * input gives the same bytes whatever the C library. */
#ifndef PLENS_HARNESS_STATISTICS_H
#define PLENS_HARNESS_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

/* P(|Z| >= |z|) of a standard normal Z; relative error below 1e-12 for |z| <= 37. */
double normal_two_sided(double z);

/* The q-quantile of n >= 1 sorted values, linear between order statistics: numpy's default. */
double quantile(const double *sorted, size_t n, double q);

/* Wilcoxon's signed-rank test of paired differences [Wilcoxon 1945], two-sided, after dropping
 * zeros. Exact if at most 50 are left, none was zero and no two are of one size; else the normal
 * approximation with the correction for ties and none for continuity. */
typedef struct wilcoxon {
    size_t n;           /* differences that are not zero; 0: the rest means nothing */
    double plus, minus; /* sums of the ranks of positive and of negative differences */
    int exact;          /* how p was had */
    double p;
    double rank_biserial; /* (plus - minus) / (plus + minus), from -1 to 1 [Kerby 2014] */
} wilcoxon;

enum { WILCOXON_MOST_EXACT = 50 };

wilcoxon wilcoxon_signed_rank(const double *differences, size_t n);

/* The two-sided sign-flip test of a mean of zero: p = (1 + k) / (1 + n_flips), where k of n_flips
 * sums with random signs are no smaller in size than the sum found. Flip f gives difference i a
 * minus if bit i mod 64 of number f * ceil(n / 64) + i / 64 of the seed's sequence is set. */
double sign_flips(const double *differences, size_t n, uint64_t seed, size_t n_flips);

/* Holm's step-down correction of n p-values in place [Holm 1979]; NaN ones are no part of it. */
void holm(double *p, size_t n);

#endif
