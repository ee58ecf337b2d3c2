/* Interventions: against the same done in Transformers, against themselves, and wrong ones. */
#include "tests/hook_golden.h"

#include <fenv.h>

static plens_error error;
static hook_golden now;

static void opens(void) {
    int absent;
    const char *name = now.name,
               *problem = hook_golden_open(name, PLENS_PRECISION_F32, &now, &absent);
    if (absent)
        SKIP("%s: %s", name, problem);
    CHECK_THAT(problem == NULL, "%s: %s", name, problem);
}

/* ---- helpers ---- */

static plens_intervention at(plens_point point, size_t layer, plens_action action) {
    plens_intervention what = {.where = {.point = point}, .action = action};
    what.where.first_layer = what.where.last_layer = layer;
    return what;
}

/* Memory for what it records, n_values of it. */
static plens_status make_room(plens_intervention *what) {
    plens_status status = plens_intervention_size(now.model, what, &what->n_values, &error);
    if (status == PLENS_OK)
        what->values = calloc(what->n_values, sizeof(float));
    return status;
}

/* Runs prompts under the interventions, the logits of prompt 0 in logits [n_ids, vocab_size], which
 * may be NULL. */
static plens_status run(const plens_prompt *prompts, size_t n_prompts,
                        const plens_intervention *what, size_t n, all_points *logits) {
    plens_hook hooks[64];
    for (size_t i = 0; i < n; i++) {
        plens_status status = plens_intervention_hook(now.model, &what[i], &hooks[i], &error);
        if (status != PLENS_OK)
            return status;
    }
    plens_run_options options = {.hooks = hooks, .n_hooks = n};
    if (logits != NULL)
        hooks[options.n_hooks++] =
            (plens_hook){.point = PLENS_LOGITS, .fn = all_points_keep, .user = logits};
    return plens_run(now.context, now.model, prompts, n_prompts, &options, &error);
}

/* ---- against Transformers ---- */

/* Prompt a under interventions; how far its logits are from the golden's. */
static plens_status far_from(const char *name, const plens_intervention *what, size_t n,
                             double *far) {
    all_points all;
    all_points_begin(&all, now.model, 0, now.a.n_ids);
    plens_status status = run(&now.a, 1, what, n, &all);
    size_t skip = now.step > 1 ? (now.a.n_ids - 1) * now.info.vocab_size : 0;
    *far = hook_golden_distance(&now, name, all.values[PLENS_LOGITS] + skip,
                                all.size[PLENS_LOGITS] - skip);
    all_points_free(&all);
    return status;
}

/* A record of another position, layer or prompt; a patch one position too late. */
static void a_patch_is_transformers(void) {
    double far;
    plens_intervention from = at(PLENS_RESID_POST, 2, PLENS_RECORD);
    from.where.n_prompts = 1;
    from.where.first_position = 3;
    from.where.n_positions = 1;
    CHECK_OK(make_room(&from), error);
    CHECK_INT(from.n_values, now.info.d_model);
    plens_status status = run(&now.b, 1, &from, 1, NULL);
    plens_intervention to = from;
    to.action = PLENS_REPLACE;
    if (status == PLENS_OK)
        status = far_from("patch", &to, 1, &far);
    free(from.values);
    CHECK_OK(status, error);
    CHECK_THAT(far < HOOK_TOLERANCE, "%s: %g", now.name, far);
}

/* The wrong head, or all of them. */
static void an_ablated_head_is_transformers(void) {
    double far;
    plens_intervention what = at(PLENS_Z, 2, PLENS_ZERO);
    what.where.first_head = now.info.n_heads - 1;
    CHECK_OK(far_from("ablate", &what, 1, &far), error);
    CHECK_THAT(far < HOOK_TOLERANCE, "%s: z: %g", now.name, far);
    what.where.point = PLENS_HEAD_OUT; /* the same by another way */
    CHECK_OK(far_from("ablate", &what, 1, &far), error);
    CHECK_THAT(far < HOOK_TOLERANCE, "%s: head_out: %g", now.name, far);
}

