/* The contract's bits themselves, as one hash for each part: recorded from the definition on x86-64
 * (gcc, clang) and the same on AArch64. They may change only together with the contract. This is
 * what finds a compiler that contracts, reorders or keeps excess precision in the definition, to
 * which every other set of kernels is compared. */
#include "sets.h"

#include "runtime/numeric.h"

enum { N = 1000 };

/* FNV-1a over values' bits, the least byte first; every NaN counts as the same one. */
static void hash_bytes(uint64_t *hash, uint64_t bits, int n_bytes) {
    for (int i = 0; i < n_bytes; i++)
        *hash = (*hash ^ (bits >> (8 * i) & 0xFF)) * 0x100000001B3u;
}

static void hash_floats(uint64_t *hash, const float *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = 0x7FC00000;
        if (values[i] == values[i])
            memcpy(&bits, values + i, sizeof bits);
        hash_bytes(hash, bits, 4);
    }
}

static void hash_double(uint64_t *hash, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    hash_bytes(hash, bits, 8);
}

/* Fixed input that does not depend on which tests ran before: a linear congruential generator. */
static void fill(float *values, size_t n, uint64_t seed, float limit) {
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        values[i] = ((float)(int32_t)(seed >> 32) * 0x1p-31f) * limit;
    }
}

#define CHECK_HASH(hash, expected)                                                                 \
    CHECK_THAT(hash == (expected), "the hash is 0x%016llx", (unsigned long long)hash)

/* The f32 product and the kernels of rows, in the definition. */
static void rows_have_the_recorded_bits(void) {
    const plens__kernels *set = &plens__kernels_scalar;
    static float x[N], y[N], out[N], scores[N];
    uint64_t hash = 0xCBF29CE484222325u;
    fill(x, N, 1, 9.0f);
    fill(y, N, 2, 2.0f);
    plens__product_scalar(PLENS_PRECISION_F32)
        ->multiply(10, 40, x, 90 * sizeof *x, y, 13, 0, out, 13);
    hash_floats(&hash, out, 130);
    set->rms_norm(x, y, 777, 1e-5f, out);
    hash_floats(&hash, out, 777);
    memcpy(out, x, sizeof out);
    set->rope(out, y, y + 500, 500);
    hash_floats(&hash, out, N);
    set->attend(x, y, 33, x, 33, 30, 33, 0.6f, scores, out);
    hash_floats(&hash, scores, 30);
    hash_floats(&hash, out, 33);
    set->silu_mul(x, y, N, out);
    hash_floats(&hash, out, N);
    CHECK_HASH(hash, 0x33014cd283de90f0u);
}

/* Sums of bf16 and bf16x3 in the definition, most of them around 2^-126. */
static void products_have_the_recorded_bits(void) {
    static float x[N], w[N], out[N];
    char strips[10 * 2 * PLENS__ROWS_BLOCK_MAX / 9], panel[2 * PLENS__PANEL_BLOCK_MAX];
    uint64_t hash = 0xCBF29CE484222325u;
    fill(x, N, 5, 0x1p-62f);
    fill(w, N, 6, 0x1.8p-62f);
    for (int precision = PLENS_PRECISION_BF16; precision <= PLENS_PRECISION_BF16X3; precision++) {
        const plens__product *set = plens__product_scalar((plens_precision)precision);
        set->pack_w(PLENS_F32, w, 60 * sizeof *w, 16, 60, panel);
        for (size_t r = 0; r < 10; r++)
            set->pack_x(x + r * 60, 60, 1, 60, strips + r * 2 * set->strip_block);
        set->multiply(10, 60, strips, 2 * set->strip_block, panel, 16, 0, out, 16);
        hash_floats(&hash, out, 160);
    }
    CHECK_HASH(hash, 0xb7a306932a1e45b3u);
}

/* The float exponential over its whole range, and a block of the vocabulary. */
static void exponentials_have_the_recorded_bits(void) {
    const plens__kernels *set = &plens__kernels_scalar;
    static float x[N], out[N];
    uint64_t hash = 0xCBF29CE484222325u;
    plens__vocab_sums sums;
    fill(x, N, 3, 110.0f);
    set->exp(x, N, out);
    hash_floats(&hash, out, N);
    set->vocab_sums(x, N, &sums);
    hash_floats(&hash, &sums.max, 1);
    hash_double(&hash, sums.sum);
    hash_double(&hash, sums.weighted);
    CHECK_HASH(hash, 0xd6e25aaf56850a36u);
}

/* exp, log and sincos in double. */
static void double_functions_have_the_recorded_bits(void) {
    uint64_t hash = 0xCBF29CE484222325u;
    float x[N];
    fill(x, N, 4, 1.0f);
    for (size_t i = 0; i < N; i++) {
        double s, c;
        hash_double(&hash, plens__exp((double)x[i] * 750));
        hash_double(&hash, plens__log((double)(x[i] * x[i]) + 1e-9));
        plens__sincos((double)(float)(int)(x[i] * 1000) * 1.1, &s, &c);
        hash_double(&hash, s);
        hash_double(&hash, c);
    }
    CHECK_HASH(hash, 0x21142a835e8eaba1u);
}

int main(void) {
    RUN(rows_have_the_recorded_bits);
    RUN(products_have_the_recorded_bits);
    RUN(exponentials_have_the_recorded_bits);
    RUN(double_functions_have_the_recorded_bits);
    return test_finish();
}
