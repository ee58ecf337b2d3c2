/* AVX-512 (F, BW, DQ, VL). The processor is not asked here: see runtime/engine.c. */
#include "runtime/fp.h"

#include "runtime/kernels/kernels.h"
#include "runtime/kernels/product.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#include <immintrin.h>

#include "runtime/kernels/exp.h"
#include "runtime/kernels/unroll.h"

#define TARGET target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,popcnt")
#define KERNEL __attribute__((TARGET)) static
#define INLINE __attribute__((always_inline, TARGET)) static inline

#include "runtime/kernels/avx512_registers.h"

/* ---- The vector of vector_body.h: one register ---------------------------------------------- */

typedef __m512 vec;
typedef struct vecd {
    __m512d low, high;
} vecd;

INLINE vec load(const float *p) {
    return _mm512_loadu_ps(p);
}

INLINE vec load_part(const float *p, size_t n, float fill) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), first(n), p);
}

INLINE void store(float *p, vec v) {
    _mm512_storeu_ps(p, v);
}

INLINE void store_part(float *p, size_t n, vec v) {
    _mm512_mask_storeu_ps(p, first(n), v);
}

INLINE vec keep(vec v, size_t n) {
    return _mm512_maskz_mov_ps(first(n), v);
}

INLINE vec all(float x) {
    return _mm512_set1_ps(x);
}

INLINE vec plus(vec a, vec b) {
    return _mm512_add_ps(a, b);
}

INLINE vec minus(vec a, vec b) {
    return _mm512_sub_ps(a, b);
}

INLINE vec times(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}

INLINE vec over(vec a, vec b) {
    return _mm512_div_ps(a, b);
}

INLINE vec fused(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

INLINE vec root(vec a) {
    return _mm512_sqrt_ps(a);
}

INLINE vec negative(vec a) {
    return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f));
}

INLINE vec larger(vec a, vec b) {
    return _mm512_max_ps(a, b);
}

INLINE vec smaller(vec a, vec b) {
    return _mm512_min_ps(a, b);
}

INLINE unsigned greater(vec a, vec b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}

/* By n itself: this, too, rounds but once. */
INLINE vec scale_by(vec p, vec t) {
    return _mm512_scalef_ps(p, _mm512_sub_ps(t, _mm512_set1_ps(PLENS__EXP_SHIFT)));
}

INLINE float tree(vec v) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

INLINE float largest(vec v) {
    __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* Each step adds the halves of two vectors and keeps both sums in one: + 8, + 4, + 2, + 1. */
INLINE vec tree_each(const vec v[16]) {
    vec s[8];
    UNROLL
    for (int i = 0; i < 8; i++)
        s[i] = plus(_mm512_shuffle_f32x4(v[i], v[i + 8], 0x44),
                    _mm512_shuffle_f32x4(v[i], v[i + 8], 0xEE));
    UNROLL
    for (int i = 0; i < 4; i++)
        s[i] = plus(_mm512_shuffle_f32x4(s[i], s[i + 4], 0x88),
                    _mm512_shuffle_f32x4(s[i], s[i + 4], 0xDD));
    UNROLL
    for (int i = 0; i < 2; i++)
        s[i] =
            plus(_mm512_shuffle_ps(s[i], s[i + 2], 0x44), _mm512_shuffle_ps(s[i], s[i + 2], 0xEE));
    s[0] = plus(_mm512_shuffle_ps(s[0], s[1], 0x88), _mm512_shuffle_ps(s[0], s[1], 0xDD));
    /* The sums now lie in the order 0 2 1 3, 8 10 9 11, 4 6 5 7, 12 14 13 15. */
    return _mm512_permutexvar_ps(
        _mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15), s[0]);
}

INLINE vecd no_doubles(void) {
    vecd d = {_mm512_setzero_pd(), _mm512_setzero_pd()};
    return d;
}

INLINE vecd widen(vec v) {
    vecd d = {_mm512_cvtps_pd(_mm512_castps512_ps256(v)),
              _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))};
    return d;
}

INLINE vecd plus_double(vecd d, vec a) {
    vecd wide = widen(a);
    d.low = _mm512_add_pd(d.low, wide.low);
    d.high = _mm512_add_pd(d.high, wide.high);
    return d;
}