/* A mean over the wrong axis, or put at one place only. */
static void a_mean_ablation_is_transformers(void) {
    double far;
    size_t d = now.info.d_model;
    plens_intervention from = at(PLENS_MLP_OUT, 2, PLENS_RECORD), to;
    from.where.n_prompts = 1;
    from.where.n_positions = now.b.n_ids;
    float *mean = calloc(d, sizeof(float));
    CHECK_OK(make_room(&from), error);
    plens_status status = run(&now.b, 1, &from, 1, NULL);
    plens_mean(from.values, now.b.n_ids, d, mean);
    to = at(PLENS_MLP_OUT, 2, PLENS_REPLACE);
    to.values = mean;
    to.n_values = d;
    if (status == PLENS_OK)
        status = far_from("mean", &to, 1, &far);
    free(from.values);
    free(mean);
    CHECK_OK(status, error);
    CHECK_THAT(far < HOOK_TOLERANCE, "%s: %g", now.name, far);
}

/* Another key, another query, or a pattern that no longer sums to 1. */
static void a_knockout_is_transformers(void) {
    double far;
    plens_intervention what = at(PLENS_ATTN_SCORES, 2, PLENS_STOP);
    what.where.last_layer = now.info.n_layers;
    what.where.first_position = 4;
    what.where.n_positions = 1;
    what.first_key = 1;
    what.n_keys = 1;
    CHECK_OK(far_from("knockout", &what, 1, &far), error);
    CHECK_THAT(far < HOOK_TOLERANCE, "%s: %g", now.name, far);
}

/* A vector that is added once, or with another sign. */
static void steering_is_transformers(void) {
    double far;
    plens_intervention from = at(PLENS_RESID_POST, 2, PLENS_RECORD);
    from.where.n_prompts = 1;
    from.where.positions = PLENS_POSITIONS_LAST;
    CHECK_OK(make_room(&from), error);
    plens_status status = run(&now.b, 1, &from, 1, NULL);
    plens_intervention to = at(PLENS_RESID_POST, 2, PLENS_ADD);
    to.values = from.values;
    to.n_values = from.n_values;
    to.scale = 1.5f;
    if (status == PLENS_OK)
        status = far_from("steer", &to, 1, &far);
    free(from.values);
    CHECK_OK(status, error);
    CHECK_THAT(far < HOOK_TOLERANCE, "%s: %g", now.name, far);
}

/* ---- against themselves ---- */

static const int32_t ids_a[] = {1, 7, 5, 9, 30, 2, 11}, ids_b[] = {1, 7, 5, 9, 3, 8, 4};
static const plens_prompt prompts[] = {
    {ids_a, 7, NULL, 0}, {ids_b, 7, NULL, 0}, {ids_a, 5, NULL, 0}, {ids_a, 7, NULL, 0}};
enum { N_PROMPTS = 4, LONGEST = 7 };

/* What a record of all layers of a point, prompts 1 and 2, positions 1 to 4, says of one value. */
static float recorded(const plens_intervention *what, const plens_point_info *info, size_t layer,
                      size_t prompt, size_t position, size_t i) {
    size_t row = what->n_values / (info->in_block ? now.info.n_layers : 1) / 2 / 4;
    size_t index = (layer == 0 ? 0 : layer - 1) * 2 + (prompt - 1);
    return what->values[(index * 4 + (position - 1)) * row + i];
}

/* Counts where a record differs from what a hook saw of one prompt. */
static size_t differences(const plens_intervention *what, const all_points *all) {
    const plens_point_info *info = &all->info[what->where.point];
    size_t n = 0, heads = info->n_heads == 0 ? 1 : info->n_heads, T = all->n_ids;
    size_t width = info->head_width == 0 ? LONGEST : info->head_width;
    for (size_t l = 0; l < (info->in_block ? now.info.n_layers : 1); l++) {
        size_t layer = info->in_block ? l + 1 : 0;
        const float *seen = all_points_at(all, what->where.point, layer);
        for (size_t position = 1; position < 5; position++) {
            for (size_t i = 0; i < heads * width; i++) {
                size_t h = i / width, key = i % width;
                int keys = info->head_width == 0; /* those that lie ahead are 0 */
                float expected = !keys     ? seen[position * heads * width + i]
                                 : key < T ? seen[(h * T + position) * T + key]
                                           : 0;
                n += recorded(what, info, layer, all->prompt, position, i) != expected;
            }
        }
    }
    return n;
}

