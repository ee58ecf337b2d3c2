/* plens_run as a caller sees it: hooks, the lens, progress, parts, errors and memory. The numbers
 * themselves are compared with Transformers in goldens.c. */
#define _POSIX_C_SOURCE 200809L

#include "tests/faults.h"
#include "tests/test.h"

#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "tests/fixtures/models/llama3-rope-shards"

static const int32_t ids_a[] = {1, 7, 5, 9}, ids_b[] = {1, 7, 5, 3, 2}, ids_c[] = {1, 7},
                     ids_d[] = {4};
static const int32_t targets[] = {3, 0, 3};
/* Seven distinct prefixes: 1, 17, 175, 1759, 1753, 17532, 4. c is a prefix of a; e equals a. */
static const plens_prompt prompts[] = {{ids_a, 4, targets, 3},
                                       {ids_b, 5, NULL, 0},
                                       {ids_c, 2, targets, 1},
                                       {ids_d, 1, NULL, 0},
                                       {ids_a, 4, targets + 1, 1}};
enum { N_PROMPTS = 5, N_ROWS = 7, N_TOKENS = 16, N_ENDS = 4 };

static plens_error error;

typedef struct opened {
    plens_context *context;
    plens_model *model;
    plens_model_info info;
} opened;

static plens_status open_all(opened *o, const plens_options *options) {
    memset(o, 0, sizeof *o);
    plens_status status = plens_context_create(options, &o->context, &error);
    if (status == PLENS_OK)
        status = plens_model_open(o->context, FOLDER, &o->model, &error);
    if (status == PLENS_OK)
        plens_model_describe(o->model, &o->info);
    return status;
}

static void close_all(opened *o) {
    plens_model_close(o->model);
    plens_context_destroy(o->context);
}

/* ---- hooks ---- */

/* How often each (prompt, position) was served at the point and layer under test. */
typedef struct seen {
    int count[N_PROMPTS][8];
    size_t n_rows, n_calls, width, layer;
    plens_point point;
    size_t stop_at;
} seen;

static int see(void *user, const plens_activations *a) {
    seen *s = user;
    if (++s->n_calls == s->stop_at)
        return 1;
    s->point = a->point;
    s->layer = a->layer;
    s->width = a->width;
    s->n_rows += a->n_rows;
    for (size_t r = 0; r < a->n_rows; r++) {
        for (size_t i = 0; i < a->rows[r].n_prompts; i++)
            s->count[a->rows[r].prompts[i]][a->rows[r].position]++;
    }
    return 0;
}

/* Guards against a hook that misses a row, gets one twice, or is told the wrong prompts. */
static void every_point_shows_each_row_once(void) {
    opened o;
    CHECK_OK(open_all(&o, NULL), error);
    for (int point = PLENS_EMBED; point <= PLENS_LOGITS; point++) {
        int in_block = point >= PLENS_RESID_PRE && point <= PLENS_RESID_POST;
        for (size_t layer = 1; layer <= (in_block ? o.info.n_layers : 1); layer++) {
            for (int last = 0; last < 2; last++) {
                seen s = {.n_rows = 0};
                plens_hook hook = {.point = (plens_point)point, .fn = see, .user = &s};
                hook.first_layer = hook.last_layer = in_block ? layer : 0;
                hook.positions = last ? PLENS_POSITIONS_LAST : PLENS_POSITIONS_ALL;
                plens_run_options options = {.hooks = &hook, .n_hooks = 1};
                CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &options, &error),
                         error);
                CHECK_INT(s.n_rows, last ? N_ENDS : N_ROWS);
                CHECK_INT(s.point, point);
                CHECK_INT(s.layer, in_block ? layer : 0);
                plens_point_info info;
                CHECK_OK(plens_point_describe(o.model, (plens_point)point, &info, &error), error);
                size_t n_heads = info.n_heads == 0 ? 1 : info.n_heads;
                if (info.head_width > 0)
                    CHECK_INT(s.width, n_heads * info.head_width);
                else /* the last call's keys, one at least */
                    CHECK(s.width > 0 && s.width % n_heads == 0);
                CHECK_INT(info.in_block, in_block);
                for (size_t i = 0; i < N_PROMPTS; i++) {
                    for (size_t p = 0; p < 8; p++) {
                        size_t n = prompts[i].n_ids;
                        CHECK_INT(s.count[i][p], last ? p + 1 == n : p < n);
                    }
                }
            }
        }
    }
    close_all(&o);
}

