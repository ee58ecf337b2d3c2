/* Rows of activations as a product wants them. */
#ifndef PLENS_RUNTIME_OPERAND_H
#define PLENS_RUNTIME_OPERAND_H

#include "runtime/engine.h"

static inline size_t plens__ceil_divide(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

/* Blocks of 32 k. */
static inline size_t plens__blocks(size_t k) {
    return plens__ceil_divide(k, PLENS__BLOCK_K);
}

/* How rows are packed: see product.h, pack_w_strip, multiply_directly and multiply_turned. */
typedef enum plens__packing {
    PLENS__STRIPS,       /* [parts of k, strips] */
    PLENS__PANELS,       /* few rows: [parts of k, panels] */
    PLENS__STRIPS_WHOLE, /* [strips], all of k in each */
    PLENS__STRIPS_TURNED /* the same, for multiply_turned */
} plens__packing;

static inline int plens__is_whole(plens__packing packing) {
    return packing == PLENS__STRIPS_WHOLE || packing == PLENS__STRIPS_TURNED;
}

/* Packed once for all the matrices that they meet. */
typedef struct plens__operand {
    const plens__product *product;
    const void
        *data;  /* packed; but strips of products without strip_block are the rows as they are */
    size_t ldx; /* floats between rows where they are not packed */
    size_t n_rows, n_in;
    plens__packing packing;
} plens__operand;

/* Rows x [n_rows, n_in], ldx floats between them. If `make` is not NULL they are made as they are
 * packed, and so still in the caches: by make(arg, r, n, k, n_k) columns [k, k + n_k) of rows
 * [r, r + n), whole rows unless by_columns. It runs on all threads. */
typedef struct plens__rows {
    const float *x;
    size_t ldx, n_rows, n_in;
    void (*make)(void *arg, size_t r, size_t n, size_t k, size_t n_k);
    void *arg;
    int by_columns;
} plens__rows;

/* The bytes that packing up to n_rows rows of up to n_in takes. */
size_t plens__operand_bytes(const plens__product *product, size_t n_rows, size_t n_in);

/* Packs rows into `buffer` of plens__operand_bytes, at a cache line. Where nothing is packed x must
 * live as long as the operand. Runs on all threads, as plens__matmul. */
plens__operand plens__operand_make(const plens__engine *engine, const plens__product *product,
                                   const plens__rows *rows, void *buffer);

/* Where in data k0.. of row r's strip or panel begins, in bytes; k0 is where a part of k begins.
 * And the bytes from one of them to the next, in a part of n_k. */
size_t plens__operand_at(const plens__operand *x, size_t r, size_t k0);
size_t plens__operand_step(const plens__operand *x, size_t n_k);

#endif
