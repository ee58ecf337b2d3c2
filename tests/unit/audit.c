/* The audit: dumps of Transformers with and without planted mistakes (tests/make_audit_dumps.py),
 * states from memory, and the reference block and its adjoint. */
#define _POSIX_C_SOURCE 200809L

#include <math.h>

#include "loaders/json.h"
#include "loaders/model.h"
#include "runtime/audit_block.h"
#include "runtime/audit_case.h"
#include "runtime/audit_math.h"
#include "tests/faults.h"
#include "tests/folder.h"
#include "tests/heap.h"
#include "tests/test.h"

#define DUMPS "tests/fixtures/dumps"
#define MODEL "tests/fixtures/models/llama-biases"
#define CLEAN DUMPS "/llama-biases/clean.3.12.f32.safetensors"

static plens_error error;

static plens_status audit_file(const char *model_folder, const char *path,
                               const plens_audit_options *options, plens_audit_result *result) {
    plens_context *context = NULL;
    plens_model *model = NULL;
    plens_dump *dump = NULL;
    plens_status status = plens_context_create(NULL, &context, &error);
    if (status == PLENS_OK)
        status = plens_model_open(context, model_folder, &model, &error);
    if (status == PLENS_OK)
        status = plens_dump_open(context, model, path, &dump, &error);
    if (status == PLENS_OK)
        status = plens_audit(context, model, plens_dump_states(dump), options, result, &error);
    plens_dump_close(dump);
    plens_model_close(model);
    plens_context_destroy(context);
    return status;
}

/* ---- dumps with known truth ---- */

/* NULL if the verdict on the dump is what truth.json says, else what is wrong. */
static const char *judged_right(const char *model, const char *folder, const plens__json *truth) {
    static char problem[4096];
    char path[1024], place[128];
    plens_audit_result result;
    const plens__json *departs = plens__json_get(truth, "departs");
    snprintf(path, sizeof path, "%s/%s", folder, truth->key);
    if (audit_file(model, path, NULL, &result) != PLENS_OK)
        return error.message;
    snprintf(problem, sizeof problem, "%s: %s", path, result.text);
    if (departs->type != PLENS__JSON_STRING) {
        int exact = strstr(truth->key, ".f32.") != NULL;
        return result.verdict == (exact ? PLENS_AGREES : PLENS_ROUNDING) ? NULL : problem;
    }
    snprintf(place, sizeof place, "departs at %s: ", departs->text);
    if (result.verdict != PLENS_DEPARTS || strncmp(result.text, place, strlen(place)) != 0 ||
        !result.explained)
        return problem;
    const plens__json *word = plens__json_get(truth, "words")->first;
    for (; word != NULL; word = word->next) {
        if (strstr(result.text, word->text) == NULL)
            return problem;
    }
    return NULL;
}

static void check_dumps(const char *name) {
    char path[512], folder[256], model[256];
    plens__arena arena = {&heap, NULL};
    const plens__json *truth;
    const char *problem = NULL;
    size_t n = 0;
    snprintf(folder, sizeof folder, DUMPS "/%s", name);
    snprintf(model, sizeof model, "tests/fixtures/models/%s", name);
    snprintf(path, sizeof path, "%s/truth.json", folder);
    CHECK_OK(plens__json_load(&arena, path, &truth, &error), error);
    for (truth = truth->first; truth != NULL && problem == NULL; truth = truth->next, n++)
        problem = judged_right(model, folder, truth);
    plens__arena_free(&arena);
    CHECK_THAT(problem == NULL, "%s", problem);
    CHECK(n >= 6);
}

/* Guards against: a mistake that is missed, blamed on another block, or on the wrong part of it;
 * rounding that passes for a mistake; the same mistake in
 * every block passing for a rougher arithmetic. All seven linear layers have biases. */
static void planted_mistakes_are_found(void) {
    check_dumps("llama-biases");
}

/* The same with a sliding window, square matrices, and the final norm. */
static void mistakes_with_a_window_are_found(void) {
    check_dumps("mistral-window");
}

/* The same with norms of queries and keys, and a model run in 16 bits with a mistake. */
static void mistakes_with_head_norms_are_found(void) {
    check_dumps("qwen3-biases");
}

