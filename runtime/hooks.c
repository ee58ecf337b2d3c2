/* What the caller sees while a pass runs: hooks, progress, and the model's output. */
#include "runtime/fp.h"

#include "runtime/pass.h"

#include <string.h>

plens_progress plens__pass_standing(const plens__pass *pass) {
    plens_progress progress = {pass->part, pass->n_parts, pass->layer, pass->model->config.n_layers,
                               1};
    if (pass->work_done < pass->work_all)
        progress.fraction = pass->work_done / pass->work_all;
    return progress;
}

plens_status plens__pass_progress(plens__pass *pass, double work, plens_error *error) {
    pass->work_done += work;
    if (pass->options->progress == NULL)
        return PLENS_OK;
    plens_progress progress = plens__pass_standing(pass);
    if (pass->options->progress(pass->options->progress_user, &progress) == 0)
        return PLENS_OK;
    return plens__fail(error, PLENS_CANCELLED, "cancelled at layer %zu of %zu", pass->layer,
                       progress.n_layers);
}

/* ---- hooks ---- */

static plens_status call_hook(const plens_hook *hook, const plens_activations *activations,
                              plens_error *error) {
    if (hook->fn(hook->user, activations) == 0)
        return PLENS_OK;
    return plens__fail(error, PLENS_CANCELLED, "a hook stopped the run at layer %zu",
                       activations->layer);
}

static int serves_chosen(const plens_hook *hook, const plens_row *row) {
    for (size_t i = 0; i < row->n_prompts; i++) {
        if (plens__in_range(row->prompts[i], hook->first_prompt, hook->n_prompts))
            return 1;
    }
    return 0;
}

/* What a hook sees of a call: some of the rows, and of each the same columns. */
typedef struct pick {
    plens__pass *pass;
    const plens_hook *hook;
    const plens_activations *all; /* the rows there are */
    const plens__selection *selection;
    size_t slot;           /* of the first of them */
    size_t end;            /* the next of the batch's ends, for a hook on last positions */
    size_t column, width;  /* the heads that it asks for */
    size_t first, n_heads; /* the same in heads */
    size_t n;              /* rows gathered so far */
} pick;

static void pick_heads(pick *p) {
    size_t n_heads = p->all->n_heads, wanted = p->hook->n_heads;
    p->width = p->all->width;
    if (n_heads == 0)
        return;
    p->first = p->hook->first_head;
    p->n_heads = wanted > 0 ? wanted : n_heads - p->first;
    p->column = p->first * (p->all->width / n_heads);
    p->width = p->n_heads * (p->all->width / n_heads);
}

/* Row i of the call as the hook sees it, or NULL if it does not ask for it. Call with i ascending.
 */
static const plens_row *pick_row(pick *p, size_t i) {
    const plens__selection *ends = &p->pass->batch.ends;
    const plens_row *row = &p->all->rows[i];
    if (p->hook->positions == PLENS_POSITIONS_LAST && p->selection != ends) {
        if (p->end == ends->count || ends->rows[p->end] != p->slot + i)
            return NULL;
        row = &ends->served[p->end++];
    }
    if (!plens__in_range(row->position, p->hook->first_position, p->hook->n_positions))
        return NULL;
    return serves_chosen(p->hook, row) ? row : NULL;
}

/* Shows the hook the rows gathered and puts them back if it may have changed them. */
static plens_status show_picked(pick *p, plens_error *error) {
    plens__pass *pass = p->pass;
    plens_activations some = *p->all;
    some.n_rows = p->n;
    some.width = p->width;
    some.rows = pass->gathered_rows;
    some.values = pass->gathered;
    some.first_head = p->first;
    some.n_heads = p->n_heads;
    plens_status status = p->n == 0 ? PLENS_OK : call_hook(p->hook, &some, error);
    for (size_t i = 0; i < p->n && p->hook->writes; i++)
        memcpy(p->all->values + pass->gathered_from[i] * p->all->width + p->column,
               pass->gathered + i * p->width, p->width * sizeof(float));
    p->n = 0;
    return status;
}

static plens_status call_with_some(pick *p, plens_error *error) {
    plens__pass *pass = p->pass;
    size_t room = pass->gathered_floats / p->width;
    if (room > PLENS__GATHERED_ROWS)
        room = PLENS__GATHERED_ROWS;
    for (size_t i = 0; i < p->all->n_rows; i++) {
        const plens_row *row = pick_row(p, i);
        if (row == NULL)
            continue;
        memcpy(pass->gathered + p->n * p->width, p->all->values + i * p->all->width + p->column,
               p->width * sizeof(float));
        pass->gathered_rows[p->n] = *row;
        pass->gathered_from[p->n++] = i;
        plens_status status = p->n < room ? PLENS_OK : show_picked(p, error);
        if (status != PLENS_OK)
            return status;
    }
    return show_picked(p, error);
}

/* 1 if a hook asks for all that there is: it then sees it in place. */
static int takes_all(const pick *p) {
    const plens_hook *hook = p->hook;
    int last = hook->positions == PLENS_POSITIONS_LAST;
    return (!last || p->selection == &p->pass->batch.ends) && hook->first_position == 0 &&
           hook->n_positions == 0 && hook->first_prompt == 0 && hook->n_prompts == 0 &&
           p->width == p->all->width;
}

plens_status plens__pass_hooks(plens__pass *pass, plens_point point, size_t layer,
                               const plens__selection *selection, size_t slot, size_t n,
                               float *values, size_t width, plens_error *error) {
    plens_activations all = {.point = point, .layer = layer, .n_rows = n, .width = width};
    all.rows = selection->served + slot;
    all.values = values;
    all.n_heads = plens__point_heads(&pass->model->config, point);
    for (size_t i = 0; i < pass->options->n_hooks; i++) {
        const plens_hook *hook = &pass->options->hooks[i];
        if (!plens__hook_wants(hook, point, layer))
            continue;
        pick p = {.pass = pass, .hook = hook, .all = &all, .selection = selection, .slot = slot};
        if (hook->positions == PLENS_POSITIONS_LAST)
            p.end = plens__batch_end_at(&pass->batch, slot);
        pick_heads(&p);
        plens_status status =
            takes_all(&p) ? call_hook(hook, &all, error) : call_with_some(&p, error);
        if (status != PLENS_OK)
            return status;
    }
    plens__pass_component(pass, point, layer, selection, slot, n, values, width);
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
    plens__operand x = plens__pass_operand(pass, pass->norm, d, n, d);
    for (size_t first = 0; first < vocab; first += PLENS__TILE_IDS) {
        size_t ids = vocab - first < PLENS__TILE_IDS ? vocab - first : PLENS__TILE_IDS;
        plens__matrix tile;
        plens_status status = plens__weights_unembed(&pass->weights, first, ids, &tile, error);
        plens__clock_lap(pass->clock, PLENS_WORK_READ);
        if (status != PLENS_OK)
            return status;
        plens__matmul(pass->engine, &tile, NULL, &x, pass->logits + first, vocab);
        plens__clock_lap(pass->clock, PLENS_WORK_UNEMBED);
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