INLINE vecd plus_product(vecd d, vec a, vec b) {
    vecd x = widen(a), y = widen(b);
    d.low = _mm512_fmadd_pd(x.low, y.low, d.low);
    d.high = _mm512_fmadd_pd(x.high, y.high, d.high);
    return d;
}

INLINE double tree_double(vecd v) {
    __m512d eight = _mm512_add_pd(v.low, v.high);
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

#include "runtime/kernels/vector_body.h"

#include "runtime/kernels/vector_gemm.h"

/* ---- The products of bf16: 4 rows times 3 vectors times 2 chains ----------------------------- */

#define UNITS      32
#define PERIOD     2
#define BF16_STRIP 4
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
    return _mm512_add_ps(a, b);
}

#include "runtime/kernels/vector_bf16.h"

INLINE vec cut_bits(__m512i bits) {
    return _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(-0x10000)));
}

INLINE vec cut(vec v) {
    __m512i bits = _mm512_castps_si512(v), quiet = _mm512_set1_epi32(0x400000);
    return cut_bits(
        _mm512_mask_or_epi32(bits, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), bits, quiet));
}

INLINE vec rounded(vec v) {
    __m512i bits = _mm512_castps_si512(v), one = _mm512_set1_epi32(1);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
    __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    __mmask16 changed = _mm512_cmp_ps_mask(_mm512_abs_ps(v), all(FLT_MIN), _CMP_GE_OQ);
    return _mm512_mask_mov_ps(cut(v), changed, cut_bits(up));
}

INLINE vec where_finite(vec a, vec b) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(a), all(INFINITY), _CMP_LT_OQ), b);
}

INLINE vec widen_bf16(const void *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}

INLINE vec widen_f16(const void *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

#include "runtime/kernels/vector_widened.h"

INLINE lanes times_lanes(lanes a, lanes b) {
    return _mm512_mul_ps(a, b);
}

#define ATTEND_STRIP 4
#include "runtime/kernels/vector_attention.h"

static const plens__kernels table = {
    PLENS_ISA_AVX512, rms_norm,      rope,         attend,  attend_rows, attend_scores,
    attend_softmax,   attend_values, silu_mul,     silu,    multiply,    add,
    vocab_sums,       count_greater, find_greater, exp_all, dot_double,
};

static const plens__product f32 = {
    .isa = PLENS_ISA_AVX512,
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
    .direct_rows = 24,
};

static const plens__product bf16 = {
    .isa = PLENS_ISA_AVX512,
    .precision = PLENS_PRECISION_BF16,
    .flushes = 1,
    .strip = BF16_STRIP,
    .panel = PANEL,
    .strip_block = BF16_STRIP * UNITS * sizeof(unit),
    .panel_block = UNITS * PANEL * sizeof(unit),
    .k_part = 128,
    .item_rows = 256,
    .item_panels = 8,
    .pack_w = pack_w_bf16,
    .pack_x = pack_x_bf16,
    .multiply = multiply_bf16,
    .pack_w_strip = pack_strip_bf16,
};

static const plens__product bf16x3 = {
    .isa = PLENS_ISA_AVX512,
    .precision = PLENS_PRECISION_BF16X3,
    .flushes = 1,
    .strip = BF16_STRIP,
    .panel = PANEL,
    .strip_block = 3 * BF16_STRIP * UNITS * sizeof(unit),
    .panel_block = UNITS * PANEL * sizeof(unit),
    .k_part = 128,
    .item_rows = 256,
    .item_panels = 8,
    .pack_w = pack_w_bf16,
    .pack_x = pack_x_bf16x3,
    .multiply = multiply_bf16x3,
};

const plens__kernels *plens__kernels_avx512(void) {
    return &table;
}

const plens__product *plens__product_avx512(plens_precision precision) {
    return precision == PLENS_PRECISION_F32      ? &f32
           : precision == PLENS_PRECISION_BF16   ? &bf16
           : precision == PLENS_PRECISION_BF16X3 ? &bf16x3
                                                 : NULL;
}

#else

const plens__kernels *plens__kernels_avx512(void) {
    return NULL;
}

const plens__product *plens__product_avx512(plens_precision precision) {
    (void)precision;
    return NULL;
}

#endif
