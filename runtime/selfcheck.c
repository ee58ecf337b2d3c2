#include "runtime/fp.h"

#include "runtime/selfcheck.h"

#include <math.h>
#include <string.h>

#include "runtime/engine.h"

enum { ROWS = 5, DEPTH = 37, OUTPUTS = 13, WIDTH = 75, KEYS = 21 };

/* What one set of kernels makes of the fixed problem. */
typedef struct results {
    float c[ROWS * OUTPUTS];
    float normed[WIDTH], rotated[WIDTH], scores[KEYS], attended[DEPTH];
    float mixed[WIDTH], sum[WIDTH], exponential[WIDTH];
    plens__vocab_sums vocab;
    size_t greater, first;
} results;

/* Fixed values in (-limit, limit), by a linear congruential generator [Knuth, MMIX]. */
static void fill(float *values, size_t n, uint64_t seed, float limit) {
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        values[i] = ((float)(int32_t)(seed >> 32) * 0x1p-31f) * limit;
    }
}

static void run_gemm(const plens__kernels *kernels, results *out) {
    float x[ROWS * DEPTH], w[OUTPUTS * DEPTH], panel[DEPTH * PLENS__PANEL_MAX];
    uint16_t half[OUTPUTS * DEPTH];
    fill(x, ROWS * DEPTH, 1, 3.0f);
    fill(w, OUTPUTS * DEPTH, 2, 0x1p-127f); /* products and sums around the denormals */
    for (size_t i = 0; i < OUTPUTS * DEPTH; i++)
        half[i] = (uint16_t)(i * 40503u); /* of every kind, NaN and infinite ones too */
    kernels->pack(PLENS_F32, w, DEPTH * sizeof *w, OUTPUTS, DEPTH, panel);
    kernels->gemm(ROWS, DEPTH, x, DEPTH, panel, OUTPUTS, 0, out->c, OUTPUTS);
    kernels->pack(PLENS_F16, half, DEPTH * sizeof *half, OUTPUTS, DEPTH, panel);
    kernels->gemm(ROWS - 2, DEPTH, x, DEPTH, panel, OUTPUTS, 1, out->c, OUTPUTS);
    for (size_t i = 0; i < OUTPUTS * DEPTH; i++)
        half[i] = (uint16_t)(0x3F00 + i * 97 % 0x200); /* bf16 around 1 */
    kernels->pack(PLENS_BF16, half, DEPTH * sizeof *half, OUTPUTS, DEPTH, panel);
    kernels->gemm(1, DEPTH, x, DEPTH, panel, OUTPUTS, 0, out->c, OUTPUTS);
}

static void run_rows(const plens__kernels *kernels, results *out) {
    float x[WIDTH], y[WIDTH], keys[KEYS * DEPTH], values[KEYS * DEPTH];
    fill(x, WIDTH, 3, 100.0f);
    fill(y, WIDTH, 4, 2.0f);
    fill(keys, KEYS * DEPTH, 5, 0.1f);
    fill(values, KEYS * DEPTH, 6, 1.0f);
    kernels->rms_norm(x, y, WIDTH, 1e-5f, out->normed);
    memcpy(out->rotated, x, sizeof out->rotated);
    kernels->rope(out->rotated, y, y + DEPTH, WIDTH / 2);
    kernels->attend(x, keys, DEPTH, values, DEPTH, KEYS, DEPTH, 0.7f, out->scores, out->attended);
    kernels->silu_mul(x, y, WIDTH, out->mixed);
    memcpy(out->sum, x, sizeof out->sum);
    kernels->add(out->sum, y, WIDTH);
}

static void run_vocabulary(const plens__kernels *kernels, results *out) {
    float x[WIDTH];
    fill(x, WIDTH, 7, 110.0f); /* e^x is infinite, normal, denormal, zero */
    kernels->vocab_sums(x, WIDTH, &out->vocab);
    x[3] = INFINITY;
    x[17] = -INFINITY;
    x[29] = 0x1p-149f;
    x[30] = -0.0f;
    kernels->exp(x, WIDTH, out->exponential);
    out->greater = kernels->count_greater(x, WIDTH, 0);
    out->first = kernels->find_greater(x, 20, WIDTH, 90.0f);
}

static int same(const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0 && !(a[i] != a[i] && b[i] != b[i]))
            return 0;
    return 1;
}

static int same_results(const results *a, const results *b) {
    return same(a->c, b->c, ROWS * OUTPUTS) && same(a->normed, b->normed, WIDTH) &&
           same(a->rotated, b->rotated, WIDTH) && same(a->scores, b->scores, KEYS) &&
           same(a->attended, b->attended, DEPTH) && same(a->mixed, b->mixed, WIDTH) &&
           same(a->sum, b->sum, WIDTH) && same(a->exponential, b->exponential, WIDTH) &&
           same(&a->vocab.max, &b->vocab.max, 1) && a->vocab.finite == b->vocab.finite &&
           memcmp(&a->vocab.sum, &b->vocab.sum, sizeof a->vocab.sum) == 0 &&
           memcmp(&a->vocab.weighted, &b->vocab.weighted, sizeof a->vocab.weighted) == 0 &&
           a->greater == b->greater && a->first == b->first;
}

typedef struct check {
    const plens__kernels *kernels;
    int passed;
} check;

static void compare(void *arg, size_t item, int thread) {
    check *c = arg;
    results expected, found;
    const plens__kernels *sets[2] = {&plens__kernels_scalar, c->kernels};
    results *outs[2] = {&expected, &found};
    (void)item, (void)thread;
    for (int i = 0; i < 2; i++) {
        run_gemm(sets[i], outs[i]);
        run_rows(sets[i], outs[i]);
        run_vocabulary(sets[i], outs[i]);
    }
    c->passed = same_results(&expected, &found);
}

int plens__selfcheck(const plens__kernels *kernels) {
    check c = {kernels, 0};
    plens__guarded(compare, &c);
    return c.passed;
}
