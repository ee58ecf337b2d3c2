/* What the lens keeps while a pass runs: a state for each site. Of the residual stream they are
 * normed at once; of a component they stay as they are until the last state's scale is known. */
#include "runtime/fp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/pass.h"

/* ---- layout ---- */

void plens__layer_range(size_t first, size_t last, size_t n_layers, size_t *from, size_t *to) {
    int all = first == 0 && last == 0;
    *from = all ? 1 : first;
    *to = all ? n_layers : last;
}

plens_point plens__lens_component(const plens_lens *options) {
    return options->point == PLENS_RESID_POST ? 0 : options->point;
}

static size_t n_heads_of(const plens_lens *options, const plens__config *config) {
    if (options->point != PLENS_HEAD_OUT)
        return 1;
    return options->n_heads > 0 ? options->n_heads : config->n_heads - options->first_head;
}

size_t plens__lens_early(const plens_lens *options, const plens__config *config) {
    size_t first, last;
    if (options == NULL)
        return 0;
    plens__layer_range(options->first_layer, options->last_layer, config->n_layers, &first, &last);
    if (plens__lens_component(options) != 0)
        return (last - first + 1) * n_heads_of(options, config);
    return last - first + (last < config->n_layers);
}

plens_status plens__lens_check(const plens_allocator *allocator, const plens_lens *options,
                               const plens__config *config, plens_error *error) {
    plens_point component = plens__lens_component(options);
    plens_hook where = {.point = component == 0 ? PLENS_RESID_POST : component};
    where.first_head = options->first_head;
    where.n_heads = options->n_heads;
    if (options->fn == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "the lens has no function");
    plens_status status = plens__groups_check(allocator, options, config->vocab_size, error);
    if (status == PLENS_OK)
        status = plens__layers_check(options->first_layer, options->last_layer, config->n_layers,
                                     "the lens", error);
    if (status == PLENS_OK)
        status = plens__heads_check(config, &where, "the lens", error);
    if (status != PLENS_OK || component == 0)
        return status;
    if (component != PLENS_ATTN_OUT && component != PLENS_MLP_OUT && component != PLENS_HEAD_OUT)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "the lens is of resid_post, attn_out, mlp_out or head_out, found %s",
                           plens_point_name(component));
    if (options->kl || options->n_groups > 0)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "the lens of %s has shares of logits, no probabilities for KL or groups",
                           plens_point_name(component));
    return PLENS_OK;
}

void plens__lens_carve(plens__lens *lens, const plens_lens *options, const plens_prompt *prompts,
                       const plens__config *config, size_t held, const plens__batch *batch,
                       plens__carver *carver) {
    memset(lens, 0, sizeof *lens);
    if (options == NULL)
        return;
    const plens__batch_size *size = &batch->size;
    size_t d_model = config->d_model, vocab_size = config->vocab_size;
    int all = options->positions == PLENS_POSITIONS_ALL;
    size_t rows = all ? size->n_rows : size->n_ends;
    size_t targets = all ? size->n_targets_all : size->n_targets;
    lens->options = options;
    lens->prompts = prompts;
    plens__layer_range(options->first_layer, options->last_layer, config->n_layers,
                       &lens->first_layer, &lens->last_layer);
    lens->component = plens__lens_component(options);
    lens->first_head = options->first_head;
    lens->n_heads = n_heads_of(options, config);
    lens->n_early = plens__lens_early(options, config);
    lens->most_held = held == 0 || held > lens->n_early ? lens->n_early : held;
    lens->n_layers = lens->n_early + 1;
    lens->top_k = options->top_k == 0 ? 1 : options->top_k;
    if (lens->top_k > vocab_size)
        lens->top_k = vocab_size;
    lens->n_entries = all ? size->n_tokens : size->n_prompts;
    lens->n_targets = targets;

    size_t sites = 0, largest = 0;
    if (!plens__mul(rows, lens->n_layers, &sites) || !plens__mul(sites, lens->top_k, &largest) ||
        !plens__mul(targets, lens->n_layers, &largest))
        carver->overflow = 1;
    size_t together = lens->most_held > 0 ? rows * lens->most_held : rows;
    together = together < PLENS__LENS_ROWS ? together : PLENS__LENS_ROWS;
    lens->early = plens__carve(carver, rows * lens->most_held, d_model * sizeof(float));
    lens->final = plens__carve(carver, rows, d_model * sizeof(float));
    lens->sites = plens__carve(carver, sites, sizeof *lens->sites);
    lens->top = plens__carve(carver, sites * lens->top_k, sizeof *lens->top);
    lens->final_top = plens__carve(carver, sites, sizeof *lens->final_top);
    lens->targets = plens__carve(carver, targets * lens->n_layers, sizeof *lens->targets);
    lens->entries = plens__carve(carver, lens->n_entries, sizeof *lens->entries);
    lens->first_entry = plens__carve(carver, rows, sizeof *lens->first_entry);
    lens->logits = plens__carve(carver, together, PLENS__TILE_IDS * sizeof(float));
    lens->target_logits =
        plens__carve(carver, together > lens->n_layers ? together : lens->n_layers,
                     PLENS__LENS_TARGETS * sizeof(float));
    plens__groups_carve(&lens->groups, options, sites, carver);
    if (options->kl) {
        size_t in_hand = rows < PLENS__LENS_ROWS ? rows : PLENS__LENS_ROWS;
        lens->powers = plens__carve(carver, in_hand, PLENS__TILE_IDS * sizeof(float));
        lens->scale = plens__carve(carver, in_hand, sizeof *lens->scale);
    }
}

