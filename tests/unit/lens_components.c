/* The lens of attn_out, mlp_out and single heads, with the final norm frozen: against float64
 * (tests/make_lens_goldens.py), against the model's own logits, and against itself however a run is
 * cut. */
#include "tests/faults.h"
#include "tests/lens_golden.h"

#include <math.h>

/* The models are float32: shares are off by roundings of states and of products. */
#define TOLERANCE             2e-5
#define NEAR(found, expected) (fabs((found) - (expected)) <= TOLERANCE * (1 + fabs(expected)))

enum { MAX_POSITIONS = 8, MAX_LAYERS = 6, MAX_HEADS = 8, TOP_K = 2, TARGET = 4 };

typedef struct site {
    int seen;
    plens_lens_token top[TOP_K], target, final_top;
    float entropy;
} site;

static const int32_t target = TARGET;
static const plens_point points[] = {PLENS_ATTN_OUT, PLENS_MLP_OUT, PLENS_HEAD_OUT};
enum { N_POINTS = 3 };

static struct {
    lens_opened opened;
    plens_prompt prompts[LENS_PROMPTS];
    site sites[N_POINTS][LENS_PROMPTS][MAX_POSITIONS][MAX_LAYERS][MAX_HEADS];
} now;

static void close_model(void) {
    lens_close(&now.opened);
    memset(&now, 0, sizeof now);
}

static plens_status open_model(const char *name, plens_options options, plens_error *error) {
    memset(&now, 0, sizeof now);
    plens_status status = lens_open(&now.opened, name, &options, error);
    for (size_t i = 0; i < LENS_PROMPTS; i++) {
        now.prompts[i] = lens_prompts[i];
        now.prompts[i].targets = &target;
        now.prompts[i].n_targets = 1;
    }
    return status;
}

static size_t index_of(plens_point point) {
    size_t i = 0;
    while (points[i] != point)
        i++;
    return i;
}

/* user is the number of the run's first prompt. */
static int keep(void *user, const plens_lens_result *r) {
    size_t prompt = (size_t)(ptrdiff_t)user + r->prompt;
    site *to = &now.sites[index_of(r->point)][prompt][r->position][r->layer - 1][r->head];
    to->seen++;
    memcpy(to->top, r->top, sizeof to->top);
    to->target = r->targets[0];
    to->final_top = r->final_top;
    to->entropy = r->entropy;
    return r->n_top != TOP_K || !r->finite;
}

/* The lens of all three kinds, of prompts [first, first + n). */
static plens_status look(size_t first, size_t n, plens_lens lens, plens_run_options options,
                         plens_error *error) {
    plens_status status = PLENS_OK;
    lens.fn = keep;
    lens.user = (void *)(ptrdiff_t)first;
    lens.top_k = TOP_K;
    options.lens = &lens;
    for (size_t i = 0; i < N_POINTS && status == PLENS_OK; i++) {
        lens.point = points[i];
        status = plens_run(now.opened.context, now.opened.model, now.prompts + first, n, &options,
                           error);
    }
    return status;
}

/* ---- against float64 ---- */

static void compare_row(const plens_table *table, size_t row) {
    plens_point point = (plens_point)0;
    const char *part = lens_golden_cell(table, row, "part");
    size_t prompt = lens_golden_size(table, row, "prompt"),
           position = lens_golden_size(table, row, "position"),
           layer = lens_golden_size(table, row, "layer"),
           head = lens_golden_size(table, row, "head");
    CHECK_INT(plens_point_find(part, &point, NULL), PLENS_OK);
    const site *s = &now.sites[index_of(point)][prompt][position][layer - 1][head];
    CHECK_INT(s->seen, 1);
    const double share = lens_golden_double(table, row, "share"),
                 margin = lens_golden_double(table, row, "margin");
    CHECK_THAT(NEAR((double)s->top[0].logit, share),
               "%s, prompt %zu, position %zu, layer %zu, head %zu: share %.9g, expected %.9g", part,
               prompt, position, layer, head, (double)s->top[0].logit, share);
    CHECK(margin < 1e-4 || (size_t)s->top[0].id == lens_golden_size(table, row, "top"));
    CHECK(margin < 1e-4 || NEAR((double)s->top[1].logit, share - margin));
    CHECK_INT(s->target.id, TARGET);
    CHECK(NEAR((double)s->target.logit, lens_golden_double(table, row, "target")));
    CHECK_INT(s->target.rank, lens_golden_size(table, row, "rank"));
    CHECK(NEAR((double)s->final_top.logit, lens_golden_double(table, row, "final")));
    CHECK(isnan(s->top[0].prob) && isnan(s->target.prob) && isnan(s->entropy));
}

