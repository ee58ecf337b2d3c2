/* Every golden at hand against Transformers (states, logits) and a float64 reference (lens,
 * scores), in f32 and, where the weights are BF16, in bf16x3: all prompts of a folder in one batch,
 * through the public API alone. */
#include "tests/capture.h"
#include "tests/golden.h"

#include <math.h>

#define STATE_TOLERANCE 5e-5 /* ||a - b|| / ||b|| of one state or one row of logits */
#define LENS_TOLERANCE  1e-4 /* relative, of probabilities, entropies and scores */
/* Where the reference's two best tokens are closer than this, rounding may order them either way.
 */
#define TIE 1e-5

/* ---- one folder at a time ---- */

static struct {
    const char *folder;
    plens_precision precision;
    plens_context *context;
    plens_model *model;
    goldens golden;
    captures run;
} now;

static plens_status open_folder(plens_error *error) {
    const char *folder = now.folder;
    plens_options options = {.precision = now.precision};
    plens_model_info info;
    plens_status status = plens_context_create(&options, &now.context, error);
    if (status == PLENS_OK)
        status = plens_model_open(now.context, folder, &now.model, error);
    if (status != PLENS_OK)
        return status;
    plens_model_describe(now.model, &info);
    status = golden_open(folder, info.d_model, info.vocab_size, &now.golden, error);
    if (status != PLENS_OK)
        return status;
    return capture_run(now.context, now.model, now.golden.inputs, now.golden.n_prompts, 0, &now.run,
                       error);
}

static void close_folder(void) {
    capture_free(&now.run);
    if (now.golden.prompts != NULL)
        golden_close(&now.golden);
    plens_model_close(now.model);
    plens_context_destroy(now.context);
    memset(&now, 0, sizeof now);
}

/* A folder whose goldens cannot be compared is a failure, not one folder fewer. */
static void opens_and_runs(void) {
    plens_error error = {PLENS_OK, ""};
    plens_status status = open_folder(&error);
    CHECK_THAT(status == PLENS_OK, "%s: %s", now.folder, error.message);
    CHECK_INT(now.golden.n_layers, now.run.model.n_layers);
}

/* ||found - expected|| / ||expected|| over n floats; expected may lie unaligned. */
static double distance(const float *found, const char *expected, size_t n) {
    double difference = 0, length = 0;
    for (size_t i = 0; i < n; i++) {
        float e;
        memcpy(&e, expected + i * sizeof e, sizeof e);
        difference += ((double)found[i] - (double)e) * ((double)found[i] - (double)e);
        length += (double)e * (double)e;
    }
    return sqrt(difference / length);
}

/* ---- states and logits ---- */

/* Any mistake in a block: norm, rotation, mask, window, bias, grouped heads, activation, order. */
static void states_are_transformers(void) {
    size_t width = now.run.model.d_model;
    for (size_t i = 0; i < now.golden.n_prompts; i++) {
        size_t n = now.golden.prompts[i].prompt.n_ids;
        for (size_t j = 0; j < (now.golden.n_layers + 1) * n; j++) {
            double d = distance(now.run.prompts[i].states + j * width,
                                now.golden.prompts[i].states + j * width * sizeof(float), width);
            CHECK_THAT(d <= STATE_TOLERANCE,
                       "%s: prompt %zu, position %zu after block %zu is %g from the golden",
                       now.folder, i, j % n, j / n, d);
        }
    }
}

/* The final norm or the unembedding: tied or not, wrong tile, wrong scale. */
static void logits_are_transformers(void) {
    size_t width = now.run.model.vocab_size;
    for (size_t i = 0; i < now.golden.n_prompts; i++) {
        for (size_t p = 0; p < now.golden.prompts[i].prompt.n_ids; p++) {
            double d = distance(now.run.prompts[i].logits + p * width,
                                now.golden.prompts[i].logits + p * width * sizeof(float), width);
            CHECK_THAT(d <= STATE_TOLERANCE, "%s: prompt %zu, position %zu: logits are %g away",
                       now.folder, i, p, d);
        }
    }
}

