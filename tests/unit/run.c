/* plens_run as a caller sees it: hooks, the lens, progress and errors. The numbers themselves are
 * compared with Transformers in goldens.c. */
#include "tests/faults.h"
#include "tests/run_prompts.h"

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

int main(void) {
    RUN(every_point_shows_each_row_once);
    RUN(last_positions_are_the_same_bits);
    RUN(the_lens_reports_every_prompt_position_and_layer);
    RUN(a_range_of_layers_knows_the_final_token);
    RUN(progress_reaches_one);
    RUN(any_callback_can_stop_the_run);
    RUN(wrong_calls_are_named);
    RUN(failed_allocations_are_reported);
    return test_finish();
}
