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

/* The rows that a strip lacks are +0. */
INLINE void fill_strip(size_t n_rows, size_t n_blocks, unit *strip) {
    for (size_t block = 0; block < n_blocks; block++, strip += BF16_STRIP * UNITS)
        for (size_t r = n_rows; r < BF16_STRIP; r++)
            _mm512_storeu_si512(strip + r * UNITS, zero_row());
}

KERNEL void pack_x_bf16(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    size_t n_blocks = (k + PLENS__BLOCK_K - 1) / PLENS__BLOCK_K;
    for (size_t r = 0; r < n_rows; r++) {
        unit *to = (unit *)strip + r * UNITS;
        for (size_t i = 0; i < k; i += PLENS__BLOCK_K, to += BF16_STRIP * UNITS) {
            const float *p = x + r * ldx + i;
            size_t n = k - i;
            __m512 low = floats_at(p, n), high = floats_at(p + 16, n > 16 ? n - 16 : 0);
            _mm512_storeu_si512(to, pair_up(round_words(low, high)));
        }
    }
    fill_strip(n_rows, n_blocks, strip);
}

KERNEL void pack_x_bf16x3(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    size_t n_blocks = (k + PLENS__BLOCK_K - 1) / PLENS__BLOCK_K;
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
    fill_strip(n_rows, 3 * n_blocks, strip);
}

/* ---- Few rows ------------------------------------------------------------------------------- */

/* A block of w on its way to registers: 16 outputs of 32 k as they are, missing ones +0. It is
 * copied one block ahead of its use, as rows of w often lie at distances that share the first
 * level's few places: the pieces that are read below would not stay there. */
typedef struct raw_block {
    char row[BLOCK][PLENS__LINE];
} __attribute__((aligned(64))) raw_block;

/* dtype is a constant. */
INLINE void copy_block(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows, size_t n,
                       raw_block *to) {
    if (n_rows >= BLOCK && n >= PLENS__BLOCK_K) {
        for (size_t i = 0; i < BLOCK; i++, w += row_bytes)
            _mm512_store_si512(to->row[i], weight_words(dtype, w, PLENS__BLOCK_K));
        return;
    }
    for (size_t i = 0; i < BLOCK; i++, w += row_bytes)
        _mm512_store_si512(to->row[i], i < n_rows ? weight_words(dtype, w, n) : zero_row());
}

INLINE __m128i load_piece(const char *p) {
    return _mm_load_si128((const __m128i *)(const void *)p);
}

/* 16 bytes of the outputs i, i + 4, i + 8 and i + 12. Loads do it, for shuffles have few units. */
INLINE __m512i every_fourth(const raw_block *from, size_t i, size_t at) {
    __m512i v = _mm512_castsi128_si512(load_piece(from->row[i] + at));
    v = _mm512_mask_broadcast_i32x4(v, 0x00F0, load_piece(from->row[i + 4] + at));
    v = _mm512_mask_broadcast_i32x4(v, 0x0F00, load_piece(from->row[i + 8] + at));
    return _mm512_mask_broadcast_i32x4(v, 0xF000, load_piece(from->row[i + 12] + at));
}

/* r[u] has unit u of each output, as load_square makes it. */
INLINE void turn_block(const raw_block *from, block_row r[BLOCK]) {
    /* In each 8 k of two outputs the pairs (2, 0) and (6, 4); one further on (3, 1) and (7, 5). */
    static const uint16_t words[32] = {2,  0,  34, 32, 6,  4,  38, 36, 10, 8,  42,
                                       40, 14, 12, 46, 44, 18, 16, 50, 48, 22, 20,
                                       54, 52, 26, 24, 58, 56, 30, 28, 62, 60};
    const __m512i early = _mm512_loadu_si512(words);
    const __m512i late = _mm512_add_epi16(early, _mm512_set1_epi16(1));
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        __m512i a = every_fourth(from, 0, 16 * i), b = every_fourth(from, 1, 16 * i);
        __m512i c = every_fourth(from, 2, 16 * i), d = every_fourth(from, 3, 16 * i);
        __m512i early_ab = _mm512_permutex2var_epi16(a, early, b);
        __m512i early_cd = _mm512_permutex2var_epi16(c, early, d);
        __m512i late_ab = _mm512_permutex2var_epi16(a, late, b);
        __m512i late_cd = _mm512_permutex2var_epi16(c, late, d);
        r[4 * i] = _mm512_unpacklo_epi64(early_ab, early_cd);
        r[4 * i + 1] = _mm512_unpackhi_epi64(early_ab, early_cd);
        r[4 * i + 2] = _mm512_unpacklo_epi64(late_ab, late_cd);
        r[4 * i + 3] = _mm512_unpackhi_epi64(late_ab, late_cd);
    }
}

