/* What the audit judges by: the reference block in float64, its adjoint, the formats' rounding,
 * what rounding explains. */
#include <math.h>

#include "loaders/model.h"
#include "runtime/audit_block.h"
#include "runtime/audit_case.h"
#include "runtime/audit_math.h"
#include "runtime/audit_suspects.h"
#include "tests/heap.h"
#include "tests/test.h"

enum { N_ROWS = 5 };

static plens_error error;

/* Guards against: an activation that is another's. */
static void activations(void) {
    for (double x = -9; x <= 9; x += 0.37) {
        double tanh_part = tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x));
        CHECK(fabs(plens__activate(PLENS__SILU, x) - x / (1 + exp(-x))) < 1e-12);
        CHECK(fabs(plens__activate(PLENS__GELU, x) - 0.5 * x * (1 + erf(x / sqrt(2)))) < 1e-12);
        CHECK(fabs(plens__activate(PLENS__GELU_TANH, x) - 0.5 * x * (1 + tanh_part)) < 1e-12);
        CHECK(fabs(plens__activate(PLENS__GELU_QUICK, x) - x / (1 + exp(-1.702 * x))) < 1e-12);
        CHECK(plens__activate(PLENS__RELU, x) == (x > 0 ? x : 0));
    }
}

/* Guards against: rounding to the wrong number of bits, or without f16's denormals. */
static void formats(void) {
    CHECK(plens__round_to(PLENS__BFLOAT, 0, 0, 1 + 0x1.1p-8) == 1 + 0x1p-7);
    CHECK(plens__round_to(PLENS__BFLOAT, 0, 0, 1 + 0x0.fp-8) == 1);
    CHECK(plens__round_to(PLENS__HALF, 0, 0, -1 - 0x1.1p-11) == -1 - 0x1p-10);
    CHECK(plens__round_to(PLENS__HALF, 0, 0, 0x1.8p-24) == 0x1p-23);
    CHECK(plens__round_to(PLENS__FLOAT, 0, 0, 0.1) == (double)0.1f);
    CHECK(plens__round_to(PLENS__EXACT, 0, 0, 0.1) == 0.1);
}

/* Guards against: a token repeated a hundred times, which is rounded the same way each time,
 * counting as a hundred witnesses against its column; and such witnesses not counting where states
 * differ. */
static void like_positions_count_once(void) {
    enum { N = 100, D = 4 };
    double made[N * D], departure[N * D] = {0}, position[N], column[D] = {1, 1, 1, 1};
    plens__noise noise = {N, D, 0, position, column};
    for (size_t i = 0; i < N * D; i++)
        made[i] = i % D == 0 ? 1 : 2;
    for (size_t t = 0; t < N; t++) {
        position[t] = 1e-3;
        departure[t * D + 1] = 10e-3; /* ten deviations */
    }
    plens__count_distinct(&noise, made);
    CHECK_INT(noise.distinct, 1);
    CHECK(plens__excess_of(&noise, departure).worst < 1);
    for (size_t t = 0; t < N; t++)
        made[t * D] += (double)t;
    plens__count_distinct(&noise, made);
    CHECK_INT(noise.distinct, N);
    CHECK(plens__excess_of(&noise, departure).worst > 1);
}

/* Guards against: a run in 16 bits imitated with the norms' weights of a float32 checkpoint, which
 * such a run rounds too. */
static void norm_weights_are_rounded(void) {
    static const plens__arithmetic exact, rough = {.results = PLENS__BFLOAT};
    plens__engine engine;
    plens__config config = {.d_model = 2};
    const float weight[2] = {1 + 0x1p-9f, 3};
    const double x[2] = {1, 1};
    double made[2], rounded[2];
    CHECK_OK(plens__engine_open(&heap, NULL, &engine, &error), error);
    plens__reference reference = {.engine = &engine, .config = &config, .n = 1};
    plens__reference_norm(&reference, PLENS__NORM_RMS, weight, NULL, 0, &exact, x, made);
    plens__reference_norm(&reference, PLENS__NORM_RMS, weight, NULL, 0, &rough, x, rounded);
    CHECK(made[0] == 1 + 0x1p-9 && made[1] == 3);
    CHECK(rounded[0] == 1 && rounded[1] == 3);
    plens__engine_close(&engine);
}

typedef struct gradient {
    plens__reference reference;
    plens__trace trace, moved;
    plens__adjoint adjoint;
    plens__variant variant;
    double *x, *seed;
} gradient;

static void gradient_carve(gradient *g, const plens__engine *engine, const plens__config *config,
                           plens__carver *carver) {
    plens__reference_carve(&g->reference, engine, config, N_ROWS, carver);
    plens__trace_carve(config, N_ROWS, &g->trace, carver);
    plens__trace_carve(config, N_ROWS, &g->moved, carver);
    plens__adjoint_carve(config, N_ROWS, &g->adjoint, carver);
    g->x = plens__carve(carver, N_ROWS, config->d_model * sizeof(double));
    g->seed = plens__carve(carver, N_ROWS, config->d_model * sizeof(double));
}

