/* pack and gemm over the registers of one instruction set; see vector_body.h for the manner.
 *
 *     block_row, BLOCK               a register of BLOCK elements of 32 bits
 *     load_row, zero_row, put        unaligned load, zero, unaligned store
 *     transpose(r[BLOCK])            in place
 *     even_bf16 odd_bf16 even_f16 odd_f16    of each lane's two 16-bit elements, as float
 *     as_lanes                       a block_row of floats as lanes; BLOCK is VECTOR
 *     lanes, VECTOR                  a register of VECTOR floats
 *     load_lanes, load_lanes_part, store_lanes, store_lanes_part, all_lanes, fused_lanes
 *     VECTORS, STRIP                 gemm's tile: 2 or 3 registers of outputs, 6 or 8 rows */

#include <string.h>

#include "runtime/kernels/ahead.h"
#include "runtime/kernels/constants.h"

enum { PANEL = VECTORS * VECTOR };

/* ---- Packing ------------------------------------------------------------------------------- */

/* A block is BLOCK rows of W by BLOCK lanes of 32 bits: as many floats, or twice as many halves,
 * which are transposed in pairs and widened afterwards. Loads n_bytes of each row there is. */
INLINE void load_block(const char *w, size_t row_bytes, size_t n_rows, size_t n_bytes,
                       block_row r[BLOCK]) {
    UNROLL
    for (size_t i = 0; i < BLOCK; i++) {
        const char *row = w + i * row_bytes;
        if (i >= n_rows) {
            r[i] = zero_row();
        } else if (n_bytes == sizeof(block_row)) {
            r[i] = load_row(row);
        } else {
            char padded[sizeof(block_row)] = {0};
            memcpy(padded, row, n_bytes);
            r[i] = load_row(padded);
        }
    }
}

/* Writes columns `column` (and `column` + 1 of halves) of the block, if they exist. */
INLINE void put_columns(plens_dtype dtype, block_row r, size_t column, size_t n_columns,
                        float *panel) {
    if (dtype == PLENS_F32) {
        if (column < n_columns)
            put(panel + column * PANEL, r);
        return;
    }
    if (2 * column < n_columns)
        put(panel + 2 * column * PANEL, dtype == PLENS_BF16 ? even_bf16(r) : even_f16(r));
    if (2 * column + 1 < n_columns)
        put(panel + (2 * column + 1) * PANEL, dtype == PLENS_BF16 ? odd_bf16(r) : odd_f16(r));
}

INLINE void pack_block(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows,
                       size_t n_columns, float *panel) {
    block_row r[BLOCK];
    load_block(w, row_bytes, n_rows, n_columns * (dtype == PLENS_F32 ? 4 : 2), r);
    transpose(r);
    UNROLL
    for (size_t i = 0; i < BLOCK; i++)
        put_columns(dtype, r[i], i, n_columns, panel);
}

/* dtype is a constant here: one copy of all this for each. */
INLINE void pack_as(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_out, size_t k,
                    float *panel) {
    const size_t size = dtype == PLENS_F32 ? 4 : 2, columns = sizeof(block_row) / size;
    for (size_t o = 0; o < PANEL; o += BLOCK) {
        const char *from = w + o * row_bytes;
        size_t n_rows = o < n_out ? n_out - o : 0;
        plens__ahead below =
            plens__ahead_begin((uintptr_t)from + BLOCK * row_bytes, row_bytes, k * size);
        size_t i = 0;
        for (; n_rows >= BLOCK && i + columns <= k; i += columns) {
            plens__ahead_ask(&below, BLOCK * sizeof(block_row) / PLENS__LINE);
            pack_block(dtype, from + i * size, row_bytes, BLOCK, columns, panel + i * PANEL + o);
        }
        for (; i < k; i += columns)
            pack_block(dtype, from + i * size, row_bytes, n_rows, k - i < columns ? k - i : columns,
                       panel + i * PANEL + o);
    }
}

KERNEL void pack(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_out, size_t k,
                 void *panel) {
    FOR_DTYPE(dtype, pack_as, w, row_bytes, n_out, k, panel);
}

/* ---- The product --------------------------------------------------------------------------- */

/* One tile of c, [rows, vectors * VECTOR], both constants; the last vector has `last` outputs.
 * Lanes run across outputs, so each accumulator's lane is one chain over k. */
INLINE void tile(const size_t rows, const size_t vectors, size_t last, size_t k, const float *x,
                 size_t ldx, const float *panel, int resume, float *c, size_t ldc) {
    lanes sum[STRIP][VECTORS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const float *from = c + r * ldc + v * VECTOR;
            if (!resume)
                sum[r][v] = all_lanes(0);
            else if (v + 1 < vectors || last == VECTOR)
                sum[r][v] = load_lanes(from);
            else
                sum[r][v] = load_lanes_part(from, last);
        }
    }
    for (size_t i = 0; i < k; i++) {
        lanes w[VECTORS];
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            w[v] = load_lanes(panel + i * PANEL + v * VECTOR);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            lanes value = all_lanes(x[r * ldx + i]);
            UNROLL
            for (size_t v = 0; v < vectors; v++)
                sum[r][v] = fused_lanes(value, w[v], sum[r][v]);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            float *to = c + r * ldc + v * VECTOR;
            if (v + 1 < vectors || last == VECTOR)
                store_lanes(to, sum[r][v]);
            else
                store_lanes_part(to, last, sum[r][v]);
        }
    }
}