/* Guards against last-position hooks that read other values than all-position ones do. */
typedef struct kept {
    float values[N_PROMPTS][64];
    size_t width;
} kept;

static int keep_ends(void *user, const plens_activations *a) {
    kept *k = user;
    k->width = a->width < 64 ? a->width : 64;
    for (size_t r = 0; r < a->n_rows; r++) {
        for (size_t i = 0; i < a->rows[r].n_prompts; i++) {
            size_t prompt = a->rows[r].prompts[i];
            if (a->rows[r].position + 1 == prompts[prompt].n_ids)
                memcpy(k->values[prompt], a->values + r * a->width, k->width * sizeof(float));
        }
    }
    return 0;
}

static void last_positions_are_the_same_bits(void) {
    opened o;
    CHECK_OK(open_all(&o, NULL), error);
    for (int point = PLENS_EMBED; point <= PLENS_LOGITS; point++) {
        static kept all, last;
        memset(&all, 0, sizeof all);
        memset(&last, 0, sizeof last);
        plens_hook hooks[] = {{.point = (plens_point)point, .fn = keep_ends, .user = &all},
                              {.point = (plens_point)point,
                               .positions = PLENS_POSITIONS_LAST,
                               .fn = keep_ends,
                               .user = &last}};
        plens_run_options both = {.hooks = hooks, .n_hooks = 2};
        plens_run_options alone = {.hooks = hooks + 1, .n_hooks = 1};
        CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &both, &error), error);
        CHECK(memcmp(&all, &last, sizeof all) == 0);
        memset(&last, 0, sizeof last);
        CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &alone, &error), error);
        CHECK(memcmp(&all, &last, sizeof all) == 0);
    }
    close_all(&o);
}

/* ---- the lens ---- */

typedef struct results {
    size_t n, last_prompt, last_position, last_layer, in_order;
    size_t stop_at;
    float target_prob[N_PROMPTS][3], final_prob[N_PROMPTS];
} results;

static int collect(void *user, const plens_lens_result *r) {
    results *all = user;
    if (++all->n == all->stop_at)
        return 1;
    int after = r->prompt != all->last_prompt       ? r->prompt > all->last_prompt
                : r->position != all->last_position ? r->position > all->last_position
                                                    : r->layer > all->last_layer;
    all->in_order += (size_t)(all->n == 1 || after);
    all->last_prompt = r->prompt;
    all->last_position = r->position;
    all->last_layer = r->layer;
    for (size_t i = 0; i < r->n_targets; i++) {
        all->target_prob[r->prompt][i] = r->targets[i].prob;
        if (r->targets[i].id != prompts[r->prompt].targets[i])
            test_bad = 1;
    }
    for (size_t i = 0; i < r->n_top; i++) {
        if (r->top[i].rank > i || (i > 0 && r->top[i].logit > r->top[i - 1].logit))
            test_bad = 1;
    }
    all->final_prob[r->prompt] = r->final_top.prob;
    return 0;
}

/* Guards against results that are missing, doubled, out of order, or given to the wrong prompt. */
static void the_lens_reports_every_prompt_position_and_layer(void) {
    opened o;
    CHECK_OK(open_all(&o, NULL), error);
    size_t n_layers = o.info.n_layers;
    for (int last = 0; last < 2; last++) {
        results all = {.n = 0};
        plens_lens lens = {.fn = collect, .user = &all, .top_k = 3};
        lens.positions = last ? PLENS_POSITIONS_LAST : PLENS_POSITIONS_ALL;
        plens_run_options options = {.lens = &lens};
        CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &options, &error), error);
        CHECK_INT(all.n, (last ? N_PROMPTS : N_TOKENS) * n_layers);
        CHECK_INT(all.in_order, all.n);
        CHECK(!test_bad);
        CHECK(all.target_prob[0][0] == all.target_prob[0][2]); /* the same token twice */
        CHECK(all.target_prob[0][1] == all.target_prob[4][0]); /* the same prompt twice */
        CHECK(all.target_prob[0][0] > 0 && all.target_prob[2][0] > 0);
    }
    close_all(&o);
}

