/* The kernels but for the matrix product, over vectors of 16 lanes: the body that avx2.c and
 * avx512.c share. Each gives its registers these names before it includes this file:
 *
 *     INLINE, KERNEL                 static functions compiled for the instruction set
 *     vec, vecd                      16 floats, 16 doubles
 *     load, store                    16 floats, unaligned
 *     load_part(p, n, fill)          n < 16 floats, then `fill`; touches n only
 *     store_part(p, n, v)            the first n < 16 lanes
 *     keep(v, n)                     the first n < 16 lanes, then +0
 *     all(x)                         x in every lane
 *     plus minus times over fused    + - * / fma, lane by lane
 *     larger(a, b)                   a > b ? a : b, so b if either is a NaN
 *     smaller(a, b)                  a < b ? a : b
 *     root(a), negative(a)           the square root; the sign bit turned over
 *     greater(a, b)                  one bit for each lane: a > b
 *     scale_by(p, t)                 (p 2^a) 2^b by the low bits of t, see exp.h
 *     tree(v), tree_double(v)        the lane sum's tree
 *     largest(v)                     the largest lane; none is a NaN
 *     tree_each(v)                   lane i of the result is tree(v[i]), i < 16
 *     no_doubles()                   16 times +0
 *     plus_double(d, a)              d + a;  plus_product(d, a, b): d + a b, a b exact
 *
 * Lanes past the end of an array hold what leaves the result as it is: 0 in sums, whose partial
 * sums begin at +0 and so never are -0; -inf before an exponential, whose e^-inf is 0. */

#include <math.h>

#include "runtime/kernels/exp.h"

/* The next lanes of p, `left` of them if that is below 16. */
INLINE vec load_next(const float *p, size_t left, float fill) {
    return left >= PLENS__LANES ? load(p) : load_part(p, left, fill);
}

INLINE void store_next(float *p, size_t left, vec v) {
    if (left >= PLENS__LANES)
        store(p, v);
    else
        store_part(p, left, v);
}

/* Of x <= PLENS__EXP_HIGH, or a NaN. */
INLINE vec exponential_low(vec x) {
    x = larger(all(PLENS__EXP_LOW), x);
    vec t = fused(x, all(PLENS__EXP_LOG2E), all(PLENS__EXP_SHIFT));
    vec n = minus(t, all(PLENS__EXP_SHIFT));
    vec r = fused(n, all(-PLENS__EXP_LN2_HIGH), x);
    r = fused(n, all(-PLENS__EXP_LN2_LOW), r);
    vec p = fused(all(PLENS__EXP_C6), r, all(PLENS__EXP_C5));
    p = fused(p, r, all(PLENS__EXP_C4));
    p = fused(p, r, all(PLENS__EXP_C3));
    p = fused(p, r, all(PLENS__EXP_C2));
    p = fused(p, r, all(1.0f));
    p = fused(p, r, all(1.0f));
    return scale_by(p, t);
}

INLINE vec exponential(vec x) {
    return exponential_low(smaller(all(PLENS__EXP_HIGH), x));
}

KERNEL void exp_all(const float *x, size_t n, float *y) {
    for (size_t i = 0; i < n; i += PLENS__LANES)
        store_next(y + i, n - i, exponential(load_next(x + i, n - i, 0)));
}

/* ---- Rows ---------------------------------------------------------------------------------- */

/* The 16 lanes of the lane sum of a_i b_i by fma. */
INLINE vec dot_lanes(const float *a, const float *b, size_t n) {
    vec sum = all(0);
    size_t i = 0;
    for (; i + PLENS__LANES <= n; i += PLENS__LANES)
        sum = fused(load(a + i), load(b + i), sum);
    return i < n ? fused(load_part(a + i, n - i, 0), load_part(b + i, n - i, 0), sum) : sum;
}

KERNEL void rms_norm(const float *x, const float *weight, size_t n, float eps, float *y) {
    float mean = tree(dot_lanes(x, x, n)) / (float)n;
    vec r = over(all(1.0f), root(all(mean + eps)));
    for (size_t i = 0; i < n; i += PLENS__LANES) {
        vec normed = times(load_next(x + i, n - i, 0), r);
        store_next(y + i, n - i, times(normed, load_next(weight + i, n - i, 0)));
    }
}

