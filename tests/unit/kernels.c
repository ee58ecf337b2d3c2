/* Every set of kernels against the definition, bit by bit. Outputs lie, unaligned, in fields of
 * fixed values that must still be there afterwards; both sides get the same fields, so comparing
 * them whole finds a byte too many as well as a wrong one. */
#include "sets.h"

#include "runtime/trial.h"
#include "runtime/widen.h"

enum { FIELD = 4096, MARGIN = 21 };

static float left[FIELD], right[FIELD];

/* The same fixed values in both fields. */
static void reset_fields(void) {
    for (size_t i = 0; i < FIELD; i++)
        left[i] = right[i] = (float)i + 0.25f;
}

#define CHECK_FIELDS(what, set, n)                                                                 \
    do {                                                                                           \
        size_t at = test_difference(left, right, FIELD);                                           \
        CHECK_THAT(at == FIELD, "%s, %s, n %zu: element %td is %a, expected %a", what,             \
                   plens_isa_name((set)->isa), (size_t)(n), (ptrdiff_t)at - MARGIN, right[at],     \
                   left[at]);                                                                      \
    } while (0)

static size_t next_size(size_t n) {
    return n < 70 ? n + 1 : n + 253;
}

#define FOR_EACH_SET(set, i)                                                                       \
    for (size_t i = 0; test_set(i) != NULL; i++)                                                   \
        for (const plens__kernels *set = test_set(i); set != NULL; set = NULL)

/* Which sets ran, for whoever reads the log of another machine. */
static void vector_sets_are_here(void) {
    if (test_set(1) == NULL)
        SKIP("this processor or build has no vector kernels");
}

/* ---- Packing and product -------------------------------------------------------------------- */

/* W at an odd address, with rows further apart than they are long. */
static char weights[FIELD * 4];

static void check_pack(const plens__product *set, plens_dtype dtype, size_t n_out, size_t k) {
    static float panel[(70 + 2) * PLENS__PANEL_MAX];
    size_t size = dtype == PLENS_F32 ? 4 : 2, row_bytes = k * size + 3;
    const float canary = 12345.0f;
    panel[k * set->panel + 1] = canary;
    set->pack_w(dtype, weights + 1, row_bytes, n_out, k, panel + 1);
    for (size_t i = 0; i < k; i++)
        for (size_t o = 0; o < set->panel; o++) {
            float expected = 0, found = panel[1 + i * set->panel + o];
            if (o < n_out)
                plens__widen(dtype, weights + 1 + o * row_bytes + i * size, 1, &expected);
            CHECK_THAT(test_same(found, expected),
                       "%s, dtype %d, %zu x %zu: w[%zu, %zu] is %a, expected %a",
                       plens_isa_name(set->isa), (int)dtype, n_out, k, o, i, found, expected);
        }
    CHECK(panel[k * set->panel + 1] == canary);
}

/* A wrong place in a transpose, a tail, a half not widened exactly (denormal f16), rubbish in the
 * unused lanes, a write past the panel. */
static void pack_widens_and_transposes(void) {
    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = (char)test_random();
    FOR_EACH_SET(set, s) {
        const plens__product *product = test_product(set, PLENS_PRECISION_F32);
        for (size_t n_out = 1; n_out <= product->panel; n_out += 1 + test_below(3))
            for (size_t k = 1; k <= 70; k++)
                for (int dtype = PLENS_F32; dtype <= PLENS_BF16 && !test_bad; dtype++)
                    check_pack(product, (plens_dtype)dtype, n_out, k);
    }
}

/* The definition of gemm, once more and in another arrangement. */
static void multiply(size_t rows, size_t k, const float *x, size_t ldx, const float *w,
                     size_t n_out, int resume, float *c, size_t ldc) {
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < n_out; o++) {
            float sum = resume ? c[r * ldc + o] : 0;
            for (size_t i = 0; i < k; i++)
                sum = fmaf(x[r * ldx + i], w[o * k + i], sum);
            c[r * ldc + o] = sum;
        }
}

/* A chain of fma in another order or from another start, a tile's remainder, a store beyond n_out.
 */
