/* AVX2 with FMA and F16C. The processor is not asked here: see runtime/engine.c. */
#include "runtime/fp.h"

#include "runtime/kernels/kernels.h"
#include "runtime/kernels/product.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#include <immintrin.h>

#include "runtime/kernels/exp.h"
#include "runtime/kernels/unroll.h"

#define TARGET target("avx2,fma,f16c,popcnt")
#define KERNEL __attribute__((TARGET)) static
#define INLINE __attribute__((always_inline, TARGET)) static inline

#include "runtime/kernels/avx2_vector.h"
#include "runtime/kernels/vector_body.h"

/* ---- Packing: transposes of 8 x 8 elements of 32 bits ---------------------------------------- */

#define BLOCK 8
typedef __m256i block_row;

INLINE block_row load_row(const void *p) {
    return _mm256_loadu_si256(p);
}

INLINE block_row zero_row(void) {
    return _mm256_setzero_si256();
}

/* Transposes 4 x 4 elements in each 128-bit half, then exchanges the halves. */
INLINE void transpose(block_row r[BLOCK]) {
    block_row t[BLOCK];
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        block_row a = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        block_row b = _mm256_unpackhi_epi32(r[i], r[i + 1]);
        block_row c = _mm256_unpacklo_epi32(r[i + 2], r[i + 3]);
        block_row d = _mm256_unpackhi_epi32(r[i + 2], r[i + 3]);
        t[i] = _mm256_unpacklo_epi64(a, c);
        t[i + 1] = _mm256_unpackhi_epi64(a, c);
        t[i + 2] = _mm256_unpacklo_epi64(b, d);
        t[i + 3] = _mm256_unpackhi_epi64(b, d);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(t[i], t[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(t[i], t[i + 4], 0x31);
    }
}

INLINE void put(float *p, block_row r) {
    _mm256_storeu_ps(p, _mm256_castsi256_ps(r));
}

/* The even and odd elements of pairs of 16 bits, widened. */
INLINE block_row even_bf16(block_row r) {
    return _mm256_slli_epi32(r, 16);
}

INLINE block_row odd_bf16(block_row r) {
    return _mm256_and_si256(r, _mm256_set1_epi32(-0x10000));
}

/* The upper halves must be zero: the pack saturates to 16 bits. */
INLINE block_row low_f16(block_row r) {
    __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
    return _mm256_castps_si256(_mm256_cvtph_ps(halves));
}

INLINE block_row even_f16(block_row r) {
    return low_f16(_mm256_and_si256(r, _mm256_set1_epi32(0xFFFF)));
}

INLINE block_row odd_f16(block_row r) {
    return low_f16(_mm256_srli_epi32(r, 16));
}

/* ---- The matrix product: 6 rows times 2 vectors of outputs, 12 of the 16 registers ----------- */

#define VECTORS      2
#define VECTOR       8
#define STRIP        6
#define DIRECT_STRIP 4
typedef __m256 lanes;

INLINE lanes as_lanes(block_row r) {
    return _mm256_castsi256_ps(r);
}

INLINE lanes load_lanes(const float *p) {
    return _mm256_loadu_ps(p);
}

INLINE lanes load_lanes_part(const float *p, size_t n) {
    return _mm256_maskload_ps(p, first(n));
}

INLINE void store_lanes(float *p, lanes v) {
    _mm256_storeu_ps(p, v);
}

INLINE void store_lanes_part(float *p, size_t n, lanes v) {
    _mm256_maskstore_ps(p, first(n), v);
}

INLINE lanes all_lanes(float x) {
    return _mm256_set1_ps(x);
}

INLINE lanes fused_lanes(lanes a, lanes b, lanes c) {
    return _mm256_fmadd_ps(a, b, c);
}

#include "runtime/kernels/vector_gemm.h"

/* ---- The products of bf16: 3 rows times 2 vectors times 2 chains ----------------------------- */

#define UNITS      32
#define PERIOD     2
#define BF16_STRIP 3
typedef float unit;
typedef lanes unit_lanes;

INLINE unit_lanes load_units(const unit *p) {
    return load_lanes(p);
}

INLINE unit_lanes all_units(const unit *p) {
    return all_lanes(*p);
}

INLINE lanes step_lanes(unit_lanes x, unit_lanes w, lanes sum) {
    return fused_lanes(x, w, sum);
}

INLINE lanes plus_lanes(lanes a, lanes b) {
    return _mm256_add_ps(a, b);
}

#include "runtime/kernels/vector_bf16.h"

INLINE __m256 magnitude(__m256 v) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

INLINE __m256 cut_bits(__m256i bits) {
    return _mm256_castsi256_ps(_mm256_and_si256(bits, _mm256_set1_epi32(-0x10000)));
}

INLINE __m256 cut_eight(__m256 v) {
    __m256 quiet = _mm256_castsi256_ps(_mm256_set1_epi32(0x400000));
    quiet = _mm256_and_ps(quiet, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return cut_bits(_mm256_castps_si256(_mm256_or_ps(v, quiet)));
}

INLINE vec cut(vec v) {
    return pair(cut_eight(v.low), cut_eight(v.high));
}

INLINE __m256 round_eight(__m256 v) {
    __m256i bits = _mm256_castps_si256(v), one = _mm256_set1_epi32(1);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
    __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    __m256 changed = _mm256_cmp_ps(magnitude(v), _mm256_set1_ps(FLT_MIN), _CMP_GE_OQ);
    return _mm256_blendv_ps(cut_eight(v), cut_bits(up), changed);
}

INLINE vec rounded(vec v) {
    return pair(round_eight(v.low), round_eight(v.high));
}

INLINE __m256 eight_where_finite(__m256 a, __m256 b) {
    return _mm256_and_ps(_mm256_cmp_ps(magnitude(a), _mm256_set1_ps(INFINITY), _CMP_LT_OQ), b);
}

INLINE vec where_finite(vec a, vec b) {
    return pair(eight_where_finite(a.low, b.low), eight_where_finite(a.high, b.high));
}

INLINE __m256 widen_eight(const __m128i *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}

INLINE vec widen_bf16(const void *p) {
    return pair(widen_eight(p), widen_eight((const __m128i *)p + 1));
}

INLINE vec widen_f16(const void *p) {
    const __m128i *halves = p;
    return pair(_mm256_cvtph_ps(_mm_loadu_si128(halves)),
                _mm256_cvtph_ps(_mm_loadu_si128(halves + 1)));
}

#include "runtime/kernels/vector_widened.h"

INLINE lanes times_lanes(lanes a, lanes b) {
    return _mm256_mul_ps(a, b);
}

#define ATTEND_STRIP 3
#include "runtime/kernels/vector_attention.h"

static const plens__kernels table = {
    PLENS_ISA_AVX2, rms_norm,      rope,         attend,  attend_rows, attend_scores,
    attend_softmax, attend_values, silu_mul,     silu,    multiply,    add,
    vocab_sums,     count_greater, find_greater, exp_all, dot_double,
};

static const plens__product f32 = {
    .isa = PLENS_ISA_AVX2,
    .precision = PLENS_PRECISION_F32,
    .strip = STRIP,
    .panel = PANEL,
    .panel_block = PLENS__BLOCK_K * PANEL * sizeof(float),
    .k_part = 512,
    .item_rows = 256,
    .item_panels = 8,
    .pack_w = pack,
    .multiply = gemm,
    .pack_w_strip = pack_strip_f32,
    .multiply_directly = gemm_directly,
    .direct_rows = 8,
};

static const plens__product bf16 = {
    .isa = PLENS_ISA_AVX2,
    .precision = PLENS_PRECISION_BF16,
    .flushes = 1,
    .strip = BF16_STRIP,
    .panel = PANEL,
    .strip_block = BF16_STRIP * UNITS * sizeof(unit),
    .panel_block = UNITS * PANEL * sizeof(unit),
    .k_part = 256,
    .item_rows = 256,
    .item_panels = 8,
    .pack_w = pack_w_bf16,
    .pack_x = pack_x_bf16,
    .multiply = multiply_bf16,
    .pack_w_strip = pack_strip_bf16,
};

static const plens__product bf16x3 = {
    .isa = PLENS_ISA_AVX2,
    .precision = PLENS_PRECISION_BF16X3,
    .flushes = 1,
    .strip = BF16_STRIP,
    .panel = PANEL,
    .strip_block = 3 * BF16_STRIP * UNITS * sizeof(unit),
    .panel_block = UNITS * PANEL * sizeof(unit),
    .k_part = 256,
    .item_rows = 256,
    .item_panels = 8,
    .pack_w = pack_w_bf16,
    .pack_x = pack_x_bf16x3,
    .multiply = multiply_bf16x3,
};

const plens__kernels *plens__kernels_avx2(void) {
    return &table;
}

const plens__product *plens__product_avx2(plens_precision precision) {
    return precision == PLENS_PRECISION_F32      ? &f32
           : precision == PLENS_PRECISION_BF16   ? &bf16
           : precision == PLENS_PRECISION_BF16X3 ? &bf16x3
                                                 : NULL;
}

#else

const plens__kernels *plens__kernels_avx2(void) {
    return NULL;
}

const plens__product *plens__product_avx2(plens_precision precision) {
    (void)precision;
    return NULL;
}

#endif
