/* The blocking of amx_body.h over tiles in software, on every machine; the packing of amx.c where
 * there is AVX-512 BF16; the instructions where there is AMX, or by tests/full/amx_in_bochs.sh. */
#include "sets.h"

#include "runtime/engine.h"
#include "runtime/selftest.h"
#include "runtime/trial.h"

/* ---- Tiles in software ------------------------------------------------------------------------
 *
 * From the pseudocode of Intel's SDM (volume 2, TILELOADD, TILESTORED, TDPBF16PS), with its "as if
 * DAZ and FTZ" made of exact arithmetic: a sum of two doubles and its error, of which float sees
 * what matters after rounding to odd [Boldo & Melquiond 2008]. */

#define KERNEL static
#define INLINE static inline

static unsigned char tile[8][16][64];
static int live;

static void tiles_begin(void) {
    live = 1;
    memset(tile, 0xA5, sizeof tile); /* LDTILECFG zeroes; nobody may count on it */
}

static void tiles_end(void) {
    live = 0;
}

static void tile_zero(int t) {
    memset(tile[t], 0, sizeof tile[t]);
}

static void tile_load(int t, const void *p, size_t step) {
    for (size_t row = 0; row < 16; row++)
        memcpy(tile[t][row], (const char *)p + row * step, 64);
}

static void tile_store(int t, void *p, size_t step) {
    for (size_t row = 0; row < 16; row++)
        memcpy((char *)p + row * step, tile[t][row], 64);
}

static float normal_or_zero(float value) {
    return value != 0 && fabsf(value) < 0x1p-126f ? copysignf(0, value) : value;
}

static float bf16_at(int t, size_t row, size_t column) {
    uint32_t bits = (uint32_t)(tile[t][row][2 * column] | tile[t][row][2 * column + 1] << 8) << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return normal_or_zero(value);
}

/* a + b where the exact sum is rounded once, to float with an exponent without end, and is then
 * zero below 2^-126. Both are products of floats at most. */
static float rounded_sum(double a, double b) {
    double sum = a + b, part = sum - a, error = (a - (sum - part)) + (b - part);
    if (!(fabs(sum) < INFINITY) || sum == 0)
        return (float)sum;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if (error != 0 && (bits & 1) == 0) { /* to odd */
        bits += (error > 0) == (sum > 0) ? 1 : -(uint64_t)1;
        memcpy(&sum, &bits, sizeof sum);
    }
    if (fabs(sum) >= 0x1p-100)
        return (float)sum;
    float scaled = (float)(sum * 0x1p100); /* normal, so rounded to 24 bits */
    return fabsf(scaled) < 0x1p-26f ? copysignf(0, scaled) : scaled * 0x1p-100f;
}

static void tile_dot(int c, int a, int b) {
    for (size_t m = 0; m < 16; m++)
        for (size_t n = 0; n < 16; n++) {
            float chain[2] = {0, 0}, sum;
            for (size_t k = 0; k < 32; k++)
                chain[k % 2] =
                    rounded_sum((double)bf16_at(a, m, k) * (double)bf16_at(b, k / 2, 2 * n + k % 2),
                                (double)chain[k % 2]);
            float both = rounded_sum((double)chain[0], (double)chain[1]);
            memcpy(&sum, tile[c][m] + 4 * n, sizeof sum);
            sum = rounded_sum((double)normal_or_zero(sum), (double)both);
            memcpy(tile[c][m] + 4 * n, &sum, sizeof sum);
        }
}

static void copy_part(size_t rows, size_t n, const float *from, size_t ld_from, float *to,
                      size_t ld_to) {
    for (size_t r = 0; r < rows; r++)
        memcpy(to + r * ld_to, from + r * ld_from, n * sizeof *from);
}

#include "runtime/kernels/amx_body.h"

/* ---- Packing, out of what scalar.c packs ------------------------------------------------------
 */

static uint16_t half_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* The definition's panels are [K, 16] floats. */
static void pack_w(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_out, size_t k,
                   void *panel) {
    static float plain[PLENS__TEST_K + 32][16];
    for (size_t half = 0; half < 2; half++) {
        size_t n = n_out > 16 * half ? n_out - 16 * half : 0;
        plens__product_scalar(PLENS_PRECISION_BF16)
            ->pack_w(dtype, (const char *)w + 16 * half * row_bytes, row_bytes, n < 16 ? n : 16, k,
                     plain);
        for (size_t i = 0; i < (k + 31) / 32 * 32; i++)
            for (size_t o = 0; o < 16; o++)
                ((uint16_t *)
                     panel)[(((i / 32 * 2 + half) * 16 + i % 32 / 2) * 16 + o) * 2 + i % 2] =
                    half_of(plain[i][o]);
    }
}

