/* What the caller sees while a pass runs: hooks, progress, and the model's output. */
#include "runtime/fp.h"

#include "runtime/pass.h"

#include <string.h>

plens_status plens__pass_progress(plens__pass *pass, double work, plens_error *error) {
    pass->work_done += work;
    if (pass->options->progress == NULL)
        return PLENS_OK;
    size_t n_layers = pass->model->config.n_layers;
    plens_progress progress = {pass->part, pass->n_parts, pass->layer, n_layers, 1};
    if (pass->work_done < pass->work_all)
        progress.fraction = pass->work_done / pass->work_all;
    if (pass->options->progress(pass->options->progress_user, &progress) == 0)
        return PLENS_OK;
    return plens__fail(error, PLENS_CANCELLED, "cancelled at layer %zu of %zu", pass->layer,
                       n_layers);
}

static int hook_wants(const plens_hook *hook, plens_point point, size_t layer) {
    if (hook->point != point)
        return 0;
    if (layer == 0 || (hook->first_layer == 0 && hook->last_layer == 0))
        return 1;
    return layer >= hook->first_layer && layer <= hook->last_layer;
}

int plens__pass_wants(const plens_run_options *options, plens_point point, size_t layer) {
    for (size_t i = 0; i < options->n_hooks; i++) {
        if (hook_wants(&options->hooks[i], point, layer))
            return 1;
    }
    return 0;
}

static plens_status call_hook(const plens_hook *hook, const plens_activations *activations,
                              plens_error *error) {
    if (hook->fn(hook->user, activations) == 0)
        return PLENS_OK;
    return plens__fail(error, PLENS_CANCELLED, "a hook stopped the run at layer %zu",
                       activations->layer);
}

/* The first of the batch's ends at or after a row. */
static size_t end_at(const plens__batch *batch, size_t row) {
    size_t low = 0, high = batch->ends.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (batch->ends.rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Shows a hook those of rows [row, row + n) that end a prompt, gathered. */
static plens_status call_with_ends(plens__pass *pass, const plens_hook *hook, size_t row,
                                   plens_activations activations, plens_error *error) {
    const plens__batch *batch = &pass->batch;
    const float *values = activations.values;
    size_t width = activations.width, room = pass->gathered_floats / width;
    size_t end = end_at(batch, row), stop = end_at(batch, row + activations.n_rows);
    activations.values = pass->gathered;
    while (end < stop) {
        size_t n = stop - end < room ? stop - end : room;
        for (size_t i = 0; i < n; i++)
            memcpy(pass->gathered + i * width, values + (batch->ends.rows[end + i] - row) * width,
                   width * sizeof(float));
        activations.rows = batch->ends.served + end;
        activations.n_rows = n;
        plens_status status = call_hook(hook, &activations, error);
        if (status != PLENS_OK)
            return status;
        end += n;
    }
    return PLENS_OK;
}

plens_status plens__pass_hooks(plens__pass *pass, plens_point point, size_t layer,
                               const plens__selection *selection, size_t slot, size_t n,
                               const float *values, size_t width, plens_error *error) {
    plens_activations activations = {point, layer, n, width, selection->served + slot, values};
    for (size_t i = 0; i < pass->options->n_hooks; i++) {
        const plens_hook *hook = &pass->options->hooks[i];
        if (!hook_wants(hook, point, layer))
            continue;
        int gather = hook->positions == PLENS_POSITIONS_LAST && selection == &pass->batch.all;
        plens_status status = gather ? call_with_ends(pass, hook, slot, activations, error)
                                     : call_hook(hook, &activations, error);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}

/* ---- the output ---- */

typedef struct output_rows {
    const plens__pass *pass;
    size_t slot;
} output_rows;

static void final_norm_task(void *arg, size_t item, int thread) {
    const output_rows *rows = arg;
    const plens__pass *pass = rows->pass;
    const plens__config *config = &pass->model->config;
    size_t d = config->d_model, slot = rows->slot + item;
    size_t row = pass->finished->rows == NULL ? slot : pass->finished->rows[slot];
    (void)thread;
    pass->engine->kernels->rms_norm(pass->x + row * d, pass->weights.final_norm, d,
                                    (float)config->rms_norm_eps, pass->norm + item * d);
}

/* logits [n, vocab_size] of the n rows in pass->norm. */
static plens_status unembed_rows(plens__pass *pass, size_t n, plens_error *error) {
    size_t vocab = pass->model->config.vocab_size, d = pass->model->config.d_model;
    for (size_t first = 0; first < vocab; first += PLENS__TILE_IDS) {
        size_t ids = vocab - first < PLENS__TILE_IDS ? vocab - first : PLENS__TILE_IDS;
        plens__matrix tile;
        plens_status status = plens__weights_unembed(&pass->weights, first, ids, &tile, error);
        if (status != PLENS_OK)
            return status;
        plens__matmul(pass->engine, &tile, NULL, pass->norm, d, n, pass->logits + first, vocab);
    }
    return plens__pass_progress(pass, (double)n * (double)vocab * (double)d, error);
}

plens_status plens__pass_output(plens__pass *pass, plens_error *error) {
    int logits = plens__pass_wants(pass->options, PLENS_LOGITS, 0);
    if (!logits && !plens__pass_wants(pass->options, PLENS_FINAL_NORM, 0))
        return PLENS_OK;
    size_t most = logits ? pass->logit_rows : PLENS__CHUNK_ROWS, count = pass->finished->count, n;
    for (size_t slot = 0; slot < count; slot += n) {
        n = count - slot < most ? count - slot : most;
        output_rows rows = {pass, slot};
        plens__parallel(pass->engine, n, final_norm_task, &rows);
        plens_status status = plens__pass_hooks(pass, PLENS_FINAL_NORM, 0, pass->finished, slot, n,
                                                pass->norm, pass->model->config.d_model, error);
        if (status == PLENS_OK && logits)
            status = unembed_rows(pass, n, error);
        if (status == PLENS_OK && logits)
            status = plens__pass_hooks(pass, PLENS_LOGITS, 0, pass->finished, slot, n, pass->logits,
                                       pass->model->config.vocab_size, error);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}
