/* What the lens measures beyond its top tokens: entropy, KL to the last layer, and the probability
 * of groups, against float64 (tests/make_lens_goldens.py); and that their bits do not depend on how
 * a run is cut. */
#include "tests/faults.h"
#include "tests/heap.h"
#include "tests/lens_golden.h"

#include <math.h>

/* The model of the goldens is float32: what it is off by, and a little of the value. */
#define NEAR(found, expected) (fabs((found) - (expected)) <= 5e-6 + 5e-5 * fabs(expected))

enum { MAX_SITES = 64, MAX_VOCAB = 4096, N_GROUPS = 2 };

typedef struct site {
    int seen;
    float entropy, kl, few, even;
} site;

static struct {
    lens_opened opened;
    int32_t few[3], even[MAX_VOCAB];
    plens_group groups[N_GROUPS];
    site sites[LENS_PROMPTS][MAX_SITES]; /* [position, layer] */
} now;

static void close_model(void) {
    lens_close(&now.opened);
    memset(&now, 0, sizeof now);
}

static plens_status open_model(const char *name, const plens_options *how, plens_error *error) {
    plens_options options = {.precision = PLENS_PRECISION_F32};
    if (how != NULL)
        options = *how;
    memset(&now, 0, sizeof now);
    plens_status status = lens_open(&now.opened, name, &options, error);
    if (status != PLENS_OK)
        return status;
    size_t n = 0;
    for (size_t id = 0; id < now.opened.info.vocab_size; id += 2)
        now.even[n++] = (int32_t)id;
    now.few[0] = 3;
    now.few[1] = 1;
    now.few[2] = (int32_t)now.opened.info.vocab_size - 1;
    now.groups[0] = (plens_group){now.few, 3};
    now.groups[1] = (plens_group){now.even, n};
    return PLENS_OK;
}

static int keep(void *user, const plens_lens_result *found) {
    size_t prompt = (size_t)(ptrdiff_t)user + found->prompt;
    site *to = &now.sites[prompt][found->position * now.opened.info.n_layers + found->layer - 1];
    to->seen++;
    to->entropy = found->entropy;
    to->kl = found->kl;
    to->few = found->groups[0];
    to->even = found->groups[1];
    return found->n_groups != N_GROUPS;
}

static plens_lens all_measures(void) {
    plens_lens lens = {.fn = keep, .kl = 1, .groups = now.groups, .n_groups = N_GROUPS};
    return lens;
}

static plens_status measure(uint64_t memory, plens_error *error) {
    plens_lens lens = all_measures();
    plens_run_options options = {.lens = &lens, .memory = memory};
    memset(now.sites, 0, sizeof now.sites);
    return plens_run(now.opened.context, now.opened.model, lens_prompts, LENS_PROMPTS, &options,
                     error);
}

/* ---- against float64 ---- */

static void compare_row(const plens_table *table, size_t row) {
    size_t prompt = lens_golden_size(table, row, "prompt");
    size_t position = lens_golden_size(table, row, "position");
    size_t layer = lens_golden_size(table, row, "layer");
    const site *found = &now.sites[prompt][position * now.opened.info.n_layers + layer - 1];
    const char *const columns[] = {"entropy", "kl", "few", "even"};
    const float values[] = {found->entropy, found->kl, found->few, found->even};
    CHECK_INT(found->seen, 1);
    for (int i = 0; i < 4; i++) {
        double expected = lens_golden_double(table, row, columns[i]);
        CHECK_THAT(NEAR((double)values[i], expected),
                   "%s, prompt %zu, position %zu, layer %zu: %s is %.9g, expected %.9g",
                   lens_golden_cell(table, row, "model"), prompt, position, layer, columns[i],
                   (double)values[i], expected);
    }
    if (layer == now.opened.info.n_layers)
        CHECK(found->kl == 0);
}

/* KL the wrong way round or against the wrong row, a block of the vocabulary left out or counted at
 * another scale, a group's tokens mixed up with another's. */
static void measures_are_those_of_float64(void) {
    plens_error error = {PLENS_OK, ""};
    plens_table *table = NULL;
    char open[64] = "";
    CHECK_OK(lens_golden_open("lens.tsv", &table, &error), error);
    CHECK(plens_table_rows(table) > 100);
    for (size_t row = 0; row < plens_table_rows(table) && !test_bad; row++) {
        const char *name = lens_golden_cell(table, row, "model");
        if (strcmp(name, open) != 0) {
            close_model();
            snprintf(open, sizeof open, "%s", name);
            CHECK_OK(open_model(name, NULL, &error), error);
            CHECK_OK(measure(0, &error), error);
        }
        compare_row(table, row);
    }
    plens_table_close(table);
    close_model();
}

/* ---- the same bits ---- */

/* The largest budget, to a kilobyte, with which the prompts go one by one; 0 if there is none. */
static uint64_t memory_for_two_parts(void) {
    plens_lens lens = all_measures();
    plens_run_options options = {.lens = &lens};
    plens_plan plan;
    if (plens_run_plan(now.opened.context, now.opened.model, lens_prompts, LENS_PROMPTS, &options,
                       &plan, NULL) != PLENS_OK)
        return 0;
    for (options.memory = plan.staging_bytes + plan.activation_bytes; options.memory > 1024;
         options.memory -= 1024) {
        if (plens_run_plan(now.opened.context, now.opened.model, lens_prompts, LENS_PROMPTS,
                           &options, &plan, NULL) != PLENS_OK)
            return 0;
        if (plan.n_parts == 2)
            return options.memory;
    }
    return 0;
}