/* The definition's strips are one row: [K / 32, parts, 32] floats. */
static void pack_x(plens_precision precision, const float *x, size_t ldx, size_t n_rows, size_t k,
                   void *strip) {
    static float plain[3 * (PLENS__TEST_K + 32)];
    size_t n = (k + 31) / 32 * (precision == PLENS_PRECISION_BF16 ? 1 : 3);
    for (size_t r = 0; r < 16; r++) {
        memset(plain, 0, sizeof plain);
        if (r < n_rows)
            plens__product_scalar(precision)->pack_x(x + r * ldx, ldx, 1, k, plain);
        for (size_t i = 0; i < n * 32; i++)
            ((uint16_t *)strip)[(i / 32 * 16 + r) * 32 + i % 32] = half_of(plain[i]);
    }
}

static void pack_x_bf16(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    pack_x(PLENS_PRECISION_BF16, x, ldx, n_rows, k, strip);
}

static void pack_x_bf16x3(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    pack_x(PLENS_PRECISION_BF16X3, x, ldx, n_rows, k, strip);
}

/* Strips of w for few rows: the definition's panel of one output at a time. */
static void pack_w_strip(plens_dtype dtype, const void *w, size_t row_bytes, size_t n_rows,
                         size_t k, void *strip) {
    static float plain[PLENS__TEST_K + 32][16];
    for (size_t r = 0; r < 16; r++) {
        memset(plain, 0, sizeof plain);
        if (r < n_rows)
            plens__product_scalar(PLENS_PRECISION_BF16)
                ->pack_w(dtype, (const char *)w + r * row_bytes, row_bytes, 1, k, plain);
        for (size_t i = 0; i < (k + 31) / 32 * 32; i++)
            ((uint16_t *)strip)[(i / 32 * 16 + r) * 32 + i % 32] = half_of(plain[i][0]);
    }
}

static plens__product in_software(plens_precision precision) {
    int one = precision == PLENS_PRECISION_BF16;
    plens__product product = {.isa = PLENS_ISA_AMX, .precision = precision};
    product.strip = TILE;
    product.panel = AMX_PANEL;
    product.strip_block = one ? TILE_BYTES : 3 * TILE_BYTES;
    product.panel_block = AMX_PANEL_BLOCK;
    product.pack_w = pack_w;
    product.pack_w_strip = one ? pack_w_strip : NULL;
    product.pack_x = one ? pack_x_bf16 : pack_x_bf16x3;
    product.multiply = one ? multiply_bf16 : multiply_bf16x3;
    return product;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static plens__test test;

static void run_product(void *arg, size_t item, int thread) {
    const plens__product *const *product = arg;
    (void)item, (void)thread;
    plens__test_begin(&test);
    plens__test_product(&test, *product);
}

static void check_product(const plens__product *product) {
    plens__guarded(run_product, &product);
    CHECK_THAT(test.difference[0] == '\0', "%s: %s", plens_precision_name(product->precision),
               test.difference);
}

/* A tile at the wrong place or of the wrong number, an edge read or written beyond c, the parts of
 * bf16x3 in another order, an accumulator that starts anew, tiles left live. */
static void the_blocking_gives_the_definitions_bits(void) {
    plens__product bf16 = in_software(PLENS_PRECISION_BF16);
    plens__product bf16x3 = in_software(PLENS_PRECISION_BF16X3);
    check_product(&bf16);
    check_product(&bf16x3);
    CHECK_INT(live, 0);
}

/* The software tile itself where it is easy to get wrong: e + o and not o + e is the same, but one
 * chain over both is not; 2^-126 less a little is 2^-126, less more is 0; a denormal is 0. */
static void the_model_rounds_as_the_manual_says(void) {
    CHECK(rounded_sum(0x1p-126, -0x1p-152) == 0x1p-126f);
    CHECK(rounded_sum(0x1p-126, -0x1p-151) == 0x1p-126f); /* a tie, to even */
    CHECK(rounded_sum(0x1p-126, -0x1.000001p-151) == 0);
    CHECK(rounded_sum(0x1p-126, -0x1p-148) == 0);
    CHECK(rounded_sum(1, 0x1p-60) == 1 && rounded_sum(0x1.000002p0, 0x1p-24) == 0x1.000004p0f);
    CHECK(rounded_sum(0x1p0, 0x1.000001p-24) == 0x1.000002p0f);
    CHECK(signbit(rounded_sum(-0x1p-140, 0)) && signbit(rounded_sum(-0.0, -0.0)));
    CHECK(!signbit(rounded_sum(1, -1)));
    CHECK(isinf(rounded_sum(0x1.fffffep127, 0x1p103)));
    CHECK(normal_or_zero(-0x1p-130f) == 0 && normal_or_zero(0x1p-126f) == 0x1p-126f);
}

static uint32_t word_at(const void *p, size_t i) {
    uint32_t word;
    memcpy(&word, (const char *)p + 4 * i, sizeof word);
    return word;
}

/* bf16 words as TDPBF16PS reads them: denormals are zeros, all NaN alike. */
static uint16_t read_half(uint32_t half) {
    if ((half & 0x7F80) == 0)
        return (uint16_t)(half & 0x8000);
    return (uint16_t)((half & 0x7FFF) > 0x7F80 ? 0x7FC0 : half);
}

static int same_words(const void *a, const void *b, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes / 4; i++) {
        uint32_t left = word_at(a, i), right = word_at(b, i);
        if (read_half(left & 0xFFFF) != read_half(right & 0xFFFF) ||
            read_half(left >> 16) != read_half(right >> 16))
            return 0;
    }
    return 1;
}

