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

/* 32 k of one output, of which n are there. dtype is a constant. */
INLINE void pack_words(plens_dtype dtype, const char *w, size_t n, char *to) {
    _mm512_storeu_si512(to, weight_words(dtype, w, n));
}

/* 16 rows of 16 pairs of k. */
INLINE void turn_tile(const char *from, char *to) {
    transpose_tile(PLENS_BF16, from, 64, BLOCK, PLENS__BLOCK_K, to);
}

INLINE void put_sums(const float *from, size_t n, float *to) {
    store_lanes_part(to, n, load_lanes_part(from, n));
}

/* Of 16 outputs by 16 rows so many. */
INLINE void put_turned(const char *from, size_t n_rows, size_t n_out, float *to, size_t ldc) {
    block_row r[BLOCK];
    __mmask16 there = n_out < BLOCK ? first(n_out) : 0xFFFF;
    UNROLL
    for (size_t i = 0; i < BLOCK; i++)
        r[i] = load_row(from + i * 64);
    transpose(r);
    UNROLL
    for (size_t i = 0; i < BLOCK; i++)
        if (i < n_rows)
            _mm512_mask_storeu_epi32(to + i * ldc, there, r[i]);
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

/* The same turned, for products with few rows. */
INLINE void turn_x(plens__pack_rows *pack_x, size_t n_parts, const float *x, size_t ldx,
                   size_t n_rows, size_t k, char *strip) {
    char rows[3 * 2 * 1024];
    for (size_t i = 0; i < k; i += PLENS__BLOCK_K) {
        pack_x(x + i, ldx, n_rows, k - i < PLENS__BLOCK_K ? k - i : PLENS__BLOCK_K, rows);
        for (size_t tile = 0; tile < 2 * n_parts; tile++, strip += 1024)
            turn_tile(rows + tile * 1024, strip);
    }
}

KERNEL void turn_x_bf16(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    turn_x(pack_x_bf16, 1, x, ldx, n_rows, k, strip);
}

KERNEL void turn_x_bf16x3(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    turn_x(pack_x_bf16x3, 3, x, ldx, n_rows, k, strip);
}