/* ---- the lens ---- */

static int close_to(double found, double expected) {
    return fabs(found - expected) <= LENS_TOLERANCE * fabs(expected);
}

/* A lens on the wrong state, without the norm, or with a scale that is not the state's own; a top-k
 * that loses a token; a rank off by one; an entropy in bits. The reference breaks no tie here by
 * less than TIE, so ranks are exact. */
static void lens_is_the_reference(void) {
    for (size_t i = 0; i < now.golden.n_prompts; i++) {
        for (size_t l = 0; l < now.golden.n_layers; l++) {
            const golden_layer *expected = &now.golden.prompts[i].layers[l];
            const capture_lens *found = &now.run.prompts[i].lens[l];
            CHECK_THAT(found->finite && found->top[0].rank == 0, "%s: prompt %zu, layer %zu",
                       now.folder, i, l + 1);
            CHECK_THAT(expected->margin <= TIE || found->top[0].id == expected->top,
                       "%s: prompt %zu, layer %zu: top is %d, expected %d", now.folder, i, l + 1,
                       (int)found->top[0].id, (int)expected->top);
            CHECK_THAT(close_to((double)found->top[0].prob, expected->top_prob) &&
                           close_to((double)found->target.prob, expected->gold_prob) &&
                           close_to((double)found->entropy, expected->entropy),
                       "%s: prompt %zu, layer %zu: top %.9g gold %.9g entropy %.9g, expected %.9g "
                       "%.9g %.9g",
                       now.folder, i, l + 1, (double)found->top[0].prob, (double)found->target.prob,
                       (double)found->entropy, expected->top_prob, expected->gold_prob,
                       expected->entropy);
            CHECK_THAT(found->target.rank == expected->gold_rank,
                       "%s: prompt %zu, layer %zu: gold's rank is %u, expected %u", now.folder, i,
                       l + 1, (unsigned)found->target.rank, (unsigned)expected->gold_rank);
        }
    }
}

/* A lens that is computed in another way than the output: twice normed, or in another order. */
static void lens_at_the_last_layer_is_the_output(void) {
    size_t vocab = now.run.model.vocab_size;
    for (size_t i = 0; i < now.run.n_prompts; i++) {
        const capture_prompt *run = &now.run.prompts[i];
        const capture_lens *last = &run->lens[now.golden.n_layers - 1];
        const float *logits = run->logits + (run->prompt.n_ids - 1) * vocab;
        plens_lens_token tokens[CAPTURE_TOP + 2];
        memcpy(tokens, last->top, last->n_top * sizeof *tokens);
        tokens[last->n_top] = last->target;
        tokens[last->n_top + 1] = last->final_top;
        double sum = 0, entropy = 0;
        for (size_t v = 0; v < vocab; v++)
            sum += exp((double)logits[v] - (double)last->top[0].logit);
        for (size_t v = 0; v < vocab; v++) {
            double p = exp((double)logits[v] - (double)last->top[0].logit) / sum;
            entropy -= p > 0 ? p * log(p) : 0;
        }
        CHECK_THAT(fabs((double)last->entropy - entropy) <= 1e-5 * entropy + 1e-6,
                   "%s: prompt %zu: entropy %g, expected %g", now.folder, i, (double)last->entropy,
                   entropy);
        for (size_t t = 0; t < last->n_top + 2; t++) {
            const plens_lens_token *token = &tokens[t];
            size_t greater = 0, before = 0;
            for (size_t v = 0; v < vocab; v++) {
                greater += logits[v] > token->logit;
                before += logits[v] == token->logit && v < (size_t)token->id;
            }
            double p = exp((double)token->logit - (double)last->top[0].logit) / sum;
            CHECK_THAT(memcmp(&token->logit, &logits[token->id], sizeof token->logit) == 0,
                       "%s: prompt %zu: the lens's logit of token %d is %.9g, the output's %.9g",
                       now.folder, i, (int)token->id, (double)token->logit,
                       (double)logits[token->id]);
            CHECK_INT(token->rank, greater);
            CHECK_THAT(t >= last->n_top || greater + before == t,
                       "%s: prompt %zu: place %zu of the top", now.folder, i, t);
            CHECK_THAT(fabs((double)token->prob - p) <= 1e-5 * p,
                       "%s: prompt %zu: probability %.9g, expected %.9g", now.folder, i,
                       (double)token->prob, p);
        }
    }
}

