/* One small product from end to end, as plens__matmul would call it, for the start-up check and the
 * self-test. */
#ifndef PLENS_RUNTIME_TRIAL_H
#define PLENS_RUNTIME_TRIAL_H

#include "runtime/kernels/product.h"

/* How plens__matmul calls a product. */
typedef enum plens__way {
    PLENS__WAY_PANELS = 0, /* panels of w, strips of x */
    PLENS__WAY_TURNED = 1, /* few rows: panels of x, strips of w; or multiply_turned */
    PLENS__WAY_DIRECT = 2, /* multiply_directly: all of k, from +0 */
    PLENS__N_WAYS = 3
} plens__way;

typedef struct plens__trial {
    plens__way way;
    plens_dtype dtype;
    const void *w; /* [n_out, k], row_bytes between rows, unaligned */
    size_t row_bytes, n_out;
    const float *x; /* [n_rows, k], ldx floats between rows */
    size_t ldx, n_rows;
    size_t k, k_part; /* k is cut into parts, multiples of 32 but for the last */
    int resume;
} plens__trial;

/* 1 if the product can be called so on this trial. */
int plens__trial_has_way(const plens__product *product, const plens__trial *trial);

/* 1 if this way can go on from what c holds. */
int plens__trial_resumes(const plens__product *product, plens__way way);

/* c [n_rows, n_out], ldc floats between rows. strips has room for all rows' strips, and panel for a
 * panel, each of a part of k, or for what direct_scratch says. */
void plens__trial_solve(const plens__product *product, const plens__trial *trial, void *strips,
                        void *panel, float *c, size_t ldc);

/* Index of the first element with other bits, or n; any NaN equals any other. */
size_t plens__trial_difference(const float *a, const float *b, size_t n);

#endif