/* Guards against: the shared dumps judged otherwise than their truth.json says. */
static void shared_dumps(void) {
    static const struct {
        const char *model, *file, *verdict;
    } dumps[] = {
        {"llama31-like", "clean", "ok: "},
        {"llama31-like", "bf16", "rounding: "},
        {"llama31-like", "eps", "departs at block 4: attention: the epsilon"},
        {"llama31-like", "swapgate", "departs at block 1: MLP: gate_proj and up_proj are swapped"},
        {"llama31-like", "oneweight", "departs at block 2: MLP: down_proj.weight[3, 5]"},
        {"llama31-like", "scale", "departs at block 2: attention: the attention scale"},
        {"qwen25-like", "clean", "ok: "},
        {"qwen25-like", "bf16", "rounding: "},
        {"qwen25-like", "eps", "departs at block 6: attention: the epsilon"},
        {"qwen25-like", "swapgate", "departs at block 5: MLP: gate_proj and up_proj are swapped"},
        {"qwen25-like", "oneweight", "departs at block 1: MLP: down_proj.weight[3, 5]"},
        {"qwen25-like", "scale", "departs at block 2: attention: the attention scale"},
        {"qwen25-like", "bias", "departs at block 5: attention: the bias of v_proj is missing"},
    };
    if (test_shared() == NULL)
        SKIP("no shared test data");
    for (size_t i = 0; i < sizeof dumps / sizeof dumps[0]; i++) {
        char model[512], path[1024];
        plens_audit_result result;
        snprintf(model, sizeof model, "%s/models/%s", test_shared(), dumps[i].model);
        snprintf(path, sizeof path, "%s/dumps/%s.safetensors", model, dumps[i].file);
        CHECK_OK(audit_file(model, path, NULL, &result), error);
        CHECK_THAT(strncmp(result.text, dumps[i].verdict, strlen(dumps[i].verdict)) == 0,
                   "%s: %s, expected %s", path, result.text, dumps[i].verdict);
    }
}

/* ---- states from memory ---- */

enum { N_IDS = 5 };
static const int32_t ids[N_IDS] = {1, 7, 60, 0, 9};

typedef struct states {
    plens_context *context;
    plens_model *model;
    plens_model_info info;
    float *values; /* [n_layers + 1, N_IDS, d_model] */
    const float *resid[8];
    plens_states states;
} states;

static int keep_state(void *user, const plens_activations *a) {
    states *s = user;
    for (size_t r = 0; r < a->n_rows; r++)
        memcpy(s->values + (a->layer * N_IDS + a->rows[r].position) * a->width,
               a->values + r * a->width, a->width * sizeof(float));
    return 0;
}

/* The states of plens_run itself: the other implementation of the same model. */
static plens_status run_states(states *s, plens_precision precision) {
    plens_options options;
    plens_hook hooks[2];
    plens_run_options run;
    const plens_prompt prompt = {ids, N_IDS, NULL, 0};
    memset(s, 0, sizeof *s);
    memset(&options, 0, sizeof options);
    memset(hooks, 0, sizeof hooks);
    memset(&run, 0, sizeof run);
    options.precision = precision;
    plens_status status = plens_context_create(&options, &s->context, &error);
    if (status == PLENS_OK)
        status = plens_model_open(s->context, MODEL, &s->model, &error);
    if (status != PLENS_OK)
        return status;
    plens_model_describe(s->model, &s->info);
    s->values = malloc((s->info.n_layers + 1) * N_IDS * s->info.d_model * sizeof(float));
    for (size_t l = 0; l <= s->info.n_layers; l++)
        s->resid[l] = s->values + l * N_IDS * s->info.d_model;
    s->states.ids = ids;
    s->states.n_ids = N_IDS;
    s->states.resid = s->resid;
    for (int i = 0; i < 2; i++) {
        hooks[i].point = i == 0 ? PLENS_EMBED : PLENS_RESID_POST;
        hooks[i].fn = keep_state;
        hooks[i].user = s;
    }
    run.hooks = hooks;
    run.n_hooks = 2;
    return plens_run(s->context, s->model, &prompt, 1, &run, &error);
}

static void free_states(states *s) {
    free(s->values);
    plens_model_close(s->model);
    plens_context_destroy(s->context);
}

static float *state_at(states *s, size_t layer, size_t position, size_t i) {
    return s->values + (layer * N_IDS + position) * s->info.d_model + i;
}

typedef struct rows {
    plens_audit_row all[16];
    size_t n, stop_at;
} rows;

static int keep_row(void *user, const plens_audit_row *row) {
    rows *r = user;
    r->all[r->n++] = *row;
    return r->n == r->stop_at;
}

/* Guards against: the engine and the reference that share no arithmetic disagreeing; rows that are
 * missing, doubled or out of order. */