/* The model's own answer, followed back through the layers, is the token that the last layer gives.
 */
static void final_top_is_the_last_layers_token(void) {
    size_t n_layers = now.golden.n_layers;
    for (size_t i = 0; i < now.run.n_prompts; i++) {
        const capture_lens *lens = now.run.prompts[i].lens;
        const golden_prompt *golden = &now.golden.prompts[i];
        CHECK_THAT(golden->layers[n_layers - 1].margin <= TIE ||
                       lens[n_layers - 1].top[0].id == golden->gold_none,
                   "%s: prompt %zu", now.folder, i);
        for (size_t l = 0; l < n_layers; l++) {
            CHECK_INT(lens[l].final_top.id, lens[n_layers - 1].top[0].id);
            CHECK_THAT(golden->gold != golden->gold_none ||
                           memcmp(&lens[l].final_top, &lens[l].target, sizeof lens[l].target) == 0,
                       "%s: prompt %zu, layer %zu: the same token, seen as target and as final top",
                       now.folder, i, l + 1);
        }
    }
}

/* ---- the score ---- */

/* Weights from the wrong end, layers counted from the first, floor(L R) of a rounded product. */
static void scores_are_the_reference(void) {
    size_t n_layers = now.golden.n_layers;
    int32_t top[256];
    float prob[256];
    CHECK(n_layers <= 256);
    for (size_t i = 0; i < now.golden.n_prompts; i++) {
        const golden_prompt *golden = &now.golden.prompts[i];
        for (size_t l = 0; l < n_layers; l++) {
            top[l] = now.run.prompts[i].lens[l].top[0].id;
            prob[l] = now.run.prompts[i].lens[l].top[0].prob;
        }
        for (size_t r = 0; r < GOLDEN_RATIOS; r++) {
            plens_ratio ratio;
            CHECK(plens_ratio_parse(golden_ratios[r], &ratio, NULL) == PLENS_OK);
            size_t counted = plens_ratio_layers(ratio, n_layers);
            double with = plens_score(top, prob, n_layers, counted, &golden->gold, 1);
            double without = plens_score(top, prob, n_layers, counted, &top[n_layers - 1], 1);
            CHECK_THAT(close_to(with, golden->score_gold[r]) &&
                           close_to(without, golden->score_none[r]),
                       "%s: prompt %zu, R = %s: S is %.17g with gold and %.17g without, expected "
                       "%.17g and %.17g",
                       now.folder, i, golden_ratios[r], with, without, golden->score_gold[r],
                       golden->score_none[r]);
        }
    }
}

/* The goldens themselves must be there: an empty list would pass everything. */
static void there_are_goldens(void) {
    CHECK(n_golden_folders >= 8);
}

static void test_folder(const char *folder, plens_precision precision) {
    now.folder = folder;
    now.precision = precision;
    RUN(opens_and_runs);
    if (!test_bad) {
        RUN(states_are_transformers);
        RUN(logits_are_transformers);
        RUN(lens_is_the_reference);
        RUN(lens_at_the_last_layer_is_the_output);
        RUN(final_top_is_the_last_layers_token);
        RUN(scores_are_the_reference);
    }
    close_folder();
}

int main(void) {
    golden_find_folders();
    RUN(there_are_goldens);
    for (size_t i = 0; i < n_golden_folders; i++) {
        test_folder(golden_folders[i], PLENS_PRECISION_F32);
        if (golden_is_bf16(golden_folders[i]))
            test_folder(golden_folders[i], PLENS_PRECISION_BF16X3);
    }
    return test_finish();
}