/* A KL whose sums follow the tiles, threads or parts; a row of one part that reads another's. */
static void measures_have_the_same_bits_however_run(void) {
    static site expected[LENS_PROMPTS][MAX_SITES];
    const plens_options ways[] = {
        {.precision = PLENS_PRECISION_F32},
        {.precision = PLENS_PRECISION_F32, .isa_limit = PLENS_ISA_SCALAR, .threads = 1},
        {.precision = PLENS_PRECISION_F32, .threads = 3}};
    plens_error error = {PLENS_OK, ""};
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(open_model("llama-vocabulary", &ways[i], &error), error);
        uint64_t tight = memory_for_two_parts();
        CHECK(tight > 0);
        for (int cut = 0; cut < 2; cut++) {
            CHECK_OK(measure(cut ? tight : 0, &error), error);
            if (i == 0 && !cut)
                memcpy(expected, now.sites, sizeof expected);
            CHECK(memcmp(expected, now.sites, sizeof expected) == 0);
        }
        for (size_t prompt = 0; prompt < LENS_PROMPTS; prompt++) { /* each alone */
            plens_lens alone = all_measures();
            alone.user = (void *)(ptrdiff_t)prompt;
            plens_run_options options = {.lens = &alone};
            memset(now.sites[prompt], 0, sizeof now.sites[prompt]);
            CHECK_OK(plens_run(now.opened.context, now.opened.model, &lens_prompts[prompt], 1,
                               &options, &error),
                     error);
        }
        CHECK(memcmp(expected, now.sites, sizeof expected) == 0);
        close_model();
    }
}

/* Measures that need a layer which was not asked for. */
static void one_layer_alone_has_the_same_measures(void) {
    static site expected[LENS_PROMPTS][MAX_SITES];
    plens_error error = {PLENS_OK, ""};
    CHECK_OK(open_model("llama3-rope-shards", NULL, &error), error);
    CHECK_OK(measure(0, &error), error);
    memcpy(expected, now.sites, sizeof expected);
    memset(now.sites, 0, sizeof now.sites);
    for (size_t layer = now.opened.info.n_layers; layer >= 1; layer--) {
        plens_lens lens = all_measures();
        lens.first_layer = lens.last_layer = layer;
        plens_run_options options = {.lens = &lens};
        CHECK_OK(plens_run(now.opened.context, now.opened.model, lens_prompts, LENS_PROMPTS,
                           &options, &error),
                 error);
    }
    CHECK(memcmp(expected, now.sites, sizeof expected) == 0);
    close_model();
}

/* ---- bad input ---- */

static void check_refused(const plens_group *groups, size_t n_groups, const char *part) {
    plens_lens lens = {.fn = keep, .groups = groups, .n_groups = n_groups};
    plens_run_options options = {.lens = &lens};
    plens_error error = {PLENS_OK, ""};
    plens_status status =
        plens_run(now.opened.context, now.opened.model, lens_prompts, 1, &options, &error);
    CHECK_INT(status, PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, part);
}

/* An id read beyond the vocabulary, a probability counted twice, an empty group read as NULL. */
static void bad_groups_are_refused(void) {
    plens_error error = {PLENS_OK, ""};
    CHECK_OK(open_model("llama-biases", NULL, &error), error);
    const int32_t good[] = {1, 2}, beyond[] = {1, 61}, below[] = {-1}, twice[] = {5, 2, 5};
    const plens_group groups[] = {{good, 2}, {beyond, 2}};
    const plens_group negative = {below, 1}, same = {twice, 3}, none = {NULL, 1}, empty = {good, 0};
    check_refused(groups, 2, "group 1, token 1: token id 61, expected 0 to 60");
    check_refused(&negative, 1, "group 0, token 0: token id -1, expected 0 to 60");
    check_refused(&same, 1, "group 0: token id 5 is there twice");
    check_refused(&none, 1, "group 0 has no tokens");
    check_refused(&empty, 1, "group 0 has no tokens");
    check_refused(NULL, 1, "groups is NULL");
    close_model();
}

static plens_status run_with(const plens_allocator *allocator, void *data, plens_error *error) {
    const plens_options options = {.allocator = *allocator, .threads = 1};
    (void)data;
    plens_status status = open_model("llama-biases", &options, error);
    if (status == PLENS_OK)
        status = measure(0, error);
    close_model();
    return status;
}

/* A list of a group's ids that stays when there is no memory. */
static void any_allocation_may_fail(void) {
    const char *problem = faults_sweep(run_with, NULL);
    CHECK_THAT(problem == NULL, "%s", problem);
}

int main(void) {
    RUN(measures_are_those_of_float64);
    RUN(measures_have_the_same_bits_however_run);
    RUN(one_layer_alone_has_the_same_measures);
    RUN(bad_groups_are_refused);
    RUN(any_allocation_may_fail);
    return test_finish();
}
