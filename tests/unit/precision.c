/* The precisions of a run: which one is the default, what bf16x3 refuses, and that bf16 is nearer
 * to float32 than Transformers in bf16 is. */
#include "tests/capture.h"
#include "tests/golden.h"

#include <math.h>

#define BF16_MODEL "tests/fixtures/models/qwen3-biases"
#define F16_MODEL  "tests/fixtures/models/mistral-window"

static plens_context *context;
static plens_model *model;

static plens_status open_model(plens_precision precision, const char *folder, plens_error *error) {
    plens_options options = {.precision = precision};
    plens_status status = plens_context_create(&options, &context, error);
    return status == PLENS_OK ? plens_model_open(context, folder, &model, error) : status;
}

static void close_model(void) {
    plens_model_close(model);
    plens_context_destroy(context);
    model = NULL;
    context = NULL;
}

static plens_precision resolved(plens_precision asked, const char *folder) {
    plens_error error;
    plens_precision found = PLENS_PRECISION_DEFAULT;
    if (open_model(asked, folder, &error) == PLENS_OK)
        found = plens_run_precision(context, model);
    close_model();
    return found;
}

/* A default that ignores the model, a wish that is not kept. */
static void the_model_decides_the_default(void) {
    CHECK_INT(resolved(PLENS_PRECISION_DEFAULT, BF16_MODEL), PLENS_PRECISION_BF16);
    CHECK_INT(resolved(PLENS_PRECISION_DEFAULT, F16_MODEL), PLENS_PRECISION_F32);
    for (int p = PLENS_PRECISION_F32; plens_precision_name((plens_precision)p) != NULL; p++)
        CHECK_INT(resolved((plens_precision)p, BF16_MODEL), p);
    CHECK(plens_precision_name(PLENS_PRECISION_DEFAULT) == NULL);
}

/* A context's precision is what was asked, a plan's what is used. */
static void the_plan_says_the_precision(void) {
    const int32_t ids[] = {1, 2, 3};
    plens_prompt prompt = {.ids = ids, .n_ids = 3};
    plens_error error;
    plens_plan plan;
    plens_context_info info;
    CHECK_OK(open_model(PLENS_PRECISION_DEFAULT, BF16_MODEL, &error), error);
    CHECK_OK(plens_run_plan(context, model, &prompt, 1, NULL, &plan, &error), error);
    plens_context_describe(context, &info);
    close_model();
    CHECK_INT(plan.precision, PLENS_PRECISION_BF16);
    CHECK_INT(info.precision, PLENS_PRECISION_DEFAULT);
    for (int p = PLENS_PRECISION_F32; p <= PLENS_PRECISION_BF16X3; p++)
        CHECK(plens_isa_name(info.products[p]) != NULL);
}

/* Weights cut to bf16 in silence where the caller asked for float32's accuracy. */
static void bf16x3_takes_bf16_weights_alone(void) {
    const int32_t ids[] = {1, 2, 3};
    plens_prompt prompt = {.ids = ids, .n_ids = 3};
    plens_error error;
    plens_plan plan;
    CHECK_OK(open_model(PLENS_PRECISION_BF16X3, F16_MODEL, &error), error);
    plens_status ran = plens_run(context, model, &prompt, 1, NULL, &error);
    plens_status planned = plens_run_plan(context, model, &prompt, 1, NULL, &plan, &error);
    close_model();
    CHECK_INT(ran, PLENS_ERROR_UNSUPPORTED);
    CHECK_INT(planned, PLENS_ERROR_UNSUPPORTED);
    CHECK_CONTAINS(error.message, F16_MODEL ": tensor model.layers.0.self_attn.q_proj.weight is "
                                            "F16, expected BF16");
}

/* ---- bf16 and Transformers ------------------------------------------------------------------- */

/* ||a - b||^2 over n floats, and ||b||^2. */
typedef struct distance {
    double difference, length;
} distance;

static void add_distance(const float *a, const float *b, size_t n, distance *to) {
    for (size_t i = 0; i < n; i++) {
        to->difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        to->length += (double)b[i] * (double)b[i];
    }
}

typedef struct nearness {
    const plens_states *exact, *theirs; /* Transformers in float32 and in bf16 */
    distance ours, of_theirs;           /* of all states and logits, from `exact` */
} nearness;

/* A hook on resid_post and logits: all positions of the one prompt, maybe in several calls. */
static int measure(void *user, const plens_activations *a) {
    nearness *near = user;
    int logits = a->point == PLENS_LOGITS;
    for (size_t r = 0; r < a->n_rows; r++) {
        size_t at = a->rows[r].position * a->width;
        const float *exact = (logits ? near->exact->logits : near->exact->resid[a->layer]) + at;
        const float *theirs = (logits ? near->theirs->logits : near->theirs->resid[a->layer]) + at;
        add_distance(a->values + r * a->width, exact, a->width, &near->ours);
        add_distance(theirs, exact, a->width, &near->of_theirs);
    }
    return 0;
}

