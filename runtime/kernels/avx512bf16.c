/* AVX-512 BF16: products of bf16 and bf16x3 by VDPBF16PS. It does two fused steps in a lane, the
 * odd element of a pair first [Intel SDM, volume 2; AMD's processors do the same], and flushes
 * denormals whatever MXCSR says. So a pair holds two k of the same chain, the earlier one in its
 * upper half. The processor is not asked here: see runtime/engine.c. */
#include "runtime/fp.h"

#include "runtime/kernels/product.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#include <immintrin.h>
#include <string.h>

#include "runtime/kernels/ahead.h"
#include "runtime/kernels/constants.h"
#include "runtime/kernels/unroll.h"

#define TARGET target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c")
#define KERNEL __attribute__((TARGET)) static
#define INLINE __attribute__((always_inline, TARGET)) static inline

#include "runtime/kernels/avx512_registers.h"

enum { PANEL = VECTORS * VECTOR };

/* ---- The product ---------------------------------------------------------------------------- */

#define UNITS      16
#define PERIOD     4
#define BF16_STRIP 4
typedef uint32_t unit;
typedef __m512i unit_lanes;

INLINE unit_lanes load_units(const unit *p) {
    return _mm512_loadu_si512(p);
}

INLINE unit_lanes all_units(const unit *p) {
    return _mm512_set1_epi32((int)*p);
}

INLINE lanes step_lanes(unit_lanes x, unit_lanes w, lanes sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w);
}

INLINE lanes plus_lanes(lanes a, lanes b) {
    return _mm512_add_ps(a, b);
}

#include "runtime/kernels/vector_bf16.h"

/* ---- Packing -------------------------------------------------------------------------------- */

#include "runtime/kernels/avx512_words.h"

/* Of each 8 k the pairs (2, 0), (6, 4), (3, 1), (7, 5), the lower half named first. */
INLINE __m512i pair_up(__m512i words) {
    const __m128i order = _mm_setr_epi8(4, 5, 0, 1, 12, 13, 8, 9, 6, 7, 2, 3, 14, 15, 10, 11);
    return _mm512_shuffle_epi8(words, _mm512_broadcast_i32x4(order));
}

/* One block of 16 outputs: r[u] has unit u of each. dtype is a constant. */
INLINE void load_square(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows, size_t n,
                        block_row r[BLOCK]) {
    UNROLL
    for (size_t i = 0; i < BLOCK; i++) {
        const char *row = w + i * row_bytes;
        r[i] = i < n_rows ? pair_up(weight_words(dtype, row, n)) : zero_row();
    }
    transpose(r);
}

INLINE void pack_square(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows, size_t n,
                        unit *to) {
    block_row r[BLOCK];
    load_square(dtype, w, row_bytes, n_rows, n, r);
    UNROLL
    for (size_t i = 0; i < BLOCK; i++)
        _mm512_storeu_si512(to + i * PANEL, r[i]);
}

INLINE void pack_w_as(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_out, size_t k,
                      unit *panel) {
    const size_t size = dtype == PLENS_F32 ? 4 : 2;
    for (size_t o = 0; o < PANEL; o += BLOCK) {
        size_t n_rows = o < n_out ? n_out - o : 0;
        plens__ahead below =
            plens__ahead_begin((uintptr_t)w + (o + BLOCK) * row_bytes, row_bytes, k * size);
        for (size_t i = 0; i < k; i += PLENS__BLOCK_K) {
            plens__ahead_ask(&below, BLOCK * PLENS__BLOCK_K * size / PLENS__LINE);
            pack_square(dtype, w + o * row_bytes + i * size, row_bytes, n_rows, k - i,
                        panel + i / PLENS__BLOCK_K * UNITS * PANEL + o);
        }
    }
}

KERNEL void pack_w(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_out, size_t k,
                   void *panel) {
    FOR_DTYPE(dtype, pack_w_as, w, row_bytes, n_out, k, panel);
}

KERNEL void pack_x_bf16(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    for (size_t r = 0; r < n_rows; r++) {
        unit *to = (unit *)strip + r * UNITS;
        for (size_t i = 0; i < k; i += PLENS__BLOCK_K, to += BF16_STRIP * UNITS) {
            const float *p = x + r * ldx + i;
            size_t n = k - i;
            __m512 low = floats_at(p, n), high = floats_at(p + 16, n > 16 ? n - 16 : 0);
            _mm512_storeu_si512(to, pair_up(round_words(low, high)));
        }
    }
}

KERNEL void pack_x_bf16x3(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    for (size_t r = 0; r < n_rows; r++) {
        unit *to = (unit *)strip + r * UNITS;
        for (size_t i = 0; i < k; i += PLENS__BLOCK_K) {
            const float *p = x + r * ldx + i;
            size_t n = k - i;
            __m512 low[3], high[3];
            split(floats_at(p, n), low);
            split(floats_at(p + 16, n > 16 ? n - 16 : 0), high);
            for (size_t part = 3; part-- > 0; to += BF16_STRIP * UNITS)
                _mm512_storeu_si512(to, pair_up(upper_words(low[part], high[part])));
        }
    }
}

/* ---- Few rows ------------------------------------------------------------------------------- */

INLINE void strip_as(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows, size_t k,
                     unit *strip) {
    const size_t size = dtype == PLENS_F32 ? 4 : 2;
    for (size_t r = 0; r < n_rows; r++, w += row_bytes) {
        unit *to = strip + r * UNITS;
        for (size_t i = 0; i < k; i += PLENS__BLOCK_K, to += BF16_STRIP * UNITS)
            _mm512_storeu_si512(to, pair_up(weight_words(dtype, w + i * size, k - i)));
    }
}

