/* Packing for products of bf16 and bf16x3 whose units are floats: values that bf16 has, widened,
 * for fused multiply-add under FTZ and DAZ. Over the registers of vector_body.h, and:
 *
 *     rounded(v)               to bf16, as product.h says, but for the denormals that DAZ reads as
 * 0 cut(v)                   as product.h says where_finite(a, b)       a is finite ? b : 0
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