static plens_status compare_with_dumps(const char *folder, nearness *near, plens_error *error) {
    char clean_path[1024], bf16_path[1024];
    plens_dump *clean = NULL, *bf16 = NULL;
    plens_model_info info;
    snprintf(clean_path, sizeof clean_path, "%s/dumps/clean.safetensors", folder);
    snprintf(bf16_path, sizeof bf16_path, "%s/dumps/bf16.safetensors", folder);
    memset(near, 0, sizeof *near);
    plens_status status = open_model(PLENS_PRECISION_BF16, folder, error);
    if (status == PLENS_OK)
        status = plens_dump_open(context, model, clean_path, &clean, error);
    if (status == PLENS_OK)
        status = plens_dump_open(context, model, bf16_path, &bf16, error);
    if (status == PLENS_OK) {
        near->exact = plens_dump_states(clean);
        near->theirs = plens_dump_states(bf16);
        plens_model_describe(model, &info);
        plens_prompt prompt = {.ids = near->exact->ids, .n_ids = near->exact->n_ids};
        plens_hook hooks[2] = {{.point = PLENS_RESID_POST,
                                .first_layer = 1,
                                .last_layer = info.n_layers - 1, /* theirs of L is normed */
                                .fn = measure,
                                .user = near},
                               {.point = PLENS_LOGITS, .fn = measure, .user = near}};
        plens_run_options options = {.hooks = hooks, .n_hooks = 2};
        status = plens_run(context, model, &prompt, 1, &options, error);
    }
    plens_dump_close(clean);
    plens_dump_close(bf16);
    close_model();
    return status;
}

/* Rounding where the contract has none: of the residual stream, the norms, the attention. */
static void bf16_is_nearer_to_float32_than_transformers(void) {
    static const char *const models[] = {"llama31-like", "qwen25-like"};
    if (test_shared() == NULL)
        SKIP("../shared is absent");
    for (int i = 0; i < 2; i++) {
        char folder[512];
        plens_error error;
        nearness near;
        snprintf(folder, sizeof folder, "%s/models/%s", test_shared(), models[i]);
        CHECK_OK(compare_with_dumps(folder, &near, &error), error);
        double ours = sqrt(near.ours.difference / near.ours.length);
        double theirs = sqrt(near.of_theirs.difference / near.of_theirs.length);
        CHECK_THAT(ours > 0 && ours < theirs, "%s: bf16 is %g from float32, Transformers' %g",
                   models[i], ours, theirs);
    }
}

/* bf16 has 8 bits: a state is off by some 2^-9 for each block, not by more. */
static void bf16_is_near_every_golden(void) {
    golden_find_folders();
    size_t n_tested = 0;
    for (size_t i = 0; i < n_golden_folders; i++) {
        plens_error error;
        plens_model_info info;
        goldens golden;
        captures run;
        CHECK_OK(open_model(PLENS_PRECISION_BF16, golden_folders[i], &error), error);
        plens_model_describe(model, &info);
        CHECK_OK(golden_open(golden_folders[i], info.d_model, info.vocab_size, &golden, &error),
                 error);
        CHECK_OK(capture_run(context, model, golden.inputs, golden.n_prompts, 0, &run, &error),
                 error);
        distance all = {0, 0};
        for (size_t p = 0; p < golden.n_prompts; p++)
            for (size_t j = 0; j < (info.n_layers + 1) * golden.prompts[p].prompt.n_ids; j++) {
                float expected[4096];
                size_t bytes = info.d_model * sizeof(float);
                CHECK(info.d_model <= 4096);
                memcpy(expected, golden.prompts[p].states + j * bytes, bytes);
                add_distance(run.prompts[p].states + j * info.d_model, expected, info.d_model,
                             &all);
            }
        double far = sqrt(all.difference / all.length);
        CHECK_THAT(far > 1e-5 && far < 0x1p-9 * (double)(2 + info.n_layers),
                   "%s: states are %g from the goldens", golden_folders[i], far);
        capture_free(&run);
        golden_close(&golden);
        close_model();
        n_tested++;
    }
    CHECK(n_tested >= 8);
}

int main(void) {
    RUN(the_model_decides_the_default);
    RUN(the_plan_says_the_precision);
    RUN(bf16x3_takes_bf16_weights_alone);
    RUN(bf16_is_nearer_to_float32_than_transformers);
    RUN(bf16_is_near_every_golden);
    return test_finish();
}
