/* The same input gives the same bits in every precision: alone or in a batch, in one part or many,
 * shared or not, on one thread or three, on every instruction set, seen by any hook. Nothing here
 * has a tolerance. */
#include "tests/capture.h"
#include "tests/golden.h"

static struct {
    const char *folder;
    plens_precision precision;
    plens_model *model;
    plens_model_info info;
    goldens golden;
    captures whole; /* all prompts in one batch, options as they are by default */
} now;

/* ---- one folder at a time ---- */

static plens_status open_folder(plens_error *error) {
    plens_context *context = NULL;
    plens_options options = {.precision = now.precision};
    plens_status status = plens_context_create(&options, &context, error);
    if (status == PLENS_OK)
        status = plens_model_open(context, now.folder, &now.model, error);
    if (status == PLENS_OK) {
        plens_model_describe(now.model, &now.info);
        status = golden_open(now.folder, now.info.d_model, now.info.vocab_size, &now.golden, error);
    }
    if (status == PLENS_OK)
        status = capture_run(context, now.model, now.golden.inputs, now.golden.n_prompts, 0,
                             &now.whole, error);
    plens_context_destroy(context);
    return status;
}

static void close_folder(void) {
    capture_free(&now.whole);
    if (now.golden.prompts != NULL)
        golden_close(&now.golden);
    plens_model_close(now.model);
    memset(&now, 0, sizeof now);
}

static void opens_and_runs(void) {
    plens_error error = {PLENS_OK, ""};
    plens_status status = open_folder(&error);
    CHECK_THAT(status == PLENS_OK, "%s: %s", now.folder, error.message);
}

/* Runs n prompts from the first-th on (backwards: in reverse order) in a context of these options.
 * NULL if all gives the bits of the whole batch, else what went wrong. */
static const char *compare(const plens_options *options, size_t first, size_t n, int backwards,
                           int no_sharing) {
    static char problem[1280];
    plens_error error = {PLENS_OK, ""};
    plens_context *context = NULL;
    captures run;
    plens_prompt *prompts = capture_memory(n, sizeof *prompts);
    for (size_t i = 0; i < n; i++)
        prompts[i] = now.golden.inputs[first + (backwards ? n - 1 - i : i)];
    problem[0] = 0;
    plens_options changed = {0};
    if (options != NULL)
        changed = *options;
    changed.precision = now.precision;
    plens_status status = plens_context_create(&changed, &context, &error);
    if (status == PLENS_OK)
        status = capture_run(context, now.model, prompts, n, no_sharing, &run, &error);
    if (status != PLENS_OK) {
        snprintf(problem, sizeof problem, "%s", error.message);
    } else {
        for (size_t i = 0; i < n; i++) {
            size_t other = first + (backwards ? n - 1 - i : i);
            if (!capture_same(&now.info, &run.prompts[i], &now.whole.prompts[other]))
                snprintf(problem, sizeof problem, "prompt %zu has other bits", other);
        }
        capture_free(&run);
    }
    plens_context_destroy(context);
    free(prompts);
    return problem[0] == 0 ? NULL : problem;
}

/* A kernel whose order of additions depends on the number of rows, or rows that read neighbours. */
static void one_prompt_alone(void) {
    for (size_t i = 0; i < now.golden.n_prompts; i++) {
        const char *problem = compare(NULL, i, 1, 0, 0);
        CHECK_THAT(problem == NULL, "%s: alone, %s", now.folder, problem);
    }
}

/* A prefix tree that attends to the wrong ancestors. */
static void without_sharing(void) {
    const char *problem = compare(NULL, 0, now.golden.n_prompts, 0, 1);
    CHECK_THAT(problem == NULL, "%s: unshared, %s", now.folder, problem);
}

/* Results handed to the wrong prompt when the batch is sorted. */
static void in_any_order(void) {
    const char *problem = compare(NULL, 0, now.golden.n_prompts, 1, 0);
    CHECK_THAT(problem == NULL, "%s: backwards, %s", now.folder, problem);
}

/* Work divided so that a sum is cut where a thread begins. */
static void any_number_of_threads(void) {
    for (int threads = 1; threads <= 3; threads++) {
        plens_options options = {.precision = now.precision};
        options.threads = threads;
        const char *problem = compare(&options, 0, now.golden.n_prompts, 0, 0);
        CHECK_THAT(problem == NULL, "%s: %d threads, %s", now.folder, threads, problem);
    }
}

/* 0 for the instruction sets of another family of processors. */
static int is_known_here(plens_isa isa) {
    plens_options options = {.precision = now.precision};
    plens_context *context = NULL;
    options.isa_limit = isa;
    plens_status status = plens_context_create(&options, &context, NULL);
    plens_context_destroy(context);
    return status != PLENS_ERROR_ARGUMENT;
}

