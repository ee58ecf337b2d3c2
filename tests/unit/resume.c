/* A run ended after any of its saved states and gone on with gives the bits of one that was not. */
#include "tests/faults.h"
#include "tests/test.h"

#define FOLDER "tests/fixtures/models/llama3-rope-shards"

enum { N_PROMPTS = 6, MOST_LAYERS = 16, MOST_POSITIONS = 8, MOST_BYTES = 1 << 20 };

static const int32_t ids[N_PROMPTS][MOST_POSITIONS] = {
    {1, 7, 5, 9}, {1, 7, 5, 3, 2}, {1, 7}, {4}, {1, 7, 5, 9}, {8, 8, 8, 1, 2, 3, 4, 5}};
static const size_t lengths[N_PROMPTS] = {4, 5, 2, 1, 4, 8};
static const int32_t target = 3;
static plens_prompt prompts[N_PROMPTS];
static plens_model *model;
static size_t n_layers;
static plens_point point; /* whose lens is looked at */
static plens_error error;

/* What a run hands out, and how often. */
typedef struct results {
    plens_lens_token top[N_PROMPTS][MOST_POSITIONS][MOST_LAYERS], targets[N_PROMPTS][MOST_LAYERS];
    float entropy[N_PROMPTS][MOST_LAYERS];
    int count[N_PROMPTS][MOST_POSITIONS][MOST_LAYERS];
} results;

/* Keeps the last complete state with the results so far, as a file would. */
typedef struct keeper {
    char now[MOST_BYTES], kept[MOST_BYTES];
    size_t n_now, n_kept, at;
    size_t n_saved, stop_after; /* states; 0: never */
    size_t fail_at;             /* the write that fails, 0: none */
    uint64_t announced;
    results seen, kept_results;
} keeper;

static int begin(void *user, const plens_progress *progress, uint64_t n_bytes) {
    keeper *k = user;
    (void)progress;
    k->n_now = 0;
    k->announced = n_bytes;
    return 1;
}

static int write(void *user, const void *bytes, size_t n_bytes) {
    keeper *k = user;
    if ((k->fail_at > 0 && --k->fail_at == 0) || n_bytes > MOST_BYTES - k->n_now)
        return 1;
    memcpy(k->now + k->n_now, bytes, n_bytes);
    k->n_now += n_bytes;
    return 0;
}

static void end(void *user, int complete) {
    keeper *k = user;
    if (!complete)
        return;
    if (k->n_now != k->announced)
        test_bad = 1;
    memcpy(k->kept, k->now, k->n_now);
    k->n_kept = k->n_now;
    k->kept_results = k->seen;
    k->n_saved++;
}

static int take(void *user, void *bytes, size_t n_bytes) {
    keeper *k = user;
    if (n_bytes > k->n_kept - k->at)
        return 1;
    memcpy(bytes, k->kept + k->at, n_bytes);
    k->at += n_bytes;
    return 0;
}

static int progress(void *user, const plens_progress *at) {
    const keeper *k = user;
    if (at->fraction < 0 || at->fraction > 1)
        test_bad = 1;
    return k->stop_after > 0 && k->n_saved >= k->stop_after;
}

static int collect(void *user, const plens_lens_result *r) {
    keeper *k = user;
    size_t layer = r->layer - 1;
    k->seen.top[r->prompt][r->position][layer] = r->top[0];
    k->seen.count[r->prompt][r->position][layer]++;
    if (r->position + 1 == lengths[r->prompt]) {
        k->seen.targets[r->prompt][layer] = r->targets[0];
        k->seen.entropy[r->prompt][layer] = r->entropy;
    }
    return 0;
}

