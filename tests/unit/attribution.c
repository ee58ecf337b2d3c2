/* Direct logit attribution against float64 (tests/make_lens_goldens.py), against the logits that it
 * explains, and against itself however a run is cut. */
#include "tests/faults.h"
#include "tests/lens_golden.h"

#include <math.h>

/* The models are float32: shares are off by roundings of states and of products. */
#define TOLERANCE 2e-5

enum { MAX_POSITIONS = 8, MAX_LAYERS = 6, MAX_HEADS = 8 };

typedef struct shares {
    int seen;
    double embed, sum, logit;
    double attn[MAX_LAYERS], mlp[MAX_LAYERS], o_bias[MAX_LAYERS], heads[MAX_LAYERS * MAX_HEADS];
} shares;

static struct {
    lens_opened opened;
    shares found[LENS_PROMPTS][MAX_POSITIONS];
} now;

static void close_model(void) {
    lens_close(&now.opened);
    memset(&now, 0, sizeof now);
}

static plens_status open_model(const char *name, plens_options options, plens_error *error) {
    memset(&now, 0, sizeof now);
    return lens_open(&now.opened, name, &options, error);
}

/* user is the number of the run's first prompt. */
static int keep(void *user, const plens_attribution_result *result) {
    shares *to = &now.found[(size_t)(ptrdiff_t)user + result->prompt][result->position];
    size_t n = result->n_layers;
    to->seen++;
    to->embed = result->embed;
    to->sum = result->sum;
    to->logit = result->logit;
    memcpy(to->attn, result->attn, n * sizeof *to->attn);
    memcpy(to->mlp, result->mlp, n * sizeof *to->mlp);
    if (result->heads == NULL)
        return result->n_heads != 0 || result->o_bias != NULL;
    memcpy(to->o_bias, result->o_bias, n * sizeof *to->o_bias);
    memcpy(to->heads, result->heads, n * result->n_heads * sizeof *to->heads);
    return 0;
}

/* Both prompts, or one; tokens [n_tokens] of all of them. */
static plens_status attribute(size_t first, size_t n, const int32_t *tokens, size_t n_tokens,
                              plens_attribution how, plens_error *error) {
    plens_prompt prompts[LENS_PROMPTS];
    for (size_t i = 0; i < n; i++) {
        prompts[i] = lens_prompts[first + i];
        prompts[i].targets = tokens;
        prompts[i].n_targets = n_tokens;
    }
    how.fn = keep;
    how.user = (void *)(ptrdiff_t)first;
    return plens_attribute(now.opened.context, now.opened.model, prompts, n, &how, error);
}

/* ---- against float64 ---- */

static double found_value(const shares *s, const char *part, size_t layer, size_t head) {
    if (strcmp(part, "embed") == 0)
        return s->embed;
    if (strcmp(part, "sum") == 0)
        return s->sum;
    if (strcmp(part, "logit") == 0)
        return s->logit;
    if (strcmp(part, "attn") == 0)
        return s->attn[layer - 1];
    if (strcmp(part, "mlp") == 0)
        return s->mlp[layer - 1];
    if (strcmp(part, "bias") == 0)
        return s->o_bias[layer - 1];
    return s->heads[(layer - 1) * now.opened.info.n_heads + head];
}

/* The tokens a row of the table is about; 1 or 2. */
static size_t row_tokens(const plens_table *table, size_t row, int32_t tokens[2]) {
    tokens[0] = (int32_t)lens_golden_size(table, row, "a");
    tokens[1] = (int32_t)lens_golden_size(table, row, "b");
    return lens_golden_cell(table, row, "b")[0] == '\0' ? 1 : 2;
}

static void compare_row(const plens_table *table, size_t row) {
    size_t prompt = lens_golden_size(table, row, "prompt");
    size_t position = lens_golden_size(table, row, "position");
    size_t layer = lens_golden_size(table, row, "layer");
    size_t head = lens_golden_size(table, row, "head");
    const char *part = lens_golden_cell(table, row, "part");
    double expected = lens_golden_double(table, row, "value");
    double found = found_value(&now.found[prompt][position], part, layer, head);
    CHECK_INT(now.found[prompt][position].seen, 1);
    CHECK_THAT(fabs(found - expected) <= TOLERANCE * (1 + fabs(expected)),
               "%s, prompt %zu, position %zu: %s %zu %zu is %.9g, expected %.9g",
               lens_golden_cell(table, row, "model"), prompt, position, part, layer, head, found,
               expected);
}

/* Another layer's or head's output, a state normed anew, the norm's weight or a bias left out, the
 * tokens exchanged. */
