/* The contract of the products: rows of activations times a weight matrix in one precision, by one
 * instruction set. scalar.c is the definition; every other product of a precision gives its bits
 * for every input (NaN is one class). Leaf functions, as in kernels.h.
 *
 * c[r, o] is the product over k < K of x[r, k] and w[o, k]. It starts from +0; or, with `resume`,
 * from what c holds: a row's k may be cut at multiples of 32 into several calls.
 *
 * f32. w widened exactly; one accumulator, k ascending: c = fma(x[k], w[k], c).
 *
 * bf16. x and w are rounded to bf16: denormals read as signed zero, then to nearest even; a NaN
 * stays a NaN. K is padded to a multiple of 32 with +0 in x and in w. For each block of 32 k,
 * ascending: e = the chain from +0 over the sixteen even k, ascending, o the same over the odd k;
 * then c = c + (e + o). It is the order of Intel's TDPBF16PS [SDM, volume 2]. A step of a chain is
 * a fused multiply-add, and it and both additions flush: denormal inputs are read as signed zero;
 * the exact result is rounded to 24 bits as if exponents had no end, to nearest even, and then
 * becomes a zero of its sign if it is below 2^-126. That is x86's float arithmetic under FTZ and
 * DAZ.
 *
 * bf16x3. x = hi + mid + lo, with cut(v) = v without its low 16 bits (a NaN stays a NaN): hi =
 * cut(x), mid = cut(x - hi), lo = cut(x - hi - mid), in float arithmetic that keeps denormals; mid
 * = lo = +0 where x is infinite or NaN. For each block of 32 k what bf16 does with lo, then with
 * mid, then with hi; then the next block. w is bf16; other types are not packed.
 *
 * Layout. Rows of x are packed in strips, rows of w in panels. Both are [K / 32] blocks, one after
 * the other, each of 32 k of all the strip's rows or the panel's outputs, in an order that is the
 * product's own. Rows and outputs that are not there are packed as +0. */
#ifndef PLENS_RUNTIME_PRODUCT_H
#define PLENS_RUNTIME_PRODUCT_H

#include <stdint.h>

#include "plens.h"

#define PLENS__BLOCK_K 32

/* So few rows that packing panels of w takes as long as multiplying: see the last two functions.
 * And so few that sums of all of them stay in registers, and panels of x would be mostly empty. */
#define PLENS__FEW_ROWS    64
#define PLENS__DIRECT_ROWS 4

/* At most: */
#define PLENS__PANEL_MAX                     64        /* outputs in a panel */
#define PLENS__PANEL_BLOCK_MAX               (8 << 10) /* bytes of a panel's block */
#define PLENS__ROWS_BLOCK_MAX                (12 << 10) /* bytes of a block of the strips that hold 9 rows */
#define PLENS__SCRATCH_MAX(n_rows, k, n_out)            /* direct_scratch */                       \
    (((n_out) + 31) / 32 * ((((k) + 31) / 32 << 11) + (((n_rows) + 31) / 32 << 12)))

/* x is [n_rows <= strip, k] with ldx floats between rows. */
typedef void plens__pack_rows(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip);

/* See multiply_directly. */
typedef void plens__direct(plens_dtype dtype, size_t n_rows, size_t k, const void *x, size_t x_step,
                           const void *w, size_t row_bytes, size_t n_out, float *c, size_t ldc,
                           void *scratch);

typedef struct plens__product {
    plens_isa isa;
    plens_precision precision;
    int flushes; /* 1: multiply wants denormals flushed (runtime/fpstate.h); packing never does */

    /* What the layers above may cut: multiples of these but at the ends. */
    size_t strip; /* rows in a strip */
    size_t panel; /* outputs in a panel */

    size_t strip_block; /* bytes of a strip's 32 k; 0: x is not packed but read as it is */
    size_t panel_block; /* bytes of a panel's 32 k */

    /* What uses the caches best: a part of k, and the rows and panels of one thread's item of work.
     * For each part of k, for each panel of the item: pack_w, then multiply all the item's rows. */
    size_t k_part, item_rows, item_panels;

    /* w is the first element of [n_out <= panel, k] with row_bytes between rows, unaligned. */
    void (*pack_w)(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_out, size_t k,
                   void *panel);

    plens__pack_rows *pack_x; /* NULL where strip_block is 0 */

    /* c [n_rows, n_out <= panel] with ldc floats between rows; floats beyond n_out are not touched.
     * x_step is the number of bytes from one strip to the next, or between rows where x is not
     * packed. */
    void (*multiply)(size_t n_rows, size_t k, const void *x, size_t x_step, const void *panel,
                     size_t n_out, int resume, float *c, size_t ldc);

    /* At most FEW_ROWS rows: x and w change places. Panels are packed of x, by pack_w as F32;
     * strips of w by this, [n_rows <= strip, k] with row_bytes between rows; and multiply makes c
     * transposed. Where strip_block is 0 a strip is [n_rows, k] floats. The bits are the same, as
     * a product's are whichever factor comes first. NULL: not with this product. */
    void (*pack_w_strip)(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_rows,
                         size_t k, void *strip);

    /* At most direct_rows rows, all of k: c [n_rows, n_out] with ldc floats between rows, straight
     * from w [n_out, k] with row_bytes between rows, unaligned; it is transposed on the way. x is
     * in strips of all of k, x_step bytes apart; or, where strip_block is 0, in rows x_step bytes
     * apart. scratch is of direct_scratch(...) bytes; NULL where that function is. NULL: not with
     * this product. */
    plens__direct *multiply_directly;
    size_t (*direct_scratch)(size_t n_rows, size_t k, size_t n_out);

    /* At most FEW_ROWS; 0: none. SIZE_MAX: any number, in items of item_rows and item_panels, and
     * this is the only way: k_part and panel_block are 0, pack_w and multiply NULL. */
    size_t direct_rows;

    /* The same for at most turned_rows rows, but x and w are in each other's place inside: strips
     * are as large, and packed by pack_x_turned. NULL, and 0 rows: not with this product. */
    plens__pack_rows *pack_x_turned;
    plens__direct *multiply_turned;
    size_t turned_rows;
} plens__product;

/* The product of a precision, or NULL where the set, or the build, has none. It must not be called,
 * only asked, on a processor that lacks the set, nor AMX without runtime/amx_permission.h. */
const plens__product *plens__product_scalar(plens_precision precision);
const plens__product *plens__product_avx2(plens_precision precision);
const plens__product *plens__product_avx512(plens_precision precision);
const plens__product *plens__product_avx512bf16(plens_precision precision);
const plens__product *plens__product_amx(plens_precision precision);
const plens__product *plens__product_neon(plens_precision precision);

#endif
