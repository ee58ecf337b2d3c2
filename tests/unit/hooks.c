/* Hooks at every point: the values against Transformers, writes against the same writes in
 * Transformers, and what a hook must not do to anyone else. */
#include "sets.h"

#include "tests/hook_runs.h"

/* ---- against Transformers ---- */

/* A point shown at the wrong moment, in another order of heads, before its bias or its norm. Both
 * prompts in one batch, so that rows are shared. */
static void points_are_transformers(void) {
    const plens_prompt both[2] = {now.a, now.b};
    plens_hook hooks[N_POINTS - 1];
    all_points all;
    size_t n_layers, worst = 0;
    int32_t *layers = hook_golden_ints(&now, "layers", &n_layers);
    double farthest = 0;
    all_points_begin(&all, now.model, 0, now.a.n_ids);
    all_points_hooks(&all, hooks);
    plens_run_options options = {.hooks = hooks, .n_hooks = N_POINTS - 1};
    plens_status status = plens_run(now.context, now.model, both, 2, &options, &error);
    for (size_t p = PLENS_EMBED; p < N_POINTS; p++) {
        for (size_t i = 0; i < (all.info[p].in_block ? n_layers : 1); i++) {
            char name[64];
            size_t layer = all.info[p].in_block ? (size_t)layers[i] : 0;
            snprintf(name, sizeof name, layer > 0 ? "%s.%zu" : "%s", all.info[p].name, layer);
            double far = hook_golden_distance(
                &now, name, all_points_at(&all, (plens_point)p, layer), all.size[p]);
            if (!(far <= farthest)) {
                farthest = far;
                worst = p;
            }
        }
    }
    size_t in_blocks = (N_POINTS - 1 - 3) * now.info.n_layers + 3;
    size_t seen = all.n_seen;
    all_points_free(&all);
    CHECK_OK(status, error);
    CHECK_INT(seen, in_blocks * now.a.n_ids);
    CHECK_THAT(farthest < HOOK_TOLERANCE, "%s: %s is %g from Transformers", now.name,
               plens_point_name((plens_point)worst), farthest);
}

static plens_hook ramp_at(int point) {
    plens_hook hook = {.point = (plens_point)point, .fn = write_ramp, .writes = 1};
    if (point > PLENS_EMBED && point < PLENS_FINAL_NORM)
        hook.first_layer = hook.last_layer = 2;
    return hook;
}

/* A write that what follows does not see, or sees twice. */
static void writes_are_transformers(void) {
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        all_points all;
        char name[64];
        all_points_begin(&all, now.model, 0, now.a.n_ids);
        plens_hook hooks[2] = {ramp_at(p), {.point = PLENS_LOGITS}};
        hooks[1].fn = all_points_keep;
        hooks[1].user = &all;
        plens_run_options options = {.hooks = hooks, .n_hooks = 2};
        plens_status status = plens_run(now.context, now.model, &now.a, 1, &options, &error);
        size_t vocab = now.info.vocab_size;
        snprintf(name, sizeof name, "write.%s", plens_point_name((plens_point)p));
        double far = hook_golden_distance(
            &now, name, all.values[PLENS_LOGITS] + (now.a.n_ids - 1) * vocab, vocab);
        all_points_free(&all);
        CHECK_OK(status, error);
        CHECK_THAT(far < HOOK_TOLERANCE, "%s: after writing %s logits are %g from Transformers",
                   now.name, plens_point_name((plens_point)p), far);
    }
}

/* ---- the same bits ---- */

/* Replaces each row by a copy of itself. */
static int write_the_same(void *user, const plens_activations *a) {
    static float copy[1 << 16];
    (void)user;
    for (size_t r = 0; r < a->n_rows; r++) {
        memcpy(copy, a->values + r * a->width, a->width * sizeof(float));
        memset(a->values + r * a->width, 0xff, a->width * sizeof(float));
        memcpy(a->values + r * a->width, copy, a->width * sizeof(float));
    }
    return 0;
}

/* Steps that round otherwise when a hook stands between them; a state that is written back to the
 * wrong row; heads whose sum replaces o_proj's without need. */
