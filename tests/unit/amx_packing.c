/* amx_pack.h, where there is AVX-512 BF16, against what the definition packs. */
#include "sets.h"

#if defined(__x86_64__) && ((defined(__clang__) && __clang_major__ >= 12) ||                       \
                            (!defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 11))

#include <immintrin.h>

#include "runtime/kernels/constants.h"
#include "runtime/kernels/unroll.h"

#define TARGET                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c")))
#define KERNEL TARGET static
#define INLINE __attribute__((always_inline)) TARGET static inline

#include "runtime/kernels/avx512_registers.h"
#include "runtime/kernels/avx512_words.h"

#include "runtime/kernels/amx_pack.h"

KERNEL void pack_tile_as(plens_dtype dtype, const char *w, size_t row_bytes, size_t n_rows,
                         size_t n, char *to) {
    FOR_DTYPE(dtype, pack_tile, w, row_bytes, n_rows, n, to);
}

KERNEL void pack_words_as(plens_dtype dtype, const char *w, size_t n, char *to) {
    FOR_DTYPE(dtype, pack_words, w, n, to);
}

KERNEL void put_turned_as(const char *from, size_t n_rows, size_t n_out, float *to, size_t ldc) {
    put_turned(from, n_rows, n_out, to, ldc);
}

/* What TDPBF16PS reads in a word: denormals are zeros, all NaN alike. */
static uint32_t as_read(float value) {
    uint32_t bits, half;
    memcpy(&bits, &value, sizeof bits);
    half = bits >> 16;
    if ((half & 0x7F80) == 0)
        return half & 0x8000;
    return (half & 0x7FFF) > 0x7F80 ? 0x7FC0 : half;
}

static uint32_t word_of(const char *tiles, size_t at) {
    uint16_t half;
    memcpy(&half, tiles + 2 * at, sizeof half);
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return as_read(value);
}

static float x[32 * 100];
static char w[16 * 200 + 1], packed[3 * 3 * 2048];

/* A pair swapped, an output too few, a value rounded otherwise, k beyond the end that is not zero.
 */
static void weights_are_packed_as_the_definition_has_them(void) {
    static float plain[32][16];
    if (!plens__cpu_detect().avx512bf16)
        SKIP("no AVX512BF16");
    for (int round = 0; round < 3000 && !test_bad; round++) {
        plens_dtype dtype = (plens_dtype)(PLENS_F32 + round % 3);
        size_t n_rows = 1 + test_below(18), n = 1 + test_below(36);
        for (size_t i = 0; i < sizeof w; i++)
            w[i] = (char)test_random();
        plens__product_scalar(PLENS_PRECISION_BF16)
            ->pack_w(dtype, w + 1, 200, n_rows < 16 ? n_rows : 16, n < 32 ? n : 32, plain);
        pack_tile_as(dtype, w + 1, 200, n_rows, n, packed);
        for (size_t i = 0; i < 32; i++)
            for (size_t o = 0; o < 16; o++)
                CHECK_THAT(word_of(packed, (i / 2 * 16 + o) * 2 + i % 2) == as_read(plain[i][o]),
                           "round %d, k %zu, output %zu", round, i, o);
        pack_words_as(dtype, w + 1, n, packed);
        for (size_t i = 0; i < 32; i++)
            CHECK_THAT(word_of(packed, i) == as_read(plain[i][0]), "round %d, k %zu", round, i);
    }
}

/* Parts of bf16x3 in another order, a row of another strip, rows that are not there. */
static void rows_are_packed_as_the_definition_has_them(void) {
    static float plain[3 * 3 * 32];
    if (!plens__cpu_detect().avx512bf16)
        SKIP("no AVX512BF16");
    for (int round = 0; round < 500 && !test_bad; round++) {
        size_t parts = round % 2 ? 1 : 3, k = 1 + test_below(96), n_rows = 1 + test_below(32);
        const plens__product *definition =
            plens__product_scalar(parts == 1 ? PLENS_PRECISION_BF16 : PLENS_PRECISION_BF16X3);
        test_fill(x, sizeof x / sizeof *x, (test_kind)(round / 2 % N_KINDS));
        (parts == 1 ? pack_x_bf16 : pack_x_bf16x3)(x, 100, n_rows, k, packed);
        for (size_t r = 0; r < 32; r++) {
            memset(plain, 0, sizeof plain);
            if (r < n_rows)
                definition->pack_x(x + r * 100, 100, 1, k, plain);
            for (size_t i = 0; i < (k + 31) / 32 * parts * 32; i++)
                CHECK_THAT(word_of(packed, (i / 32 * 32 + r) * 32 + i % 32) == as_read(plain[i]),
                           "round %d, row %zu, word %zu", round, r, i);
        }
    }
}

/* A pair of k in another row's place, a part of bf16x3 in another's. */
static void turned_rows_are_those_rows(void) {
    static char turned[sizeof packed];
    if (!plens__cpu_detect().avx512bf16)
        SKIP("no AVX512BF16");
    for (int round = 0; round < 200 && !test_bad; round++) {
        size_t parts = round % 2 ? 1 : 3, k = 1 + test_below(96), n_rows = 1 + test_below(32);
        test_fill(x, sizeof x / sizeof *x, (test_kind)(round / 2 % N_KINDS));
        (parts == 1 ? pack_x_bf16 : pack_x_bf16x3)(x, 100, n_rows, k, packed);
        (parts == 1 ? turn_x_bf16 : turn_x_bf16x3)(x, 100, n_rows, k, turned);
        for (size_t tile = 0; tile < (k + 31) / 32 * parts * 2; tile++)
            for (size_t r = 0; r < 16; r++)
                for (size_t pair = 0; pair < 16; pair++)
                    CHECK_THAT(memcmp(packed + tile * 1024 + r * 64 + pair * 4,
                                      turned + tile * 1024 + pair * 64 + r * 4, 4) == 0,
                               "round %d, tile %zu, row %zu, pair %zu", round, tile, r, pair);
    }
}

/* An element of another output, one beyond what is there. */
static void sums_are_turned_to_rows(void) {
    static float sums[16][16], rows[17][20];
    if (!plens__cpu_detect().avx512bf16)
        SKIP("no AVX512BF16");
    for (int round = 0; round < 200 && !test_bad; round++) {
        size_t n_rows = 1 + test_below(18), n_out = 1 + test_below(18);
        test_fill(&sums[0][0], 16 * 16, (test_kind)(round % N_KINDS));
        memset(rows, 0x5A, sizeof rows);
        put_turned_as((const char *)sums, n_rows, n_out, &rows[0][0], 20);
        for (size_t r = 0; r < 17; r++)
            for (size_t o = 0; o < 20; o++) {
                int there = r < 16 && r < n_rows && o < 16 && o < n_out;
                CHECK_THAT(memcmp(&rows[r][o],
                                  there ? (const char *)&sums[o][r] : "\x5A\x5A\x5A\x5A", 4) == 0,
                           "round %d, row %zu, output %zu", round, r, o);
            }
    }
}

int main(void) {
    RUN(weights_are_packed_as_the_definition_has_them);
    RUN(rows_are_packed_as_the_definition_has_them);
    RUN(turned_rows_are_those_rows);
    RUN(sums_are_turned_to_rows);
    return test_finish();
}

#else

static void not_on_this_machine(void) {
    SKIP("AVX-512 is of x86");
}

int main(void) {
    RUN(not_on_this_machine);
    return test_finish();
}

#endif