/* sum [rows, 16] += that of one block of w and, one after the other, of each part of x, [rows,
 * UNITS]. rows and n_parts are constants. */
INLINE void add_block(const size_t rows, const size_t n_parts, const unit *x,
                      const block_row w[UNITS], float *sum) {
    lanes total[BF16_STRIP];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        total[r] = load_lanes(sum + r * VECTOR);
    for (size_t part = 0; part < n_parts; part++, x += BF16_STRIP * UNITS) {
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
            total[r] = plus_lanes(total[r], plus_lanes(chain[0][r], chain[1][r]));
    }
    UNROLL
    for (size_t r = 0; r < rows; r++)
        store_lanes(sum + r * VECTOR, total[r]);
}

/* c [n_rows, n <= 16], over all of k. dtype and n_parts are constants. */
INLINE void direct_block(plens_dtype dtype, const size_t n_parts, size_t n_rows, size_t k,
                         const unit *x, size_t x_step, const char *w, size_t row_bytes, size_t n,
                         float *c, size_t ldc) {
    const size_t size = dtype == PLENS_F32 ? 4 : 2;
    float sum[(PLENS__FEW_ROWS + BF16_STRIP - 1) * VECTOR];
    raw_block raw[2];
    plens__ahead below = plens__ahead_begin((uintptr_t)w + BLOCK * row_bytes, row_bytes, k * size);
    memset(sum, 0, (n_rows + BF16_STRIP - 1) * VECTOR * sizeof *sum);
    copy_block(dtype, w, row_bytes, n, k, &raw[0]);
    for (size_t i = 0; i < k; i += PLENS__BLOCK_K, x += n_parts * BF16_STRIP * UNITS) {
        block_row block[BLOCK];
        size_t at = i / PLENS__BLOCK_K % 2, next = i + PLENS__BLOCK_K;
        plens__ahead_ask(&below, BLOCK * PLENS__BLOCK_K * size / PLENS__LINE);
        turn_block(&raw[at], block);
        if (next < k)
            copy_block(dtype, w + next * size, row_bytes, n, k - next, &raw[1 - at]);
        if (n_rows == 1)
            add_block(1, n_parts, x, block, sum);
        for (size_t r = 0; r < n_rows && n_rows > 1; r += BF16_STRIP)
            add_block(BF16_STRIP, n_parts, x + r / BF16_STRIP * x_step, block, sum + r * VECTOR);
    }
    for (size_t r = 0; r < n_rows; r++)
        store_lanes_part(c + r * ldc, n < BLOCK ? n : BLOCK, load_lanes(sum + r * VECTOR));
}

/* dtype and n_parts are constants. */
INLINE void multiply_direct(plens_dtype dtype, const size_t n_parts, size_t n_rows, size_t k,
                            const void *x, size_t x_step, const char *w, size_t row_bytes,
                            size_t n_out, float *c, size_t ldc) {
    for (size_t o = 0; o < n_out; o += BLOCK)
        direct_block(dtype, n_parts, n_rows, k, x, x_step / sizeof(unit), w + o * row_bytes,
                     row_bytes, n_out - o, c + o, ldc);
}

KERNEL void direct_bf16(plens_dtype dtype, size_t n_rows, size_t k, const void *x, size_t x_step,
                        const void *w, size_t row_bytes, size_t n_out, float *c, size_t ldc,
                        void *scratch) {
    (void)scratch;
    FOR_DTYPE(dtype, multiply_direct, 1, n_rows, k, x, x_step, w, row_bytes, n_out, c, ldc);
}

KERNEL void direct_bf16x3(plens_dtype dtype, size_t n_rows, size_t k, const void *x, size_t x_step,
                          const void *w, size_t row_bytes, size_t n_out, float *c, size_t ldc,
                          void *scratch) {
    (void)dtype, (void)scratch; /* PLENS_BF16 */
    multiply_direct(PLENS_BF16, 3, n_rows, k, x, x_step, w, row_bytes, n_out, c, ldc);
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
    .multiply_directly = direct_bf16,
    .direct_rows = PLENS__FEW_ROWS,
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
    .direct_rows = PLENS__FEW_ROWS,
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