/* Guards against a range of layers without the last one losing the final token, and top_k beyond
 * the vocabulary. */
static void a_range_of_layers_knows_the_final_token(void) {
    opened o;
    CHECK_OK(open_all(&o, NULL), error);
    results whole = {.n = 0}, part = {.n = 0};
    plens_lens lens = {
        .fn = collect, .user = &whole, .positions = PLENS_POSITIONS_LAST, .top_k = 100000};
    plens_run_options options = {.lens = &lens};
    CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &options, &error), error);
    lens.user = &part;
    lens.top_k = 0;
    lens.first_layer = lens.last_layer = 1;
    CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &options, &error), error);
    CHECK_INT(part.n, N_PROMPTS);
    CHECK(part.final_prob[0] > 0 && part.final_prob[0] <= 1);
    close_all(&o);
}

/* ---- stopping ---- */

typedef struct ticks {
    size_t n, stop_at;
    double fraction;
    int rising;
} ticks;

static int tick(void *user, const plens_progress *progress) {
    ticks *t = user;
    t->rising &= progress->fraction >= t->fraction && progress->fraction <= 1;
    t->fraction = progress->fraction;
    return ++t->n == t->stop_at;
}

/* Guards against progress that runs backwards or never reaches the end. */
static void progress_reaches_one(void) {
    opened o;
    CHECK_OK(open_all(&o, NULL), error);
    for (int last = 0; last < 2; last++) {
        ticks t = {.rising = 1};
        results all = {.n = 0};
        seen s = {.n_rows = 0};
        plens_positions positions = last ? PLENS_POSITIONS_LAST : PLENS_POSITIONS_ALL;
        plens_lens lens = {.fn = collect,
                           .user = &all,
                           .positions = positions,
                           .top_k = 1,
                           .first_layer = 1,
                           .last_layer = 1};
        plens_hook hook = {.point = PLENS_LOGITS, .positions = positions, .fn = see, .user = &s};
        plens_run_options options = {
            .hooks = &hook, .n_hooks = 1, .lens = &lens, .progress = tick, .progress_user = &t};
        CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &options, &error), error);
        CHECK(t.rising);
        CHECK_THAT(t.fraction > 0.999999, "the last fraction is %g", t.fraction);
    }
    close_all(&o);
}

/* Guards against a callback's wish to stop that is ignored, at any moment, and leaks then. */
static void any_callback_can_stop_the_run(void) {
    faults state = {0, 0, 0, 0};
    plens_options with_faults = {.allocator = {faults_reallocate, &state}};
    opened o;
    CHECK_OK(open_all(&o, &with_faults), error);
    size_t before = state.outstanding;
    for (size_t stop_at = 1; stop_at < 6; stop_at++) {
        ticks t = {.stop_at = stop_at, .rising = 1};
        results all = {.stop_at = stop_at};
        seen s = {.stop_at = stop_at};
        plens_lens lens = {
            .fn = collect, .user = &all, .positions = PLENS_POSITIONS_ALL, .top_k = 1};
        plens_hook hook = {.point = PLENS_RESID_POST, .fn = see, .user = &s};
        plens_run_options by_progress = {.progress = tick, .progress_user = &t};
        plens_run_options by_lens = {.lens = &lens}, by_hook = {.hooks = &hook, .n_hooks = 1};
        CHECK_INT(plens_run(o.context, o.model, prompts, N_PROMPTS, &by_progress, &error),
                  PLENS_CANCELLED);
        CHECK_INT(t.n, stop_at);
        CHECK_INT(plens_run(o.context, o.model, prompts, N_PROMPTS, &by_lens, &error),
                  PLENS_CANCELLED);
        CHECK_INT(all.n, stop_at);
        if (stop_at <= o.info.n_layers) {
            CHECK_INT(plens_run(o.context, o.model, prompts, N_PROMPTS, &by_hook, &error),
                      PLENS_CANCELLED);
            CHECK_INT(s.n_calls, stop_at);
        }
        CHECK_INT(state.outstanding, before);
    }
    close_all(&o);
    CHECK_INT(state.outstanding, 0);
}