static void gemm_is_one_chain_of_fma(void) {
    static float x[20 * 80], w[PLENS__PANEL_MAX * 80], panel[PLENS__PANEL_MAX * 80 + 1];
    FOR_EACH_SET(set, s)
    for (int round = 0; round < 1500; round++) {
        test_kind kind = (test_kind)(round % N_KINDS);
        const plens__product *product = test_product(set, PLENS_PRECISION_F32);
        size_t rows = test_below(20), k = 1 + test_below(70);
        size_t n_out = 1 + test_below(product->panel);
        size_t ldx = k + test_below(5), ldc = n_out + test_below(5);
        int resume = round & 4;
        test_fill(x, 20 * 80, kind);
        test_fill(w, n_out * k, kind);
        reset_fields();
        for (size_t i = 0; i < rows * ldc && kind != PLAIN; i++)
            left[MARGIN + i] = right[MARGIN + i] = test_value(kind);
        product->pack_w(PLENS_F32, w, k * sizeof *w, n_out, k, panel + 1);
        multiply(rows, k, x + 1, ldx, w, n_out, resume, left + MARGIN, ldc);
        product->multiply(rows, k, x + 1, ldx * sizeof *x, panel + 1, n_out, resume, right + MARGIN,
                          ldc);
        CHECK_FIELDS("gemm", set, k);
    }
}

/* ---- Rows ----------------------------------------------------------------------------------- */

typedef void row_kernel(const plens__kernels *set, size_t n, const float *a, const float *b,
                        float *out);

static void call_rms_norm(const plens__kernels *set, size_t n, const float *a, const float *b,
                          float *out) {
    set->rms_norm(a, b, n, 1e-5f, out);
}

static void call_rms_norm_in_place(const plens__kernels *set, size_t n, const float *a,
                                   const float *b, float *out) {
    memcpy(out, a, n * sizeof *a);
    set->rms_norm(out, b, n, 1e-6f, out);
}

static void call_rope(const plens__kernels *set, size_t n, const float *a, const float *b,
                      float *out) {
    memcpy(out, a, 2 * n * sizeof *a);
    set->rope(out, b, b + n, n);
}

static void call_silu_mul(const plens__kernels *set, size_t n, const float *a, const float *b,
                          float *out) {
    set->silu_mul(a, b, n, out);
}

static void call_silu_mul_in_place(const plens__kernels *set, size_t n, const float *a,
                                   const float *b, float *out) {
    memcpy(out, b, n * sizeof *b);
    set->silu_mul(a, out, n, out);
}

static void call_silu_steps(const plens__kernels *set, size_t n, const float *a, const float *b,
                            float *out) {
    memcpy(out, a, n * sizeof *a);
    set->silu(out, n);
    set->multiply(out, b, n);
}

static void call_add(const plens__kernels *set, size_t n, const float *a, const float *b,
                     float *out) {
    memcpy(out, a, n * sizeof *a);
    set->add(out, b, n);
}

static void call_exp(const plens__kernels *set, size_t n, const float *a, const float *b,
                     float *out) {
    (void)b;
    set->exp(a, n, out);
}

static void check_row_kernel(const char *name, row_kernel *kernel) {
    static float a[FIELD], b[FIELD];
    FOR_EACH_SET(set, s)
    for (int kind = 0; kind < N_KINDS; kind++)
        for (size_t n = 1; n < 1000; n = next_size(n)) {
            test_fill(a, FIELD, (test_kind)kind);
            test_fill(b, FIELD, kind == HUGE_ONES ? PLAIN : (test_kind)kind);
            reset_fields();
            kernel(&plens__kernels_scalar, n, a + 1, b + 3, left + MARGIN);
            kernel(set, n, a + 1, b + 3, right + MARGIN);
            CHECK_FIELDS(name, set, n);
        }
}

/* The steps of silu_mul, of each set, against silu_mul of the definition. */
static void call_silu_either(const plens__kernels *set, size_t n, const float *a, const float *b,
                             float *out) {
    (set == &plens__kernels_scalar ? call_silu_mul : call_silu_steps)(set, n, a, b, out);
}

/* Lanes summed in another order, a reciprocal estimate, a fused product, a tail that counts what
 * lies behind it. */
static void rows_have_the_definitions_bits(void) {
    check_row_kernel("rms_norm", call_rms_norm);
    check_row_kernel("rms_norm in place", call_rms_norm_in_place);
    check_row_kernel("rope", call_rope);
    check_row_kernel("silu_mul", call_silu_mul);
    check_row_kernel("silu_mul in place", call_silu_mul_in_place);
    check_row_kernel("the steps of silu_mul", call_silu_either);
    check_row_kernel("add", call_add);
    check_row_kernel("exp", call_exp);
}

