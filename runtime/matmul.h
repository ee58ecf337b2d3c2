/* Rows times a weight matrix: blocking and threads over a product's kernels. */
#ifndef PLENS_RUNTIME_MATMUL_H
#define PLENS_RUNTIME_MATMUL_H

#include "runtime/operand.h"

/* A weight matrix [n_out, n_in], row-major, as it lies in the checkpoint (maybe unaligned). */
typedef struct plens__matrix {
    const void *data;
    plens_dtype dtype;
    size_t n_out, n_in;
} plens__matrix;

/* y[r, o] = the product over k of x[r, k] and w[o, k] (runtime/kernels/product.h), then + bias[o]
 * if bias is not NULL. y is [n_rows, n_out] with ldy floats between rows. Runs on all threads of
 * the engine; must not be called from a task. Any sizes: one row, n_in of 1, n_out that is no
 * multiple of anything. Allocates nothing. */
void plens__matmul(const plens__engine *engine, const plens__matrix *w, const float *bias,
                   const plens__operand *x, float *y, size_t ldy);

/* The scratch that plens__matmul needs for each thread, in bytes. */
size_t plens__matmul_scratch(const plens__product *product);

#endif