static void looking_and_rewriting_change_no_bit(void) {
    static logits plain, hooked;
    float sum = 0;
    CHECK_OK(run_with(now.context, NULL, 0, prompts, N_PROMPTS, 0, &plain), error);
    CHECK_INT(plain.n_rows, N_ROWS);
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        for (int kind = 0; kind < 4; kind++) {
            plens_hook hook = {.point = (plens_point)p, .fn = look, .user = &sum};
            if (kind % 2 == 1)
                hook.positions = PLENS_POSITIONS_LAST;
            if (kind >= 2) {
                hook.writes = 1;
                hook.fn = write_the_same;
            }
            CHECK_OK(run_with(now.context, &hook, 1, prompts, N_PROMPTS, 0, &hooked), error);
            CHECK_INT(hooked.n_rows, kind == 2 ? N_TOKENS : kind == 3 ? N_ROWS + 4 : N_ROWS);
            CHECK_THAT(memcmp(plain.values, hooked.values, sizeof plain.values) == 0,
                       "%s: a hook on %s (kind %d) changes bits", now.name,
                       plens_point_name(hook.point), kind);
        }
    }
}

/* A write to a row that serves another prompt as well. For every point and every prompt: the prompt
 * has the bits that it has alone, all the others have theirs, and share as before. */
static void a_write_concerns_one_prompt(void) {
    static logits plain, hooked, alone;
    CHECK_OK(run_with(now.context, NULL, 0, prompts, N_PROMPTS, 0, &plain), error);
    for (int p = PLENS_EMBED; p < PLENS_LOGITS; p++) {
        for (size_t i = 0; i < N_PROMPTS; i++) {
            plens_hook hook = ramp_at(p);
            CHECK_OK(run_with(now.context, &hook, 1, &prompts[i], 1, 0, &alone), error);
            hook.first_prompt = i;
            hook.n_prompts = 1;
            CHECK_OK(run_with(now.context, &hook, 1, prompts, N_PROMPTS, 0, &hooked), error);
            for (size_t j = 0; j < N_PROMPTS; j++) {
                const void *expected = i == j ? alone.values[0] : plain.values[j];
                CHECK_THAT(memcmp(hooked.values[j], expected, sizeof plain.values[j]) == 0,
                           "%s: writing %s of prompt %zu, prompt %zu has other bits", now.name,
                           plens_point_name(hook.point), i, j);
            }
            /* prompt i's own rows, and those of the others that it does not hold up */
            CHECK_INT(memcmp(alone.values[0], plain.values[i], sizeof plain.values[i]) != 0, 1);
            CHECK(hooked.n_rows <= N_ROWS + prompts[i].n_ids);
        }
    }
}

/* Sharing that ends too late (the write leaks back) or with the whole prompt (slow). From position
 * 3 of prompt 4 on: 1, 7 and 5 are shared, so it has 4 rows of its own. */
static void sharing_ends_where_a_write_begins(void) {
    static logits plain, hooked;
    CHECK_OK(run_with(now.context, NULL, 0, prompts, N_PROMPTS, 0, &plain), error);
    for (int p = PLENS_EMBED; p < PLENS_LOGITS; p++) {
        plens_hook hook = ramp_at(p);
        hook.first_prompt = 4;
        hook.n_prompts = 1;
        hook.first_position = 3;
        CHECK_OK(run_with(now.context, &hook, 1, prompts, N_PROMPTS, 0, &hooked), error);
        CHECK_INT(hooked.n_rows, N_ROWS + 4);
        size_t before = 3 * sizeof plain.values[4][0], all = sizeof plain.values[4];
        for (size_t j = 0; j < N_PROMPTS; j++)
            CHECK(memcmp(hooked.values[j], plain.values[j], j == 4 ? before : all) == 0);
        CHECK(memcmp(hooked.values[4][6], plain.values[4][6], sizeof plain.values[4][6]) != 0);
    }
}