/* ---- errors ---- */

/* Guards against wrong calls that crash or run on. */
static void wrong_calls_are_named(void) {
    opened o;
    CHECK_OK(open_all(&o, NULL), error);
    int32_t too_large = (int32_t)o.info.vocab_size, negative = -1;
    plens_prompt bad[] = {{NULL, 0, NULL, 0},
                          {&too_large, 1, NULL, 0},
                          {&negative, 1, NULL, 0},
                          {ids_a, 4, NULL, 1},
                          {ids_a, 4, &too_large, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        plens_prompt two[] = {prompts[0], bad[i]};
        CHECK_INT(plens_run(o.context, o.model, two, 2, NULL, &error), PLENS_ERROR_ARGUMENT);
        CHECK_CONTAINS(error.message, "prompt 1");
    }
    CHECK_INT(plens_run(o.context, o.model, prompts, 0, NULL, &error), PLENS_ERROR_ARGUMENT);
    CHECK_INT(plens_run(o.context, NULL, prompts, 1, NULL, NULL), PLENS_ERROR_ARGUMENT);
    size_t ranges[][2] = {{0, 1}, {2, 1}, {1, o.info.n_layers + 1}, {1, 0}};
    for (size_t i = 0; i < 4; i++) {
        results all = {.n = 0};
        seen s = {.n_rows = 0};
        plens_hook hook = {.point = PLENS_RESID_MID,
                           .first_layer = ranges[i][0],
                           .last_layer = ranges[i][1],
                           .fn = see,
                           .user = &s};
        plens_lens lens = {.fn = collect,
                           .user = &all,
                           .positions = PLENS_POSITIONS_LAST,
                           .top_k = 1,
                           .first_layer = ranges[i][0],
                           .last_layer = ranges[i][1]};
        plens_run_options by_hook = {.hooks = &hook, .n_hooks = 1}, by_lens = {.lens = &lens};
        CHECK_INT(plens_run(o.context, o.model, prompts, 1, &by_hook, &error),
                  PLENS_ERROR_ARGUMENT);
        CHECK_INT(plens_run(o.context, o.model, prompts, 1, &by_lens, &error),
                  PLENS_ERROR_ARGUMENT);
        CHECK_CONTAINS(error.message, "layers");
    }
    plens_hook no_point = {.point = (plens_point)77, .fn = see};
    plens_run_options unknown = {.hooks = &no_point, .n_hooks = 1};
    CHECK_INT(plens_run(o.context, o.model, prompts, 1, &unknown, &error), PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "77");
    close_all(&o);
}

static plens_status run_everything(const plens_allocator *allocator, void *data,
                                   plens_error *story) {
    plens_options options = {.threads = 1, .allocator = *allocator};
    plens_context *context;
    plens_model *model = NULL;
    results all = {.n = 0};
    plens_lens lens = {.fn = collect, .user = &all, .positions = PLENS_POSITIONS_LAST, .top_k = 2};
    plens_run_options run = {.lens = &lens};
    (void)data;
    plens_status status = plens_context_create(&options, &context, story);
    if (status != PLENS_OK)
        return status;
    status = plens_model_open(context, FOLDER, &model, story);
    if (status == PLENS_OK)
        status = plens_run(context, model, prompts, N_PROMPTS, &run, story);
    plens_model_close(model);
    plens_context_destroy(context);
    return status;
}

/* Guards against a failed allocation that crashes, leaks or is reported as something else. */
static void failed_allocations_are_reported(void) {
    const char *problem = faults_sweep(run_everything, NULL);
    CHECK_THAT(problem == NULL, "%s", problem);
}

/* ---- memory ---- */

typedef struct counted {
    faults *state;
    size_t first, last;
} counted;

static int count_allocations(void *user, const plens_activations *a) {
    counted *c = user;
    (void)a;
    if (c->first == 0)
        c->first = c->state->calls;
    c->last = c->state->calls;
    return 0;
}

/* Guards against a pass that allocates: its memory is planned before it begins. */
static void the_pass_allocates_nothing(void) {
    faults state = {0, 0, 0, 0};
    plens_options with_faults = {.allocator = {faults_reallocate, &state}};
    opened o;
    CHECK_OK(open_all(&o, &with_faults), error);
    counted c = {&state, 0, 0};
    plens_hook hooks[] = {{.point = PLENS_EMBED, .fn = count_allocations, .user = &c},
                          {.point = PLENS_LOGITS, .fn = count_allocations, .user = &c}};
    plens_run_options options = {.hooks = hooks, .n_hooks = 2};
    CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &options, &error), error);
    CHECK(c.first > 0);
    CHECK_INT(c.last, c.first);
    close_all(&o);
}

