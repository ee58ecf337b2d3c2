/* Registers of 32 bf16, as AVX-512 BF16 makes them, for packing. Included by files that define
 * INLINE, after avx512_registers.h. */

/* 32 bf16, the first 16 from `low`; the conversion rounds as the contract wants it. */
INLINE __m512i round_words(__m512 low, __m512 high) {
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* The first n < 32 elements at p, then zeros, as floats. */
INLINE __m512 floats_at(const float *p, size_t n) {
    return n >= 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(first(n), p);
}

/* The first n <= 32 of a row of weights as bf16, then zeros. */
INLINE __m512i weight_words(plens_dtype dtype, const char *row, size_t n) {
    __mmask32 there = n < 32 ? ((__mmask32)1 << n) - 1 : 0xFFFFFFFF;
    if (dtype == PLENS_F32) {
        const float *p = (const float *)(const void *)row;
        return round_words(floats_at(p, n), floats_at(p + 16, n > 16 ? n - 16 : 0));
    }
    __m512i words = n < 32 ? _mm512_maskz_loadu_epi16(there, row) : _mm512_loadu_si512(row);
    if (dtype == PLENS_BF16)
        return words;
    return round_words(_mm512_cvtph_ps(_mm512_castsi512_si256(words)),
                       _mm512_cvtph_ps(_mm512_extracti64x4_epi64(words, 1)));
}

/* Without the bits that bf16 does not have; a NaN stays a NaN. */
INLINE __m512 cut(__m512 v) {
    __m512i bits = _mm512_castps_si512(v), quiet = _mm512_set1_epi32(0x400000);
    bits = _mm512_mask_or_epi32(bits, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), bits, quiet);
    return _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(-0x10000)));
}

/* hi, mid and lo of v. */
INLINE void split(__m512 v, __m512 part[3]) {
    __mmask16 finite =
        _mm512_cmp_ps_mask(_mm512_abs_ps(v), _mm512_set1_ps(__builtin_inff()), _CMP_LT_OQ);
    part[0] = cut(v);
    __m512 rest = _mm512_maskz_sub_ps(finite, v, part[0]);
    part[1] = cut(rest);
    part[2] = cut(_mm512_sub_ps(rest, part[1]));
}

INLINE __m512i upper_words(__m512 low, __m512 high) {
    __m256i a = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(low), 16));
    __m256i b = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(high), 16));
    return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
}
