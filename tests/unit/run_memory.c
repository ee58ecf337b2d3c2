/* What plens_run takes: memory as planned and not more, parts where the budget is small, and files
 * that become shorter while they are read. */
#define _POSIX_C_SOURCE 200809L

#include "tests/faults.h"
#include "tests/run_prompts.h"

#include <sys/stat.h>
#include <unistd.h>

/* ---- memory ---- */

/* Guards against a pass that allocates: its memory is planned before it begins. */
static void the_pass_allocates_nothing(void) {
    faults state = {0, 0, 0, 0};
    plens_options with_faults = {.allocator = {faults_reallocate, &state}};
    opened o;
    CHECK_OK(open_all(&o, &with_faults), error);
    faults_looks c = {&state, 0, 0};
    plens_hook hooks[] = {{.point = PLENS_EMBED, .fn = faults_look, .user = &c},
                          {.point = PLENS_LOGITS, .fn = faults_look, .user = &c}};
    plens_run_options options = {.hooks = hooks, .n_hooks = 2};
    CHECK_OK(plens_run(o.context, o.model, prompts, N_PROMPTS, &options, &error), error);
    CHECK(c.first > 0);
    CHECK_INT(c.last, c.first);
    close_all(&o);
}

static int count_at_progress(void *user, const plens_progress *at) {
    (void)at;
    return faults_look(user, NULL);
}

static int count_at_lens(void *user, const plens_lens_result *r) {
    (void)r;
    return faults_look(user, NULL);
}

static int keep_always(void *user, const plens_progress *at, uint64_t n_bytes) {
    (void)n_bytes;
    return count_at_progress(user, at) == 0;
}

static int keep_bytes(void *user, const void *bytes, size_t n_bytes) {
    (void)bytes;
    (void)n_bytes;
    return faults_look(user, NULL);
}

static void keep_end(void *user, int complete) {
    (void)complete;
    faults_look(user, NULL);
}

/* Guards against the same where it would hide: between parts, in the lens (targets, top lists, KL)
 * and its results, in layers that are unembedded as they come, in a state that is saved. */
static void nor_in_parts_with_a_lens(void) {
    faults state = {0, 0, 0, 0};
    plens_options with_faults = {.threads = 1, .allocator = {faults_reallocate, &state}};
    opened o;
    CHECK_OK(open_all(&o, &with_faults), error);
    plens_plan plan = {.n_parts = 1};
    faults_looks c = {&state, 0, 0};
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
        options.memory = needed - (needed - plan.scratch_bytes) / 12; /* scratch stays */
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
    RUN(the_pass_allocates_nothing);
    RUN(nor_in_parts_with_a_lens);
    RUN(the_budget_cuts_the_run_into_parts);
    RUN(the_plan_counts_all_memory);
    RUN(a_shard_cut_short_is_an_error);
    RUN(a_shard_cut_short_under_the_pass_is_an_error);
    return test_finish();
}