/* A norm that is made anew, or is another row's; heads, layers or tiles of the vocabulary mixed up;
 * a bias counted with a head. */
static void shares_are_those_of_float64(void) {
    plens_error error = {PLENS_OK, ""};
    plens_table *table = NULL;
    char open[64] = "";
    CHECK_OK(lens_golden_open("components.tsv", &table, &error), error);
    CHECK(plens_table_rows(table) > 500);
    for (size_t row = 0; row < plens_table_rows(table) && !test_bad; row++) {
        const char *name = lens_golden_cell(table, row, "model");
        if (strcmp(name, open) != 0) {
            close_model();
            snprintf(open, sizeof open, "%s", name);
            CHECK_OK(open_model(name, (plens_options){.precision = PLENS_PRECISION_F32}, &error),
                     error);
            CHECK_OK(look(0, LENS_PROMPTS, (plens_lens){0}, (plens_run_options){0}, &error), error);
        }
        compare_row(table, row);
    }
    plens_table_close(table);
    close_model();
}

/* ---- against the attribution ---- */

static int compare_shares(void *user, const plens_attribution_result *r) {
    double *worst = user;
    for (size_t l = 0; l < r->n_layers; l++) {
        const site *attn = &now.sites[0][r->prompt][r->position][l][0];
        const site *mlp = &now.sites[1][r->prompt][r->position][l][0];
        double off = fabs((double)attn->target.logit - r->attn[l]) / (1 + fabs(r->attn[l]));
        *worst = off > *worst ? off : *worst;
        off = fabs((double)mlp->target.logit - r->mlp[l]) / (1 + fabs(r->mlp[l]));
        *worst = off > *worst ? off : *worst;
    }
    return 0;
}

/* Two answers to one question: under a hook that changes everything, too. */
static void shares_are_those_of_the_attribution(void) {
    plens_error error = {PLENS_OK, ""};
    double worst = 0;
    float vector[64];
    plens_hook hook;
    CHECK_OK(
        open_model("llama3-rope-shards", (plens_options){.precision = PLENS_PRECISION_F32}, &error),
        error);
    for (int i = 0; i < 64; i++)
        vector[i] = (float)(i % 7) * 0.1f;
    plens_intervention what = {.where = {.point = PLENS_ATTN_OUT}, .action = PLENS_ADD};
    what.values = vector;
    what.n_values = now.opened.info.d_model;
    what.scale = 1;
    CHECK_OK(plens_intervention_hook(now.opened.model, &what, &hook, &error), error);
    plens_run_options run = {.hooks = &hook, .n_hooks = 1};
    plens_attribution how = {.fn = compare_shares, .user = &worst, .hooks = &hook, .n_hooks = 1};
    CHECK_OK(look(0, LENS_PROMPTS, (plens_lens){0}, run, &error), error);
    CHECK_OK(plens_attribute(now.opened.context, now.opened.model, now.prompts, LENS_PROMPTS, &how,
                             &error),
             error);
    CHECK_THAT(worst < TOLERANCE, "%g", worst);
    close_model();
}

/* ---- the same bits ---- */

/* Shares that follow threads, instructions, the batch, the memory budget, the layers or heads asked
 * for, or whether only the ends of prompts are looked at. */
static void shares_have_the_same_bits_however_run(void) {
    static site expected[N_POINTS][LENS_PROMPTS][MAX_POSITIONS][MAX_LAYERS][MAX_HEADS];
    plens_error error = {PLENS_OK, ""};
    for (int way = 0; way < 6; way++) {
        plens_options options = {.precision = PLENS_PRECISION_F32, .threads = way == 1 ? 1 : 3};
        options.isa_limit = way == 1 ? PLENS_ISA_SCALAR : PLENS_ISA_DEFAULT;
        CHECK_OK(open_model("llama3-rope-shards", options, &error), error);
        size_t L = now.opened.info.n_layers, H = now.opened.info.n_heads, n_seen = 0;
        plens_lens lens = {.positions = way == 2 ? PLENS_POSITIONS_LAST : PLENS_POSITIONS_ALL};
        plens_run_options run = {.no_sharing = way == 5};
        if (way == 4)
            lens.first_layer = 2, lens.last_layer = L;
        for (size_t prompt = 0; prompt < LENS_PROMPTS && way == 3; prompt++) /* each alone */
            CHECK_OK(look(prompt, 1, lens, run, &error), error);
        if (way != 3)
            CHECK_OK(look(0, LENS_PROMPTS, lens, run, &error), error);
        if (way == 0)
            memcpy(expected, now.sites, sizeof expected);
        for (size_t k = 0; k < sizeof expected / sizeof(site); k++) {
            const site *a = &expected[0][0][0][0][0] + k, *b = &now.sites[0][0][0][0][0] + k;
            CHECK(b->seen == 0 || memcmp(a, b, sizeof *a) == 0);
            n_seen += b->seen != 0;
        }
        size_t n_positions = way == 2 ? 2 : lens_prompts[0].n_ids + lens_prompts[1].n_ids;
        CHECK_INT(n_seen, n_positions * (way == 4 ? L - 1 : L) * (2 + H));
        close_model();
    }
}