static void own_states_agree(void) {
    states s;
    rows r = {.n = 0};
    plens_audit_result result;
    plens_audit_options options;
    memset(&options, 0, sizeof options);
    options.row = keep_row;
    options.row_user = &r;
    CHECK_OK(run_states(&s, PLENS_PRECISION_F32), error);
    CHECK_OK(plens_audit(s.context, s.model, &s.states, &options, &result, &error), error);
    CHECK_THAT(result.verdict == PLENS_AGREES && strncmp(result.text, "ok: ", 4) == 0, "%s",
               result.text);
    CHECK_INT(r.n, s.info.n_layers + 1);
    for (size_t i = 0; i < r.n; i++) {
        CHECK_INT(r.all[i].block, i);
        CHECK_INT(r.all[i].place, i == 0 ? PLENS_PLACE_EMBEDDING : PLENS_PLACE_BLOCK);
        CHECK(r.all[i].distance < 2e-6 && r.all[i].excess <= 1);
    }
    free_states(&s);
}

/* Guards against: rounding to bf16 in matrix products alone taken for a mistake. */
static void bf16_products_are_rounding(void) {
    states s;
    plens_audit_result result;
    CHECK_OK(run_states(&s, PLENS_PRECISION_BF16), error);
    CHECK_OK(plens_audit(s.context, s.model, &s.states, NULL, &result, &error), error);
    CHECK_THAT(result.verdict == PLENS_ROUNDING, "%s", result.text);
    CHECK_CONTAINS(result.precision, "bf16");
    free_states(&s);
}

/* Guards against: a tolerance that is ignored, compared with the mean, or with another state. */
static void tolerance_decides(void) {
    states s;
    plens_audit_result result;
    plens_audit_options options;
    memset(&options, 0, sizeof options);
    CHECK_OK(run_states(&s, PLENS_PRECISION_F32), error);
    double square = 0;
    for (size_t i = 0; i < s.info.d_model; i++)
        square += pow((double)*state_at(&s, 3, 2, i), 2);
    *state_at(&s, 3, 2, 4) += (float)(1e-3 * sqrt(square)); /* a distance of 1e-3 */
    options.tolerance = 1.01e-3;
    CHECK_OK(plens_audit(s.context, s.model, &s.states, &options, &result, &error), error);
    CHECK_THAT(result.verdict == PLENS_AGREES, "%s", result.text);
    options.tolerance = 0.99e-3;
    CHECK_OK(plens_audit(s.context, s.model, &s.states, &options, &result, &error), error);
    CHECK_THAT(result.verdict == PLENS_DEPARTS && result.block == 3, "%s", result.text);
    options.tolerance = 0;
    CHECK_OK(plens_audit(s.context, s.model, &s.states, &options, &result, &error), error);
    CHECK_THAT(result.verdict == PLENS_DEPARTS && result.block == 3, "%s", result.text);
    free_states(&s);
}

/* Guards against: a departure that no mistake makes being "explained". */
static void noise_is_not_explained(void) {
    states s;
    plens_audit_result result;
    uint32_t bits = 1;
    CHECK_OK(run_states(&s, PLENS_PRECISION_F32), error);
    for (size_t i = 0; i < N_IDS * s.info.d_model; i++) {
        bits = bits * 1664525 + 1013904223; /* Numerical Recipes' ranqd1 */
        *state_at(&s, 2, 0, i) += ((float)(bits >> 8) * 0x1p-24f - 0.5f);
    }
    CHECK_OK(plens_audit(s.context, s.model, &s.states, NULL, &result, &error), error);
    CHECK_THAT(result.verdict == PLENS_DEPARTS && result.block == 2 && !result.explained, "%s",
               result.text);
    CHECK_CONTAINS(result.text, "departs at block 2: unexplained");
    free_states(&s);
}

/* Guards against: reading outside the table, NaN that compares as agreement, a callback's wish
 * ignored, a result touched by a failure. */