static int count_at_progress(void *user, const plens_progress *at) {
    (void)at;
    return count_allocations(user, NULL);
}

static int count_at_lens(void *user, const plens_lens_result *r) {
    (void)r;
    return count_allocations(user, NULL);
}

static int keep_always(void *user, const plens_progress *at, uint64_t n_bytes) {
    (void)n_bytes;
    return count_at_progress(user, at) == 0;
}

static int keep_bytes(void *user, const void *bytes, size_t n_bytes) {
    (void)bytes;
    (void)n_bytes;
    return count_allocations(user, NULL);
}

static void keep_end(void *user, int complete) {
    (void)complete;
    count_allocations(user, NULL);
}

/* Guards against the same where it would hide: between parts, in the lens (targets, top lists, KL)
 * and its results, in layers that are unembedded as they come, in a state that is saved. */
static void nor_in_parts_with_a_lens(void) {
    faults state = {0, 0, 0, 0};
    plens_options with_faults = {.threads = 1, .allocator = {faults_reallocate, &state}};
    opened o;
    CHECK_OK(open_all(&o, &with_faults), error);
    plens_plan plan = {.n_parts = 1};
    counted c = {&state, 0, 0};
    plens_saver saver = {keep_always, keep_bytes, keep_end, NULL, &c};
    plens_lens lens = {.fn = count_at_lens, .user = &c, .top_k = 3, .kl = 1};
    plens_run_options options = {.lens = &lens,
                                 .progress = count_at_progress,
                                 .progress_user = &c,
                                 .memory = (uint64_t)1 << 28,
                                 .saver = &saver};
    int twice = 0;
    size_t most_parts = 0;
    for (;;) { /* less and less memory */
        if (plens_run_plan(o.context, o.model, prompts, N_PROMPTS, &options, &plan, &error) !=
            PLENS_OK)
            break;
        twice |= plan.computes_twice;
        most_parts = plan.n_parts > most_parts ? plan.n_parts : most_parts;
        c.first = c.last = 0;
        CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &options, &error), error);
        CHECK(c.first > 0);
        CHECK_INT(c.last, c.first);
        uint64_t needed = plan.staging_bytes + plan.activation_bytes;
        needed = needed < options.memory ? needed : options.memory;
        options.memory = needed - needed / 12;
    }
    CHECK(most_parts > 1);
    CHECK(twice);
    close_all(&o);
}

/* Guards against a plan that says something else than the run then does, and a budget that is
 * overstepped or refused without need. */
