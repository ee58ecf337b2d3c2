/* What hooks ask for: their rows, heads and order, what is said of wrong ones, and the memory they
 * take. */
#include "tests/faults.h"
#include "tests/hook_runs.h"

/* ---- what a hook asks for ---- */

typedef struct chosen {
    const all_points *all;
    size_t n_rows, n_wrong, first_head, n_heads;
} chosen;

/* Compares what a hook is shown with the same of the whole. */
static int compare_chosen(void *user, const plens_activations *a) {
    chosen *c = user;
    const plens_point_info *info = &c->all->info[a->point];
    size_t T = c->all->n_ids;
    const float *whole = all_points_at(c->all, a->point, a->layer);
    c->n_rows += a->n_rows;
    c->n_wrong += a->first_head != c->first_head || a->n_heads != c->n_heads;
    for (size_t r = 0; r < a->n_rows; r++) {
        size_t position = a->rows[r].position, heads = info->n_heads == 0 ? 1 : info->n_heads;
        size_t shown = a->n_heads == 0 ? 1 : a->n_heads, width = a->width / shown;
        c->n_wrong += position < 2 || position > 3;
        for (size_t h = 0; h < shown; h++) {
            size_t head = a->first_head + h;
            const float *expected = info->head_width == 0
                                        ? whole + (head * T + position) * T
                                        : whole + (position * heads + head) * width;
            size_t n = width < T || info->head_width > 0 ? width : T;
            c->n_wrong +=
                memcmp(a->values + (r * shown + h) * width, expected, n * sizeof(float)) != 0;
        }
    }
    return 0;
}

/* Rows or heads gathered from the wrong place. */
static void a_hook_sees_what_it_asks_for(void) {
    all_points all;
    plens_hook hooks[N_POINTS - 1];
    all_points_begin(&all, now.model, 4, prompts[4].n_ids);
    all_points_hooks(&all, hooks);
    plens_run_options options = {.hooks = hooks, .n_hooks = N_POINTS - 1};
    plens_status status = plens_run(now.context, now.model, prompts, N_PROMPTS, &options, &error);
    size_t n_wrong = 0, n_rows = 0;
    for (int p = PLENS_EMBED; p < N_POINTS && status == PLENS_OK; p++) {
        size_t n_heads = all.info[p].n_heads;
        chosen c = {
            .all = &all, .first_head = n_heads > 0 ? n_heads - 1 : 0, .n_heads = n_heads > 0};
        plens_hook hook = {.point = (plens_point)p, .fn = compare_chosen, .user = &c};
        hook.first_position = 2;
        hook.n_positions = 2;
        hook.first_prompt = 4;
        hook.n_prompts = 1;
        hook.first_head = c.first_head;
        hook.n_heads = c.n_heads;
        options = (plens_run_options){.hooks = &hook, .n_hooks = 1};
        status = plens_run(now.context, now.model, prompts, N_PROMPTS, &options, &error);
        n_wrong += c.n_wrong;
        n_rows += c.n_rows;
    }
    all_points_free(&all);
    CHECK_OK(status, error);
    CHECK_INT(n_wrong, 0);
    CHECK_INT(n_rows, 2 * ((N_POINTS - 1 - 3) * now.info.n_layers + 3));
}

static int write_zero(void *user, const plens_activations *a) {
    (void)user;
    memset(a->values, 0, a->n_rows * a->width * sizeof(float));
    return 0;
}

static int write_zero_in_last_head(void *user, const plens_activations *a) {
    size_t width = a->width / a->n_heads;
    (void)user;
    for (size_t r = 0; r < a->n_rows; r++)
        memset(a->values + (r + 1) * a->width - width, 0, width * sizeof(float));
    return 0;
}

/* A head that is put back into another's place, or a row's rest that is lost with it. */
static void a_chosen_head_is_written_in_its_place(void) {
    static logits one, whole, plain;
    CHECK_OK(run_with(now.context, NULL, 0, prompts, N_PROMPTS, 0, &plain), error);
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        plens_point_info info;
        CHECK_OK(plens_point_describe(now.model, (plens_point)p, &info, &error), error);
        if (info.n_heads == 0)
            continue;
        plens_hook hook = {.point = (plens_point)p, .fn = write_zero_in_last_head, .writes = 1};
        CHECK_OK(run_with(now.context, &hook, 1, prompts, N_PROMPTS, 0, &whole), error);
        hook.fn = write_zero;
        hook.first_head = info.n_heads - 1;
        CHECK_OK(run_with(now.context, &hook, 1, prompts, N_PROMPTS, 0, &one), error);
        CHECK(memcmp(one.values, whole.values, sizeof one.values) == 0);
        CHECK(memcmp(one.values, plain.values, sizeof one.values) != 0);
    }
}

static int write_and_count(void *user, const plens_activations *a) {
    size_t *n = user;
    a->values[0] += 1;
    return (*n += a->n_rows) > 1000;
}

