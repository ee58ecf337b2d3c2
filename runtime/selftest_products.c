/* A product against the definition. */
#include "runtime/fp.h"

#include <stdio.h>
#include <string.h>

#include "runtime/selftest.h"
#include "runtime/trial.h"
#include "runtime/widen.h"

enum { ROUNDS = 225, FROM = 21, SLACK = 5, LINE = 64 };

/* Any finite half; of float and bf16 the value's own kind. */
static void put_weight(plens__test *test, plens_dtype dtype, float value, char *to) {
    uint32_t bits = plens__bits_of_float(value);
    uint16_t half = (uint16_t)(bits >> 16);
    if (dtype == PLENS_F16)
        half = (uint16_t)(plens__test_below(test, 0x7C00) | (bits >> 16 & 0x8000));
    memcpy(to, dtype == PLENS_F32 ? (void *)&bits : (void *)&half, dtype == PLENS_F32 ? 4 : 2);
}

/* Rows of w begin at odd addresses; sometimes each 32 of a row are a line of the cache, or two. */
static void place_weights(plens__test *test, plens__trial *t, size_t size) {
    size_t misplaced = (uintptr_t)test->w % LINE;
    int in_lines = t->k >= PLENS__BLOCK_K && plens__test_below(test, 3) == 0;
    if (in_lines)
        t->k -= t->k % PLENS__BLOCK_K;
    t->w = test->w + (in_lines ? (LINE - misplaced) % LINE : 1);
    t->row_bytes = t->k * size + (in_lines ? LINE : size) * plens__test_below(test, 2);
}

/* Random sizes, few rows as often as many. */
static plens__trial make_trial(plens__test *test, plens_dtype dtype, plens__test_kind kind) {
    size_t size = dtype == PLENS_F32 ? 4 : 2;
    plens__trial t = {.dtype = dtype, .x = test->a + 1};
    int is_long = plens__test_below(test, 6) == 0;
    size_t most_rows = is_long ? PLENS__TEST_LONG_ROWS : PLENS__TEST_ROWS;
    t.n_rows = 1 + plens__test_below(test, plens__test_below(test, 2) ? 4 : most_rows);
    t.k = 1 + plens__test_below(test, is_long ? PLENS__TEST_LONG_K : PLENS__TEST_K);
    t.n_out = 1 + plens__test_below(test, (is_long ? PLENS__TEST_LONG_OUT : PLENS__TEST_OUT) - 1);
    place_weights(test, &t, size);
    t.ldx = t.k + plens__test_below(test, 2);
    t.k_part = plens__test_below(test, 3) ? t.k : PLENS__BLOCK_K * (1 + plens__test_below(test, 3));
    t.resume = (int)plens__test_below(test, 2);
    plens__test_fill(test, kind, test->a, PLENS__TEST_FIELD);
    for (size_t o = 0; o < t.n_out; o++)
        for (size_t k = 0; k < t.k; k++)
            put_weight(test, dtype, plens__test_value(test, kind),
                       (char *)(uintptr_t)t.w + o * t.row_bytes + k * size);
    return t;
}

static void run_trial(plens__test *test, const plens__product *product, plens_dtype dtype,
                      plens__test_kind kind, plens__way way) {
    const plens__product *definition = plens__product_scalar(product->precision);
    plens__trial t = make_trial(test, dtype, kind), whole;
    t.way = way;
    if (!plens__trial_has_way(product, &t))
        t.way = product->multiply != NULL ? PLENS__WAY_PANELS : PLENS__WAY_DIRECT;
    if (!plens__trial_resumes(product, t.way))
        t.resume = 0;
    whole = t;
    whole.way = PLENS__WAY_PANELS;
    size_t ldc = t.n_out + plens__test_below(test, SLACK);
    char what[96];
    plens__test_reset(test);
    for (size_t i = 0; i < t.n_rows * ldc && t.resume; i++)
        test->expected[FROM + i] = test->found[FROM + i] = plens__test_value(test, kind);
    whole.k_part = t.k;
    plens__trial_solve(definition, &whole, test->strips, test->panel, test->expected + FROM, ldc);
    plens__trial_solve(product, &t, test->strips, test->panel, test->found + FROM, ldc);
    snprintf(what, sizeof what, "%zu rows, k %zu, %zu outputs (%zu apart), dtype %d, way %d",
             t.n_rows, t.k, t.n_out, ldc, (int)dtype, (int)t.way);
    plens__test_compare(test, what, FROM);
}

void plens__test_product(plens__test *test, const plens__product *product) {
    for (int round = 0; round < ROUNDS && test->difference[0] == '\0'; round++) {
        plens_dtype dtype = (plens_dtype)(PLENS_F32 + round / PLENS__N_KINDS % 3);
        if (product->precision == PLENS_PRECISION_BF16X3)
            dtype = PLENS_BF16; /* others are not packed */
        run_trial(test, product, dtype, (plens__test_kind)(round % PLENS__N_KINDS),
                  (plens__way)(round / PLENS__N_KINDS / 3 % PLENS__N_WAYS));
    }
}
