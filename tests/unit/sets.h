/* What the tests of kernels share: the sets that run here, values of every kind, canaries. */
#ifndef PLENS_TESTS_UNIT_SETS_H
#define PLENS_TESTS_UNIT_SETS_H

#include "runtime/fp.h"

#include <math.h>
#include <stdint.h>

#include "runtime/amx_permission.h"
#include "runtime/cpu.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/product.h"
#include "tests/test.h"

/* The i-th set that this build and processor have, or NULL; the 0th is scalar. */
static inline const plens__kernels *test_set(size_t i) {
    plens__cpu cpu = plens__cpu_detect();
    const plens__kernels *sets[4] = {&plens__kernels_scalar, NULL, NULL, NULL};
    size_t n = 1;
    if (cpu.avx2 && plens__kernels_avx2() != NULL)
        sets[n++] = plens__kernels_avx2();
    if (cpu.avx512 && plens__kernels_avx512() != NULL)
        sets[n++] = plens__kernels_avx512();
    if (plens__kernels_neon() != NULL)
        sets[n++] = plens__kernels_neon();
    return i < n ? sets[i] : NULL;
}

/* The product of a precision in the same set; every set has f32. */
static inline const plens__product *test_product(const plens__kernels *set,
                                                 plens_precision precision) {
    return set->isa == PLENS_ISA_AVX512 ? plens__product_avx512(precision)
           : set->isa == PLENS_ISA_AVX2 ? plens__product_avx2(precision)
           : set->isa == PLENS_ISA_NEON ? plens__product_neon(precision)
                                        : plens__product_scalar(precision);
}

/* The i-th product of a precision that this build and processor have, or NULL; the 0th is scalar.
 */
static inline const plens__product *test_product_at(size_t i, plens_precision precision) {
    plens__cpu cpu = plens__cpu_detect();
    const plens__product *products[] = {
        plens__product_scalar(precision),
        cpu.avx2 ? plens__product_avx2(precision) : NULL,
        cpu.avx512 ? plens__product_avx512(precision) : NULL,
        cpu.avx512bf16 ? plens__product_avx512bf16(precision) : NULL,
        cpu.amx && plens__amx_permission() == NULL ? plens__product_amx(precision) : NULL,
        plens__product_neon(precision),
    };
    for (size_t at = 0; at < sizeof products / sizeof *products; at++)
        if (products[at] != NULL && i-- == 0)
            return products[at];
    return NULL;
}

/* 1 if a limit to this set is none of another family of processors'. */
static inline int test_of_family(plens_isa isa) {
#if defined(__x86_64__)
    return isa != PLENS_ISA_NEON;
#elif defined(__aarch64__)
    return isa == PLENS_ISA_NEON || isa == PLENS_ISA_SCALAR;
#else
    return isa == PLENS_ISA_SCALAR;
#endif
}

/* Fixed random bits [Marsaglia, xorshift64*]. */
static inline uint32_t test_random(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 2685821657736338717u) >> 32);
}

static inline size_t test_below(size_t n) {
    return test_random() % n;
}

typedef enum test_kind { PLAIN, TINY, HUGE_ONES, ANY_BITS, EDGE, N_KINDS } test_kind;

/* PLAIN: in (-4, 4) with repeats and zeros of both signs, so that sums cancel. TINY: their products
 * are denormal. HUGE_ONES: their products overflow. ANY_BITS: NaN and infinite ones too. EDGE: few
 * bits, and products around 2^-126, of which sums lie on, just below or just above it. */
static inline float test_value(test_kind kind) {
    uint32_t bits = test_random();
    float value = (float)(int32_t)(bits & 0xFFFFFF00) * 0x1p-29f;
    if (kind == EDGE) {
        static const float few[] = {1.0f, 0.9921875f, 1.0078125f, 0.5f, 0x1p-12f};
        value = few[bits >> 8 & 3] * (bits >> 10 & 15 ? 1 : few[4]) * 0x1p-63f;
        return bits & 16 ? value : -value;
    }
    if (bits % 16 == 0)
        return bits & 256 ? 1.0f : -1.0f;
    if (bits % 16 == 1)
        return bits & 256 ? 0.0f : -0.0f;
    if (kind == TINY)
        return value * (bits & 16 ? 0x1p-70f : 0x1p-140f);
    if (kind == HUGE_ONES)
        return value * (bits & 16 ? 0x1p64f : 30.0f);
    if (kind == ANY_BITS)
        memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void test_fill(float *values, size_t n, test_kind kind) {
    for (size_t i = 0; i < n; i++)
        values[i] = test_value(kind);
}

/* The same bits, or both NaN. */
static inline int test_same(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

/* Index of the first difference, or n. */
static inline size_t test_difference(const float *a, const float *b, size_t n) {
    size_t i = 0;
    while (i < n && test_same(a[i], b[i]))
        i++;
    return i;
}

#endif
