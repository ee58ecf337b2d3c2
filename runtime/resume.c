#include "runtime/resume.h"

#include <string.h>

/* What is saved: this head, then x [n_rows, d_model] and the kept states of the lens, [rows, kept
 * sites, d_model], all as they lie in memory. Where its layers are unembedded as they come there
 * are none; once layer L is known what it has found so far follows instead. */
typedef struct head {
    char magic[8];
    uint64_t order; /* of bytes, and the width of a size_t */
    uint64_t run;   /* what makes two runs the same, as far as the library knows it */
    uint64_t first, count, layer, n_rows, n_bytes, as_they_come, again;
} head;

static const char magic[8] = {'p', 'l', 'e', 'n', 's', 'r', 'u', '2'};

static uint64_t byte_order(void) {
    return ((uint64_t)sizeof(size_t) << 56) + 0x01020304050607u;
}

static uint64_t mix_number(uint64_t hash, uint64_t number) {
    return plens__hash(hash, &number, sizeof number);
}

/* The model's shape, the precision, the prompts, and what the lens keeps. */
static uint64_t identify(const plens__pass *pass, const plens_prompt *prompts, size_t n_prompts) {
    const plens__config *config = &pass->model->config;
    const plens_lens *lens = pass->options->lens;
    uint64_t numbers[] = {config->n_layers,
                          config->d_model,
                          config->vocab_size,
                          pass->model->checkpoint.n_bytes,
                          (uint64_t)pass->product->precision,
                          n_prompts,
                          pass->options->n_hooks,
                          lens == NULL ? 0 : 1 + (uint64_t)lens->positions,
                          lens == NULL ? 0 : lens->first_layer,
                          lens == NULL ? 0 : lens->last_layer,
                          lens == NULL ? 0 : lens->top_k};
    uint64_t hash = plens__hash(PLENS__HASH, numbers, sizeof numbers);
    if (lens != NULL && plens__lens_component(lens) != 0) {
        hash = mix_number(hash, (uint64_t)lens->point);
        hash = mix_number(hash, lens->first_head);
        hash = mix_number(hash, lens->n_heads);
    }
    for (size_t i = 0; i < n_prompts; i++) {
        hash = mix_number(hash, prompts[i].n_ids);
        hash = plens__hash(hash, prompts[i].ids, prompts[i].n_ids * sizeof *prompts[i].ids);
        hash = mix_number(hash, prompts[i].n_targets);
        if (prompts[i].n_targets > 0)
            hash = plens__hash(hash, prompts[i].targets, prompts[i].n_targets * sizeof(int32_t));
    }
    return hash;
}

/* How many sites of a row of the lens blocks 1..layer have filled. */
static size_t kept_sites(const plens__pass *pass, size_t layer) {
    const plens__lens *lens = &pass->lens;
    if (lens->options == NULL || layer < lens->first_layer || lens->n_held < lens->n_early)
        return 0;
    size_t kept = (layer - lens->first_layer + 1) * lens->n_heads;
    return kept < lens->n_early ? kept : lens->n_early;
}

typedef int piece_fn(void *user, void *bytes, size_t n_bytes);

/* What the lens has found so far, of layer L at least. */
static int each_finding(const plens__lens *lens, size_t d, piece_fn *fn, void *user) {
    size_t rows = lens->rows->count, sites = rows * lens->n_layers;
    return fn(user, lens->final, rows * d * sizeof(float)) ||
           fn(user, lens->sites, sites * sizeof *lens->sites) ||
           fn(user, lens->top, sites * lens->top_k * sizeof *lens->top) ||
           fn(user, lens->final_top, sites * sizeof *lens->final_top) ||
           fn(user, lens->targets, lens->n_targets * lens->n_layers * sizeof *lens->targets) ||
           fn(user, lens->groups.logits, sites * lens->groups.n_members * sizeof(float));
}