#define TILE(n)                                                                                    \
    case n:                                                                                        \
        tile(n, vectors, last, k, x, ldx, panel, resume, c, ldc);                                  \
        break

/* All strips of rows; vectors is a constant. */
INLINE void strips(const size_t vectors, size_t last, size_t rows, size_t k, const float *x,
                   size_t ldx, const float *panel, int resume, float *c, size_t ldc) {
    for (; rows >= STRIP; rows -= STRIP, x += STRIP * ldx, c += STRIP * ldc)
        tile(STRIP, vectors, last, k, x, ldx, panel, resume, c, ldc);
    switch (rows) {
        TILE(1);
        TILE(2);
        TILE(3);
        TILE(4);
        TILE(5);
#if STRIP == 8
        TILE(6);
        TILE(7);
#endif
    default:
        break;
    }
}

KERNEL void gemm(size_t rows, size_t k, const void *x, size_t x_step, const void *panel,
                 size_t n_out, int resume, float *c, size_t ldc) {
    size_t ldx = x_step / sizeof(float), vectors = (n_out + VECTOR - 1) / VECTOR;
    size_t last = n_out - (vectors - 1) * VECTOR;
    if (vectors == 1)
        strips(1, last, rows, k, x, ldx, panel, resume, c, ldc);
    else if (vectors == 2)
        strips(2, last, rows, k, x, ldx, panel, resume, c, ldc);
#if VECTORS == 3
    else if (vectors == 3)
        strips(3, last, rows, k, x, ldx, panel, resume, c, ldc);
#endif
}

/* ---- Few rows: w in BF16 is transposed in registers and multiplied at once --------------------
 */

/* sum[row] goes on over n_columns <= 2 * BLOCK of k; rows is a constant, x has as many floats more
 * in each row. */
INLINE void add_columns(const size_t rows, block_row r[BLOCK], size_t n_columns, const float *x,
                        size_t ldx, lanes sum[PLENS__DIRECT_ROWS]) {
    UNROLL
    for (size_t i = 0; i < BLOCK; i++) {
        lanes even = as_lanes(even_bf16(r[i])), odd = as_lanes(odd_bf16(r[i]));
        if (2 * i >= n_columns)
            continue;
        UNROLL
        for (size_t row = 0; row < rows; row++)
            sum[row] = fused_lanes(all_lanes(x[row * ldx + 2 * i]), even, sum[row]);
        if (2 * i + 1 >= n_columns)
            continue;
        UNROLL
        for (size_t row = 0; row < rows; row++)
            sum[row] = fused_lanes(all_lanes(x[row * ldx + 2 * i + 1]), odd, sum[row]);
    }
}

/* c [rows, n <= BLOCK]: BLOCK outputs over all of k. rows is a constant. */
INLINE void direct_block(const size_t rows, size_t k, const float *x, size_t ldx, const char *w,
                         size_t row_bytes, size_t n, float *c, size_t ldc) {
    lanes sum[PLENS__DIRECT_ROWS];
    plens__ahead below = plens__ahead_begin((uintptr_t)w + BLOCK * row_bytes, row_bytes, k * 2);
    UNROLL
    for (size_t r = 0; r < rows; r++)
        sum[r] = all_lanes(0);
    for (size_t i = 0; i < k; i += 2 * BLOCK) {
        block_row block[BLOCK];
        size_t left = k - i, columns = left < 2 * BLOCK ? left : 2 * BLOCK;
        plens__ahead_ask(&below, BLOCK * sizeof(block_row) / PLENS__LINE);
        if (n >= BLOCK && columns == 2 * BLOCK)
            load_block(w + i * 2, row_bytes, BLOCK, sizeof(block_row), block);
        else
            load_block(w + i * 2, row_bytes, n, columns * 2, block);
        transpose(block);
        if (columns == 2 * BLOCK)
            add_columns(rows, block, 2 * BLOCK, x + i, ldx, sum);
        else
            add_columns(rows, block, columns, x + i, ldx, sum);
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        if (n >= BLOCK)
            store_lanes(c + r * ldc, sum[r]);
        else
            store_lanes_part(c + r * ldc, n, sum[r]);
    }
}

KERNEL void gemm_directly(size_t n_rows, size_t k, const void *x, size_t x_step, const void *w,
                          size_t row_bytes, size_t n_out, float *c, size_t ldc) {
    for (size_t o = 0; o < n_out; o += BLOCK)
        FOR_DIRECT_ROWS(n_rows, direct_block, k, x, x_step / sizeof(float),
                        (const char *)w + o * row_bytes, row_bytes, n_out - o, c + o, ldc);
}
