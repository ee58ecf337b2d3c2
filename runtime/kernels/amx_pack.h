/* Packing for AMX by AVX-512 BF16, which processors with AMX have. Included by amx.c and, to test
 * it where there is no AMX, by tests/unit/amx_packing.c; both define INLINE, KERNEL and UNROLL, and
 * include avx512_registers.h and avx512_words.h before it. */

/* A transpose of pairs. dtype is a constant; so are n_rows and n where all are there. */
INLINE void transpose_tile(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows,
                           size_t n, char *to) {
    block_row r[BLOCK];
    UNROLL
    for (size_t i = 0; i < BLOCK; i++)
        r[i] = i < n_rows ? weight_words(dtype, w + i * row_bytes, n) : zero_row();
    transpose(r);
    UNROLL
    for (size_t i = 0; i < BLOCK; i++)
        _mm512_storeu_si512(to + i * 64, r[i]);
}

/* 16 outputs, of which n_rows are there, by 32 k, of which n are there. dtype is a constant. */
INLINE void pack_tile(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows, size_t n,
                      char *to) {
    if (n_rows >= BLOCK && n >= PLENS__BLOCK_K)
        transpose_tile(dtype, w, row_bytes, BLOCK, PLENS__BLOCK_K, to);
    else
        transpose_tile(dtype, w, row_bytes, n_rows, n, to);
}

/* The next 32 of a row, of which n are there. */
INLINE void load_floats(const float *p, size_t n, __m512 *low, __m512 *high) {
    *low = floats_at(p, n);
    *high = floats_at(p + 16, n > 16 ? n - 16 : 0);
}

/* A strip is 32 rows: of each 32 k two tiles. */
KERNEL void pack_x_bf16(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    char *to = strip;
    for (size_t i = 0; i < k; i += PLENS__BLOCK_K)
        for (size_t r = 0; r < 32; r++, to += 64) {
            __m512 low, high;
            load_floats(x + r * ldx + i, r < n_rows ? k - i : 0, &low, &high);
            _mm512_storeu_si512(to, round_words(low, high));
        }
}

/* Three times two tiles, lo first. */
KERNEL void pack_x_bf16x3(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    const size_t part_bytes = 32 * 64;
    char *to = strip;
    for (size_t i = 0; i < k; i += PLENS__BLOCK_K, to += 3 * part_bytes)
        for (size_t r = 0; r < 32; r++) {
            __m512 floats[2], low[3], high[3];
            load_floats(x + r * ldx + i, r < n_rows ? k - i : 0, &floats[0], &floats[1]);
            split(floats[0], low);
            split(floats[1], high);
            for (size_t part = 0; part < 3; part++)
                _mm512_storeu_si512(to + part * part_bytes + r * 64,
                                    upper_words(low[2 - part], high[2 - part]));
        }
}
