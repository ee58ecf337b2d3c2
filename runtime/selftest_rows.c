/* The kernels of rows and of the vocabulary against the definition. */
#include "runtime/fp.h"

#include <stdio.h>
#include <string.h>

#include "runtime/selftest.h"

enum {
    FROM = 21, /* where results begin: at no boundary of a register */
    KEYS = 100,
    HEAD = 40 /* attend of many: at most */
};

/* ---- Every kernel, called for `n` ---------------------------------------------------------- */

/* a and b have PLENS__TEST_FIELD random values. */
typedef void row_call(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                      float *out);

static void rms_norm(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                     float *out) {
    kernels->rms_norm(a, b, n, 1e-5f, out);
}

static void rope(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                 float *out) {
    memcpy(out, a, 2 * n * sizeof *a);
    kernels->rope(out, b, b + n, n);
}

static void silu_mul(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                     float *out) {
    kernels->silu_mul(a, b, n, out);
}

static void silu(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                 float *out) {
    (void)b;
    memcpy(out, a, n * sizeof *a);
    kernels->silu(out, n);
}

static void multiply(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                     float *out) {
    memcpy(out, a, n * sizeof *a);
    kernels->multiply(out, b, n);
}

static void add(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                float *out) {
    memcpy(out, a, n * sizeof *a);
    kernels->add(out, b, n);
}

static void exponential(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                        float *out) {
    (void)b;
    kernels->exp(a, n, out);
}

/* n keys and values of some width: out is the scores [n] and the sum [width]. */
typedef struct shape {
    size_t n, width;
} shape;

static shape shape_for(size_t n) {
    shape s = {1 + n % 50, n % 3 == 0 ? 64 : 1 + n * 7 % 130};
    return s;
}

static void attend(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                   float *out) {
    shape s = shape_for(n);
    kernels->attend(a, b, s.width + 1, a + 150, s.width + 2, s.n, s.width, 0.37f, out, out + s.n);
}

static void attend_in_steps(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                            float *out) {
    shape s = shape_for(n);
    kernels->attend_scores(a, b, s.width + 1, s.n, s.width, 0.37f, out);
    kernels->attend_softmax(out, s.n);
    kernels->attend_values(out, a + 150, s.width + 2, s.n, s.width, out + s.n);
}

/* Rows and heads of any number over up to some hundred keys, with a window or without. */
static void attend_rows(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                        float *out) {
    float scratch[PLENS__ATTEND_FLOATS(KEYS, HEAD)];
    plens__queries queries = {.q = a, .out = out, .k = b, .v = b + 7, .scale = 0.37f};
    queries.n_rows = 1 + n % 21;
    queries.n_heads = 1 + n / 3 % 4;
    queries.head_dim = n % 2 == 0 ? HEAD : 1 + n * 7 % HEAD;
    queries.row_stride = queries.n_heads * queries.head_dim + n % 3;
    queries.first = n * 5 % (KEYS - queries.n_rows);
    queries.window = n % 5 == 0 ? 0 : 1 + n * 11 % KEYS;
    queries.stride = queries.head_dim + n % 4;
    kernels->attend_rows(&queries, scratch);
}

static void vocab_sums(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                       float *out) {
    plens__vocab_sums sums;
    (void)b;
    kernels->vocab_sums(a, n, &sums);
    out[0] = sums.max;
    out[1] = (float)sums.finite;
    if (sums.finite) {
        memcpy(out + 2, &sums.sum, sizeof sums.sum);
        memcpy(out + 4, &sums.weighted, sizeof sums.weighted);
    }
}

static void greater(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                    float *out) {
    out[0] = (float)kernels->count_greater(a, n, b[0]);
    out[1] = (float)kernels->find_greater(a, n / 3, n, b[1]);
    out[2] = (float)kernels->find_greater(a, 0, n, a[n / 2]);
}

static void dot_double(const plens__kernels *kernels, size_t n, const float *a, const float *b,
                       float *out) {
    double sum = kernels->dot_double(a, b, n);
    if (sum == sum) /* the bits of a NaN are not defined */
        memcpy(out, &sum, sizeof sum);
}

/* ---- All of them --------------------------------------------------------------------------- */

static const struct {
    const char *name;
    row_call *call;
} kernels_of_rows[] = {
    {"rms_norm", rms_norm},
    {"rope", rope},
    {"silu_mul", silu_mul},
    {"silu", silu},
    {"multiply", multiply},
    {"add", add},
    {"exp", exponential},
    {"attend", attend},
    {"attend, its steps", attend_in_steps},
    {"attend of many", attend_rows},
    {"vocab_sums", vocab_sums},
    {"count_greater and find_greater", greater},
    {"dot_double", dot_double},
};

/* 1..70, then some up to the largest block of the vocabulary. */
static size_t next_size(size_t n) {
    return n < 70 ? n + 1 : n + 159;
}

static void test_kernel(plens__test *test, const plens__kernels *kernels, size_t number,
                        plens__test_kind kind) {
    const char *name = kernels_of_rows[number].name;
    row_call *call = kernels_of_rows[number].call;
    int same = 1;
    for (size_t n = 1; n <= PLENS__VOCAB_BLOCK && same; n = next_size(n)) {
        char what[64];
        plens__test_fill(test, kind, test->a, PLENS__TEST_FIELD);
        plens__test_fill(test, kind, test->b, PLENS__TEST_FIELD);
        plens__test_reset(test);
        call(&plens__kernels_scalar, n, test->a + 1, test->b + 3, test->expected + FROM);
        call(kernels, n, test->a + 1, test->b + 3, test->found + FROM);
        snprintf(what, sizeof what, "%s of %zu", name, n);
        same = plens__test_compare(test, what, FROM);
    }
}

void plens__test_rows(plens__test *test, const plens__kernels *kernels) {
    const size_t n = sizeof kernels_of_rows / sizeof *kernels_of_rows;
    for (int kind = 0; kind < PLENS__N_KINDS; kind++)
        for (size_t i = 0; i < n && test->difference[0] == '\0'; i++)
            test_kernel(test, kernels, i, (plens__test_kind)kind);
}