/* Later hooks of a point see what earlier ones wrote; a stopped run calls no hook any more. */
static void hooks_come_in_their_order(void) {
    size_t n = 0;
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        all_points before, after;
        all_points_begin(&before, now.model, 0, 7);
        all_points_begin(&after, now.model, 0, 7);
        plens_hook hooks[3] = {
            {.point = (plens_point)p, .fn = all_points_keep, .user = &before},
            {.point = (plens_point)p, .fn = write_and_count, .user = &n, .writes = 1},
            {.point = (plens_point)p, .fn = all_points_keep, .user = &after}};
        plens_run_options options = {.hooks = hooks, .n_hooks = 3};
        plens_status status = plens_run(now.context, now.model, prompts, 1, &options, &error);
        float difference = *after.values[p] - *before.values[p];
        after.n_seen = 0;
        n = 1000;
        plens_status stopped = plens_run(now.context, now.model, prompts, 1, &options, &error);
        n = 0;
        all_points_free(&before);
        all_points_free(&after);
        CHECK_OK(status, error);
        CHECK(difference > 0.99f && difference < 1.01f);
        CHECK_INT(stopped, PLENS_CANCELLED);
        CHECK_INT(after.n_seen, 0);
    }
}

static int write_minus_infinity(void *user, const plens_activations *a) {
    (void)user;
    for (size_t i = 0; i < a->n_rows * a->width; i++)
        a->values[i] = -INFINITY;
    return 0;
}

/* NaN where a query is left without keys. */
static void a_query_without_keys_attends_to_nothing(void) {
    all_points all;
    all_points_begin(&all, now.model, 0, 7);
    plens_hook hooks[3] = {{.point = PLENS_ATTN_SCORES, .fn = write_minus_infinity, .writes = 1},
                           {.point = PLENS_ATTN_PATTERN, .fn = all_points_keep, .user = &all},
                           {.point = PLENS_Z, .fn = all_points_keep, .user = &all}};
    plens_run_options options = {.hooks = hooks, .n_hooks = 3};
    plens_status status = plens_run(now.context, now.model, prompts, 1, &options, &error);
    size_t n_other = 0;
    for (size_t i = 0; i < all.size[PLENS_ATTN_PATTERN]; i++)
        n_other += all.values[PLENS_ATTN_PATTERN][i] != 0;
    for (size_t i = 0; i < all.size[PLENS_Z]; i++)
        n_other += all.values[PLENS_Z][i] != 0;
    all_points_free(&all);
    CHECK_OK(status, error);
    CHECK_INT(n_other, 0);
}

/* ---- the lens ---- */

typedef struct top {
    float logit;
    int32_t id;
} top;

static int keep_top(void *user, const plens_lens_result *r) {
    top *kept = user;
    kept[r->layer - 1] = (top){r->top[0].logit, r->top[0].id};
    return 0;
}

/* A lens that reads the state from before a write: layer L would not be the output. */
static void the_lens_reads_what_hooks_leave(void) {
    static logits written;
    top tops[16] = {{0, 0}};
    plens_hook hooks[2] = {{.point = PLENS_RESID_POST, .fn = write_ramp, .writes = 1},
                           {.point = PLENS_LOGITS, .fn = keep_logits, .user = &written}};
    plens_lens lens = {.fn = keep_top, .user = tops, .positions = PLENS_POSITIONS_LAST};
    plens_run_options options = {.hooks = hooks, .n_hooks = 2, .lens = &lens};
    CHECK_OK(plens_run(now.context, now.model, prompts, 1, &options, &error), error);
    top last = tops[now.info.n_layers - 1];
    CHECK(written.values[0][6][last.id] == last.logit);
}

/* ---- errors and memory ---- */

static plens_status run_one(plens_hook hook) {
    plens_run_options options = {.hooks = &hook, .n_hooks = 1};
    return plens_run(now.context, now.model, prompts, N_PROMPTS, &options, &error);
}

/* Hooks that reach past what there is. */
static void wrong_hooks_are_named(void) {
    float sum = 0;
    const plens_hook good = {.point = PLENS_Z, .fn = look, .user = &sum};
    static const struct {
        plens_hook bad;
        const char *words[2];
    } cases[] = {
        {{.point = (plens_point)0}, {"hook 0", "unknown point (0)"}},
        {{.point = (plens_point)24}, {"hook 0", "unknown point (24)"}},
        {{.point = PLENS_Z, .first_layer = 2, .last_layer = 99}, {"layers 2 to 99", "1 to"}},
        {{.point = PLENS_Z, .first_head = 9}, {"heads 9 to 9", "(z)"}},
        {{.point = PLENS_K, .n_heads = 77}, {"heads 0 to 76", "(k)"}},
        {{.point = PLENS_MLP_ACT, .n_heads = 1}, {"heads", "mlp_act has none"}},
        {{.point = PLENS_Z, .first_prompt = N_PROMPTS}, {"prompts 7 to 7", "0 to 6"}},
        {{.point = PLENS_Z, .first_prompt = 6, .n_prompts = 2}, {"prompts 6 to 7", "0 to 6"}},
        {{.point = PLENS_Z, .first_position = 7}, {"positions 7 to 7", "0 to 6"}},
        {{.point = PLENS_Z, .first_position = 5, .first_prompt = 1, .n_prompts = 3},
         {"positions 5 to 5", "0 to 4"}},
        {{.point = PLENS_Z, .first_position = 1, .n_positions = (size_t)-1},
         {"positions 1 to 1", "0 to 6"}},
        {{.point = PLENS_Z, .n_positions = 1, .positions = PLENS_POSITIONS_LAST},
         {"last positions", "range"}},
        {{.point = PLENS_Z, .positions = (plens_positions)2}, {"hook 0", "positions (2)"}},
    };
    CHECK_OK(run_one(good), error);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plens_hook bad = cases[i].bad;
        bad.fn = look;
        bad.user = &sum;
        CHECK_INT(run_one(bad), PLENS_ERROR_ARGUMENT);
        CHECK_CONTAINS(error.message, cases[i].words[0]);
        CHECK_CONTAINS(error.message, cases[i].words[1]);
    }
    plens_hook none = good;
    none.fn = NULL;
    CHECK_INT(run_one(none), PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "no function");
}