/* A kernel that departs from scalar.c at a size that the self-check does not have. */
static void any_instruction_set(void) {
    for (int isa = PLENS_ISA_SCALAR; plens_isa_name((plens_isa)isa) != NULL; isa++) {
        plens_options options = {.precision = now.precision};
        options.isa_limit = (plens_isa)isa;
        if (!is_known_here((plens_isa)isa))
            continue;
        const char *problem = compare(&options, 0, now.golden.n_prompts, 0, 0);
        CHECK_THAT(problem == NULL, "%s: %s, %s", now.folder, plens_isa_name((plens_isa)isa),
                   problem);
    }
}

/* Attention goes by pieces of rows and matrices by chunks of them: both are cut at other places
 * when another prompt shares the beginning. 1,100 tokens are more than a chunk; 37 divide neither.
 */
static void long_prompts(void) {
    enum { LONG = 1100, SHARED = 37, OTHER = 150, PREFIX = 70 };
    static int32_t longest[LONG], other[OTHER];
    uint32_t random = 1;
    for (size_t i = 0; i < LONG; i++) {
        random = random * 1664525 + 1013904223; /* Numerical Recipes' generator */
        longest[i] = (int32_t)((random >> 8) % now.info.vocab_size);
        if (i < OTHER)
            other[i] = i < SHARED ? longest[i] : (longest[i] + 1) % (int32_t)now.info.vocab_size;
    }
    int32_t target = 0;
    const plens_prompt prompts[3] = {
        {longest, LONG, &target, 1}, {other, OTHER, &target, 1}, {longest, PREFIX, &target, 1}};
    plens_error error = {PLENS_OK, ""};
    plens_context *context = NULL;
    captures batch, alone;
    plens_options plain = {.precision = now.precision};
    CHECK_OK(plens_context_create(&plain, &context, &error), error);
    CHECK_OK(capture_run(context, now.model, prompts, 3, 0, &batch, &error), error);
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(capture_run(context, now.model, &prompts[i], 1, 0, &alone, &error), error);
        int same = capture_same(&now.info, &batch.prompts[i], &alone.prompts[0]);
        capture_free(&alone);
        CHECK_THAT(same, "%s: prompt %zu has other bits alone", now.folder, i);
    }
    size_t floats = PREFIX * now.info.d_model, stride = LONG * now.info.d_model;
    for (size_t l = 0; l <= now.info.n_layers; l++)
        CHECK_THAT(memcmp(batch.prompts[0].states + l * stride,
                          batch.prompts[2].states + l * floats, floats * sizeof(float)) == 0,
                   "%s: the first %d positions depend on what follows", now.folder, PREFIX);
    capture_free(&batch);
    plens_context_destroy(context);
}

/* ---- memory ---- */

/* The plan of a run of all prompts within a budget. */
static plens_status plan(uint64_t memory, plens_plan *plan, plens_error *error) {
    plens_context *context = NULL;
    plens_hook hooks[3];
    plens_lens lens;
    captures none;
    plens_options options = {.precision = now.precision};
    options.memory = memory;
    plens_run_options run = capture_options(&none, hooks, &lens);
    plens_status status = plens_context_create(&options, &context, error);
    if (status == PLENS_OK)
        status = plens_run_plan(context, now.model, now.golden.inputs, now.golden.n_prompts, &run,
                                plan, error);
    plens_context_destroy(context);
    return status;
}

/* Parts that forget or repeat a prompt, or cut a shared prefix wrongly; a run that needs more than
 * the smallest budget that its own plan accepts. */
static void in_many_parts(void) {
    plens_error error = {PLENS_OK, ""};
    plens_plan found;
    CHECK_OK(plan(0, &found, &error), error);
    CHECK_INT(found.n_parts, 1);
    uint64_t enough = found.staging_bytes + found.activation_bytes, too_little = 1;
    CHECK_INT(plan(too_little, &found, &error), PLENS_ERROR_MEMORY);
    CHECK_CONTAINS(error.message, "memory");
    while (enough - too_little > 1) {
        uint64_t middle = too_little + (enough - too_little) / 2;
        plens_status status = plan(middle, &found, &error);
        CHECK(status == PLENS_OK || status == PLENS_ERROR_MEMORY);
        *(status == PLENS_OK ? &enough : &too_little) = middle;
    }
    CHECK_OK(plan(enough, &found, &error), error);
    CHECK_THAT(found.n_parts >= 2, "%s: %llu bytes do for one part", now.folder,
               (unsigned long long)enough);
    plens_options options = {.precision = now.precision};
    options.memory = enough;
    const char *problem = compare(&options, 0, now.golden.n_prompts, 0, 0);
    CHECK_THAT(problem == NULL, "%s: in %zu parts, %s", now.folder, found.n_parts, problem);
}

/* ---- hooks and lens of other shapes ---- */