static int keep_heads(void *user, const plens_lens_result *r) {
    int32_t(*found)[2] = user;
    (*found)[0] += r->head == 1;
    (*found)[1] += r->head != 1;
    const site *whole = &now.sites[2][r->prompt][r->position][r->layer - 1][r->head];
    return memcmp(&whole->top[0], &r->top[0], sizeof whole->top[0]) != 0;
}

/* A head that is asked for alone and is another's. */
static void one_head_alone_is_that_of_all(void) {
    plens_error error = {PLENS_OK, ""};
    int32_t found[2] = {0, 0};
    CHECK_OK(open_model("llama-biases", (plens_options){.precision = PLENS_PRECISION_F32}, &error),
             error);
    CHECK_OK(look(0, LENS_PROMPTS, (plens_lens){0}, (plens_run_options){0}, &error), error);
    plens_lens lens = {.fn = keep_heads, .user = &found, .point = PLENS_HEAD_OUT, .top_k = 1};
    plens_run_options run = {.lens = &lens};
    lens.first_head = lens.n_heads = 1;
    lens.first_layer = lens.last_layer = 2;
    CHECK_OK(
        plens_run(now.opened.context, now.opened.model, now.prompts, LENS_PROMPTS, &run, &error),
        error);
    CHECK_INT(found[0], lens_prompts[0].n_ids + lens_prompts[1].n_ids);
    CHECK_INT(found[1], 0);
    close_model();
}

/* ---- bad input ---- */

static void check_refused(plens_lens lens, const char *part) {
    plens_error error = {PLENS_OK, ""};
    plens_run_options run = {.lens = &lens};
    lens.fn = keep;
    CHECK_INT(plens_run(now.opened.context, now.opened.model, now.prompts, 1, &run, &error),
              PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, part);
}

/* Heads read beyond those there are; probabilities made of shares. */
static void what_has_no_lens_is_refused(void) {
    plens_error error = {PLENS_OK, ""};
    const plens_group group = {&target, 1};
    CHECK_OK(open_model("llama-biases", (plens_options){0}, &error), error);
    check_refused((plens_lens){.point = PLENS_Q}, "found q");
    check_refused((plens_lens){.positions = (plens_positions)2}, "unknown positions (2)");
    check_refused((plens_lens){.point = (plens_point)99}, "unknown point (99)");
    check_refused((plens_lens){.point = PLENS_HEAD_OUT, .first_head = 99}, "heads 99 to 99");
    check_refused((plens_lens){.point = PLENS_HEAD_OUT, .first_head = 1, .n_heads = 99}, "heads 1");
    check_refused((plens_lens){.point = PLENS_ATTN_OUT, .n_heads = 1}, "attn_out has none");
    check_refused((plens_lens){.first_head = 1}, "resid_post has none");
    check_refused((plens_lens){.point = PLENS_MLP_OUT, .kl = 1}, "no probabilities");
    check_refused((plens_lens){.point = PLENS_MLP_OUT, .groups = &group, .n_groups = 1},
                  "no probabilities");
    close_model();
}

static plens_status run_with(const plens_allocator *allocator, void *data, plens_error *error) {
    const plens_options options = {.allocator = *allocator, .threads = 1};
    (void)data;
    plens_status status = open_model("llama-biases", options, error);
    if (status == PLENS_OK)
        status = look(0, 2, (plens_lens){0}, (plens_run_options){0}, error);
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
    RUN(shares_are_those_of_the_attribution);
    RUN(shares_have_the_same_bits_however_run);
    RUN(one_head_alone_is_that_of_all);
    RUN(what_has_no_lens_is_refused);
    RUN(any_allocation_may_fail);
    return test_finish();
}