KERNEL void pack_w_strip(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_rows,
                         size_t k, void *strip) {
    FOR_DTYPE(dtype, strip_as, w, row_bytes, n_rows, k, strip);
}

/* One block of x, [rows, UNITS], times that of 16 outputs: sum[r] += e + o. */
INLINE void add_block(const size_t rows, const unit *x, const block_row w[UNITS],
                      lanes sum[BF16_STRIP]) {
    lanes chain[2][BF16_STRIP];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        chain[0][r] = chain[1][r] = all_lanes(0);
    UNROLL
    for (size_t u = 0; u < UNITS; u++) {
        lanes *to = chain[u % PERIOD / (PERIOD / 2)];
        UNROLL
        for (size_t r = 0; r < rows; r++)
            to[r] = step_lanes(all_units(x + r * UNITS + u), w[u], to[r]);
    }
    UNROLL
    for (size_t r = 0; r < rows; r++)
        sum[r] = plus_lanes(sum[r], plus_lanes(chain[0][r], chain[1][r]));
}

/* c [rows, n <= 16]. A block of w is transposed in registers and meets that of each part of x. rows
 * and n_parts are constants. */
INLINE void direct_block(const size_t rows, const size_t n_parts, size_t k, const unit *x,
                         const char *w, size_t row_bytes, size_t n, float *c, size_t ldc) {
    lanes sum[BF16_STRIP];
    plens__ahead below = plens__ahead_begin((uintptr_t)w + BLOCK * row_bytes, row_bytes, k * 2);
    UNROLL
    for (size_t r = 0; r < rows; r++)
        sum[r] = all_lanes(0);
    for (size_t i = 0; i < k; i += PLENS__BLOCK_K) {
        block_row block[BLOCK];
        plens__ahead_ask(&below, BLOCK * PLENS__BLOCK_K * 2 / PLENS__LINE);
        if (n >= BLOCK && k - i >= PLENS__BLOCK_K)
            load_square(PLENS_BF16, w + i * 2, row_bytes, BLOCK, PLENS__BLOCK_K, block);
        else
            load_square(PLENS_BF16, w + i * 2, row_bytes, n, k - i, block);
        for (size_t part = 0; part < n_parts; part++, x += BF16_STRIP * UNITS)
            add_block(rows, x, block, sum);
    }
    UNROLL
    for (size_t r = 0; r < rows; r++)
        store_lanes_part(c + r * ldc, n < BLOCK ? n : BLOCK, sum[r]);
}

/* n_parts is a constant. */
INLINE void multiply_direct(const size_t n_parts, size_t n_rows, size_t k, const unit *x,
                            const char *w, size_t row_bytes, size_t n_out, float *c, size_t ldc) {
    for (size_t o = 0; o < n_out; o += BLOCK)
        FOR_DIRECT_ROWS(n_rows, direct_block, n_parts, k, x, w + o * row_bytes, row_bytes,
                        n_out - o, c + o, ldc);
}

KERNEL void direct_bf16(size_t n_rows, size_t k, const void *x, size_t x_step, const void *w,
                        size_t row_bytes, size_t n_out, float *c, size_t ldc) {
    (void)x_step;
    multiply_direct(1, n_rows, k, x, w, row_bytes, n_out, c, ldc);
}

KERNEL void direct_bf16x3(size_t n_rows, size_t k, const void *x, size_t x_step, const void *w,
                          size_t row_bytes, size_t n_out, float *c, size_t ldc) {
    (void)x_step;
    multiply_direct(3, n_rows, k, x, w, row_bytes, n_out, c, ldc);
}

/* ---- The tables ------------------------------------------------------------------------------ */

static const plens__product bf16 = {
    .isa = PLENS_ISA_AVX512BF16,
    .precision = PLENS_PRECISION_BF16,
    .flushes = 1,
    .strip = BF16_STRIP,
    .panel = PANEL,
    .strip_block = BF16_STRIP * UNITS * sizeof(unit),
    .panel_block = UNITS * PANEL * sizeof(unit),
    .k_part = 256,
    .item_rows = 256,
    .item_panels = 8,
    .pack_w = pack_w,
    .pack_x = pack_x_bf16,
    .multiply = multiply_bf16,
    .pack_w_strip = pack_w_strip,
    .multiply_directly = direct_bf16,
};

static const plens__product bf16x3 = {
    .isa = PLENS_ISA_AVX512BF16,
    .precision = PLENS_PRECISION_BF16X3,
    .flushes = 1,
    .strip = BF16_STRIP,
    .panel = PANEL,
    .strip_block = 3 * BF16_STRIP * UNITS * sizeof(unit),
    .panel_block = UNITS * PANEL * sizeof(unit),
    .k_part = 256,
    .item_rows = 256,
    .item_panels = 8,
    .pack_w = pack_w,
    .pack_x = pack_x_bf16x3,
    .multiply = multiply_bf16x3,
    .multiply_directly = direct_bf16x3,
};

const plens__product *plens__product_avx512bf16(plens_precision precision) {
    return precision == PLENS_PRECISION_BF16     ? &bf16
           : precision == PLENS_PRECISION_BF16X3 ? &bf16x3
                                                 : NULL;
}

#else

const plens__product *plens__product_avx512bf16(plens_precision precision) {
    (void)precision;
    return NULL;
}

#endif
