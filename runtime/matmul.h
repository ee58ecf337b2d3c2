/* Rows times a weight matrix: packing, blocking and threads over the kernels' gemm. */
#ifndef PLENS_RUNTIME_MATMUL_H
#define PLENS_RUNTIME_MATMUL_H

#include "runtime/engine.h"

/* A weight matrix [n_out, n_in], row-major, as it lies in the checkpoint (maybe unaligned). */
typedef struct plens__matrix {
    const void *data;
    plens_dtype dtype;
    size_t n_out, n_in;
} plens__matrix;

/* y[r, o] = sum over k ascending of x[r, k] w[o, k] (one float accumulator, fma, from +0), then
 * + bias[o] if bias is not NULL. x is [n_rows, n_in] with ldx floats between rows, y
 * [n_rows, n_out] with ldy. Runs on all threads of the engine; must not be called from a task.
 * Any sizes: one row, n_in of 1, n_out that is no multiple of anything. Allocates nothing. */
void plens__matmul(const plens__engine *engine, const plens__matrix *w, const float *bias,
                   const float *x, size_t ldx, size_t n_rows, float *y, size_t ldy);

/* The scratch that plens__matmul needs for each thread, in bytes. */
size_t plens__matmul_scratch(const plens__kernels *kernels);

#endif