/* The derivative of <seed, out> with respect to an entry by central difference. */
static double difference(gradient *g, plens__edit edit) {
    static const plens__arithmetic exact;
    double sums[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        plens__variant variant = g->variant;
        edit.value = k == 0 ? 1e-5 : -1e-5;
        variant.edits[variant.n_edits++] = edit;
        plens__block_run(&g->reference, &variant, &exact, g->x, &g->moved);
        for (size_t i = 0; i < N_ROWS * g->reference.config->d_model; i++)
            sums[k] += g->seed[i] * g->moved.out[i];
    }
    return (sums[0] - sums[1]) / 2e-5;
}

static double largest_error(gradient *g, const double *input, plens__slot slot, size_t n_in,
                            size_t n_out) {
    double worst = 0;
    for (size_t k = 0; k < 12; k++) {
        plens__edit edit = {slot, 5 * k % n_out, 7 * k % n_in, 0};
        double found = 0, expected = difference(g, edit);
        for (size_t t = 0; t < N_ROWS; t++)
            found += g->adjoint.linear[slot][t * n_out + edit.row] * input[t * n_in + edit.column];
        double off = fabs(found - expected) / (1e-3 + fabs(expected));
        worst = off > worst ? off : worst;
    }
    return worst;
}

/* Guards against: an adjoint that is not the derivative, for each matrix; with norms of queries and
 * keys, and grouped heads. */
static void adjoint_is_the_derivative(void) {
    static const plens__arithmetic exact;
    plens__engine engine;
    plens_context *context;
    plens_model *model;
    gradient g;
    memset(&g, 0, sizeof g);
    CHECK_OK(plens_context_create(NULL, &context, &error), error);
    CHECK_OK(plens_model_open(context, "tests/fixtures/models/qwen3-biases", &model, &error),
             error);
    CHECK_OK(plens__engine_open(&heap, NULL, &engine, &error), error);
    const plens__config *config = &model->config;
    plens__weights weights = {.n_slots = 0}; /* nothing is read ahead */
    plens__block block;
    plens__carver carver = {NULL, 0, 0};
    plens__weights_carve(&weights, model, &carver);
    gradient_carve(&g, &engine, config, &carver);
    char *base = plens__alloc(&heap, carver.used);
    carver = (plens__carver){base, 0, 0};
    plens__weights_carve(&weights, model, &carver);
    gradient_carve(&g, &engine, config, &carver);
    CHECK_OK(plens__weights_block(&weights, 2, &block, &error), error);
    g.reference.block = &block;
    plens__variant_of_model(config, 3, &g.variant);
    for (size_t i = 0; i < N_ROWS * config->d_model; i++) {
        g.x[i] = sin(1 + 3.0 * (double)i);
        g.seed[i] = cos(5.0 * (double)i);
    }
    plens__block_run(&g.reference, &g.variant, &exact, g.x, &g.trace);
    plens__block_backward(&g.reference, &g.variant, g.x, &g.trace, g.seed, &g.adjoint);
    const plens__linear *linears[] = {&block.q,    &block.k,  &block.v,   &block.o,
                                      &block.gate, &block.up, &block.down};
    const double *inputs[] = {g.trace.attn_normed, g.trace.attn_normed, g.trace.attn_normed,
                              g.trace.z,           g.trace.mlp_normed,  g.trace.mlp_normed,
                              g.trace.hidden};
    for (int slot = 0; slot < PLENS__N_LINEAR; slot++) {
        double off = largest_error(&g, inputs[slot], (plens__slot)slot, linears[slot]->matrix.n_in,
                                   linears[slot]->matrix.n_out);
        CHECK_THAT(off < 1e-6, "slot %d: off by %g", slot, off);
    }
    plens__free(&heap, base);
    plens__engine_close(&engine);
    plens_model_close(model);
    plens_context_destroy(context);
}

static void shows_both(double x, double other, const char *text, const char *other_text) {
    char a[PLENS__NUMBER_TEXT], b[PLENS__NUMBER_TEXT];
    plens__show_both(x, other, a, b);
    CHECK_THAT(strcmp(a, text) == 0 && strcmp(b, other_text) == 0, "%s and %s", a, b);
}

/* "is about 1, expected 1", which tells nothing. */
static void numbers_are_told_apart(void) {
    shows_both(1.0001, 1, "1.0001", "1");
    shows_both(1.1, 1, "1.1", "1");
    shows_both(-0.30160001, -0.3016, "-0.30160001", "-0.3016");
    shows_both(1.00002e-6, 1e-6, "1.00002e-06", "1e-06");
    shows_both(499999.9, 500000, "499999.9", "500000");
    shows_both(2, 2, "2", "2");
    shows_both(0.12626, 0.125, "0.1263", "0.125");
}

int main(void) {
    RUN(activations);
    RUN(formats);
    RUN(like_positions_count_once);
    RUN(norm_weights_are_rounded);
    RUN(adjoint_is_the_derivative);
    RUN(numbers_are_told_apart);
    return test_finish();
}
