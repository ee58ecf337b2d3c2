#include "runtime/fp.h"

#include "runtime/selfcheck.h"

#include <math.h>
#include <string.h>

#include "runtime/engine.h"
#include "runtime/trial.h"

enum { DEPTH = 37, WIDTH = 75, KEYS = 21, QUERIES = 6 };

/* ---- Rows ---- */

/* What one set of kernels makes of the fixed problem. */
typedef struct results {
    float normed[WIDTH], rotated[WIDTH], scores[KEYS], attended[DEPTH];
    float many[QUERIES * DEPTH];
    float mixed[WIDTH], sum[WIDTH], exponential[WIDTH];
    plens__vocab_sums vocab;
    double dot;
    size_t greater, first;
} results;

/* Fixed values in (-limit, limit), by a linear congruential generator [Knuth, MMIX]. */
static void fill(float *values, size_t n, uint64_t seed, float limit) {
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        values[i] = ((float)(int32_t)(seed >> 32) * 0x1p-31f) * limit;
    }
}

static void attend_many(const plens__kernels *kernels, const float *keys, const float *values,
                        float *out) {
    float q[QUERIES * DEPTH], scratch[PLENS__ATTEND_FLOATS(KEYS, DEPTH)];
    fill(q, QUERIES * DEPTH, 8, 100.0f);
    plens__queries queries = {.q = q, .out = out, .k = keys, .v = values, .scale = 0.7f};
    queries.n_rows = QUERIES;
    queries.n_heads = 1;
    queries.row_stride = queries.stride = queries.head_dim = DEPTH;
    queries.first = KEYS - QUERIES;
    queries.window = KEYS - QUERIES / 2;
    kernels->attend_rows(&queries, scratch);
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
    attend_many(kernels, keys, values, out->many);
    kernels->silu_mul(x, y, WIDTH, out->mixed);
    memcpy(out->sum, x, sizeof out->sum);
    kernels->add(out->sum, y, WIDTH);
}

static void run_vocabulary(const plens__kernels *kernels, results *out) {
    float x[WIDTH];
    fill(x, WIDTH, 7, 110.0f); /* e^x is infinite, normal, denormal, zero */
    kernels->vocab_sums(x, WIDTH, &out->vocab);
    out->dot = kernels->dot_double(x, x + 1, WIDTH - 1);
    x[3] = INFINITY;
    x[17] = -INFINITY;
    x[29] = 0x1p-149f;
    x[30] = -0.0f;
    kernels->exp(x, WIDTH, out->exponential);
    out->greater = kernels->count_greater(x, WIDTH, 0);
    out->first = kernels->find_greater(x, 20, WIDTH, 90.0f);
}

static int same(const float *a, const float *b, size_t n) {
    return plens__trial_difference(a, b, n) == n;
}

static int same_results(const results *a, const results *b) {
    return same(a->normed, b->normed, WIDTH) && same(a->rotated, b->rotated, WIDTH) &&
           same(a->scores, b->scores, KEYS) && same(a->attended, b->attended, DEPTH) &&
           same(a->many, b->many, QUERIES * DEPTH) && same(a->mixed, b->mixed, WIDTH) &&
           same(a->sum, b->sum, WIDTH) && same(a->exponential, b->exponential, WIDTH) &&
           same(&a->vocab.max, &b->vocab.max, 1) && a->vocab.finite == b->vocab.finite &&
           memcmp(&a->vocab.sum, &b->vocab.sum, sizeof a->vocab.sum) == 0 &&
           memcmp(&a->vocab.weighted, &b->vocab.weighted, sizeof a->vocab.weighted) == 0 &&
           memcmp(&a->dot, &b->dot, sizeof a->dot) == 0 && a->greater == b->greater &&
           a->first == b->first;
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
        run_rows(sets[i], outs[i]);
        run_vocabulary(sets[i], outs[i]);
    }
    c->passed = same_results(&expected, &found);
}

int plens__selfcheck_rows(const plens__kernels *kernels) {
    check c = {kernels, 0};
    plens__guarded(compare, &c);
    return c.passed;
}

/* ---- Products ---- */

enum {
    ROWS = 9,
    K = 37,
    OUTPUTS = 19,
    K_BLOCKS = 2,
    N_PROBLEMS = 4,
    PANEL_BYTES = K_BLOCKS * PLENS__PANEL_BLOCK_MAX,
    SCRATCH_BYTES = PLENS__SCRATCH_MAX(ROWS, K, OUTPUTS)
};

typedef struct problem {
    plens_dtype dtype;
    float x[ROWS * K], c[ROWS * OUTPUTS]; /* c: from which the sums go on */
    float w[OUTPUTS * K];
    uint16_t half[OUTPUTS * K];
} problem;

