/* Where memory lacks the room for the lens's states of all layers, they are unembedded as they
 * come: the bits are those of a run that has room, also when it is ended and gone on with. */
#include "tests/heap.h"
#include "tests/test.h"

#define FOLDER "tests/fixtures/models/qwen3-biases" /* 6 layers, a vocabulary of 47 */

enum { N_PROMPTS = 3, N_LAYERS = 6, POSITIONS = 40, TOP_K = 3, MOST_BYTES = 1 << 18 };

static int32_t ids[N_PROMPTS][POSITIONS];
static const int32_t targets[] = {5, 11};
static const plens_group group = {targets, 2};
static plens_prompt prompts[N_PROMPTS];
static plens_context *context;
static plens_model *model;
static plens_error error;

/* All that the lens says at one place. */
typedef struct found {
    plens_lens_token top[TOP_K], targets[2], final_top;
    float entropy, kl, prob;
    int count;
} found;

typedef struct results {
    found at[N_PROMPTS][POSITIONS][N_LAYERS];
} results;

/* One run: what it found, the last state that it saved, and when it is to stop. */
typedef struct job {
    results seen, kept_seen;
    char now[MOST_BYTES], kept[MOST_BYTES];
    size_t n_now, n_kept, at;
    size_t n_saved, stop_after; /* states; 0: never */
    double fraction;
} job;

static int collect(void *user, const plens_lens_result *r) {
    job *j = user;
    found *f = &j->seen.at[r->prompt][r->position][r->layer - 1];
    memcpy(f->top, r->top, sizeof f->top);
    memcpy(f->targets, r->targets, sizeof f->targets);
    f->final_top = r->final_top;
    f->entropy = r->entropy;
    f->kl = r->kl;
    f->prob = r->groups[0];
    f->count++;
    return 0;
}

static int progress(void *user, const plens_progress *at) {
    job *j = user;
    if (at->fraction < j->fraction || at->fraction > 1)
        test_bad = 1;
    j->fraction = at->fraction;
    return j->stop_after > 0 && j->n_saved >= j->stop_after;
}

static int begin(void *user, const plens_progress *at, uint64_t n_bytes) {
    job *j = user;
    (void)at;
    j->n_now = 0;
    return n_bytes <= MOST_BYTES;
}

static int write(void *user, const void *bytes, size_t n_bytes) {
    job *j = user;
    memcpy(j->now + j->n_now, bytes, n_bytes);
    j->n_now += n_bytes;
    return 0;
}

static void end(void *user, int complete) {
    job *j = user;
    if (!complete)
        return;
    memcpy(j->kept, j->now, j->n_now);
    j->n_kept = j->n_now;
    j->kept_seen = j->seen;
    j->n_saved++;
}

static int take(void *user, void *bytes, size_t n_bytes) {
    job *j = user;
    if (n_bytes > j->n_kept - j->at)
        return 1;
    memcpy(bytes, j->kept + j->at, n_bytes);
    j->at += n_bytes;
    return 0;
}

/* How a run is made. */
typedef struct way {
    plens_positions positions;
    size_t first_layer, last_layer;
    uint64_t memory;
    int resume;
} way;

static void set_up(const way *w, job *j, plens_lens *lens, plens_saver *saver,
                   plens_run_options *options) {
    memset(lens, 0, sizeof *lens);
    memset(options, 0, sizeof *options);
    *saver = (plens_saver){begin, write, end, w->resume ? take : NULL, j};
    lens->fn = collect;
    lens->user = j;
    lens->positions = w->positions;
    lens->top_k = TOP_K;
    lens->kl = 1;
    lens->groups = &group;
    lens->n_groups = 1;
    lens->first_layer = w->first_layer;
    lens->last_layer = w->last_layer;
    options->lens = lens;
    options->memory = w->memory;
    options->saver = saver;
    options->progress = progress;
    options->progress_user = j;
}

static plens_status run(job *j, const way *w) {
    plens_lens lens;
    plens_saver saver;
    plens_run_options options;
    set_up(w, j, &lens, &saver, &options);
    if (w->resume)
        j->seen = j->kept_seen;
    j->at = j->n_saved = 0;
    j->fraction = 0;
    return plens_run(context, model, prompts, N_PROMPTS, &options, &error);
}

static plens_status plan(const way *w, plens_plan *p) {
    static job none;
    plens_lens lens;
    plens_saver saver;
    plens_run_options options;
    set_up(w, &none, &lens, &saver, &options);
    return plens_run_plan(context, model, prompts, N_PROMPTS, &options, p, &error);
}

/* The smallest budget. */
static uint64_t least(way w) {
    plens_plan p;
    uint64_t too_little = 0, enough = (uint64_t)1 << 28;
    while (enough - too_little > 1) {
        w.memory = too_little + (enough - too_little) / 2;
        if (plan(&w, &p) == PLENS_OK)
            enough = w.memory;
        else
            too_little = w.memory;
    }
    return enough;
}

