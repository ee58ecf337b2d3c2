/* Rows times a weight matrix: packing, blocking and threads over a product's kernels. */
#ifndef PLENS_RUNTIME_MATMUL_H
#define PLENS_RUNTIME_MATMUL_H

#include "runtime/engine.h"

/* A weight matrix [n_out, n_in], row-major, as it lies in the checkpoint (maybe unaligned). */
typedef struct plens__matrix {
    const void *data;
    plens_dtype dtype;
    size_t n_out, n_in;
} plens__matrix;

/* How rows are packed: see product.h, pack_w_strip and multiply_directly, for the two of few. */
typedef enum plens__packing {
    PLENS__STRIPS,       /* [parts of k, strips] */
    PLENS__PANELS,       /* few rows: [parts of k, panels] */
    PLENS__STRIPS_WHOLE, /* very few: [strips], all of k in each */
} plens__packing;

/* Rows of activations as a product wants them: packed once for all the matrices that they meet. */
typedef struct plens__operand {
    const plens__product *product;
    const void
        *data;  /* packed; but strips of products without strip_block are the rows as they are */
    size_t ldx; /* floats between rows where they are not packed */
    size_t n_rows, n_in;
    plens__packing packing;
} plens__operand;

/* The bytes that packing up to n_rows rows of up to n_in takes. */
size_t plens__operand_bytes(const plens__product *product, size_t n_rows, size_t n_in);

/* Packs x [n_rows, n_in], ldx floats between rows, into `buffer` of plens__operand_bytes. Where
 * nothing is packed x must live as long as the operand. Runs on all threads, as plens__matmul. */
plens__operand plens__operand_make(const plens__engine *engine, const plens__product *product,
                                   const float *x, size_t ldx, size_t n_rows, size_t n_in,
                                   void *buffer);

/* y[r, o] = the product over k of x[r, k] and w[o, k] (runtime/kernels/product.h), then + bias[o]
 * if bias is not NULL. y is [n_rows, n_out] with ldy floats between rows. Runs on all threads of
 * the engine; must not be called from a task. Any sizes: one row, n_in of 1, n_out that is no
 * multiple of anything. Allocates nothing. */
void plens__matmul(const plens__engine *engine, const plens__matrix *w, const float *bias,
                   const plens__operand *x, float *y, size_t ldy);

/* The scratch that plens__matmul needs for each thread, in bytes. */
size_t plens__matmul_scratch(const plens__product *product);

#endif