/* Calls fn with every piece of the part's rows until it returns other than 0, and returns that. */
static int each_piece(const plens__pass *pass, const plens__standing *standing, piece_fn *fn,
                      void *user) {
    const plens__lens *lens = &pass->lens;
    size_t d = pass->model->config.d_model;
    int result = fn(user, pass->x, standing->n_rows * d * sizeof(float));
    if (standing->again)
        return result != 0 ? result : each_finding(lens, d, fn, user);
    size_t kept = kept_sites(pass, standing->layer);
    for (size_t r = 0; kept > 0 && r < lens->rows->count && result == 0; r++)
        result = fn(user, lens->early + r * lens->n_early * d, kept * d * sizeof(float));
    return result;
}

/* ---- taking back ---- */

static plens_status fail_short(plens_error *error) {
    return plens__fail(error, PLENS_ERROR_FORMAT,
                       "the saved run ends early: its bytes cannot be read back");
}

plens_status plens__resume_begin(const plens__pass *pass, const plens_prompt *prompts,
                                 size_t n_prompts, plens__standing *standing, plens_error *error) {
    const plens_saver *saver = pass->options->saver;
    head h;
    memset(standing, 0, sizeof *standing);
    if (saver == NULL || saver->read == NULL)
        return PLENS_OK;
    if (saver->read(saver->user, &h, sizeof h) != 0)
        return fail_short(error);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.order != byte_order())
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "the saved run is of another version of plens or kind of machine");
    if (h.run != identify(pass, prompts, n_prompts) || h.first > n_prompts ||
        h.count > n_prompts - h.first || h.layer > pass->model->config.n_layers ||
        h.as_they_come > 1 || h.again > h.as_they_come)
        return plens__fail(error, PLENS_ERROR_FORMAT,
                           "the saved run is another one: of another model, precision, prompts or "
                           "lens");
    *standing = (plens__standing){(size_t)h.first,  (size_t)h.count,     (size_t)h.layer,
                                  (size_t)h.n_rows, (int)h.as_they_come, (int)h.again};
    return PLENS_OK;
}

static int take_piece(void *user, void *bytes, size_t n_bytes) {
    const plens_saver *saver = user;
    return saver->read(saver->user, bytes, n_bytes);
}

plens_status plens__resume_rows(plens__pass *pass, const plens__standing *standing,
                                plens_error *error) {
    plens_saver saver = *pass->options->saver;
    if (each_piece(pass, standing, take_piece, &saver) != 0)
        return fail_short(error);
    return PLENS_OK;
}

/* ---- saving ---- */

static int add_bytes(void *user, void *bytes, size_t n_bytes) {
    uint64_t *sum = user;
    (void)bytes;
    *sum += n_bytes;
    return 0;
}

static int write_piece(void *user, void *bytes, size_t n_bytes) {
    const plens_saver *saver = user;
    return saver->write(saver->user, bytes, n_bytes);
}

void plens__resume_save(const plens__pass *pass, const plens_prompt *prompts, size_t n_prompts,
                        const plens__standing *standing) {
    if (pass->options->saver == NULL || pass->options->saver->begin == NULL)
        return;
    plens_saver saver = *pass->options->saver;
    plens_progress progress = plens__pass_standing(pass);
    head h = {.order = byte_order(),
              .first = standing->first,
              .count = standing->count,
              .layer = standing->layer,
              .n_rows = standing->n_rows,
              .as_they_come = (uint64_t)plens__lens_as_they_come(&pass->lens),
              .again = (uint64_t)standing->again};
    memcpy(h.magic, magic, sizeof magic);
    if (h.layer > 0)
        each_piece(pass, standing, add_bytes, &h.n_bytes);
    if (!saver.begin(saver.user, &progress, sizeof h + h.n_bytes))
        return;
    h.run = identify(pass, prompts, n_prompts);
    int failed = saver.write(saver.user, &h, sizeof h);
    if (failed == 0 && h.layer > 0)
        failed = each_piece(pass, standing, write_piece, &saver);
    saver.end(saver.user, failed == 0);
}