/* Layers, prompts or positions of a record in another order, or of rows that are shared. */
static void a_record_is_what_hooks_see(void) {
    plens_hook hooks[2 * N_POINTS];
    all_points seen[2];
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        plens_intervention what = {.where = {.point = (plens_point)p}, .action = PLENS_RECORD};
        what.where.first_prompt = 1;
        what.where.n_prompts = 2;
        what.where.first_position = 1;
        what.where.n_positions = 4;
        what.n_keys = p == PLENS_ATTN_SCORES || p == PLENS_ATTN_PATTERN ? LONGEST : 0;
        CHECK_OK(make_room(&what), error);
        all_points_begin(&seen[0], now.model, 1, 7);
        all_points_begin(&seen[1], now.model, 2, 5);
        all_points_hooks(&seen[0], hooks);
        all_points_hooks(&seen[1], hooks + N_POINTS - 1);
        plens_status status =
            plens_intervention_hook(now.model, &what, &hooks[2 * N_POINTS - 2], &error);
        plens_run_options options = {.hooks = hooks, .n_hooks = 2 * N_POINTS - 1};
        if (status == PLENS_OK)
            status = plens_run(now.context, now.model, prompts, N_PROMPTS, &options, &error);
        size_t different = differences(&what, &seen[0]) + differences(&what, &seen[1]);
        free(what.values);
        all_points_free(&seen[0]);
        all_points_free(&seen[1]);
        CHECK_OK(status, error);
        CHECK_THAT(different == 0, "%s: %zu values of %s differ", now.name, different,
                   plens_point_name((plens_point)p));
    }
}

/* A record put back at another place, or rounded on the way. */
static void replacing_by_itself_changes_no_bit(void) {
    all_points plain, patched;
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        plens_intervention what = {.where = {.point = (plens_point)p}, .action = PLENS_RECORD};
        what.where.n_prompts = 1;
        what.where.n_positions = LONGEST;
        what.n_keys = p == PLENS_ATTN_SCORES || p == PLENS_ATTN_PATTERN ? LONGEST : 0;
        CHECK_OK(make_room(&what), error);
        all_points_begin(&plain, now.model, 0, 7);
        all_points_begin(&patched, now.model, 0, 7);
        plens_status status = run(prompts, N_PROMPTS, &what, 1, &plain);
        what.action = PLENS_REPLACE;
        if (status == PLENS_OK)
            status = run(prompts, N_PROMPTS, &what, 1, &patched);
        int same = memcmp(plain.values[PLENS_LOGITS], patched.values[PLENS_LOGITS],
                          plain.size[PLENS_LOGITS] * sizeof(float)) == 0;
        free(what.values);
        all_points_free(&plain);
        all_points_free(&patched);
        CHECK_OK(status, error);
        CHECK_THAT(same, "%s: %s replaced by itself changes bits", now.name,
                   plens_point_name((plens_point)p));
    }
}

/* Many copies of a prompt, each patched at another position, in one batch: as one after the other.
 */
