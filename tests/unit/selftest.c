/* plens_selftest: that it finds what is wrong, says all there is to say, and ends when told to. */
#include "sets.h"

#include "runtime/engine.h"
#include "runtime/selftest.h"
#include "runtime/sets.h"

static plens__test test;

typedef struct subject {
    const plens__kernels *kernels;
    const plens__product *product;
} subject;

static void run(void *arg, size_t item, int thread) {
    const subject *s = arg;
    (void)item, (void)thread;
    plens__test_begin(&test);
    if (s->kernels != NULL)
        plens__test_rows(&test, s->kernels);
    else
        plens__test_product(&test, s->product);
}

/* The first difference, or "". */
static const char *differs(const plens__kernels *kernels, const plens__product *product) {
    subject s = {kernels, product};
    plens__guarded(run, &s);
    return test.difference;
}

static void add_one_too_many(float *x, const float *y, size_t n) {
    plens__kernels_scalar.add(x, y, n);
    if (n == 33)
        x[n] = 0;
}

static double dot_in_order(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void softmax_of_infinity(float *scores, size_t n) {
    plens__kernels_scalar.attend_softmax(scores, n);
    if (scores[n - 1] != scores[n - 1])
        scores[n - 1] = 0;
}

/* Row kernels that are wrong in one case of many. */
static void wrong_rows_are_found(void) {
    CHECK_STRING(differs(&plens__kernels_scalar, NULL), "");
    plens__kernels wrong = plens__kernels_scalar;
    wrong.add = add_one_too_many;
    CHECK_CONTAINS(differs(&wrong, NULL), "add of 33: element 33 has the bits 00000000");
    wrong = plens__kernels_scalar;
    wrong.dot_double = dot_in_order;
    CHECK_CONTAINS(differs(&wrong, NULL), "dot_double of ");
    wrong = plens__kernels_scalar;
    wrong.attend_softmax = softmax_of_infinity;
    CHECK_CONTAINS(differs(&wrong, NULL), "attend, its steps of ");
}

/* Products of bf16 that flush before they round, never flush, start c anew, or touch what lies
 * beyond the outputs: all panels and strips are the definition's. */
typedef enum fault { NONE, EARLY, NEVER, ANEW, BEYOND } fault;
static fault planted;

static float faulty_step(float a, float b, float c) {
    double sum = (double)a * (double)b + (double)c;
    if (planted == EARLY && fabs(sum) < 0x1p-126)
        return sum < 0 ? -0.0f : 0.0f;
    float result = fmaf(a, b, c);
    return planted != NEVER && fabsf(result) < 0x1p-126f ? copysignf(0, result) : result;
}

static float normal(float value) {
    return fabsf(value) < 0x1p-126f ? copysignf(0, value) : value;
}

static void faulty_multiply(size_t n_rows, size_t k, const void *x, size_t x_step, const void *w,
                            size_t n_out, int resume, float *c, size_t ldc) {
    const float *panel = w;
    for (size_t r = 0; r < n_rows; r++)
        for (size_t o = 0; o < n_out; o++) {
            const float *row = (const float *)(const void *)((const char *)x + r * x_step);
            float sum = resume && planted != ANEW ? c[r * ldc + o] : 0;
            for (size_t i = 0; i < k; i += 32) {
                float chain[2] = {0, 0};
                for (size_t j = 0; j < 32; j++)
                    chain[j % 2] = faulty_step(normal(row[i + j]), normal(panel[(i + j) * 16 + o]),
                                               chain[j % 2]);
                sum = normal(normal(sum) + normal(chain[0] + chain[1]));
            }
            c[r * ldc + o] = sum;
        }
    if (planted == BEYOND && n_out == 5)
        c[n_out] += 1;
}

static void wrong_products_are_found(void) {
    plens__product product = *plens__product_scalar(PLENS_PRECISION_BF16);
    CHECK_STRING(differs(NULL, &product), "");
    product.multiply = faulty_multiply;
    for (planted = EARLY; planted <= BEYOND; planted++)
        CHECK_THAT(differs(NULL, &product)[0] != '\0', "fault %d is not found", (int)planted);
    planted = NONE; /* ftz(fmaf()), which rounds denormals to fewer bits before it flushes them */
    CHECK(differs(NULL, &product)[0] != '\0');
}

/* ---- The whole ------------------------------------------------------------------------------- */

typedef struct lines {
    int n, n_failed, n_skipped, stop_at;
    plens_isa first, last;
} lines;

static int count(void *user, const plens_selftest_result *result) {
    lines *l = user;
    if (l->n++ == 0)
        l->first = result->isa;
    l->last = result->isa;
    l->n_failed += result->outcome == PLENS_SELFTEST_FAILED;
    l->n_skipped += result->outcome == PLENS_SELFTEST_SKIPPED;
    if (result->outcome != PLENS_SELFTEST_PASSED)
        printf("%s, %s: %s\n", plens_isa_name(result->isa), result->part, result->detail);
    return l->n == l->stop_at;
}

/* A set or part left out, the limit not kept, the definition not compared with its record. */
static void every_set_and_part_is_told(void) {
    plens__set sets[PLENS__MOST_SETS];
    int n_sets = (int)plens__sets(sets);
    plens_options options = {0};
    plens_context *context;
    plens_error error;
    lines l = {0};
    options.isa_limit = PLENS_ISA_SCALAR;
    CHECK_OK(plens_context_create(&options, &context, &error), error);
    CHECK_OK(plens_selftest(context, count, &l, &error), error);
    plens_context_destroy(context);
    CHECK_INT(l.n, n_sets - 1 + 4); /* the others skipped; rows and three products */
    CHECK_INT(l.n_skipped, n_sets - 1);
    CHECK_INT(l.n_failed, 0);
    CHECK(l.first == sets[0].isa && l.last == PLENS_ISA_SCALAR);
}

static void it_ends_when_told_to(void) {
    plens_context *context;
    plens_error error;
    lines l = {0};
    l.stop_at = 2;
    CHECK_OK(plens_context_create(NULL, &context, &error), error);
    CHECK_INT(plens_selftest(context, count, &l, &error), PLENS_CANCELLED);
    CHECK_INT(l.n, 2);
    CHECK_INT(plens_selftest(context, NULL, NULL, &error), PLENS_ERROR_ARGUMENT);
    CHECK_INT(plens_selftest(NULL, count, &l, &error), PLENS_ERROR_ARGUMENT);
    plens_context_destroy(context);
}

static int allowed;

static void *reallocate(void *user, void *old, size_t old_size, size_t new_size) {
    (void)user, (void)old_size;
    if (new_size == 0) {
        free(old);
        return NULL;
    }
    return allowed-- > 0 ? realloc(old, new_size) : NULL;
}

static void no_memory_is_an_error(void) {
    plens_options options = {0};
    plens_context *context;
    plens_error error;
    lines l = {0};
    options.allocator.reallocate = reallocate;
    allowed = 1000;
    CHECK_OK(plens_context_create(&options, &context, &error), error);
    allowed = 0;
    CHECK_INT(plens_selftest(context, count, &l, &error), PLENS_ERROR_MEMORY);
    CHECK_CONTAINS(error.message, "the self-test");
    CHECK_INT(l.n, 0);
    plens_context_destroy(context);
}

int main(void) {
    RUN(wrong_rows_are_found);
    RUN(wrong_products_are_found);
    RUN(every_set_and_part_is_told);
    RUN(it_ends_when_told_to);
    RUN(no_memory_is_an_error);
    return test_finish();
}
