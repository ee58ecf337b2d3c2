/* The vector of vector_body.h for AVX2: two registers. Included by avx2.c, which defines INLINE and
 * UNROLL. */

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

INLINE vec keep(vec v, size_t n) {
    return pair(_mm256_and_ps(v.low, _mm256_castsi256_ps(first(n))),
                _mm256_and_ps(v.high, _mm256_castsi256_ps(first(beyond_low(n)))));
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