static void the_budget_cuts_the_run_into_parts(void) {
    opened o;
    CHECK_OK(open_all(&o, NULL), error);
    plens_plan whole, cut;
    CHECK_OK(plens_run_plan(o.context, o.model, prompts, N_PROMPTS, NULL, &whole, &error), error);
    CHECK_INT(whole.n_parts, 1);
    CHECK_INT(whole.n_rows, N_ROWS);
    CHECK_INT(whole.n_tokens, N_TOKENS);
    CHECK(whole.reads_ahead);
    uint64_t bytes = whole.staging_bytes + whole.activation_bytes;
    /* A budget of the run comes before the context's. First it is the second buffer that goes. */
    plens_context *small;
    plens_options options = {.memory = 1};
    plens_run_options run = {.memory = bytes - 1};
    CHECK_OK(plens_context_create(&options, &small, &error), error);
    CHECK_OK(plens_run_plan(small, o.model, prompts, N_PROMPTS, &run, &whole, &error), error);
    CHECK_INT(whole.n_parts, 1);
    CHECK(!whole.reads_ahead);
    CHECK(whole.staging_bytes + whole.activation_bytes < bytes);
    run.memory = whole.staging_bytes + whole.activation_bytes;
    CHECK_OK(plens_run_plan(small, o.model, prompts, N_PROMPTS, &run, &cut, &error), error);
    CHECK_INT(cut.n_parts, 1);
    plens_context_destroy(small);
    options.memory = run.memory - 1;
    CHECK_OK(plens_context_create(&options, &small, &error), error);
    CHECK_OK(plens_run_plan(small, o.model, prompts, N_PROMPTS, NULL, &cut, &error), error);
    CHECK(cut.n_parts > 1);
    CHECK(cut.staging_bytes + cut.activation_bytes <= options.memory);
    CHECK(cut.weight_bytes_read > whole.weight_bytes_read);
    plens_context_destroy(small);
    options.memory = whole.staging_bytes;
    CHECK_OK(plens_context_create(&options, &small, &error), error);
    CHECK_INT(plens_run(small, o.model, prompts, N_PROMPTS, NULL, &error), PLENS_ERROR_MEMORY);
    CHECK_CONTAINS(error.message, "budget");
    plens_context_destroy(small);
    close_all(&o);
}

/* What the allocator gave out, and the most of it at once. */
typedef struct gauge {
    size_t now, most;
} gauge;

static void *measured(void *user, void *old, size_t old_size, size_t new_size) {
    gauge *g = user;
    g->now += new_size - old_size;
    g->most = g->now > g->most ? g->now : g->most;
    if (new_size > 0)
        return realloc(old, new_size);
    free(old);
    return NULL;
}

/* Guards against memory that a plan does not count. */
static void the_plan_counts_all_memory(void) {
    gauge g = {0, 0};
    plens_options options = {.threads = 3, .allocator = {measured, &g}};
    opened o;
    CHECK_OK(open_all(&o, &options), error);
    size_t before = g.now;
    plens_plan plan;
    results all = {.n = 0};
    plens_lens lens = {.fn = collect, .user = &all, .top_k = 3};
    plens_run_options run = {.lens = &lens};
    CHECK_OK(plens_run_plan(o.context, o.model, prompts, N_PROMPTS, &run, &plan, &error), error);
    g.most = g.now;
    CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &run, &error), error);
    CHECK_INT(g.now, before);
    CHECK(plan.scratch_bytes > 0 && plan.kv_bytes > 0 && plan.lens_bytes > 0);
    uint64_t planned = plan.staging_bytes + plan.activation_bytes - plan.scratch_bytes;
    CHECK(g.most - before >= planned); /* lists of prompts and the reader are a few KB */
    CHECK_THAT(g.most - before < planned + 8192, "%zu bytes used, %llu planned", g.most - before,
               (unsigned long long)planned);
    close_all(&o);
}

/* ---- a file cut short under an open model ---- */

static int copy_file(const char *from, const char *to) {
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    char bytes[65536];
    size_t n;
    while (in != NULL && out != NULL && (n = fread(bytes, 1, sizeof bytes, in)) > 0)
        fwrite(bytes, 1, n, out);
    int good = in != NULL && out != NULL && fclose(in) == 0 && fclose(out) == 0;
    return good;
}

static const char *const names[] = {"config.json", "model.safetensors.index.json",
                                    "model-00001-of-00002.safetensors",
                                    "model-00002-of-00002.safetensors"};