static int open_model(void) {
    plens_context *context;
    plens_model_info info;
    if (plens_context_create(NULL, &context, &error) != PLENS_OK)
        return 0;
    plens_status status = plens_model_open(context, FOLDER, &model, &error);
    plens_context_destroy(context);
    if (status != PLENS_OK)
        return 0;
    plens_model_describe(model, &info);
    n_layers = info.n_layers;
    for (size_t i = 0; i < N_PROMPTS; i++)
        prompts[i] = (plens_prompt){ids[i], lengths[i], &target, 1};
    return 1;
}

/* How a run is made. */
typedef struct way {
    uint64_t memory;
    int threads, resume, no_sharing;
    plens_isa isa;
    plens_positions positions;
} way;

static plens_status run(keeper *k, const way *w) {
    plens_context *context;
    plens_options options = {.threads = w->threads, .isa_limit = w->isa, .memory = w->memory};
    plens_saver saver = {begin, write, end, w->resume ? take : NULL, k};
    plens_lens lens = {.fn = collect, .user = k, .positions = w->positions, .point = point};
    plens_run_options o = {.lens = &lens,
                           .progress = progress,
                           .progress_user = k,
                           .no_sharing = w->no_sharing,
                           .saver = &saver};
    plens_status status = plens_context_create(&options, &context, &error);
    if (status != PLENS_OK)
        return status;
    if (w->resume)
        k->seen = k->kept_results;
    k->at = k->n_saved = 0;
    status = plens_run(context, model, prompts, N_PROMPTS, &o, &error);
    plens_context_destroy(context);
    return status;
}

/* The smallest budget, to 64 bytes: it cuts the run into two parts at least, or 0. */
static uint64_t small_budget(plens_positions positions) {
    plens_context *context;
    plens_plan plan = {.n_parts = 0};
    plens_lens lens = {.fn = collect, .positions = positions, .point = point};
    plens_run_options o = {.lens = &lens};
    uint64_t too_little = 0, enough = (uint64_t)1 << 28;
    if (plens_context_create(NULL, &context, &error) != PLENS_OK)
        return 0;
    while (enough - too_little > 64) {
        o.memory = too_little + (enough - too_little) / 2;
        if (plens_run_plan(context, model, prompts, N_PROMPTS, &o, &plan, &error) == PLENS_OK)
            enough = o.memory;
        else
            too_little = o.memory;
    }
    o.memory = enough;
    plens_status status = plens_run_plan(context, model, prompts, N_PROMPTS, &o, &plan, &error);
    plens_context_destroy(context);
    return status == PLENS_OK && plan.n_parts >= 2 ? enough : 0;
}

static keeper whole, cut;

/* Guards against a state that lacks something, is taken back to another place, or hands results out
 * twice or never; against one that only the same threads, instructions and memory can use. */
static void interrupted_anywhere(void) {
    for (int positions = PLENS_POSITIONS_ALL; positions <= PLENS_POSITIONS_LAST; positions++) {
        uint64_t small = small_budget((plens_positions)positions);
        CHECK_THAT(small > 0, "no budget cuts the run into parts");
        way plain = {.positions = (plens_positions)positions};
        memset(&whole, 0, sizeof whole);
        CHECK_OK(run(&whole, &plain), error);
        CHECK_INT(whole.n_saved, n_layers);
        for (int form = 0; form < 5; form++) {
            const way first = {.memory = form == 1 || form == 2 ? small : 0,
                               .threads = 2,
                               .no_sharing = form == 4,
                               .positions = (plens_positions)positions};
            const way then = {.memory = form == 2 || form == 3 ? small : 0,
                              .threads = 1,
                              .resume = 1,
                              .isa = PLENS_ISA_SCALAR,
                              .positions = (plens_positions)positions};
            for (size_t stop = 1;; stop++) {
                memset(&cut, 0, sizeof cut);
                cut.stop_after = stop;
                plens_status status = run(&cut, &first);
                CHECK(status == PLENS_CANCELLED || status == PLENS_OK);
                cut.stop_after = 0;
                CHECK_OK(run(&cut, &then), error);
                CHECK_THAT(memcmp(&cut.seen, &whole.seen, sizeof whole.seen) == 0,
                           "form %d, stopped after state %zu: other results", form, stop);
                if (status == PLENS_OK)
                    break;
            }
            CHECK(!test_bad);
        }
    }
}

