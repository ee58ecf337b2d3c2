/* The audit: dumps of Transformers with and without planted mistakes (tests/make_audit_dumps.py),
 * states from memory, malformed files. */
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

#define DUMPS  "tests/fixtures/dumps"
#define MODELS "tests/fixtures/models"
#define MODEL  MODELS "/llama-biases"
#define CLEAN  DUMPS "/llama-biases/clean.3.12.f32.safetensors"

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

/* 1 if the text holds one of the words, which are joined by |. */
static int says_one_of(const char *text, const char *words) {
    char word[256];
    for (; *words != '\0'; words += *words == '|') {
        size_t length = strcspn(words, "|");
        snprintf(word, sizeof word, "%.*s", (int)length, words);
        if (strstr(text, word) != NULL)
            return 1;
        words += length;
    }
    return 0;
}

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
        if (!says_one_of(result.text, word->text))
            return problem;
    }
    return NULL;
}

/* The dumps of a folder, all of one model in the folder `models`. */
static void check_dumps(const char *models, const char *name, size_t least) {
    char path[512], folder[256], model[512];
    plens__arena arena = {&heap, NULL};
    const plens__json *truth;
    const char *problem = NULL;
    size_t n = 0;
    snprintf(folder, sizeof folder, DUMPS "/%s", name);
    snprintf(model, sizeof model, "%s/%s", models, name);
    snprintf(path, sizeof path, "%s/truth.json", folder);
    CHECK_OK(plens__json_load(&arena, path, &truth, &error), error);
    for (truth = truth->first; truth != NULL && problem == NULL; truth = truth->next, n++)
        problem = judged_right(model, folder, truth);
    plens__arena_free(&arena);
    CHECK_THAT(problem == NULL, "%s", problem);
    CHECK(n >= least);
}

/* Guards against: a mistake that is missed, blamed on another block, or on the wrong part of it;
 * rounding that passes for a mistake; the same mistake in
 * every block passing for a rougher arithmetic. All seven linear layers have biases. */
static void planted_mistakes_are_found(void) {
    check_dumps(MODELS, "llama-biases", 6);
}

/* The same with a sliding window, square matrices, and the final norm. */
static void mistakes_with_a_window_are_found(void) {
    check_dumps(MODELS, "mistral-window", 6);
}

/* The same with norms of queries and keys, and a model run in 16 bits with a mistake. */
static void mistakes_with_head_norms_are_found(void) {
    check_dumps(MODELS, "qwen3-biases", 6);
}

/* Guards against: a second wrong row that is the best by itself, not beside the first. */
static void rows_are_chosen_together(void) {
    char models[512];
    if (test_shared() == NULL)
        SKIP("no shared test data");
    snprintf(models, sizeof models, "%s/models", test_shared());
    check_dumps(models, "llmjp-like", 1);
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

int main(void) {
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
    RUN(rows_are_chosen_together);
    RUN(shared_dumps);
    return test_finish();
}
