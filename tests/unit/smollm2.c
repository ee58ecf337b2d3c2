/* SmolLM2-135M, a real trained checkpoint, against Transformers: 42 prompts, the lens of 30 layers,
 * in f32 and bf16x3.
 * Its golden is float32's own, so near ties may fall either way and the last digits differ. */
#include "tests/capture.h"
#include "tests/golden.h"

#include <math.h>

#define TIE            1e-4 /* between the reference's two best probabilities */
#define LENS_TOLERANCE 1e-4 /* relative, or: */
#define LENS_ABSOLUTE  1e-6

static int close_to(double found, double expected) {
    return fabs(found - expected) <= LENS_TOLERANCE * fabs(expected) + LENS_ABSOLUTE;
}

typedef struct smollm2 {
    plens_context *context;
    plens_model *model;
    goldens golden;
    captures run;
} smollm2;

/* The lens alone, as `plens score` runs it: no hook is there to ask for every row. */
static plens_status run_lens(smollm2 *it, plens_error *error) {
    capture_begin(&it->run, it->model, it->golden.inputs, it->golden.n_prompts);
    plens_lens lens = {.fn = capture_lens_result,
                       .user = &it->run,
                       .positions = PLENS_POSITIONS_LAST,
                       .top_k = CAPTURE_TOP};
    plens_run_options options = {.lens = &lens};
    return plens_run(it->context, it->model, it->golden.inputs, it->golden.n_prompts, &options,
                     error);
}

static plens_status open_and_run(const char *folder, const char *golden_folder,
                                 plens_precision precision, smollm2 *it, plens_error *error) {
    plens_options options = {.precision = precision};
    memset(it, 0, sizeof *it);
    plens_status status = golden_open_json(golden_folder, "gold_id", "score", &it->golden, error);
    if (status == PLENS_OK)
        status = plens_context_create(&options, &it->context, error);
    if (status == PLENS_OK)
        status = plens_model_open(it->context, folder, &it->model, error);
    return status == PLENS_OK ? run_lens(it, error) : status;
}

static void close_smollm2(smollm2 *it) {
    capture_free(&it->run);
    plens_model_close(it->model);
    plens_context_destroy(it->context);
    if (it->golden.prompts != NULL)
        golden_close(&it->golden);
}

/* What is wrong with prompt i, or NULL. */
static const char *compare_prompt(const smollm2 *it, size_t i) {
    static char problem[256];
    const golden_prompt *golden = &it->golden.prompts[i];
    size_t n_layers = it->golden.n_layers;
    int32_t top[64];
    float prob[64];
    int tie = 0;
    for (size_t l = 0; l < n_layers; l++) {
        const plens_lens_token *found = &it->run.prompts[i].lens[l].top[0];
        const golden_layer *expected = &golden->layers[l];
        top[l] = found->id;
        prob[l] = found->prob;
        tie |= expected->margin <= TIE;
        if ((expected->margin > TIE && found->id != expected->top) ||
            !close_to((double)found->prob, expected->top_prob)) {
            snprintf(problem, sizeof problem,
                     "prompt %zu, layer %zu: top is %d with %.9g, expected %d with %.9g", i, l + 1,
                     (int)found->id, (double)found->prob, (int)expected->top, expected->top_prob);
            return problem;
        }
    }
    for (size_t r = 0; r < GOLDEN_RATIOS && !tie; r++) {
        plens_ratio ratio = {0, 1};
        (void)plens_ratio_parse(golden_ratios[r], &ratio, NULL);
        double score =
            plens_score(top, prob, n_layers, plens_ratio_layers(ratio, n_layers), &golden->gold, 1);
        if (!close_to(score, golden->score_gold[r])) {
            snprintf(problem, sizeof problem, "prompt %zu, R = %s: S is %.17g, expected %.17g", i,
                     golden_ratios[r], score, golden->score_gold[r]);
            return problem;
        }
    }
    return NULL;
}

/* Mistakes that small random models hide: sizes of a real model, a vocabulary of 49,152, BF16 in
 * two shards, attention that has learned to look somewhere. */
static void check_precision(plens_precision precision) {
    const char *folder = getenv("PLENS_SMOLLM2"), *shared = test_shared();
    if (folder == NULL || shared == NULL)
        SKIP("SmolLM2: make it with %s/tools/smollm2.py DIR and set PLENS_SMOLLM2=DIR",
             shared == NULL ? "../shared" : shared);
    char golden_folder[512];
    snprintf(golden_folder, sizeof golden_folder, "%s/models/smollm2", shared);
    plens_error error = {PLENS_OK, ""};
    smollm2 it;
    plens_status status = open_and_run(folder, golden_folder, precision, &it, &error);
    const char *problem = status != PLENS_OK ? error.message : NULL;
    if (problem == NULL && (it.golden.n_prompts != 42 || it.golden.n_layers != 30))
        problem = "the golden is not that of 42 prompts and 30 layers";
    for (size_t i = 0; problem == NULL && i < it.golden.n_prompts; i++)
        problem = compare_prompt(&it, i);
    close_smollm2(&it);
    CHECK_THAT(problem == NULL, "%s", problem);
}

static void smollm2_in_f32_is_transformers(void) {
    check_precision(PLENS_PRECISION_F32);
}

static void smollm2_in_bf16x3_is_transformers(void) {
    check_precision(PLENS_PRECISION_BF16X3);
}

int main(void) {
    RUN(smollm2_in_f32_is_transformers);
    RUN(smollm2_in_bf16x3_is_transformers);
    return test_finish();
}