KERNEL void rope(float *x, const float *cosine, const float *sine, size_t half) {
    for (size_t i = 0; i < half; i += PLENS__LANES) {
        size_t left = half - i;
        vec a = load_next(x + i, left, 0), b = load_next(x + half + i, left, 0);
        vec c = load_next(cosine + i, left, 0), s = load_next(sine + i, left, 0);
        store_next(x + i, left, minus(times(a, c), times(b, s)));
        store_next(x + half + i, left, plus(times(b, c), times(a, s)));
    }
}

INLINE vec silu_of(vec x) {
    return over(x, plus(all(1.0f), exponential(negative(x))));
}

KERNEL void silu_mul(const float *gate, const float *up, size_t n, float *out) {
    for (size_t i = 0; i < n; i += PLENS__LANES) {
        vec g = load_next(gate + i, n - i, 0), u = load_next(up + i, n - i, 0);
        store_next(out + i, n - i, times(silu_of(g), u));
    }
}

KERNEL void silu(float *x, size_t n) {
    for (size_t i = 0; i < n; i += PLENS__LANES)
        store_next(x + i, n - i, silu_of(load_next(x + i, n - i, 0)));
}

KERNEL void multiply(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i += PLENS__LANES)
        store_next(x + i, n - i, times(load_next(x + i, n - i, 0), load_next(y + i, n - i, 0)));
}

KERNEL void add(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i += PLENS__LANES)
        store_next(x + i, n - i, plus(load_next(x + i, n - i, 0), load_next(y + i, n - i, 0)));
}

/* ---- Attention ----------------------------------------------------------------------------- */

/* scores_j = (q . k_j) * scale for j < n; returns the largest. */
INLINE float attention_scores(const float *q, const float *k, size_t ldk, size_t n, size_t head_dim,
                              float scale, float *scores) {
    vec max = all(-INFINITY);
    for (size_t j = 0; j < n; j += PLENS__LANES) {
        vec sums[PLENS__LANES];
        size_t count = n - j < PLENS__LANES ? n - j : PLENS__LANES;
        for (size_t i = 0; i < PLENS__LANES; i++)
            sums[i] = i < count ? dot_lanes(q, k + (j + i) * ldk, head_dim) : all(0);
        store_next(scores + j, count, times(tree_each(sums), all(scale)));
        max = larger(load_next(scores + j, count, -INFINITY), max);
    }
    return largest(max);
}

/* padded, a constant: scores has room for whole vectors, and may hold anything after n. (What was
 * stored in part cannot be loaded until it is in the cache; and e^-inf in lanes past the end would
 * underflow, for which processors take a hundred cycles.) */
INLINE void softmax(const int padded, float *scores, size_t n, float max) {
    vec sum = all(0);
    for (size_t j = 0; j < n; j += PLENS__LANES) {
        vec e = exponential_low(minus(load_next(scores + j, n - j, max), all(max)));
        if (n - j < PLENS__LANES)
            e = keep(e, n - j);
        store_next(scores + j, padded ? PLENS__LANES : n - j, e);
        sum = plus(sum, e);
    }
    vec total = all(tree(sum));
    for (size_t j = 0; j < n; j += PLENS__LANES) {
        size_t there = padded ? PLENS__LANES : n - j;
        store_next(scores + j, there, over(load_next(scores + j, there, 0), total));
    }
}

/* out = sum over j of p_j v_j for n_vectors * 16 columns, of which the last `width` are there. */
INLINE void weigh_values(const float *p, const float *v, size_t ldv, size_t n, size_t n_vectors,
                         size_t width, float *out) {
    vec sum[4];
    UNROLL
    for (size_t i = 0; i < n_vectors; i++)
        sum[i] = all(0);
    for (size_t j = 0; j < n; j++) {
        UNROLL
        for (size_t i = 0; i < n_vectors; i++)
            sum[i] = fused(all(p[j]), load_next(v + j * ldv + i * PLENS__LANES, width, 0), sum[i]);
    }
    UNROLL
    for (size_t i = 0; i < n_vectors; i++)
        store_next(out + i * PLENS__LANES, width, sum[i]);
}