/* Names that do not lead back to their point; shapes that are not the model's. */
static void points_have_names_and_shapes(void) {
    plens_point found;
    plens_point_info info;
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        CHECK_OK(plens_point_find(plens_point_name((plens_point)p), &found, &error), error);
        CHECK_INT(found, p);
    }
    CHECK(plens_point_name((plens_point)0) == NULL &&
          plens_point_name((plens_point)N_POINTS) == NULL);
    CHECK_STRING(plens_point_name(PLENS_MLP_POST), "mlp_post");
    CHECK_INT(plens_point_find("resid", &found, &error), PLENS_ERROR_ARGUMENT);
    CHECK_CONTAINS(error.message, "'resid'");
    CHECK_CONTAINS(error.message, "embed, resid_pre");
    CHECK_CONTAINS(error.message, "final_norm, logits");
    CHECK_INT(plens_point_describe(now.model, (plens_point)99, &info, &error),
              PLENS_ERROR_ARGUMENT);
    CHECK_OK(plens_point_describe(now.model, PLENS_V, &info, &error), error);
    CHECK_INT(info.n_heads, now.info.n_kv_heads);
    CHECK_INT(info.head_width, now.info.head_dim);
    CHECK_OK(plens_point_describe(now.model, PLENS_ATTN_PATTERN, &info, &error), error);
    CHECK_INT(info.n_heads, now.info.n_heads);
    CHECK_INT(info.head_width, 0);
}

/* Hooks whose buffers are made on the way, and a plan that has them where nobody wants them. */
static void the_pass_allocates_nothing(void) {
    faults state = {0, 0, 0, 0};
    plens_options options = {.precision = PLENS_PRECISION_F32,
                             .allocator = {faults_reallocate, &state}};
    plens_context *context;
    faults_looks c = {&state, 0, 0};
    plens_hook hooks[N_POINTS - 1];
    memset(hooks, 0, sizeof hooks);
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        hooks[p - 1].point = (plens_point)p;
        hooks[p - 1].fn = faults_look;
        hooks[p - 1].user = &c;
        hooks[p - 1].writes = 1;
        hooks[p - 1].positions = p % 2 ? PLENS_POSITIONS_LAST : PLENS_POSITIONS_ALL;
    }
    CHECK_OK(plens_context_create(&options, &context, &error), error);
    plens_run_options run = {.hooks = hooks, .n_hooks = N_POINTS - 1};
    CHECK_OK(plens_run(context, now.model, prompts, N_PROMPTS, &run, &error), error);
    CHECK(c.first > 0);
    CHECK_INT(c.last, c.first);
    plens_plan all, one, none;
    CHECK_OK(plens_run_plan(context, now.model, prompts, N_PROMPTS, &run, &all, &error), error);
    run.n_hooks = 1;
    run.no_sharing = 1; /* as the writing hooks have it */
    CHECK_OK(plens_run_plan(context, now.model, prompts, N_PROMPTS, &run, &one, &error), error);
    run.n_hooks = 0;
    CHECK_OK(plens_run_plan(context, now.model, prompts, N_PROMPTS, &run, &none, &error), error);
    CHECK(all.activation_bytes > one.activation_bytes);
    CHECK(one.activation_bytes > none.activation_bytes);
    plens_context_destroy(context);
}

int main(void) {
    for (size_t i = 0; i < N_HOOK_GOLDENS; i++) {
        now.name = hook_golden_names[i];
        now.precision = PLENS_PRECISION_F32;
        RUN(opens);
        if (!test_bad && !test_skip && now.step == 1) {
            RUN(a_hook_sees_what_it_asks_for);
            RUN(a_chosen_head_is_written_in_its_place);
            RUN(hooks_come_in_their_order);
            RUN(a_query_without_keys_attends_to_nothing);
            RUN(the_lens_reads_what_hooks_leave);
            RUN(wrong_hooks_are_named);
            RUN(points_have_names_and_shapes);
            RUN(the_pass_allocates_nothing);
        }
        hook_golden_close(&now);
    }
    return test_finish();
}
