/* pack and gemm over the registers of one instruction set; see vector_body.h for the manner.
 *
 *     block_row, BLOCK               a register of BLOCK elements of 32 bits
 *     load_row, zero_row, put        unaligned load, zero, unaligned store
 *     transpose(r[BLOCK])            in place
 *     even_bf16 odd_bf16 even_f16 odd_f16    of each lane's two 16-bit elements, as float
 *     as_lanes                       a block_row of floats as lanes; BLOCK is VECTOR
 *     lanes, VECTOR                  a register of VECTOR floats
 *     load_lanes, load_lanes_part, store_lanes, store_lanes_part, all_lanes, fused_lanes
 *     VECTORS, STRIP                 gemm's tile: 2 or 3 registers of outputs, 6 or 8 rows
 *     DIRECT_STRIP                   rows whose sums are in registers beside a block: 4 or 8 */

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

/* What a lane of a transposed block holds, as float: one element, or the even or the odd one of two
 * halves. */
INLINE block_row column_of(plens_dtype dtype, block_row r, size_t odd) {
    if (dtype == PLENS_F32)
        return r;
    if (dtype == PLENS_BF16)
        return odd ? odd_bf16(r) : even_bf16(r);
    return odd ? odd_f16(r) : even_f16(r);
}

INLINE void pack_block(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows,
                       size_t n_columns, float *panel) {
    const size_t in_lane = dtype == PLENS_F32 ? 1 : 2;
    block_row r[BLOCK];
    load_block(w, row_bytes, n_rows, n_columns * (4 / in_lane), r);
    transpose(r);
    UNROLL
    for (size_t i = 0; i < BLOCK * in_lane; i++)
        if (i < n_columns)
            put(panel + i * PANEL, column_of(dtype, r[i / in_lane], i % in_lane));
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

/* ---- Few rows: a block of w is transposed in registers and meets all of them ----------------- */

/* sum[row] goes on over the n_columns of a transposed block. dtype and rows are constants. */
INLINE void add_columns(plens_dtype dtype, const size_t rows, const block_row r[BLOCK],
                        size_t n_columns, const float *x, size_t ldx, lanes sum[DIRECT_STRIP]) {
    const size_t in_lane = dtype == PLENS_F32 ? 1 : 2;
    UNROLL
    for (size_t i = 0; i < BLOCK * in_lane; i++) {
        lanes w = as_lanes(column_of(dtype, r[i / in_lane], i % in_lane));
        if (i >= n_columns)
            continue;
        UNROLL
        for (size_t row = 0; row < rows; row++)
            sum[row] = fused_lanes(all_lanes(x[row * ldx + i]), w, sum[row]);
    }
}

/* sum[row] goes on over n_columns <= 2 * BLOCK of k; rows is a constant, x has as many floats more
 * in each row. */
INLINE void add_halves(const size_t rows, block_row r[BLOCK], size_t n_columns, const float *x,
                       size_t ldx, lanes sum[DIRECT_STRIP]) {
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
INLINE void direct_in_registers(const size_t rows, size_t k, const float *x, size_t ldx,
                                const char *w, size_t row_bytes, size_t n, float *c, size_t ldc) {
    lanes sum[DIRECT_STRIP];
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
            add_halves(rows, block, 2 * BLOCK, x + i, ldx, sum);
        else
            add_halves(rows, block, columns, x + i, ldx, sum);
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        if (n >= BLOCK)
            store_lanes(c + r * ldc, sum[r]);
        else
            store_lanes_part(c + r * ldc, n, sum[r]);
    }
}

/* sums [rows, VECTOR] in memory. dtype and rows are constants. */
INLINE void add_rows(plens_dtype dtype, const size_t rows, const block_row r[BLOCK],
                     size_t n_columns, const float *x, size_t ldx, float *sums) {
    lanes sum[DIRECT_STRIP];
    UNROLL
    for (size_t row = 0; row < rows; row++)
        sum[row] = load_lanes(sums + row * VECTOR);
    add_columns(dtype, rows, r, n_columns, x, ldx, sum);
    UNROLL
    for (size_t row = 0; row < rows; row++)
        store_lanes(sums + row * VECTOR, sum[row]);
}

/* All rows, strip after strip. dtype is a constant. */
INLINE void add_all_rows(plens_dtype dtype, size_t n_rows, const block_row r[BLOCK],
                         size_t n_columns, const float *x, size_t ldx, float *sums) {
#define ADD_ROWS(rows)                                                                             \
    do {                                                                                           \
        add_rows(dtype, rows, r, n_columns, x, ldx, sums);                                         \
        x += (rows)*ldx, sums += (rows)*VECTOR;                                                    \
    } while (0)
    for (; n_rows >= DIRECT_STRIP; n_rows -= DIRECT_STRIP)
        ADD_ROWS(DIRECT_STRIP);
#if DIRECT_STRIP == 8
    if (n_rows & 4)
        ADD_ROWS(4);
#endif
    if (n_rows & 2)
        ADD_ROWS(2);
    if (n_rows & 1)
        ADD_ROWS(1);
#undef ADD_ROWS
}

/* c [n_rows, n <= BLOCK], over all of k. dtype is a constant. */
INLINE void direct_in_memory(plens_dtype dtype, size_t n_rows, size_t k, const float *x, size_t ldx,
                             const char *w, size_t row_bytes, size_t n, float *c, size_t ldc) {
    const size_t size = dtype == PLENS_F32 ? 4 : 2, columns = sizeof(block_row) / size;
    plens__ahead below = plens__ahead_begin((uintptr_t)w + BLOCK * row_bytes, row_bytes, k * size);
    float sums[PLENS__FEW_ROWS * VECTOR];
    memset(sums, 0, n_rows * VECTOR * sizeof *sums);
    for (size_t i = 0; i < k; i += columns) {
        block_row block[BLOCK];
        size_t left = k - i < columns ? k - i : columns;
        plens__ahead_ask(&below, BLOCK * sizeof(block_row) / PLENS__LINE);
        if (n >= BLOCK && left == columns)
            load_block(w + i * size, row_bytes, BLOCK, sizeof(block_row), block);
        else
            load_block(w + i * size, row_bytes, n, left * size, block);
        transpose(block);
        if (left == columns)
            add_all_rows(dtype, n_rows, block, columns, x + i, ldx, sums);
        else
            add_all_rows(dtype, n_rows, block, left, x + i, ldx, sums);
    }
    for (size_t r = 0; r < n_rows; r++)
        memcpy(c + r * ldc, sums + r * VECTOR, (n < BLOCK ? n : BLOCK) * sizeof *c);
}

/* dtype is a constant. */
INLINE void direct_as(plens_dtype dtype, size_t n_rows, size_t k, const float *x, size_t ldx,
                      const char *w, size_t row_bytes, size_t n_out, float *c, size_t ldc) {
    for (size_t o = 0; o < n_out; o += BLOCK, w += BLOCK * row_bytes)
        if (n_rows > PLENS__DIRECT_ROWS || dtype != PLENS_BF16)
            direct_in_memory(dtype, n_rows, k, x, ldx, w, row_bytes, n_out - o, c + o, ldc);
        else
            FOR_DIRECT_ROWS(n_rows, direct_in_registers, k, x, ldx, w, row_bytes, n_out - o, c + o,
                            ldc);
}

KERNEL void gemm_directly(plens_dtype dtype, size_t n_rows, size_t k, const void *x, size_t x_step,
                          const void *w, size_t row_bytes, size_t n_out, float *c, size_t ldc,
                          void *scratch) {
    (void)scratch;
    FOR_DTYPE(dtype, direct_as, n_rows, k, x, x_step / sizeof(float), w, row_bytes, n_out, c, ldc);
}