/* The same of components, which are normed when all layers are there: never twice. */
static void components_interrupted_anywhere(void) {
    point = PLENS_HEAD_OUT;
    interrupted_anywhere();
    point = (plens_point)0;
}

/* Guards against a run that ends, or keeps half a state, because a state cannot be written. */
static void a_failing_saver_does_no_harm(void) {
    way plain = {.positions = PLENS_POSITIONS_LAST};
    memset(&whole, 0, sizeof whole);
    CHECK_OK(run(&whole, &plain), error);
    for (size_t fail_at = 1; fail_at < 12; fail_at++) {
        memset(&cut, 0, sizeof cut);
        cut.fail_at = fail_at;
        CHECK_OK(run(&cut, &plain), error);
        CHECK(memcmp(&cut.seen, &whole.seen, sizeof whole.seen) == 0);
        CHECK_INT(cut.n_saved, n_layers - 1);
    }
}

/* Guards against states of another run, or cut short, that are gone on with. */
static void other_states_are_refused(void) {
    way plain = {.positions = PLENS_POSITIONS_LAST};
    way resume = {.resume = 1, .positions = PLENS_POSITIONS_LAST};
    memset(&cut, 0, sizeof cut);
    cut.stop_after = 1;
    CHECK_INT(run(&cut, &plain), PLENS_CANCELLED);
    cut.stop_after = 0;
    size_t n = cut.n_kept;
    resume.positions = PLENS_POSITIONS_ALL;
    CHECK_INT(run(&cut, &resume), PLENS_ERROR_FORMAT);
    CHECK_CONTAINS(error.message, "another");
    resume.positions = PLENS_POSITIONS_LAST;
    prompts[3].ids = ids[2];
    CHECK_INT(run(&cut, &resume), PLENS_ERROR_FORMAT);
    prompts[3].ids = ids[3];
    point = PLENS_MLP_OUT;
    CHECK_INT(run(&cut, &resume), PLENS_ERROR_FORMAT);
    point = (plens_point)0;
    cut.kept[0] ^= 1;
    CHECK_INT(run(&cut, &resume), PLENS_ERROR_FORMAT);
    cut.kept[0] ^= 1;
    for (cut.n_kept = 0; cut.n_kept < n; cut.n_kept += n / 7)
        CHECK_INT(run(&cut, &resume), PLENS_ERROR_FORMAT);
    cut.n_kept = n;
    CHECK_OK(run(&cut, &resume), error);
}

/* Guards against fingerprints that agree though the folder changed, or change by themselves. */
static void fingerprints(void) {
    static const char *const folders[] = {FOLDER, "tests/fixtures/persona-world", FOLDER};
    uint64_t found[3];
    plens_context *context;
    CHECK_OK(plens_context_create(NULL, &context, &error), error);
    for (size_t i = 0; i < 3; i++) {
        plens_model *other;
        CHECK_OK(plens_model_open(context, folders[i], &other, &error), error);
        CHECK_OK(plens_model_fingerprint(other, &found[i], &error), error);
        plens_model_close(other);
    }
    plens_context_destroy(context);
    CHECK(found[0] == found[2]);
    CHECK(found[0] != found[1]);
    CHECK_INT(plens_model_fingerprint(NULL, &found[0], &error), PLENS_ERROR_ARGUMENT);
}

static void opens(void) {
    CHECK_THAT(open_model(), "%s", error.message);
}

int main(void) {
    RUN(opens);
    if (model != NULL) {
        RUN(interrupted_anywhere);
        RUN(components_interrupted_anywhere);
        RUN(a_failing_saver_does_no_harm);
        RUN(other_states_are_refused);
        RUN(fingerprints);
    }
    plens_model_close(model);
    return test_finish();
}