/* The last key, the last columns, a maximum over lanes that do not exist. */
static void attention_has_the_definitions_bits(void) {
    static float q[200], k[100 * 140], v[100 * 140];
    FOR_EACH_SET(set, s)
    for (int round = 0; round < 1200; round++) {
        test_kind kind = (test_kind)(round % 8 == 7 ? ANY_BITS : round % 8 == 6 ? TINY : PLAIN);
        size_t n = 1 + test_below(100), head_dim = round % 2 ? 64 : 1 + test_below(135);
        size_t ldk = head_dim + test_below(5), ldv = head_dim + test_below(5);
        test_fill(q, 200, kind);
        test_fill(k, 100 * 140, kind);
        test_fill(v, 100 * 140, kind);
        reset_fields();
        plens__kernels_scalar.attend(q, k, ldk, v, ldv, n, head_dim, 0.37f, left + MARGIN,
                                     left + 2048);
        set->attend(q, k, ldk, v, ldv, n, head_dim, 0.37f, right + MARGIN, right + 2048);
        CHECK_FIELDS("attend", set, n);
    }
}

/* Steps that round, or find their maximum, otherwise than all of them at once. */
static void the_steps_of_attention_have_its_bits(void) {
    static float q[200], k[100 * 140], v[100 * 140];
    FOR_EACH_SET(set, s)
    for (int round = 0; round < 600; round++) {
        test_kind kind = (test_kind)(round % 8 == 7 ? ANY_BITS : round % 8 == 6 ? TINY : PLAIN);
        size_t n = 1 + test_below(100), head_dim = 1 + test_below(135);
        test_fill(q, 200, kind);
        test_fill(k, 100 * 140, kind);
        test_fill(v, 100 * 140, kind);
        reset_fields();
        plens__kernels_scalar.attend(q, k, 137, v, 139, n, head_dim, 0.37f, left + MARGIN,
                                     left + 2048);
        set->attend_scores(q, k, 137, n, head_dim, 0.37f, right + MARGIN);
        set->attend_softmax(right + MARGIN, n);
        set->attend_values(right + MARGIN, v, 139, n, head_dim, right + 2048);
        CHECK_FIELDS("the steps of attend", set, n);
    }
}

/* Rows, heads and keys of any number, with a window or without; q and out have room for them. */
static plens__queries random_queries(const float *q, const float *keys, size_t n_keys) {
    plens__queries a = {.q = q, .k = keys, .v = keys + 9, .scale = 0.37f};
    a.head_dim = test_below(2) ? 64 : 1 + test_below(90);
    a.n_rows = 1 + test_below(test_below(3) ? 40 : 3);
    a.n_heads = 1 + test_below(4);
    a.row_stride = a.n_heads * a.head_dim + test_below(4);
    a.stride = a.head_dim + test_below(4);
    a.first = test_below(n_keys - a.n_rows);
    a.window = test_below(2) ? 0 : 1 + test_below(test_below(2) ? 6 : n_keys);
    return a;
}

/* A key beyond a query's own position, or before its window; the edges of panels, strips, blocks.
 */
static void attention_of_many_has_the_definitions_bits(void) {
    enum { N_KEYS = 300, MOST = 40 * (4 * 90 + 3) };
    static float q[MOST], keys[N_KEYS * 94], scratch[PLENS__ATTEND_FLOATS(N_KEYS, 90)];
    static float expected[MOST + 1], found[MOST + 1];
    FOR_EACH_SET(set, s)
    for (int round = 0; round < 400; round++) {
        test_kind kind = (test_kind)(round % 8 == 7 ? ANY_BITS : round % 8 == 6 ? TINY : PLAIN);
        test_fill(q, MOST, kind);
        test_fill(keys, N_KEYS * 94, kind);
        for (size_t i = 0; i <= MOST; i++)
            expected[i] = found[i] = 7;
        plens__queries a = random_queries(q, keys, N_KEYS);
        a.out = expected;
        plens__kernels_scalar.attend_rows(&a, scratch);
        a.out = found;
        set->attend_rows(&a, scratch);
        size_t at = plens__trial_difference(expected, found, MOST + 1);
        CHECK_THAT(
            at > MOST, "%s: %zu rows, %zu heads of %zu from %zu, window %zu: element %zu differs",
            plens_isa_name(set->isa), a.n_rows, a.n_heads, a.head_dim, a.first, a.window, at);
    }
}

