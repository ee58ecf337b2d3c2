/* amx_body.h over tiles in software, on every machine; the instructions where there is AMX, or by
 * tests/full/amx_in_bochs.sh. Packing: amx_packing.c. */
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

static void tile_load(int t, const void *p) {
    memcpy(tile[t], p, sizeof tile[t]);
}

static void tile_pass(int t, const void *p) {
    tile_load(t, p);
}

static void tile_pass_rows(int t, const void *p, size_t step) {
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

static void put_sums(const float *from, size_t n, float *to) {
    memcpy(to, from, n * sizeof *to);
}

static void ask_near(const char *p, int to_write) {
    (void)p, (void)to_write;
}

static uint16_t half_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* Out of what scalar.c packs: panels of [K, 16] floats. */
static void pack_tile(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows, size_t n,
                      char *to) {
    static float plain[32][16];
    uint16_t tile_words[32][16];
    plens__product_scalar(PLENS_PRECISION_BF16)
        ->pack_w(dtype, w, row_bytes, n_rows < 16 ? n_rows : 16, n < 32 ? n : 32, plain);
    for (size_t i = 0; i < 32; i++)
        for (size_t o = 0; o < 16; o++)
            tile_words[i / 2 * 2 + o / 8][o % 8 * 2 + i % 2] = half_of(plain[i][o]);
    memcpy(to, tile_words, sizeof tile_words);
}

/* One output: a row of a. */
static void pack_words(plens_dtype dtype, const char *w, size_t n, char *to) {
    static float plain[32][16];
    memset(plain, 0, sizeof plain);
    if (n > 0)
        plens__product_scalar(PLENS_PRECISION_BF16)->pack_w(dtype, w, 0, 1, n < 32 ? n : 32, plain);
    for (size_t i = 0; i < 32; i++)
        ((uint16_t *)to)[i] = half_of(plain[i][0]);
}

static void turn_tile(const char *from, char *to) {
    for (size_t i = 0; i < 16; i++)
        for (size_t j = 0; j < 16; j++)
            memcpy(to + (i * 16 + j) * 4, from + (j * 16 + i) * 4, 4);
}

static void put_turned(const char *from, size_t n_rows, size_t n_out, float *to, size_t ldc) {
    for (size_t r = 0; r < 16 && r < n_rows; r++)
        for (size_t o = 0; o < 16 && o < n_out; o++)
            memcpy(&to[r * ldc + o], from + (o * 16 + r) * 4, 4);
}

#define NEAR_BYTES (24 << 10) /* so that k has parts */

#include "runtime/kernels/amx_body.h"

/* The definition's strips are one row: [K / 32, parts, 32] floats. */
static void pack_x(plens_precision precision, const float *x, size_t ldx, size_t n_rows, size_t k,
                   void *strip) {
    static float plain[3 * (PLENS__TEST_LONG_K + 32)];
    size_t n = (k + 31) / 32 * (precision == PLENS_PRECISION_BF16 ? 1 : 3);
    for (size_t r = 0; r < 32; r++) {
        memset(plain, 0, sizeof plain);
        if (r < n_rows)
            plens__product_scalar(precision)->pack_x(x + r * ldx, ldx, 1, k, plain);
        for (size_t i = 0; i < n * 32; i++)
            ((uint16_t *)strip)[(i / 32 * 32 + r) * 32 + i % 32] = half_of(plain[i]);
    }
}

static void pack_x_bf16(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    pack_x(PLENS_PRECISION_BF16, x, ldx, n_rows, k, strip);
}

static void pack_x_bf16x3(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    pack_x(PLENS_PRECISION_BF16X3, x, ldx, n_rows, k, strip);
}

static void turn_strip(size_t k, size_t parts, char *strip) {
    static char before[1024];
    for (size_t at = 0; at < (k + 31) / 32 * parts * 2048; at += 1024) {
        memcpy(before, strip + at, 1024);
        turn_tile(before, strip + at);
    }
}

static void turn_x_bf16(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    pack_x(PLENS_PRECISION_BF16, x, ldx, n_rows, k, strip);
    turn_strip(k, 1, strip);
}

static void turn_x_bf16x3(const float *x, size_t ldx, size_t n_rows, size_t k, void *strip) {
    pack_x(PLENS_PRECISION_BF16X3, x, ldx, n_rows, k, strip);
    turn_strip(k, 3, strip);
}

static plens__product in_software(plens_precision precision) {
    int one = precision == PLENS_PRECISION_BF16;
    plens__product product = {.isa = PLENS_ISA_AMX, .precision = precision};
    product.strip = product.panel = PAIR;
    product.strip_block = one ? PAIR_BYTES : 3 * PAIR_BYTES;
    product.pack_x = one ? pack_x_bf16 : pack_x_bf16x3;
    product.multiply_directly = one ? multiply_bf16 : multiply_bf16x3;
    product.direct_rows = SIZE_MAX;
    product.direct_scratch = direct_scratch;
    product.pack_x_turned = one ? turn_x_bf16 : turn_x_bf16x3;
    product.multiply_turned = one ? turned_bf16 : turned_bf16x3;
    product.turned_rows = FEW_ROWS;
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
 * bf16x3 in another order, an accumulator that starts anew, a part of k left out, tiles left live.
 */
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

/* A test's or the start-up check's scratch smaller than what is written to it. */
static void the_scratch_has_its_bound(void) {
    for (int round = 0; round < 3000; round++) {
        size_t rows = 1 + test_below(200), k = 1 + test_below(3000), n_out = 1 + test_below(200);
        CHECK(direct_scratch(rows, k, n_out) <= PLENS__SCRATCH_MAX(rows, k, n_out));
    }
    CHECK(PLENS__SCRATCH_MAX(PLENS__TEST_ROWS, PLENS__TEST_K, PLENS__TEST_OUT) <=
          PLENS__TEST_PANEL);
    CHECK(PLENS__SCRATCH_MAX(PLENS__TEST_LONG_ROWS, PLENS__TEST_LONG_K, PLENS__TEST_LONG_OUT) <=
          PLENS__TEST_PANEL);
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
    RUN(the_scratch_has_its_bound);
    RUN(the_instructions_give_the_definitions_bits);
    return test_finish();
}