static void a_sweep_is_its_single_runs(void) {
    plens_prompt copies[LONGEST];
    plens_intervention what[LONGEST];
    all_points alone[LONGEST], batch[LONGEST];
    float vector[64] = {0};
    plens_hook hooks[2 * LONGEST];
    plens_status status = PLENS_OK;
    int same = 1;
    for (size_t i = 0; i < 64; i++)
        vector[i] = (float)i * 0.01f - 0.2f;
    for (size_t i = 0; i < LONGEST; i++) {
        copies[i] = prompts[0];
        what[i] = at(PLENS_RESID_MID, 1, PLENS_ADD);
        what[i].where.first_position = i;
        what[i].where.n_positions = 1;
        what[i].values = vector;
        what[i].n_values = now.info.d_model;
        what[i].scale = 0.5f;
        all_points_begin(&alone[i], now.model, 0, LONGEST);
        all_points_begin(&batch[i], now.model, i, LONGEST);
        if (status == PLENS_OK)
            status = run(prompts, 1, &what[i], 1, &alone[i]);
        what[i].where.first_prompt = i;
        what[i].where.n_prompts = 1;
        if (status == PLENS_OK)
            status = plens_intervention_hook(now.model, &what[i], &hooks[i], &error);
        hooks[LONGEST + i] =
            (plens_hook){.point = PLENS_LOGITS, .fn = all_points_keep, .user = &batch[i]};
    }
    plens_run_options options = {.hooks = hooks, .n_hooks = 2 * LONGEST};
    plens_plan plan = {0};
    if (status == PLENS_OK)
        status = plens_run(now.context, now.model, copies, LONGEST, &options, &error);
    if (status == PLENS_OK)
        status = plens_run_plan(now.context, now.model, copies, LONGEST, &options, &plan, &error);
    for (size_t i = 0; i < LONGEST; i++) {
        same &= memcmp(alone[i].values[PLENS_LOGITS], batch[i].values[PLENS_LOGITS],
                       alone[i].size[PLENS_LOGITS] * sizeof(float)) == 0;
        all_points_free(&alone[i]);
        all_points_free(&batch[i]);
    }
    CHECK_OK(status, error);
    CHECK(same);
    /* copy i has its positions i.. for itself; the last of them has one, before it 6 are shared */
    CHECK_INT(plan.n_rows, 7 + 6 + 5 + 4 + 3 + 2 + 1 + 6);
}

/* Arithmetic under the caller's rounding mode. */
static void the_callers_rounding_does_not_matter(void) {
    all_points nearest, upward;
    float vector[64], mean[2][3];
    for (size_t i = 0; i < 64; i++)
        vector[i] = 1.0f / (float)(i + 3);
    plens_intervention what = at(PLENS_RESID_PRE, 1, PLENS_ADD);
    what.values = vector;
    what.n_values = now.info.d_model;
    what.scale = 0.3f;
    all_points_begin(&nearest, now.model, 0, 7);
    all_points_begin(&upward, now.model, 0, 7);
    plens_status status = run(prompts, 1, &what, 1, &nearest);
    plens_mean(vector, 7, 3, mean[0]);
    fesetround(FE_UPWARD);
    if (status == PLENS_OK)
        status = run(prompts, 1, &what, 1, &upward);
    plens_mean(vector, 7, 3, mean[1]);
    int kept = fegetround() == FE_UPWARD;
    fesetround(FE_TONEAREST);
    int same = memcmp(nearest.values[PLENS_LOGITS], upward.values[PLENS_LOGITS],
                      nearest.size[PLENS_LOGITS] * sizeof(float)) == 0;
    all_points_free(&nearest);
    all_points_free(&upward);
    CHECK_OK(status, error);
    CHECK(kept);
    CHECK(same);
    CHECK(memcmp(mean[0], mean[1], sizeof mean[0]) == 0);
    for (int i = 0; i < 3; i++) {
        double sum = 0;
        for (int r = 0; r < 7; r++)
            sum += (double)vector[3 * r + i];
        CHECK(mean[0][i] == (float)(sum / 7));
    }
}

/* ---- errors ---- */

