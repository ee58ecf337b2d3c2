/* Registers of AVX-512 for packing and for matrix products: what vector_gemm.h and vector_bf16.h
 * ask for. Included by files that define INLINE and UNROLL. */

/* The first n of 16 lanes. */
INLINE __mmask16 first(size_t n) {
    return (__mmask16)((1u << n) - 1);
}

/* ---- Packing: transposes of 16 x 16 elements of 32 bits ------------------------------------- */

#define BLOCK 16
typedef __m512i block_row;

INLINE block_row load_row(const void *p) {
    return _mm512_loadu_si512(p);
}

INLINE block_row zero_row(void) {
    return _mm512_setzero_si512();
}

/* Transposes 4 x 4 elements in each 128-bit part, then the parts. */
INLINE void transpose(block_row r[BLOCK]) {
    block_row t[BLOCK];
    UNROLL
    for (int i = 0; i < 16; i += 4) {
        block_row a = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        block_row b = _mm512_unpackhi_epi32(r[i], r[i + 1]);
        block_row c = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]);
        block_row d = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);
        t[i] = _mm512_unpacklo_epi64(a, c);
        t[i + 1] = _mm512_unpackhi_epi64(a, c);
        t[i + 2] = _mm512_unpacklo_epi64(b, d);
        t[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        block_row a = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x88);
        block_row b = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x88);
        block_row c = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xDD);
        block_row d = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xDD);
        r[i] = _mm512_shuffle_i32x4(a, b, 0x88);
        r[i + 4] = _mm512_shuffle_i32x4(c, d, 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(a, b, 0xDD);
        r[i + 12] = _mm512_shuffle_i32x4(c, d, 0xDD);
    }
}

INLINE void put(float *p, block_row r) {
    _mm512_storeu_si512(p, r);
}

/* The even and odd elements of pairs of 16 bits, widened. */
INLINE block_row even_bf16(block_row r) {
    return _mm512_slli_epi32(r, 16);
}

INLINE block_row odd_bf16(block_row r) {
    return _mm512_and_si512(r, _mm512_set1_epi32(-0x10000));
}

INLINE block_row even_f16(block_row r) {
    return _mm512_castps_si512(_mm512_cvtph_ps(_mm512_cvtepi32_epi16(r)));
}

INLINE block_row odd_f16(block_row r) {
    return even_f16(_mm512_srli_epi32(r, 16));
}

/* ---- The matrix product: 8 rows times 3 vectors of outputs, 24 of the 32 registers ---------- */

#define VECTORS      3
#define VECTOR       16
#define STRIP        8
#define DIRECT_STRIP 8
typedef __m512 lanes;

INLINE lanes as_lanes(block_row r) {
    return _mm512_castsi512_ps(r);
}

INLINE lanes load_lanes(const float *p) {
    return _mm512_loadu_ps(p);
}

INLINE lanes load_lanes_part(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(first(n), p);
}

INLINE void store_lanes(float *p, lanes v) {
    _mm512_storeu_ps(p, v);
}

INLINE void store_lanes_part(float *p, size_t n, lanes v) {
    _mm512_mask_storeu_ps(p, first(n), v);
}

INLINE lanes all_lanes(float x) {
    return _mm512_set1_ps(x);
}

INLINE lanes fused_lanes(lanes a, lanes b, lanes c) {
    return _mm512_fmadd_ps(a, b, c);
}