static void shares_are_those_of_float64(void) {
    plens_error error = {PLENS_OK, ""};
    plens_table *table = NULL;
    char open[64] = "";
    int32_t last[2] = {-1, -1};
    CHECK_OK(lens_golden_open("attribution.tsv", &table, &error), error);
    CHECK(plens_table_rows(table) > 500);
    for (size_t row = 0; row < plens_table_rows(table) && !test_bad; row++) {
        const char *name = lens_golden_cell(table, row, "model");
        int32_t tokens[2];
        size_t n_tokens = row_tokens(table, row, tokens);
        int other = strcmp(name, open) != 0;
        if (other) {
            close_model();
            snprintf(open, sizeof open, "%s", name);
            CHECK_OK(open_model(name, (plens_options){.precision = PLENS_PRECISION_F32}, &error),
                     error);
        }
        if (other || memcmp(tokens, last, sizeof last) != 0) {
            memset(now.found, 0, sizeof now.found);
            CHECK_OK(attribute(0, LENS_PROMPTS, tokens, n_tokens, (plens_attribution){.heads = 1},
                               &error),
                     error);
            memcpy(last, tokens, sizeof last);
        }
        compare_row(table, row);
    }
    plens_table_close(table);
    close_model();
}

/* ---- against the model ---- */

static void check_sums(double tolerance) {
    for (size_t prompt = 0; prompt < LENS_PROMPTS; prompt++)
        for (size_t position = 0; position < lens_prompts[prompt].n_ids; position++) {
            const shares *s = &now.found[prompt][position];
            double size = fabs(s->embed), heads;
            for (size_t l = 0; l < now.opened.info.n_layers; l++) {
                size += fabs(s->attn[l]) + fabs(s->mlp[l]);
                heads = s->o_bias[l];
                for (size_t h = 0; h < now.opened.info.n_heads; h++)
                    heads += s->heads[l * now.opened.info.n_heads + h];
                CHECK_THAT(fabs(heads - s->attn[l]) <= tolerance * (1 + fabs(heads)),
                           "layer %zu: heads and bias are %.9g, attn %.9g", l + 1, heads,
                           s->attn[l]);
            }
            CHECK_THAT(fabs(s->sum - s->logit) <= tolerance * (1 + size),
                       "prompt %zu, position %zu: sum %.9g, logit %.9g", prompt, position, s->sum,
                       s->logit);
        }
}

/* A component that is not counted, or counted twice; in the coarse precision too. */
static void shares_sum_to_the_logit_they_explain(void) {
    const char *const names[] = {"llama-biases", "qwen3-biases", "llama3-rope-shards",
                                 "persona-world"};
    const plens_precision precisions[] = {PLENS_PRECISION_F32, PLENS_PRECISION_BF16};
    plens_error error = {PLENS_OK, ""};
    const int32_t tokens[2] = {40, 7};
    for (size_t i = 0; i < 8; i++) {
        plens_options options = {.precision = precisions[i % 2]};
        CHECK_OK(open_model(names[i / 2], options, &error), error);
        CHECK_OK(attribute(0, 2, tokens, 2, (plens_attribution){.heads = 1}, &error), error);
        /* bf16 rounds both tokens' logits, which may be many times their difference */
        check_sums(i % 2 == 0 ? 1e-5 : 4e-2);
        close_model();
    }
}

/* ---- under interventions ---- */

/* Hooks that are forgotten, or called after those that read the shares: a head that is zero still
 * has one, or the logit is another run's. */
static void shares_are_those_of_what_hooks_leave(void) {
    plens_error error = {PLENS_OK, ""};
    const int32_t token = 7;
    plens_hook hook;
    CHECK_OK(open_model("llama-biases", (plens_options){.precision = PLENS_PRECISION_F32}, &error),
             error);
    plens_intervention what = {.where = {.point = PLENS_Z}, .action = PLENS_ZERO};
    what.where.first_layer = what.where.last_layer = 2;
    what.where.first_head = what.where.n_heads = 1;
    CHECK_OK(plens_intervention_hook(now.opened.model, &what, &hook, &error), error);
    CHECK_OK(attribute(0, 2, &token, 1, (plens_attribution){.heads = 1}, &error), error);
    double whole = now.found[0][7].logit, head = now.found[0][7].heads[now.opened.info.n_heads + 1];
    plens_attribution how = {.heads = 1, .hooks = &hook, .n_hooks = 1};
    CHECK_OK(attribute(0, 2, &token, 1, how, &error), error);
    const shares *ablated = &now.found[0][7];
    CHECK(head != 0);
    CHECK(ablated->heads[now.opened.info.n_heads + 1] == 0);
    CHECK(fabs(ablated->logit - whole) > 1e-3);
    check_sums(1e-5);
    how.hooks = NULL;
    CHECK_INT(attribute(0, 2, &token, 1, how, &error), PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "hooks is NULL");
    close_model();
}

/* ---- the same bits ---- */