/* Steps between which hooks look that depend on threads, instruction set, sharing or parts. */
static void written_runs_are_the_same_bits_everywhere(void) {
    static logits first, other;
    plens_hook hooks[N_POINTS - 1];
    for (int p = PLENS_EMBED; p < N_POINTS; p++) {
        hooks[p - 1] = ramp_at(p);
        hooks[p - 1].first_layer = hooks[p - 1].last_layer = 0;
        hooks[p - 1].first_position = (size_t)p % 3;
        hooks[p - 1].n_prompts = 4;
    }
    CHECK_OK(run_with(now.context, hooks, N_POINTS - 1, prompts, N_PROMPTS, 0, &first), error);
    CHECK_OK(run_with(now.context, hooks, N_POINTS - 1, prompts, N_PROMPTS, 1, &other), error);
    CHECK(memcmp(first.values, other.values, sizeof first.values) == 0);
    plens_plan whole, cut;
    plens_run_options options = {.hooks = hooks, .n_hooks = N_POINTS - 1};
    CHECK_OK(plens_run_plan(now.context, now.model, prompts, N_PROMPTS, &options, &whole, &error),
             error);
    for (int round = 0; round < 4; round++) {
        plens_options different = {.precision = now.precision};
        plens_context *context;
        if (round < 3) {
            different.threads = round + 1;
            different.isa_limit =
                test_of_family((plens_isa)(round + 1)) ? (plens_isa)(round + 1) : PLENS_ISA_DEFAULT;
        } else {
            plens_run_options less = options; /* one part still: nothing is read ahead */
            less.memory = whole.staging_bytes + whole.activation_bytes - 1;
            CHECK_OK(
                plens_run_plan(now.context, now.model, prompts, N_PROMPTS, &less, &cut, &error),
                error);
            different.memory = cut.staging_bytes + cut.activation_bytes - 1;
        }
        CHECK_OK(plens_context_create(&different, &context, &error), error);
        CHECK_OK(plens_run_plan(context, now.model, prompts, N_PROMPTS, &options, &cut, &error),
                 error);
        CHECK_INT(cut.n_parts > 1, round == 3);
        plens_status status = run_with(context, hooks, N_POINTS - 1, prompts, N_PROMPTS, 0, &other);
        plens_context_destroy(context);
        CHECK_OK(status, error);
        CHECK_THAT(memcmp(first.values, other.values, sizeof first.values) == 0,
                   "%s: other bits in round %d", now.name, round);
    }
}

static int keep_last_logits(void *user, const plens_activations *a) {
    memcpy(user, a->values, a->width * sizeof(float));
    return 0;
}

/* Attention is shown by pieces of rows, and long rows by parts of pieces; chunks end in both. */
static void long_prompts_are_the_same_bits(void) {
    enum { LONG = 4500 };
    static int32_t ids[LONG];
    static float plain[MOST_VOCAB], hooked[MOST_VOCAB];
    float sum = 0;
    for (size_t i = 0; i < LONG; i++)
        ids[i] = (int32_t)(i * i % 41 + i % 5);
    const plens_prompt prompt = {ids, LONG, NULL, 0};
    for (int p = 0; p < 5; p++) {
        static const plens_point points[5] = {PLENS_LOGITS, PLENS_ATTN_PATTERN, PLENS_ATTN_NORM,
                                              PLENS_HEAD_OUT, PLENS_MLP_ACT};
        plens_hook hooks[2] = {{.point = PLENS_LOGITS, .fn = keep_last_logits},
                               {.point = points[p], .fn = p % 2 ? write_the_same : look}};
        hooks[0].positions = PLENS_POSITIONS_LAST;
        hooks[0].user = p == 0 ? plain : hooked;
        hooks[1].user = &sum;
        hooks[1].writes = p % 2;
        plens_run_options options = {.hooks = hooks, .n_hooks = p == 0 ? 1 : 2};
        CHECK_OK(plens_run(now.context, now.model, &prompt, 1, &options, &error), error);
        CHECK_THAT(p == 0 || memcmp(plain, hooked, sizeof plain) == 0,
                   "a hook on %s changes the bits of a long prompt", plens_point_name(points[p]));
    }
}

int main(void) {
    for (size_t i = 0; i < N_HOOK_GOLDENS; i++) {
        now.name = hook_golden_names[i];
        now.precision = PLENS_PRECISION_F32;
        RUN(opens);
        int fixture = !test_bad && !test_skip && now.step == 1;
        if (!test_bad && !test_skip) {
            RUN(points_are_transformers);
            RUN(writes_are_transformers);
        }
        if (fixture) {
            RUN(looking_and_rewriting_change_no_bit);
            RUN(a_write_concerns_one_prompt);
            RUN(sharing_ends_where_a_write_begins);
            RUN(written_runs_are_the_same_bits_everywhere);
            if (i == 0)
                RUN(long_prompts_are_the_same_bits);
        }
        int bf16 = fixture && strcmp(now.name, "llama3-rope-shards") == 0;
        hook_golden_close(&now);
        if (bf16) {
            now.name = hook_golden_names[i];
            now.precision = PLENS_PRECISION_BF16;
            RUN(opens);
            RUN(looking_and_rewriting_change_no_bit);
            RUN(written_runs_are_the_same_bits_everywhere);
            hook_golden_close(&now);
        }
    }
    return test_finish();
}
