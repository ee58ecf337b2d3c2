/* Packing for products of bf16 and bf16x3 whose units are floats: values that bf16 has, widened,
 * for fused multiply-add under FTZ and DAZ. Over the registers of vector_body.h, and:
 *
 *     rounded(v)               to bf16, as product.h says, but for the denormals that DAZ reads as
 * 0 cut(v)                   as product.h says where_finite(a, b)       a is finite ? b : 0
 *     widen_bf16, widen_f16    16 halves at an address of any alignment
 *
 * and pack, PANEL of vector_gemm.h and BF16_STRIP of vector_bf16.h. */

KERNEL void pack_w_bf16(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_out, size_t k,
                        void *to) {
    float *panel = to;
    size_t there = k * PANEL;
    size_t all_of_it = (k + PLENS__BLOCK_K - 1) / PLENS__BLOCK_K * PLENS__BLOCK_K * PANEL;
    pack(dtype, w, row_bytes, n_out, k, panel);
    for (size_t i = 0; i < there && dtype != PLENS_BF16; i += PLENS__LANES)
        store(panel + i, rounded(load(panel + i)));
    memset(panel + there, 0, (all_of_it - there) * sizeof *panel);
}

/* The next 16 of a row from its i-th on, then zeros. */
INLINE vec row_at(const float *row, size_t i, size_t k) {
    return i < k ? load_next(row + i, k - i, 0) : all(0);
}

KERNEL void pack_x_bf16(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    for (size_t r = 0; r < n_rows; r++) {
        float *to = (float *)strip + r * UNITS;
        for (size_t i = 0; i < k; i += UNITS, to += BF16_STRIP * UNITS)
            for (size_t j = 0; j < UNITS; j += PLENS__LANES)
                store(to + j, rounded(row_at(x + r * ldx, i + j, k)));
    }
}

KERNEL void pack_x_bf16x3(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    const size_t part = BF16_STRIP * UNITS;
    for (size_t r = 0; r < n_rows; r++) {
        float *to = (float *)strip + r * UNITS;
        for (size_t i = 0; i < k; i += UNITS, to += 3 * part)
            for (size_t j = 0; j < UNITS; j += PLENS__LANES) {
                vec value = row_at(x + r * ldx, i + j, k), high = cut(value);
                vec rest = where_finite(value, minus(value, high)), middle = cut(rest);
                store(to + j, cut(minus(rest, middle)));
                store(to + part + j, middle);
                store(to + 2 * part + j, high);
            }
    }
}

/* ---- Strips of w, for few rows ----------------------------------------------------------------
 */

/* The next 16 of n weights at p, then zeros. */
INLINE vec weights_at(plens_dtype dtype, const char *p, size_t n) {
    const size_t size = dtype == PLENS_F32 ? sizeof(float) : 2;
    float padded[PLENS__LANES] = {0};
    if (n < PLENS__LANES || dtype == PLENS_F32) {
        memcpy(padded, p, (n < PLENS__LANES ? n : PLENS__LANES) * size);
        p = (const char *)padded;
    }
    return dtype == PLENS_BF16  ? widen_bf16(p)
           : dtype == PLENS_F16 ? widen_f16(p)
                                : load((const float *)(const void *)p);
}

/* dtype is a constant here. */
INLINE void strip_f32_as(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows,
                         size_t k, float *strip) {
    for (size_t r = 0; r < n_rows; r++, w += row_bytes, strip += k)
        for (size_t i = 0; i < k; i += PLENS__LANES)
            store_next(strip + i, k - i,
                       weights_at(dtype, w + i * (dtype == PLENS_F32 ? 4 : 2), k - i));
}

KERNEL void pack_strip_f32(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_rows,
                           size_t k, void *strip) {
    FOR_DTYPE(dtype, strip_f32_as, w, row_bytes, n_rows, k, strip);
}

INLINE void strip_bf16_as(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows,
                          size_t k, float *strip) {
    const size_t size = dtype == PLENS_F32 ? 4 : 2;
    for (size_t r = 0; r < n_rows; r++, w += row_bytes) {
        float *to = strip + r * UNITS;
        for (size_t i = 0; i < k; i += UNITS, to += BF16_STRIP * UNITS)
            for (size_t j = i; j < i + UNITS; j += PLENS__LANES) {
                vec v = j < k ? weights_at(dtype, w + j * size, k - j) : all(0);
                store(to + (j - i), dtype == PLENS_BF16 ? v : rounded(v));
            }
    }
}

KERNEL void pack_strip_bf16(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_rows,
                            size_t k, void *strip) {
    FOR_DTYPE(dtype, strip_bf16_as, w, row_bytes, n_rows, k, strip);
}