/* A copy of the model in a new folder, its path in `folder`. */
static int copy_model(char *folder) {
    char from[256], to[256];
    strcpy(folder, "/tmp/plens-test-XXXXXX");
    int good = mkdtemp(folder) != NULL;
    for (size_t i = 0; i < 4 && good; i++) {
        snprintf(from, sizeof from, "%s/%s", FOLDER, names[i]);
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        good = copy_file(from, to);
    }
    return good;
}

static void remove_model(const char *folder) {
    char path[256];
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    rmdir(folder);
}

static int cut_shard(const char *folder, size_t i) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    return truncate(path, 2000);
}

/* Guards against SIGBUS: a run reads its weights with plain reads. */
static void a_shard_cut_short_is_an_error(void) {
    char folder[32];
    plens_context *context;
    plens_model *model;
    CHECK(copy_model(folder));
    CHECK_OK(plens_context_create(NULL, &context, &error), error);
    CHECK_OK(plens_model_open(context, folder, &model, &error), error);
    CHECK(cut_shard(folder, 3) == 0);
    CHECK_INT(plens_run(context, model, prompts, N_PROMPTS, NULL, &error), PLENS_ERROR_IO);
    CHECK_CONTAINS(error.message, "model-00002-of-00002.safetensors");
    CHECK_CONTAINS(error.message, "(tensor \"");
    plens_model_close(model);
    plens_context_destroy(context);
    remove_model(folder);
}

static int cut_both(void *user, const plens_activations *a) {
    (void)a;
    if (cut_shard(user, 2) != 0 || cut_shard(user, 3) != 0)
        test_bad = 1;
    return 0;
}

/* Guards against an error of the reading thread that is lost, told late or without its place: the
 * files become short while the first block is in hand, the unembedding is read last. */
static void a_shard_cut_short_under_the_pass_is_an_error(void) {
    for (size_t layer = 1; layer <= 2; layer++) {
        char folder[32];
        faults state = {0, 0, 0, 0};
        plens_options with_faults = {.allocator = {faults_reallocate, &state}};
        plens_context *context;
        plens_model *model;
        results all = {.n = 0};
        plens_lens lens = {
            .fn = collect, .user = &all, .positions = PLENS_POSITIONS_LAST, .top_k = 1};
        plens_hook hook = {.point = PLENS_RESID_POST,
                           .first_layer = layer,
                           .last_layer = layer,
                           .fn = cut_both,
                           .user = folder};
        plens_run_options options = {.hooks = &hook, .n_hooks = 1, .lens = &lens};
        CHECK(copy_model(folder));
        CHECK_OK(plens_context_create(&with_faults, &context, &error), error);
        CHECK_OK(plens_model_open(context, folder, &model, &error), error);
        size_t before = state.outstanding;
        CHECK_INT(plens_run(context, model, prompts, N_PROMPTS, &options, &error), PLENS_ERROR_IO);
        CHECK_CONTAINS(error.message, ".safetensors: expected ");
        CHECK_CONTAINS(error.message, "(tensor \"");
        CHECK_INT(state.outstanding, before);
        CHECK_INT(all.n, 0);
        CHECK(!test_bad);
        plens_model_close(model);
        plens_context_destroy(context);
        remove_model(folder);
    }
}

int main(void) {
    RUN(every_point_shows_each_row_once);
    RUN(last_positions_are_the_same_bits);
    RUN(the_lens_reports_every_prompt_position_and_layer);
    RUN(a_range_of_layers_knows_the_final_token);
    RUN(progress_reaches_one);
    RUN(any_callback_can_stop_the_run);
    RUN(wrong_calls_are_named);
    RUN(failed_allocations_are_reported);
    RUN(the_pass_allocates_nothing);
    RUN(nor_in_parts_with_a_lens);
    RUN(the_budget_cuts_the_run_into_parts);
    RUN(the_plan_counts_all_memory);
    RUN(a_shard_cut_short_is_an_error);
    RUN(a_shard_cut_short_under_the_pass_is_an_error);
    return test_finish();
}