/* Shares that follow threads, the batch, the memory budget, or whether heads are asked for. */
static void shares_have_the_same_bits_however_run(void) {
    static shares expected[LENS_PROMPTS][MAX_POSITIONS];
    const int32_t tokens[2] = {3, 60};
    plens_error error = {PLENS_OK, ""};
    plens_options options = {.precision = PLENS_PRECISION_F32};
    for (int way = 0; way < 5; way++) {
        plens_attribution how = {.heads = 1};
        options.threads = way == 1 ? 1 : 3;
        options.isa_limit = way == 1 ? PLENS_ISA_SCALAR : PLENS_ISA_DEFAULT;
        CHECK_OK(open_model("llama3-rope-shards", options, &error), error);
        if (way == 2)
            how.positions = PLENS_POSITIONS_LAST;
        if (way == 4)
            how.heads = 0;
        for (size_t prompt = 0; prompt < LENS_PROMPTS; prompt++)
            if (way == 3) /* each alone */
                CHECK_OK(attribute(prompt, 1, tokens, 2, how, &error), error);
        if (way != 3)
            CHECK_OK(attribute(0, LENS_PROMPTS, tokens, 2, how, &error), error);
        if (way == 0)
            memcpy(expected, now.found, sizeof expected);
        for (size_t prompt = 0; prompt < LENS_PROMPTS; prompt++)
            for (size_t p = 0; p < lens_prompts[prompt].n_ids; p++) {
                const shares *a = &expected[prompt][p], *b = &now.found[prompt][p];
                CHECK_INT(b->seen, way != 2 || p == lens_prompts[prompt].n_ids - 1);
                if (b->seen == 0)
                    continue;
                CHECK(memcmp(&a->embed, &b->embed, sizeof(double)) == 0);
                CHECK(memcmp(&a->sum, &b->sum, sizeof(double)) == 0);
                CHECK(memcmp(a->attn, b->attn, sizeof a->attn) == 0);
                CHECK(memcmp(a->mlp, b->mlp, sizeof a->mlp) == 0);
                CHECK(way == 4 || memcmp(a->heads, b->heads, sizeof a->heads) == 0);
                CHECK(way == 4 || memcmp(a->o_bias, b->o_bias, sizeof a->o_bias) == 0);
            }
        close_model();
    }
}

/* ---- bad input ---- */

static void check_refused(const int32_t *tokens, size_t n_tokens, const char *part) {
    plens_error error = {PLENS_OK, ""};
    plens_attribution how = {0};
    CHECK_INT(attribute(0, 1, tokens, n_tokens, how, &error), PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, part);
}

/* Tokens read that are not there. */
static void wrong_tokens_are_refused(void) {
    plens_error error = {PLENS_OK, ""};
    const int32_t tokens[] = {1, 61, 2}, below = -1;
    CHECK_OK(open_model("llama-biases", (plens_options){0}, &error), error);
    check_refused(tokens, 0, "prompt 0 has 0 targets, expected 1");
    check_refused(tokens, 2, "prompt 0, target 1: token id 61, expected 0 to 60");
    check_refused(&below, 1, "prompt 0, target 0: token id -1");
    const int32_t three[] = {1, 2, 3};
    check_refused(three, 3, "prompt 0 has 3 targets, expected 1");
    plens_attribution nowhere = {.fn = keep, .positions = (plens_positions)2};
    CHECK_INT(
        plens_attribute(now.opened.context, now.opened.model, lens_prompts, 1, &nowhere, &error),
        PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "the attribution has unknown positions (2)");
    plens_attribution nobody = {0};
    CHECK_INT(
        plens_attribute(now.opened.context, now.opened.model, lens_prompts, 1, &nobody, &error),
        PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "no function");
    CHECK_INT(plens_attribute(now.opened.context, now.opened.model, lens_prompts, 1, NULL, &error),
              PLENS_ERROR_ARGUMENT);
    close_model();
}

static plens_status run_with(const plens_allocator *allocator, void *data, plens_error *error) {
    const plens_options options = {.allocator = *allocator, .threads = 1};
    const int32_t tokens[2] = {4, 5};
    (void)data;
    plens_status status = open_model("llama-biases", options, error);
    if (status == PLENS_OK)
        status = attribute(0, 2, tokens, 2, (plens_attribution){.heads = 1}, error);
    close_model();
    return status;
}

/* Anything that stays when there is no memory. */
static void any_allocation_may_fail(void) {
    const char *problem = faults_sweep(run_with, NULL);
    CHECK_THAT(problem == NULL, "%s", problem);
}

int main(void) {
    RUN(shares_are_those_of_float64);
    RUN(shares_sum_to_the_logit_they_explain);
    RUN(shares_are_those_of_what_hooks_leave);
    RUN(shares_have_the_same_bits_however_run);
    RUN(wrong_tokens_are_refused);
    RUN(any_allocation_may_fail);
    return test_finish();
}