/* ---- Vocabulary ------------------------------------------------------------------------------ */

static int same_sums(const plens__vocab_sums *a, const plens__vocab_sums *b) {
    return memcmp(&a->max, &b->max, sizeof a->max) == 0 && a->finite == b->finite &&
           (!a->finite || (memcmp(&a->sum, &b->sum, sizeof a->sum) == 0 &&
                           memcmp(&a->weighted, &b->weighted, sizeof a->weighted) == 0));
}

/* A zero of the wrong sign as the maximum, an infinite or NaN logit that goes unnoticed. */
static void vocabulary_sums_have_the_definitions_bits(void) {
    static float x[PLENS__VOCAB_BLOCK + 1];
    FOR_EACH_SET(set, s)
    for (int kind = 0; kind <= N_KINDS; kind++)
        for (size_t n = 1; n <= PLENS__VOCAB_BLOCK; n = n == 830 ? PLENS__VOCAB_BLOCK : n + 1) {
            test_fill(x, PLENS__VOCAB_BLOCK + 1, kind < N_KINDS ? (test_kind)kind : PLAIN);
            for (size_t i = 0; i <= n && kind == N_KINDS; i++) /* zeros and below */
                x[i] = x[i] > 0 ? -0.0f : x[i];
            plens__vocab_sums expected, found;
            plens__kernels_scalar.vocab_sums(x + 1, n, &expected);
            set->vocab_sums(x + 1, n, &found);
            CHECK_THAT(same_sums(&expected, &found), "%s, kind %d, n %zu: %a %d %a %a",
                       plens_isa_name(set->isa), kind, n, found.max, found.finite, found.sum,
                       found.weighted);
        }
}

/* Products rounded to float, lanes in another order, a tail that counts what lies behind it. */
static void dot_has_the_definitions_bits(void) {
    static float a[FIELD], b[FIELD];
    FOR_EACH_SET(set, s)
    for (int kind = 0; kind < N_KINDS; kind++)
        for (size_t n = 1; n < 1000; n = next_size(n)) {
            test_fill(a, FIELD, (test_kind)kind);
            test_fill(b, FIELD, (test_kind)kind);
            double expected = plens__kernels_scalar.dot_double(a + 1, b + 3, n);
            double found = set->dot_double(a + 1, b + 3, n);
            CHECK_THAT(memcmp(&expected, &found, sizeof found) == 0 ||
                           (expected != expected && found != found),
                       "%s, kind %d, n %zu: %a, expected %a", plens_isa_name(set->isa), kind, n,
                       found, expected);
        }
}

/* A comparison that lets NaN through or -0 > +0, an index off by a vector, `from` ignored. */
static void counting_and_finding_agree(void) {
    static float x[FIELD];
    FOR_EACH_SET(set, s)
    for (int round = 0; round < 3000; round++) {
        test_kind kind = (test_kind)(round % N_KINDS);
        size_t n = test_below(round % 10 == 0 ? 3000 : 80), from = test_below(n + 3), count = 0;
        test_fill(x, FIELD, kind);
        float threshold = round % 3 == 0 ? 0 : round % 3 == 1 ? test_value(kind) : 3.9f;
        if (round % 50 == 0)
            threshold = -INFINITY;
        size_t first = n;
        for (size_t i = n; i-- > 0;) {
            count += x[i] > threshold;
            first = i >= from && x[i] > threshold ? i : first;
        }
        CHECK_INT(set->count_greater(x, n, threshold), count);
        CHECK_INT(set->find_greater(x, from, n, threshold), first);
    }
}

int main(void) {
    RUN(vector_sets_are_here);
    RUN(pack_widens_and_transposes);
    RUN(gemm_is_one_chain_of_fma);
    RUN(rows_have_the_definitions_bits);
    RUN(attention_has_the_definitions_bits);
    RUN(the_steps_of_attention_have_its_bits);
    RUN(attention_of_many_has_the_definitions_bits);
    RUN(vocabulary_sums_have_the_definitions_bits);
    RUN(dot_has_the_definitions_bits);
    RUN(counting_and_finding_agree);
    return test_finish();
}