/* Interventions that reach past what there is, or bring values of another shape. */
static void wrong_interventions_are_named(void) {
    float values[64] = {0};
    size_t d = now.info.d_model, n;
    plens_hook hook, untouched;
    const struct {
        plens_intervention bad;
        const char *words[2];
    } cases[] = {
        {{.where = {.point = PLENS_Z}}, {"unknown action 0", ""}},
        {{.where = {.point = (plens_point)40}, .action = PLENS_ZERO}, {"unknown point (40)", ""}},
        {{.where = {.point = PLENS_Z, .first_head = 9}, .action = PLENS_ZERO}, {"heads 9", "(z)"}},
        {{.where = {.point = PLENS_ATTN_OUT, .n_heads = 1}, .action = PLENS_ZERO},
         {"heads", "attn_out has none"}},
        {{.where = {.point = PLENS_Z, .first_layer = 1, .last_layer = 77}, .action = PLENS_ZERO},
         {"layers 1 to 77", "1 to"}},
        {{.where = {.point = PLENS_Z}, .action = PLENS_ZERO, .n_keys = 1}, {"keys", "z has none"}},
        {{.where = {.point = PLENS_ATTN_PATTERN}, .action = PLENS_STOP},
         {"attn_scores", "attn_pattern"}},
        {{.where = {.point = PLENS_MLP_OUT}, .action = PLENS_ADD}, {"values is NULL", "mlp_out"}},
        {{.where = {.point = PLENS_MLP_OUT}, .action = PLENS_ADD, .values = values, .n_values = 3},
         {"mlp_out", "n_prompts is 0"}},
        {{.where = {.point = PLENS_MLP_OUT, .n_prompts = 1},
          .action = PLENS_RECORD,
          .values = values,
          .n_values = d},
         {"mlp_out", "n_positions is 0"}},
        {{.where = {.point = PLENS_ATTN_SCORES, .n_prompts = 1, .n_positions = 1},
          .action = PLENS_RECORD,
          .values = values,
          .n_values = 1},
         {"attn_scores", "n_keys is 0"}},
        {{.where = {.point = PLENS_RESID_POST,
                    .first_layer = 1,
                    .last_layer = 2,
                    .n_prompts = 1,
                    .n_positions = 3},
          .action = PLENS_REPLACE,
          .values = values,
          .n_values = 5},
         {"resid_post: 5 values", "2 layers x 1 prompts x 3 positions"}},
        {{.where = {.point = PLENS_RESID_POST, .n_prompts = (size_t)-1, .n_positions = (size_t)-1},
          .action = PLENS_RECORD,
          .values = values,
          .n_values = 5},
         {"resid_post", "more than memory"}},
    };
    memset(&hook, 0x5a, sizeof hook);
    untouched = hook;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(plens_intervention_hook(now.model, &cases[i].bad, &hook, &error),
                  PLENS_ERROR_ARGUMENT);
        CHECK_CONTAINS(error.message, cases[i].words[0]);
        CHECK_CONTAINS(error.message, cases[i].words[1]);
        CHECK(memcmp(&hook, &untouched, sizeof hook) == 0);
    }
    plens_intervention good = at(PLENS_Z, 1, PLENS_ZERO);
    CHECK_INT(plens_intervention_hook(now.model, &good, NULL, &error), PLENS_ERROR_ARGUMENT);
    CHECK_INT(plens_intervention_size(NULL, &good, &n, &error), PLENS_ERROR_ARGUMENT);
    CHECK_INT(plens_intervention_size(now.model, &good, &n, &error), PLENS_ERROR_ARGUMENT);
    CHECK_OK(plens_intervention_hook(now.model, &good, &hook, &error), error);
    CHECK_INT(hook.writes, 1);
}

int main(void) {
    for (size_t i = 0; i < N_HOOK_GOLDENS; i++) {
        now.name = hook_golden_names[i];
        RUN(opens);
        if (!test_bad && !test_skip) {
            RUN(a_patch_is_transformers);
            RUN(an_ablated_head_is_transformers);
            RUN(a_mean_ablation_is_transformers);
            RUN(a_knockout_is_transformers);
            RUN(steering_is_transformers);
            if (now.step == 1) { /* the fixtures */
                RUN(a_record_is_what_hooks_see);
                RUN(replacing_by_itself_changes_no_bit);
                RUN(a_sweep_is_its_single_runs);
                RUN(the_callers_rounding_does_not_matter);
                RUN(wrong_interventions_are_named);
            }
        }
        hook_golden_close(&now);
    }
    return test_finish();
}
