/* multiply of bf16 and bf16x3 over the registers of one instruction set, under FTZ and DAZ; see
 * product.h for the order of operations.
 *
 *     unit                    32 bits of x and w: a float, or a pair of bf16 of the same chain
 *     UNITS, PERIOD           units in a block of 32 k; of PERIOD units in sequence the first half
 *                             belongs to the chain of even k, the second to that of odd k
 *     unit_lanes, load_units, all_units    a register of VECTOR units; load; *p in every lane
 *     step_lanes(x, w, sum)   one or two steps of each lane's chain
 *     plus_lanes(a, b)
 *     BF16_STRIP              rows in a strip: BF16_STRIP x VECTORS pairs of chains are in
 * registers lanes and the rest as in vector_gemm.h
 *
 * A strip is [K / 32, parts, BF16_STRIP, UNITS] units, a panel [K / 32, UNITS, PANEL]. */

/* c [rows, vectors * VECTOR] += one block; rows and vectors are constants, the last vector has
 * `last` outputs. c stays in memory, as the chains need the registers; it is in the first-level
 * cache, and the additions have units of their own. */
INLINE void bf16_block(const size_t rows, const size_t vectors, size_t last, const unit *x,
                       const unit *panel, float *c, size_t ldc) {
    lanes chain[2][BF16_STRIP][VECTORS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            chain[0][r][v] = chain[1][r][v] = all_lanes(0);
    }
    for (size_t u = 0; u < UNITS; u += PERIOD) {
        UNROLL
        for (size_t i = 0; i < PERIOD; i++) {
            unit_lanes w[VECTORS];
            UNROLL
            for (size_t v = 0; v < vectors; v++)
                w[v] = load_units(panel + (u + i) * PANEL + v * VECTOR);
            UNROLL
            for (size_t r = 0; r < rows; r++) {
                unit_lanes value = all_units(x + r * UNITS + u + i);
                lanes *sum = chain[i / (PERIOD / 2)][r];
                UNROLL
                for (size_t v = 0; v < vectors; v++)
                    sum[v] = step_lanes(value, w[v], sum[v]);
            }
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            float *to = c + r * ldc + v * VECTOR;
            lanes sum = plus_lanes(chain[0][r][v], chain[1][r][v]);
            if (v + 1 < vectors || last == VECTOR)
                store_lanes(to, plus_lanes(load_lanes(to), sum));
            else
                store_lanes_part(to, last, plus_lanes(load_lanes_part(to, last), sum));
        }
    }
}

INLINE void bf16_tile(const size_t rows, const size_t vectors, size_t last, size_t n_blocks,
                      size_t n_parts, const unit *x, const unit *panel, int resume, float *c,
                      size_t ldc) {
    for (size_t r = 0; r < rows && !resume; r++)
        memset(c + r * ldc, 0, ((vectors - 1) * VECTOR + last) * sizeof *c);
    for (size_t block = 0; block < n_blocks; block++, panel += UNITS * PANEL)
        for (size_t part = 0; part < n_parts; part++, x += BF16_STRIP * UNITS)
            bf16_block(rows, vectors, last, x, panel, c, ldc);
}

#define BF16_TILE(n)                                                                               \
    case n:                                                                                        \
        bf16_tile(n, vectors, last, n_blocks, n_parts, (const unit *)(const void *)x, panel,       \
                  resume, c, ldc);                                                                 \
        break

/* All strips of rows; vectors is a constant. */
INLINE void bf16_strips(const size_t vectors, size_t last, size_t n_parts, size_t n_rows,
                        size_t n_blocks, const char *x, size_t x_step, const unit *panel,
                        int resume, float *c, size_t ldc) {
    for (;; n_rows -= BF16_STRIP, x += x_step, c += BF16_STRIP * ldc) {
        switch (n_rows) {
        case 0:
            return;
            BF16_TILE(1);
            BF16_TILE(2);
#if BF16_STRIP > 3
            BF16_TILE(3);
#endif
        default:
            bf16_tile(BF16_STRIP, vectors, last, n_blocks, n_parts, (const unit *)(const void *)x,
                      panel, resume, c, ldc);
        }
        if (n_rows <= BF16_STRIP)
            return;
    }
}

INLINE void bf16_multiply(size_t n_parts, size_t n_rows, size_t k, const void *x, size_t x_step,
                          const void *panel, size_t n_out, int resume, float *c, size_t ldc) {
    size_t vectors = (n_out + VECTOR - 1) / VECTOR, last = n_out - (vectors - 1) * VECTOR;
    size_t n_blocks = (k + PLENS__BLOCK_K - 1) / PLENS__BLOCK_K;
    if (vectors == 1)
        bf16_strips(1, last, n_parts, n_rows, n_blocks, x, x_step, panel, resume, c, ldc);
    else if (vectors == 2)
        bf16_strips(2, last, n_parts, n_rows, n_blocks, x, x_step, panel, resume, c, ldc);
#if VECTORS == 3
    else if (vectors == 3)
        bf16_strips(3, last, n_parts, n_rows, n_blocks, x, x_step, panel, resume, c, ldc);
#endif
}

KERNEL void multiply_bf16(size_t n_rows, size_t k, const void *x, size_t x_step, const void *panel,
                          size_t n_out, int resume, float *c, size_t ldc) {
    bf16_multiply(1, n_rows, k, x, x_step, panel, n_out, resume, c, ldc);
}

KERNEL void multiply_bf16x3(size_t n_rows, size_t k, const void *x, size_t x_step,
                            const void *panel, size_t n_out, int resume, float *c, size_t ldc) {
    bf16_multiply(3, n_rows, k, x, x_step, panel, n_out, resume, c, ldc);
}
