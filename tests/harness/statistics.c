#include "tests/harness/statistics.h"

#include <math.h>
#include <stdlib.h>

#include "tests/harness/message.h"
#include "tests/harness/random.h"

/* ---- the normal distribution ---- */

/* exp(-x) for x >= 0: x = k ln 2 + r, |r| <= ln 2 / 2, and the Taylor series of exp(-r). */
static double exp_minus(double x) {
    static const double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;
    if (x > 745)
        return 0;
    int k = (int)(x * 0x1.71547652b82fep+0 + 0.5);
    double r = (x - k * ln2_high) - k * ln2_low, sum = 1, term = 1;
    for (int i = 1; i <= 20; i++) {
        term *= -r / i;
        sum += term;
    }
    return ldexp(sum, -k);
}

/* P(|Z| >= z) = erfc(z / sqrt 2). Near 0 one minus the series of all-positive terms
 * erf(x) = 2 / sqrt(pi) exp(-x^2) sum 2^n x^(2n+1) / (1 3 5 ... (2n+1)) [Abramowitz and Stegun
 * 7.1.6], farther out the continued fraction of the tail (26.2.14), from its far end. */
double normal_two_sided(double z) {
    static const double sqrt_2_over_pi = 0x1.9884533d43651p-1;
    z = fabs(z);
    double density = sqrt_2_over_pi * exp_minus(z * z / 2); /* of |Z| */
    if (z < 2) {
        double term = z, sum = z;
        for (int n = 1; n < 60; n++) {
            term *= z * z / (2 * n + 1);
            sum += term;
        }
        return 1 - density * sum;
    }
    double fraction = z;
    for (int k = 300; k >= 1; k--)
        fraction = z + k / fraction;
    return density / fraction;
}

double quantile(const double *sorted, size_t n, double q) {
    double place = (double)(n - 1) * q;
    size_t below = (size_t)place;
    double share = place - (double)below;
    if (below + 1 >= n)
        return sorted[n - 1];
    double step = sorted[below + 1] - sorted[below];
    return share < 0.5 ? sorted[below] + step * share : sorted[below + 1] - step * (1 - share);
}

/* ---- Wilcoxon ---- */

static int by_size(const void *a, const void *b) {
    double one = fabs(*(const double *)a), other = fabs(*(const double *)b);
    return (one > other) - (one < other);
}

/* P(sum of the ranks 1..n with random signs that are positive <= w), doubled. The counts of the
 * 2^n subsets by their sum are whole numbers below 2^53. */
static double exact_two_sided(size_t n, double smaller_sum) {
    double counts[WILCOXON_MOST_EXACT * (WILCOXON_MOST_EXACT + 1) / 2 + 1] = {1};
    size_t most = n * (n + 1) / 2;
    for (size_t rank = 1; rank <= n; rank++) {
        for (size_t sum = most; sum >= rank; sum--)
            counts[sum] += counts[sum - rank];
    }
    double below = 0;
    for (size_t sum = 0; sum <= (size_t)smaller_sum; sum++)
        below += counts[sum];
    double p = 2 * ldexp(below, -(int)n);
    return p < 1 ? p : 1;
}

static double normal_p(const wilcoxon *w, double ties) {
    double n = (double)w->n;
    double variance = n * (n + 1) * (2 * n + 1) / 24 - ties / 48;
    return normal_two_sided((w->plus - n * (n + 1) / 4) / sqrt(variance));
}

wilcoxon wilcoxon_signed_rank(const double *differences, size_t n) {
    wilcoxon w = {0, 0, 0, 0, 0, 0};
    double *sorted = allocate(n, sizeof *sorted);
    double ties = 0; /* sum of t^3 - t over groups of t of one size */
    for (size_t i = 0; i < n; i++) {
        if (differences[i] != 0)
            sorted[w.n++] = differences[i];
    }
    qsort(sorted, w.n, sizeof *sorted, by_size);
    for (size_t first = 0, end; first < w.n; first = end) {
        for (end = first + 1; end < w.n && fabs(sorted[end]) == fabs(sorted[first]); end++)
            continue;
        double t = (double)(end - first), rank = (double)(first + 1 + end) / 2;
        ties += t * t * t - t;
        for (size_t i = first; i < end; i++)
            *(sorted[i] > 0 ? &w.plus : &w.minus) += rank;
    }
    free(sorted);
    if (w.n == 0)
        return w;
    w.rank_biserial = (w.plus - w.minus) / (w.plus + w.minus);
    w.exact = w.n <= WILCOXON_MOST_EXACT && w.n == n && ties == 0;
    w.p = w.exact ? exact_two_sided(w.n, w.plus < w.minus ? w.plus : w.minus) : normal_p(&w, ties);
    return w;
}

/* ---- sign flips ---- */

double sign_flips(const double *differences, size_t n, uint64_t seed, size_t n_flips) {
    size_t n_words = (n + 63) / 64, n_beyond = 0;
    double found = 0;
    for (size_t i = 0; i < n; i++)
        found += differences[i];
    /* Sums that are equal but for their rounding count as equal. */
    double least = fabs(found) * (1 - 1e-12);
    for (size_t flip = 0; flip < n_flips; flip++) {
        double sum = 0;
        for (size_t word = 0; word < n_words; word++) {
            uint64_t bits = random_number(seed, flip * n_words + word);
            size_t end = 64 * (word + 1) < n ? 64 * (word + 1) : n;
            for (size_t i = 64 * word; i < end; i++, bits >>= 1)
                sum += (double)(1 - 2 * (int)(bits & 1)) * differences[i];
        }
        n_beyond += fabs(sum) >= least;
    }
    return (double)(1 + n_beyond) / (double)(1 + n_flips);
}

/* ---- Holm ---- */

static int by_value(const void *a, const void *b) {
    double one = **(double *const *)a, other = **(double *const *)b;
    return (one > other) - (one < other);
}

void holm(double *p, size_t n) {
    double **order = allocate(n, sizeof *order);
    double most = 0;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(p[i]))
            order[count++] = &p[i];
    }
    qsort(order, count, sizeof *order, by_value);
    for (size_t i = 0; i < count; i++) {
        double corrected = *order[i] * (double)(count - i);
        most = corrected > most ? corrected : most;
        *order[i] = most < 1 ? most : 1;
    }
    free(order);
}