/* A pair swapped, a row too few, a value rounded otherwise, k beyond the end that is not zero. */
static void packing_makes_the_same_tiles(void) {
    static float x[16 * 100], left[3 * 1024], right[3 * 1024];
    static char w[32 * 400 + 1];
    if (!plens__cpu_detect().avx512bf16 || plens__product_amx(PLENS_PRECISION_BF16) == NULL)
        SKIP("no AVX512BF16, or no AMX in this build");
    for (int round = 0; round < 3000; round++) {
        plens_precision precision = round % 2 ? PLENS_PRECISION_BF16 : PLENS_PRECISION_BF16X3;
        plens__product model = in_software(precision);
        const plens__product *product = plens__product_amx(precision);
        size_t k = 1 + test_below(96), rows = 1 + test_below(16), n_out = 1 + test_below(32);
        size_t blocks = (k + 31) / 32;
        plens_dtype dtype = (plens_dtype)(round % 2 ? PLENS_F32 + round / 2 % 3 : PLENS_BF16);
        test_fill(x, 1600, (test_kind)(round / 6 % N_KINDS));
        for (size_t i = 0; i < sizeof w; i++)
            w[i] = (char)test_random();
        model.pack_x(x, 100, rows, k, left);
        product->pack_x(x, 100, rows, k, right);
        CHECK_THAT(same_words(left, right, blocks * model.strip_block), "strip, round %d", round);
        model.pack_w(dtype, w + 1, 400, n_out, k, left);
        product->pack_w(dtype, w + 1, 400, n_out, k, right);
        for (size_t tiles = 0; tiles < 2 * blocks; tiles++) /* the second of a pair if it is used */
            CHECK_THAT((tiles % 2 == 1 && n_out <= 16) ||
                           same_words(left + tiles * 256, right + tiles * 256, 1024),
                       "panel, round %d, tile %zu", round, tiles);
        CHECK((model.pack_w_strip == NULL) == (product->pack_w_strip == NULL));
        if (model.pack_w_strip == NULL)
            continue;
        model.pack_w_strip(dtype, w + 1, 400, rows, k, left);
        product->pack_w_strip(dtype, w + 1, 400, rows, k, right);
        CHECK_THAT(same_words(left, right, blocks * TILE_BYTES), "strip of w, round %d", round);
    }
}

/* The instructions: their encoding, the configuration, the processor. */
static void the_instructions_give_the_definitions_bits(void) {
    if (!plens__cpu_detect().amx)
        SKIP("no AMX");
    const char *refused = plens__amx_permission();
    if (refused != NULL)
        SKIP("no permission for AMX: %s", refused);
    check_product(plens__product_amx(PLENS_PRECISION_BF16));
    check_product(plens__product_amx(PLENS_PRECISION_BF16X3));
}

int main(void) {
    RUN(the_model_rounds_as_the_manual_says);
    RUN(the_blocking_gives_the_definitions_bits);
    RUN(packing_makes_the_same_tiles);
    RUN(the_instructions_give_the_definitions_bits);
    return test_finish();
}
