/* What plens_selftest is made of: one set of row kernels, or one product, against the definition on
 * random shapes and values. Everything a test needs is in one block of memory. */
#ifndef PLENS_RUNTIME_SELFTEST_H
#define PLENS_RUNTIME_SELFTEST_H

#include "loaders/base.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/product.h"

enum {
    PLENS__TEST_FIELD = 16384, /* floats */
    PLENS__TEST_ROWS = 72,     /* of a product, at most, and so on */
    PLENS__TEST_OUT = 100,
    PLENS__TEST_K = 200,
    PLENS__TEST_LONG_ROWS = 12, /* of one with long k */
    PLENS__TEST_LONG_OUT = 15,
    PLENS__TEST_LONG_K = 1300, /* more than a part of k */
    PLENS__TEST_BLOCKS = (PLENS__TEST_LONG_K + PLENS__BLOCK_K - 1) / PLENS__BLOCK_K,
    PLENS__TEST_STRIPS = PLENS__TEST_BLOCKS * 2 * PLENS__ROWS_BLOCK_MAX,
    PLENS__TEST_PANEL = PLENS__TEST_BLOCKS * PLENS__PANEL_BLOCK_MAX /* enough for scratch, too */
};

/* Kinds of values. PLAIN: few bits and both signs, so that sums cancel. EDGE: products of them are
 * around 2^-126, with ties and what rounds up to it. TINY: denormal, or their products are. HUGE:
 * products overflow. ANY: all bit patterns, infinite and NaN too. */
typedef enum plens__test_kind {
    PLENS__PLAIN,
    PLENS__EDGE,
    PLENS__TINY,
    PLENS__HUGE,
    PLENS__ANY,
    PLENS__N_KINDS
} plens__test_kind;

typedef struct plens__test {
    uint64_t random; /* the generator's state */
    uint64_t hash;   /* of all that the definition gave */
    float a[PLENS__TEST_FIELD], b[PLENS__TEST_FIELD];
    float expected[PLENS__TEST_FIELD], found[PLENS__TEST_FIELD];
    char w[PLENS__TEST_OUT * (PLENS__TEST_K * 4 + 64)];
    float strips[PLENS__TEST_STRIPS / 4], panel[PLENS__TEST_PANEL / 4];
    char difference[160]; /* the first one found, in words; empty: none */
} plens__test;

/* The same values and shapes every time; `role` as in sets.h. */
void plens__test_begin(plens__test *test);
float plens__test_value(plens__test *test, plens__test_kind kind);
size_t plens__test_below(plens__test *test, size_t n);
void plens__test_fill(plens__test *test, plens__test_kind kind, float *values, size_t n);

/* Fixed values in both results: what must not be written is compared too. */
void plens__test_reset(plens__test *test);

/* Compares the fields and hashes the expected one; 1 if they agree, else the difference is told:
 * `what`, sizes, the element counted from `from` on. */
int plens__test_compare(plens__test *test, const char *what, size_t from);

/* Both stop at the first difference. They compute, so they belong into a guarded task
 * (runtime/engine.h). */
void plens__test_rows(plens__test *test, const plens__kernels *kernels);
void plens__test_product(plens__test *test, const plens__product *product);

/* plens_selftest: every set that the limit allows, in the order of sets.h. */
plens_status plens__selftest(const plens_allocator *allocator, plens_isa limit,
                             plens_selftest_fn *fn, void *user, plens_error *error);

#endif