static int compare_entries(const void *left, const void *right) {
    const plens__lens_entry *a = left, *b = right;
    if (a->prompt != b->prompt)
        return a->prompt < b->prompt ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

void plens__lens_begin(plens__lens *lens, const plens__batch *batch) {
    int all = lens->options->positions == PLENS_POSITIONS_ALL;
    size_t n = 0, targets = 0;
    lens->rows = all ? &batch->all : &batch->ends;
    for (size_t i = 0; i < batch->size.n_prompts; i++) {
        const plens__leaf *leaf = &batch->leaves[i];
        for (size_t p = all ? 0 : leaf->n_ids - 1; p < leaf->n_ids; p++) {
            size_t row = all ? plens__batch_row(batch, leaf->branch, p) : leaf->end;
            lens->entries[n++] = (plens__lens_entry){leaf->prompt, p, row, 0, SIZE_MAX};
        }
    }
    qsort(lens->entries, n, sizeof *lens->entries, compare_entries);
    for (size_t r = 0; r < lens->rows->count; r++)
        lens->first_entry[r] = SIZE_MAX;
    for (size_t e = 0; e < n; e++) {
        plens__lens_entry *entry = &lens->entries[e];
        entry->targets = targets;
        targets += lens->n_layers * lens->prompts[entry->prompt].n_targets;
        entry->next = lens->first_entry[entry->row];
        lens->first_entry[entry->row] = e;
    }
    for (size_t i = 0; i < lens->rows->count * lens->n_layers; i++)
        lens->sites[i] = (plens__lens_site){.finite = 1};
    plens__groups_begin(&lens->groups);
    plens__lens_hold(lens, 0);
}

void plens__lens_hold(plens__lens *lens, size_t from) {
    size_t left = lens->n_early - from;
    lens->from = from;
    lens->n_held = left < lens->most_held ? left : lens->most_held;
}

void plens__lens_hold_none(plens__lens *lens) {
    lens->from = lens->n_held = 0;
}

int plens__lens_as_they_come(const plens__lens *lens) {
    return lens->options != NULL && lens->most_held < lens->n_early;
}

/* ---- the residual stream's states ---- */

typedef struct capture {
    const plens__pass *pass;
    float *to;
    size_t stride; /* floats between rows of to */
} capture;

static void capture_task(void *arg, size_t item, int thread) {
    const capture *c = arg;
    const plens__pass *pass = c->pass;
    const plens__config *config = &pass->model->config;
    size_t row = pass->lens.rows->rows == NULL ? item : pass->lens.rows->rows[item];
    (void)thread;
    pass->engine->kernels->rms_norm(pass->x + row * config->d_model, pass->weights.final_norm,
                                    config->d_model, (float)config->rms_norm_eps,
                                    c->to + item * c->stride);
}

void plens__pass_capture(plens__pass *pass, size_t layer) {
    plens__lens *lens = &pass->lens;
    size_t d = pass->model->config.d_model;
    if (lens->options == NULL)
        return;
    capture c = {pass, lens->final, d};
    if (layer < pass->model->config.n_layers) {
        size_t first = lens->first_layer + lens->from;
        if (lens->component != 0 || layer < first || layer >= first + lens->n_held)
            return;
        c.to = lens->early + (layer - first) * d;
        c.stride = lens->n_held * d;
    }
    plens__parallel(pass->engine, lens->rows->count, capture_task, &c);
}

/* ---- components' states ---- */

/* values [.., width] of a row of the lens: the heads that it asks for. */
static void keep_component(plens__lens *lens, size_t layer, size_t row, const float *values,
                           size_t d) {
    size_t first = (layer - lens->first_layer) * lens->n_heads;
    memcpy(lens->early + (row * lens->n_early + first) * d, values + lens->first_head * d,
           lens->n_heads * d * sizeof(float));
}

void plens__pass_component(plens__pass *pass, plens_point point, size_t layer,
                           const plens__selection *selection, size_t slot, size_t n,
                           const float *values, size_t width) {
    plens__lens *lens = &pass->lens;
    size_t d = pass->model->config.d_model;
    if (lens->options == NULL || lens->component != point || layer < lens->first_layer ||
        layer > lens->last_layer)
        return;
    if (lens->rows == selection) {
        for (size_t i = 0; i < n; i++)
            keep_component(lens, layer, slot + i, values + i * width, d);
        return;
    }
    /* the lens looks at the ends of prompts, here are all rows: slot s is row s */
    for (size_t e = plens__batch_end_at(&pass->batch, slot);
         e < lens->rows->count && lens->rows->rows[e] < slot + n; e++)
        keep_component(lens, layer, e, values + (lens->rows->rows[e] - slot) * width, d);
}

/* Item: a row of the lens. c = (c r) w with r = 1 / rms(h_L), as the norm has it. */
static void freeze_task(void *arg, size_t item, int thread) {
    const plens__pass *pass = arg;
    const plens__lens *lens = &pass->lens;
    size_t d = pass->model->config.d_model;
    size_t row = lens->rows->rows == NULL ? item : lens->rows->rows[item];
    const float *x = pass->x + row * d, *weight = pass->weights.final_norm;
    double mean = pass->engine->kernels->dot_double(x, x, d) / (double)d;
    float scale = (float)(1 / sqrt(mean + pass->model->config.rms_norm_eps));
    (void)thread;
    for (size_t site = item * lens->n_early; site < (item + 1) * lens->n_early; site++) {
        float *c = lens->early + site * d;
        for (size_t i = 0; i < d; i++)
            c[i] = c[i] * scale * weight[i];
    }
}

void plens__lens_freeze(plens__pass *pass) {
    if (pass->lens.component != 0)
        plens__parallel(pass->engine, pass->lens.rows->count, freeze_task, pass);
}