INLINE void weigh_head(const float *p, const float *v, size_t ldv, size_t n, size_t head_dim,
                       float *out) {
    size_t i = 0;
    for (; i + 4 * PLENS__LANES <= head_dim; i += 4 * PLENS__LANES) /* four chains hide latency */
        weigh_values(p, v + i, ldv, n, 4, PLENS__LANES, out + i);
    for (; i < head_dim; i += PLENS__LANES)
        weigh_values(p, v + i, ldv, n, 1, head_dim - i, out + i);
}

KERNEL void attend(const float *q, const float *k, size_t ldk, const float *v, size_t ldv, size_t n,
                   size_t head_dim, float scale, float *scores, float *out) {
    softmax(0, scores, n, attention_scores(q, k, ldk, n, head_dim, scale, scores));
    weigh_head(scores, v, ldv, n, head_dim, out);
}

KERNEL void attend_scores(const float *q, const float *k, size_t ldk, size_t n, size_t head_dim,
                          float scale, float *scores) {
    attention_scores(q, k, ldk, n, head_dim, scale, scores);
}

INLINE void softmax_of(const int padded, float *scores, size_t n) {
    vec max = all(-INFINITY);
    for (size_t j = 0; j < n; j += PLENS__LANES)
        max = larger(load_next(scores + j, n - j, -INFINITY), max);
    softmax(padded, scores, n, largest(max));
}

KERNEL void attend_softmax(float *scores, size_t n) {
    softmax_of(0, scores, n);
}

KERNEL void attend_values(const float *p, const float *v, size_t ldv, size_t n, size_t head_dim,
                          float *out) {
    weigh_head(p, v, ldv, n, head_dim, out);
}

/* ---- Vocabulary ---------------------------------------------------------------------------- */

KERNEL void vocab_sums(const float *x, size_t n, plens__vocab_sums *sums) {
    vec max = all(-INFINITY), min = all(INFINITY);
    for (size_t i = 0; i < n; i += PLENS__LANES) {
        max = larger(load_next(x + i, n - i, -INFINITY), max);
        min = smaller(load_next(x + i, n - i, INFINITY), min);
    }
    float m = largest(max);
    vecd sum = no_doubles(), weighted = no_doubles();
    for (size_t i = 0; i < n; i += PLENS__LANES) {
        vec below = minus(load_next(x + i, n - i, -INFINITY), all(m));
        below = larger(all(PLENS__EXP_LOW), below); /* e is 0 there, and 0 * -inf would be a NaN */
        vec e = exponential_low(below);
        sum = plus_double(sum, e);
        weighted = plus_product(weighted, e, below);
    }
    sums->max = m + 0.0f;
    sums->sum = tree_double(sum);
    sums->weighted = tree_double(weighted);
    /* A NaN makes the sum one; so does an infinite maximum, which is taken from itself. */
    sums->finite = sums->sum < INFINITY && largest(negative(min)) < INFINITY;
}

KERNEL size_t count_greater(const float *x, size_t n, float threshold) {
    size_t count = 0;
    for (size_t i = 0; i < n; i += PLENS__LANES) {
        unsigned bits = greater(load_next(x + i, n - i, -INFINITY), all(threshold));
        count += (size_t)__builtin_popcount(bits);
    }
    return count;
}

KERNEL size_t find_greater(const float *x, size_t from, size_t n, float threshold) {
    for (size_t i = from; i < n; i += PLENS__LANES) {
        unsigned bits = greater(load_next(x + i, n - i, -INFINITY), all(threshold));
        if (bits != 0)
            return i + (size_t)__builtin_ctz(bits);
    }
    return n;
}

KERNEL double dot_double(const float *a, const float *b, size_t n) {
    vecd sum = no_doubles();
    for (size_t i = 0; i < n; i += PLENS__LANES)
        sum = plus_product(sum, load_next(a + i, n - i, 0), load_next(b + i, n - i, 0));
    return tree_double(sum);
}