static job whole, cut;

static int same(const char *what, plens_status status, size_t layers, size_t stop) {
    if (status == PLENS_OK && memcmp(&cut.seen, &whole.seen, sizeof whole.seen) == 0)
        return 1;
    printf("%s, %zu layers together, stopped after state %zu: %s\n", what, layers, stop,
           status == PLENS_OK ? "other results" : error.message);
    return 0;
}

/* Ends a run after each state that it saves, and goes on in the same memory and in more. */
static int interrupted(way w, size_t layers) {
    plens_status status = PLENS_CANCELLED;
    for (size_t stop = 1; status == PLENS_CANCELLED; stop++) {
        for (int room = 0; room < 2; room++) {
            way on = w;
            on.resume = 1;
            on.memory = room ? 0 : w.memory;
            memset(&cut, 0, sizeof cut);
            cut.stop_after = stop;
            status = run(&cut, &w);
            if (status != PLENS_OK && status != PLENS_CANCELLED)
                return same("first", status, layers, stop);
            cut.stop_after = 0;
            if (!same(room ? "in more memory" : "gone on with", run(&cut, &on), layers, stop))
                return 0;
        }
    }
    return 1;
}

/* Budgets from the least on, until there is room for all layers: a bit for each number of layers
 * that were kept together, 0 if something was wrong. */
static unsigned sweep(way w) {
    unsigned seen = 0;
    plens_plan p;
    w.memory = 0;
    memset(&whole, 0, sizeof whole);
    if (run(&whole, &w) != PLENS_OK)
        return 0;
    for (w.memory = least(w); plan(&w, &p) == PLENS_OK && p.computes_twice; w.memory += 64) {
        if (seen >> p.lens_layers & 1)
            continue;
        seen |= 1u << p.lens_layers;
        memset(&cut, 0, sizeof cut);
        plens_status status = run(&cut, &w);
        if (!same("in one go", status, p.lens_layers, 0) || cut.fraction != 1 ||
            !interrupted(w, p.lens_layers))
            return 0;
    }
    return seen;
}

/* Guards against states that are unembedded at another layer, twice or not at all, against a final
 * token that early layers do not know, and sums that begin anew where a run goes on. */
static void all_positions(void) {
    way w = {.positions = PLENS_POSITIONS_ALL};
    CHECK_INT(sweep(w) & 0xC, 0xC); /* one and two of the early layers, and layer L */
    CHECK(!test_bad);
}

static void last_positions(void) {
    way w = {.positions = PLENS_POSITIONS_LAST};
    CHECK(sweep(w) & 0x4);
    CHECK(!test_bad);
}

static void some_layers(void) {
    way ends_early = {.positions = PLENS_POSITIONS_ALL, .first_layer = 2, .last_layer = 4};
    way ends_late = {.positions = PLENS_POSITIONS_ALL, .first_layer = 3, .last_layer = N_LAYERS};
    CHECK(sweep(ends_early) & 0x4);
    CHECK(sweep(ends_late) & 0x4);
    CHECK(!test_bad);
}

/* Guards against hooks that are shown the same blocks twice: with hooks there must be room. */
static int ignore(void *user, const plens_activations *a) {
    (void)user;
    (void)a;
    return 0;
}

static void not_with_hooks(void) {
    way w = {.positions = PLENS_POSITIONS_ALL};
    plens_lens lens;
    plens_saver saver;
    plens_run_options options;
    plens_plan p;
    plens_hook hook = {.point = PLENS_RESID_POST, .fn = ignore};
    w.memory = least(w);
    set_up(&w, &cut, &lens, &saver, &options);
    options.hooks = &hook;
    options.n_hooks = 1;
    plens_status status = plens_run_plan(context, model, prompts, N_PROMPTS, &options, &p, &error);
    CHECK(status == PLENS_ERROR_MEMORY || (status == PLENS_OK && !p.computes_twice));
}

int main(void) {
    uint32_t random = 7;
    for (size_t i = 0; i < N_PROMPTS; i++) {
        for (size_t p = 0; p < POSITIONS; p++) { /* the second shares half of the first */
            random = random * 1664525 + 1013904223;
            ids[i][p] = i == 1 && p < POSITIONS / 2 ? ids[0][p] : (int32_t)(random >> 16) % 47;
        }
        prompts[i] = (plens_prompt){ids[i], POSITIONS - i, targets, 2};
    }
    plens_options options = {.threads = 1, .allocator = heap};
    if (plens_context_create(&options, &context, &error) != PLENS_OK ||
        plens_model_open(context, FOLDER, &model, &error) != PLENS_OK) {
        printf("%s\n", error.message);
        return 1;
    }
    RUN(all_positions);
    RUN(last_positions);
    RUN(some_layers);
    RUN(not_with_hooks);
    plens_model_close(model);
    plens_context_destroy(context);
    return test_finish();
}
