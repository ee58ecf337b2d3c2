/* The contract of the kernels but for the matrix product (product.h): leaf functions, one file for
 * each instruction set. scalar.c is the definition; every other set gives the same bits for every
 * input (NaN is one class: where a result is a NaN, any NaN will do).
 *
 * All arithmetic is IEEE 754 float, to nearest even, denormals kept, each step as written here and
 * none fused but by fma(). Pointers need no more than float's alignment; arrays do not overlap
 * unless a comment says that they may. No function calls anything but other leaf functions.
 *
 * Lane sums. "The lane sum of f(i), i < n" is: 16 accumulators from +0; element i goes to lane
 * i mod 16, ascending, by one addition (or one fma, where said); then the tree
 * lane[j] += lane[j + 8] for j < 8, then + 4, + 2, + 1.
 */
#ifndef PLENS_RUNTIME_KERNELS_H
#define PLENS_RUNTIME_KERNELS_H

#include "plens.h"

#define PLENS__LANES       16
#define PLENS__VOCAB_BLOCK 1024 /* ids in one block of a reduction over the vocabulary */

/* One block of a row's logits: m = the largest (never a NaN; +0 for a zero of either sign; -inf if
 * there is none), and the lane sums, in double lanes, of e_i = exp(x_i - m) (a float) and of e_i *
 * (x_i - m) (the product in double; 0 where e_i is 0). finite is 0 if any x_i is infinite or NaN;
 * sums are then undefined. */
typedef struct plens__vocab_sums {
    float max;
    int finite;
    double sum, weighted;
} plens__vocab_sums;

/* Queries of consecutive positions, of heads that share their keys and values. That of row r and
 * head h is at q + r * row_stride + h * head_dim, its result likewise at out. Row r is position
 * first + r and attends to keys [0, first + r]; where window > 0, only to the last `window` of
 * them. Row j of k is at k + j * stride, of v at v + j * stride. */
typedef struct plens__queries {
    const float *q;
    float *out;
    size_t n_rows, n_heads, row_stride;
    size_t first, window;
    const float *k, *v;
    size_t stride, head_dim;
    float scale;
} plens__queries;

/* The first of keys [0, end) that a window of the last `window` holds; 0: all of them. */
static inline size_t plens__first_key(size_t end, size_t window) {
    return window > 0 && end > window ? end - window : 0;
}

/* Floats of scratch for n_keys = first + n_rows of them: keys packed in panels, and a block's
 * scores. Enough for every instruction set. */
#define PLENS__ATTEND_KEYS(n_keys)             ((n_keys) + 64)
#define PLENS__ATTEND_FLOATS(n_keys, head_dim) (PLENS__ATTEND_KEYS(n_keys) * ((head_dim) + 16))

typedef struct plens__kernels {
    plens_isa isa;

    /* -- rows -- */

    /* y_i = (x_i * r) * weight_i with r = 1 / sqrt(s / n + eps), s the lane sum of x_i^2 by fma;
     * the division, addition, square root and reciprocal each rounded to float. y may be x.
     * [Zhang & Sennrich 2019; Transformers' LlamaRMSNorm] */
    void (*rms_norm)(const float *x, const float *weight, size_t n, float eps, float *y);

    /* Rotary embedding of one head in place, halves as in Transformers' rotate_half: for i < half,
     * (a, b) = (x_i, x_{i+half}) become (a c_i - b s_i, b c_i + a s_i), products rounded. */
    void (*rope)(float *x, const float *cosine, const float *sine, size_t half);

    /* One query over n >= 1 positions of one head: scores_j = (lane sum of q_i k_ji by fma) *
     * scale; m their maximum (NaN if any is); e_j = exp(scores_j - m); p_j = e_j / (lane sum of
     * e_j); out_i = fma over j ascending of p_j and v_ji, from +0. Row j of k is at k + j * ldk, of
     * v at v + j * ldv. scores [n] is scratch and holds p afterwards. */
    void (*attend)(const float *q, const float *k, size_t ldk, const float *v, size_t ldv, size_t n,
                   size_t head_dim, float scale, float *scores, float *out);

    /* The same for each of many queries over the keys that it attends to, all from `scratch`. */
    void (*attend_rows)(const plens__queries *queries, float *scratch);

    /* The three steps of attend one by one, with its bits, for hooks that reach between them. */
    void (*attend_scores)(const float *q, const float *k, size_t ldk, size_t n, size_t head_dim,
                          float scale, float *scores);
    void (*attend_softmax)(float *scores, size_t n); /* p_j in the place of scores_j */
    void (*attend_values)(const float *p, const float *v, size_t ldv, size_t n, size_t head_dim,
                          float *out);

    /* out_i = silu(gate_i) * up_i, silu(g) = g / (1 + exp(-g)). out may be gate or up. */
    void (*silu_mul)(const float *gate, const float *up, size_t n, float *out);

    /* Its two steps: x_i = silu(x_i); x_i = x_i * y_i. */
    void (*silu)(float *x, size_t n);
    void (*multiply)(float *x, const float *y, size_t n);

    void (*add)(float *x, const float *y, size_t n); /* x_i = x_i + y_i */

    /* -- vocabulary -- */

    void (*vocab_sums)(const float *x, size_t n, plens__vocab_sums *sums); /* n <= VOCAB_BLOCK */
    size_t (*count_greater)(const float *x, size_t n, float threshold);    /* x_i > threshold */
    /* The first i >= from with x_i > threshold, or n. */
    size_t (*find_greater)(const float *x, size_t from, size_t n, float threshold);

    /* y_i = exp(x_i): the float exponential of all of the above. */
    void (*exp)(const float *x, size_t n, float *y);

    /* The lane sum of a_i b_i, products and lanes in double. */
    double (*dot_double)(const float *a, const float *b, size_t n);
} plens__kernels;

extern const plens__kernels plens__kernels_scalar;
/* NULL where the build's compiler or machine has no such set. They must not be called, only asked,
 * on a processor that lacks it. */
const plens__kernels *plens__kernels_avx2(void);
const plens__kernels *plens__kernels_avx512(void);
const plens__kernels *plens__kernels_neon(void);

#endif
