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

/* ---- The vector of vector_body.h: two registers --------------------------------------------- */

typedef struct vec {
    __m256 low, high;
} vec;

typedef struct vecd {
    __m256d part[4];
} vecd;

/* All bits set in the first n of 8 lanes; n may be any number. */
INLINE __m256i first(size_t n) {
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < 8 ? (int)n : 8), lane);
}

INLINE size_t beyond_low(size_t n) {
    return n > 8 ? n - 8 : 0;
}

INLINE vec pair(__m256 low, __m256 high) {
    vec v = {low, high};
    return v;
}

INLINE vec load(const float *p) {
    return pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
}

INLINE __m256 load_masked(const float *p, __m256i mask, float fill) {
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, mask),
                            _mm256_castsi256_ps(mask));
}

INLINE vec load_part(const float *p, size_t n, float fill) {
    const float *high = n > 8 ? p + 8 : p;
    return pair(load_masked(p, first(n), fill), load_masked(high, first(beyond_low(n)), fill));
}

INLINE void store(float *p, vec v) {
    _mm256_storeu_ps(p, v.low);
    _mm256_storeu_ps(p + 8, v.high);
}

INLINE void store_part(float *p, size_t n, vec v) {
    _mm256_maskstore_ps(p, first(n), v.low);
    if (n > 8)
        _mm256_maskstore_ps(p + 8, first(n - 8), v.high);
}

INLINE vec all(float x) {
    return pair(_mm256_set1_ps(x), _mm256_set1_ps(x));
}

INLINE vec plus(vec a, vec b) {
    return pair(_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high));
}

INLINE vec minus(vec a, vec b) {
    return pair(_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high));
}

INLINE vec times(vec a, vec b) {
    return pair(_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high));
}

INLINE vec over(vec a, vec b) {
    return pair(_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high));
}

INLINE vec fused(vec a, vec b, vec c) {
    return pair(_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high));
}

INLINE vec root(vec a) {
    return pair(_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high));
}

INLINE vec negative(vec a) {
    __m256 sign = _mm256_set1_ps(-0.0f);
    return pair(_mm256_xor_ps(a.low, sign), _mm256_xor_ps(a.high, sign));
}

INLINE vec larger(vec a, vec b) {
    return pair(_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high));
}

INLINE vec smaller(vec a, vec b) {
    return pair(_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high));
}

INLINE unsigned signs(vec v) {
    return (unsigned)_mm256_movemask_ps(v.low) | (unsigned)_mm256_movemask_ps(v.high) << 8;
}

INLINE vec greater_lanes(vec a, vec b) {
    return pair(_mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ));
}

INLINE unsigned greater(vec a, vec b) {
    return signs(greater_lanes(a, b));
}

INLINE __m256 power(__m256i exponent) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

INLINE __m256 scale_eight(__m256 p, __m256 t) {
    __m256i shifted = _mm256_and_si256(_mm256_castps_si256(t), _mm256_set1_epi32(PLENS__EXP_MASK));
    __m256i a = _mm256_sub_epi32(_mm256_srli_epi32(shifted, 1), _mm256_set1_epi32(1));
    __m256i b = _mm256_sub_epi32(_mm256_sub_epi32(shifted, a), _mm256_set1_epi32(2));
    return _mm256_mul_ps(_mm256_mul_ps(p, power(a)), power(b));
}

INLINE vec scale_by(vec p, vec t) {
    return pair(scale_eight(p.low, t.low), scale_eight(p.high, t.high));
}

INLINE float tree(vec v) {
    __m256 eight = _mm256_add_ps(v.low, v.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

INLINE float largest(vec v) {
    __m256 eight = _mm256_max_ps(v.low, v.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* The trees of 8 vectors: after + 8 each step adds the halves of two and keeps both sums in one. */
INLINE __m256 tree_eight(const vec v[8]) {
    __m256 s[8];
    UNROLL
    for (int i = 0; i < 8; i++)
        s[i] = _mm256_add_ps(v[i].low, v[i].high);
    UNROLL
    for (int i = 0; i < 4; i++)
        s[i] = _mm256_add_ps(_mm256_permute2f128_ps(s[i], s[i + 4], 0x20),
                             _mm256_permute2f128_ps(s[i], s[i + 4], 0x31));
    UNROLL
    for (int i = 0; i < 2; i++)
        s[i] = _mm256_add_ps(_mm256_shuffle_ps(s[i], s[i + 2], 0x44),
                             _mm256_shuffle_ps(s[i], s[i + 2], 0xEE));
    s[0] = _mm256_add_ps(_mm256_shuffle_ps(s[0], s[1], 0x88), _mm256_shuffle_ps(s[0], s[1], 0xDD));
    return _mm256_permute_ps(s[0], 0xD8); /* they lie in the order 0 2 1 3, 4 6 5 7 */
}

INLINE vec tree_each(const vec v[16]) {
    return pair(tree_eight(v), tree_eight(v + 8));
}

INLINE vecd no_doubles(void) {
    vecd d;
    UNROLL
    for (int i = 0; i < 4; i++)
        d.part[i] = _mm256_setzero_pd();
    return d;
}

INLINE vecd widen(vec v) {
    vecd d;
    d.part[0] = _mm256_cvtps_pd(_mm256_castps256_ps128(v.low));
    d.part[1] = _mm256_cvtps_pd(_mm256_extractf128_ps(v.low, 1));
    d.part[2] = _mm256_cvtps_pd(_mm256_castps256_ps128(v.high));
    d.part[3] = _mm256_cvtps_pd(_mm256_extractf128_ps(v.high, 1));
    return d;
}

INLINE vecd plus_double(vecd d, vec a) {
    vecd wide = widen(a);
    UNROLL
    for (int i = 0; i < 4; i++)
        d.part[i] = _mm256_add_pd(d.part[i], wide.part[i]);
    return d;
}

INLINE vecd plus_product(vecd d, vec a, vec b) {
    vecd x = widen(a), y = widen(b);
    UNROLL
    for (int i = 0; i < 4; i++)
        d.part[i] = _mm256_fmadd_pd(x.part[i], y.part[i], d.part[i]);
    return d;
}

INLINE double tree_double(vecd v) {
    __m256d four =
        _mm256_add_pd(_mm256_add_pd(v.part[0], v.part[2]), _mm256_add_pd(v.part[1], v.part[3]));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

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