static void fill_halves(problem *p, unsigned first, unsigned factor, unsigned range) {
    for (size_t i = 0; i < OUTPUTS * K; i++)
        p->half[i] = (uint16_t)(first + i * factor % range);
}

/* Products of few bits around 2^-126 and of both signs, which cancel: results just above and below
 * the edge, and ties on it. In the last row 2^-126 - 2^-152, which rounds up to 2^-126: zero where
 * underflow is judged before rounding. In the row before it 2^-126 - 1.5 * 2^-151, which becomes
 * zero: 2^-126 where a denormal's few bits are rounded first. */
static void make_edge_problem(problem *p) {
    fill_halves(p, 0x1B00, 0x121, 0x100); /* 2^-73 to 2^-71 */
    for (size_t i = 0; i < OUTPUTS * K; i++)
        p->half[i] = (uint16_t)((p->half[i] & 0xFFF0) | (i % 5 < 2 ? 0x8000 : 0));
    for (size_t i = 0; i < ROWS * K; i++)
        p->x[i] = (float)(int)(p->x[i] * 5) * (i % 7 == 0 ? 0x1.01p-60f : 0x1p-56f);
    for (size_t o = 0; o < OUTPUTS; o++)
        p->half[o * K] = p->half[o * K + 2] = 0x2000; /* 2^-63 */
    for (size_t r = ROWS - 2; r < ROWS; r++) {
        memset(p->x + r * K, 0, K * sizeof *p->x);
        p->x[r * K] = 0x1p-63f;
        p->x[r * K + 2] = r == ROWS - 1 ? -0x1p-89f : -0x1.8p-88f;
        memset(p->c + r * OUTPUTS, 0, OUTPUTS * sizeof *p->c);
    }
}

static void make_problem(size_t number, problem *p) {
    fill(p->x, ROWS * K, 1, 3.0f);
    fill(p->w, OUTPUTS * K, 2, 0x1p-127f); /* products and sums around the denormals */
    fill(p->c, ROWS * OUTPUTS, 3, number == 1 ? 0x1p-120f : 1.0f);
    p->dtype = number == 0 ? PLENS_F32 : number == 3 ? PLENS_F16 : PLENS_BF16;
    if (number == 1)
        make_edge_problem(p);
    else if (number == 2)
        fill_halves(p, 0x3F00, 97, 0x200); /* around 1 */
    else
        fill_halves(p, 0, 40503, 0x10000); /* of every kind, NaN and infinite ones too */
    if (number == 2) {
        p->x[5] = INFINITY;
        p->x[K + 7] = NAN;
        p->x[2 * K + 3] = 3e38f;
    }
}

typedef struct product_check {
    const plens__product *product;
    int passed;
} product_check;

/* c [ROWS, OUTPUTS] of one product, called in one way; from +0 if it is not to resume. Returns 0 if
 * it cannot be called so. */
static int solve(const plens__product *product, const problem *p, plens__way way, int resume,
                 float *c) {
    char strips[K_BLOCKS * PLENS__ROWS_BLOCK_MAX];
    char panel[PANEL_BYTES > SCRATCH_BYTES ? PANEL_BYTES : SCRATCH_BYTES];
    plens__trial trial = {
        .way = way,
        .dtype = p->dtype,
        .w = p->dtype == PLENS_F32 ? (const void *)p->w : p->half,
        .row_bytes = K * (p->dtype == PLENS_F32 ? sizeof *p->w : sizeof *p->half),
        .n_out = OUTPUTS,
        .x = p->x,
        .ldx = K,
        .n_rows = ROWS,
        .k = K,
        .k_part = K,
        .resume = resume,
    };
    if (!plens__trial_has_way(product, &trial))
        return 0;
    memcpy(c, p->c, sizeof p->c);
    plens__trial_solve(product, &trial, strips, panel, c, OUTPUTS);
    return 1;
}

static void compare_products(void *arg, size_t item, int thread) {
    product_check *c = arg;
    const plens__product *definition = plens__product_scalar(c->product->precision);
    problem p;
    float expected[ROWS * OUTPUTS], found[ROWS * OUTPUTS];
    (void)item, (void)thread;
    c->passed = 1;
    for (size_t number = 0; number < N_PROBLEMS; number++) {
        make_problem(number, &p);
        if (c->product->precision == PLENS_PRECISION_BF16X3 && p.dtype != PLENS_BF16)
            continue;
        for (int way = 0; way < PLENS__N_WAYS; way++) {
            int resume = plens__trial_resumes(c->product, (plens__way)way);
            solve(definition, &p, PLENS__WAY_PANELS, resume, expected);
            if (solve(c->product, &p, (plens__way)way, resume, found))
                c->passed &= same(expected, found, ROWS * OUTPUTS);
        }
    }
}

int plens__selfcheck_product(const plens__product *product) {
    product_check c = {product, 0};
    plens__guarded(compare_products, &c);
    return c.passed;
}