static void bad_states_are_refused(void) {
    states s;
    rows r = {.stop_at = 2};
    plens_audit_result result;
    plens_audit_options options;
    CHECK_OK(run_states(&s, PLENS_PRECISION_F32), error);
    memset(&options, 0, sizeof options);
    memset(&result, 0x55, sizeof result);
    options.row = keep_row;
    options.row_user = &r;
    CHECK_INT(plens_audit(s.context, s.model, &s.states, &options, &result, &error),
              PLENS_CANCELLED);
    float kept = *state_at(&s, 1, 3, 2);
    *state_at(&s, 1, 3, 2) = (float)NAN;
    CHECK_INT(plens_audit(s.context, s.model, &s.states, NULL, &result, &error),
              PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(error.message, "state 1, position 3, element 2");
    *state_at(&s, 1, 3, 2) = kept;
    int32_t wrong[N_IDS] = {1, 7, 61, 0, 9};
    s.states.ids = wrong;
    CHECK_INT(plens_audit(s.context, s.model, &s.states, NULL, &result, &error),
              PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "position 2: expected 0 to 60");
    s.states.ids = ids;
    s.states.n_ids = 0;
    CHECK_INT(plens_audit(s.context, s.model, &s.states, NULL, &result, &error),
              PLENS_ERROR_ARGUMENT);
    CHECK_INT(plens_audit(s.context, s.model, NULL, NULL, &result, &error), PLENS_ERROR_ARGUMENT);
    CHECK_INT(((unsigned char *)&result)[0], 0x55);
    free_states(&s);
}

typedef struct stopper {
    size_t n, stop_at;
} stopper;

static int stop_progress(void *user, const plens_progress *progress) {
    stopper *s = user;
    (void)progress;
    return ++s->n >= s->stop_at;
}

/* Guards against: a search of minutes that does not hear the caller's wish to stop, or says a cause
 * that it has not found. */
static void search_can_be_stopped(void) {
    states s;
    stopper stop = {0, 20}; /* layers are three; the search asks before each trial */
    plens_audit_options options;
    plens_audit_result result;
    CHECK_OK(run_states(&s, PLENS_PRECISION_F32), error);
    for (size_t i = 0; i < s.info.d_model; i++)
        *state_at(&s, 2, 1, i) += 1e-2f * (float)(i * i % 7);
    memset(&options, 0, sizeof options);
    memset(&result, 0x55, sizeof result);
    options.progress = stop_progress;
    options.progress_user = &stop;
    CHECK_INT(plens_audit(s.context, s.model, &s.states, &options, &result, &error),
              PLENS_CANCELLED);
    CHECK_INT(stop.n, 20);
    CHECK_INT(((unsigned char *)&result)[0], 0x55);
    free_states(&s);
}

/* ---- memory ---- */

static plens_status audit_with(const plens_allocator *allocator, void *data, plens_error *e) {
    plens_context *context = NULL;
    plens_model *model = NULL;
    plens_dump *dump = NULL;
    plens_options options;
    plens_audit_result result;
    memset(&options, 0, sizeof options);
    options.allocator = *allocator;
    options.threads = 1;
    plens_status status = plens_context_create(&options, &context, e);
    if (status == PLENS_OK)
        status = plens_model_open(context, MODEL, &model, e);
    if (status == PLENS_OK)
        status = plens_dump_open(context, model, data, &dump, e);
    if (status == PLENS_OK)
        status = plens_audit(context, model, plens_dump_states(dump), NULL, &result, e);
    plens_dump_close(dump);
    plens_model_close(model);
    plens_context_destroy(context);
    return status;
}

/* Guards against: a leak or a crash where memory ends, also in the search for a weight. */
static void memory_may_end_anywhere(void) {
    char path[] = DUMPS "/llama-biases/entry_down.3.12.f32.safetensors";
    const char *problem = faults_sweep(audit_with, path);
    CHECK_THAT(problem == NULL, "%s", problem);
}

/* ---- files ---- */

/* A dump's header for MODEL (3 blocks, d_model 20): the tensors in order, "NAME DTYPE SHAPE". */
static plens_status open_made(const char *const *tensors, size_t n_tensors, char *message) {
    char folder[1024], path[2048], header[4096] = "{";
    size_t at = 0;
    plens_audit_result result;
    for (size_t i = 0; i < n_tensors; i++) {
        char name[64], dtype[16], shape[64], more[256];
        size_t size = 1;
        sscanf(tensors[i], "%63s %15s %63s", name, dtype, shape);
        for (char *number = shape; number != NULL; number = strchr(number, ','))
            size *= strtoul(number += *number == ',', &number, 10);
        size *= strcmp(dtype, "I64") == 0 ? 8 : strcmp(dtype, "BF16") == 0 ? 2 : 4;
        snprintf(more, sizeof more,
                 "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                 i == 0 ? "" : ",", name, dtype, shape, at, at + size);
        strcat(header, more);
        at += size;
    }
    strcat(header, "}");
    folder_make(folder);
    folder_write_safetensors(folder, "dump", header, at);
    snprintf(path, sizeof path, "%s/dump", folder);
    plens_status status = audit_file(MODEL, path, NULL, &result);
    strcpy(message, error.message);
    folder_remove(folder);
    return status;
}

/* Guards against: a tensor that is missing, of another shape or type being read all the same. The
 * bytes are 0, 1, 2 …, so every id is out of range: the last message of a file well formed. */
static void malformed_dumps_are_refused(void) {
    static const struct {
        const char *tensors[8];
        const char *message;
    } cases[] = {
        {{"input_ids I32 2"}, "\"hidden_states.0\" or \"resid.0\""},
        {{"input_ids I32 2", "resid.0 F32 2,20", "resid.1 F32 2,20", "resid.2 F32 2,20"},
         "\"resid.3\""},
        {{"input_ids I32 2", "resid.0 F32 2,20", "resid.1 F32 2,20", "resid.2 F32 2,20",
          "resid.3 F32 2,20", "resid.4 F32 2,20"},
         "the model has 3 blocks"},
        {{"resid.0 F32 2,20", "resid.1 F32 2,20", "resid.2 F32 2,20", "resid.3 F32 2,20"},
         "\"input_ids\""},
        {{"input_ids F32 2", "resid.0 F32 2,20", "resid.1 F32 2,20", "resid.2 F32 2,20",
          "resid.3 F32 2,20"},
         "expected I32 or I64, found F32"},
        {{"input_ids I32 2", "resid.0 F32 2,20", "resid.1 F32 2,21", "resid.2 F32 2,20",
          "resid.3 F32 2,20"},
         "\"resid.1\": expected shape [2, 20]"},
        {{"input_ids I32 2", "resid.0 F32 2,20", "resid.1 F32 2,20", "resid.2 I32 2,20",
          "resid.3 F32 2,20"},
         "expected F32, F16 or BF16, found I32"},
        {{"input_ids I32 2,2", "resid.0 F32 2,20", "resid.1 F32 2,20", "resid.2 F32 2,20",
          "resid.3 F32 2,20"},
         "\"input_ids\": expected shape [2]"},
        {{"input_ids I32 2", "resid.0 F32 2,20", "resid.1 F32 2,20", "resid.2 F32 2,20",
          "resid.3 F32 2,20", "logits F32 2,60"},
         "\"logits\": expected shape [2, 61]"},
        {{"input_ids I32 3", "resid.0 F32 2,20", "resid.1 F32 2,20", "resid.2 F32 2,20",
          "resid.3 F32 2,20"},
         "\"resid.0\": expected shape [3, 20]"},
        {{"input_ids I32 2", "hidden_states.0 F32 2,20", "hidden_states.1 F32 2,20",
          "resid.2 F32 2,20", "resid.3 F32 2,20"},
         "\"hidden_states.2\""},
        {{"input_ids I64 1,2", "resid.0 BF16 1,2,20", "resid.1 BF16 2,20", "resid.2 F32 2,20",
          "resid.3 F32 2,20"},
         "position 0: expected 0 to 60"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char message[1024] = "";
        size_t n = 0;
        while (n < 8 && cases[i].tensors[n] != NULL)
            n++;
        CHECK(open_made(cases[i].tensors, n, message) != PLENS_OK);
        CHECK_CONTAINS(message, cases[i].message);
    }
}

/* ---- the reference ---- */

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

typedef struct gradient {
    plens__reference reference;
    plens__trace trace, moved;
    plens__adjoint adjoint;
    plens__variant variant;
    double *x, *seed;
} gradient;

static void gradient_carve(gradient *g, const plens__engine *engine, const plens__config *config,
                           plens__carver *carver) {
    plens__reference_carve(&g->reference, engine, config, N_IDS, carver);
    plens__trace_carve(config, N_IDS, &g->trace, carver);
    plens__trace_carve(config, N_IDS, &g->moved, carver);
    plens__adjoint_carve(config, N_IDS, &g->adjoint, carver);
    g->x = plens__carve(carver, N_IDS, config->d_model * sizeof(double));
    g->seed = plens__carve(carver, N_IDS, config->d_model * sizeof(double));
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
        for (size_t i = 0; i < N_IDS * g->reference.config->d_model; i++)
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
        for (size_t t = 0; t < N_IDS; t++)
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
    for (size_t i = 0; i < N_IDS * config->d_model; i++) {
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

int main(void) {
    RUN(activations);
    RUN(formats);
    RUN(like_positions_count_once);
    RUN(adjoint_is_the_derivative);
    RUN(own_states_agree);
    RUN(bf16_products_are_rounding);
    RUN(tolerance_decides);
    RUN(noise_is_not_explained);
    RUN(search_can_be_stopped);
    RUN(bad_states_are_refused);
    RUN(malformed_dumps_are_refused);
    RUN(memory_may_end_anywhere);
    RUN(planted_mistakes_are_found);
    RUN(mistakes_with_a_window_are_found);
    RUN(mistakes_with_head_norms_are_found);
    RUN(shared_dumps);
    return test_finish();
}