typedef struct agreement {
    size_t n_seen, n_wrong;
} agreement;

/* RESID_PRE is the state before the block; with PLENS_POSITIONS_LAST only last positions come. */
static int check_resid_pre(void *user, const plens_activations *activations) {
    agreement *found = user;
    size_t width = activations->width;
    for (size_t r = 0; r < activations->n_rows; r++) {
        const plens_row *row = &activations->rows[r];
        for (size_t i = 0; i < row->n_prompts; i++) {
            const capture_prompt *kept = &now.whole.prompts[row->prompts[i]];
            size_t n = kept->prompt.n_ids, level = activations->layer - 1;
            const float *state = kept->states + (level * n + row->position) * width;
            found->n_wrong += row->position + 1 != n;
            found->n_wrong +=
                memcmp(state, activations->values + r * width, width * sizeof(float)) != 0;
            found->n_seen++;
        }
    }
    return 0;
}

/* Some layers at all positions: where the position is the last, the result is the whole run's. */
static int check_lens(void *user, const plens_lens_result *result) {
    agreement *found = user;
    const capture_prompt *kept = &now.whole.prompts[result->prompt];
    const capture_lens *lens = &kept->lens[result->layer - 1];
    found->n_seen++;
    found->n_wrong += result->n_top != 1 || result->top[0].rank != 0;
    if (result->position + 1 == kept->prompt.n_ids)
        found->n_wrong += memcmp(&result->top[0], &lens->top[0], sizeof lens->top[0]) != 0 ||
                          memcmp(&result->targets[0], &lens->target, sizeof lens->target) ||
                          memcmp(&result->final_top, &lens->final_top, sizeof lens->target) ||
                          memcmp(&result->entropy, &lens->entropy, sizeof lens->entropy);
    return 0;
}

/* Runs with one hook and a lens of layers first..last; counts what they see. */
static plens_status ask_for(size_t first, size_t last, agreement *pre, agreement *seen,
                            plens_error *error) {
    plens_context *context = NULL;
    plens_hook hook = {.point = PLENS_RESID_PRE,
                       .first_layer = first,
                       .last_layer = last,
                       .positions = PLENS_POSITIONS_LAST,
                       .fn = check_resid_pre,
                       .user = pre};
    plens_lens lens = {.fn = check_lens,
                       .user = seen,
                       .positions = PLENS_POSITIONS_ALL,
                       .first_layer = first,
                       .last_layer = last};
    plens_run_options options = {.hooks = &hook, .n_hooks = 1, .lens = &lens};
    plens_options plain = {.precision = now.precision};
    plens_status status = plens_context_create(&plain, &context, error);
    if (status == PLENS_OK)
        status =
            plens_run(context, now.model, now.golden.inputs, now.golden.n_prompts, &options, error);
    plens_context_destroy(context);
    return status;
}

/* Rows that are dropped in the last block because nobody asked for them, and then are asked for; a
 * lens that depends on which layers or positions are wanted. */
static void whatever_is_asked_for(void) {
    plens_error error = {PLENS_OK, ""};
    size_t n_layers = now.info.n_layers, n_tokens = 0;
    for (size_t i = 0; i < now.golden.n_prompts; i++)
        n_tokens += now.golden.inputs[i].n_ids;
    for (size_t first = 1; first <= n_layers; first++) {
        for (size_t last = first; last <= n_layers; last++) {
            agreement pre = {0, 0}, seen = {0, 0};
            CHECK_OK(ask_for(first, last, &pre, &seen, &error), error);
            CHECK_INT(pre.n_seen, now.golden.n_prompts * (last - first + 1));
            CHECK_INT(pre.n_wrong, 0);
            CHECK_INT(seen.n_seen, n_tokens * (last - first + 1));
            CHECK_INT(seen.n_wrong, 0);
        }
    }
}

static void test_folder(const char *folder, plens_precision precision) {
    now.folder = folder;
    now.precision = precision;
    RUN(opens_and_runs);
    if (!test_bad) {
        RUN(one_prompt_alone);
        RUN(without_sharing);
        RUN(in_any_order);
        if (now.info.vocab_size < 100) /* the fixtures: small enough for a long prompt */
            RUN(long_prompts);
        RUN(any_number_of_threads);
        RUN(any_instruction_set);
        RUN(in_many_parts);
        RUN(whatever_is_asked_for);
    }
    close_folder();
}

int main(void) {
    golden_find_folders();
    for (size_t i = 0; i < n_golden_folders; i++) {
        test_folder(golden_folders[i], PLENS_PRECISION_F32);
        test_folder(golden_folders[i], PLENS_PRECISION_BF16);
        if (golden_is_bf16(golden_folders[i]))
            test_folder(golden_folders[i], PLENS_PRECISION_BF16X3);
    }
    return test_finish();
}
