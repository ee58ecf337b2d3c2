/* The last state is the sum of what the components wrote, h_L = embed + sum over l of (attn_out_l +
 * mlp_out_l), and with the final norm's scale r held at its value for h_L a logit is linear in it:
 *
 *     logit(a) = (h_L r * w) . W_U[a],   r = 1 / sqrt(mean(h_L^2) + eps),   w the norm's weight
 *
 * so each component's share is its own product with the direction d = w * (W_U[a] - W_U[b]), times
 * r. [Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; TransformerLens's
 * logit_attrs] Products are taken as the components go by, r comes last. */
#include "runtime/fp.h"

#include "runtime/attribution.h"

#include <math.h>
#include <string.h>

#include "runtime/points.h"
#include "runtime/run.h"
#include "runtime/widen.h"

/* One prompt at one position. Its values: embed [1], attn [L], mlp [L], heads [L, H]. */
typedef struct ledger {
    const plens__engine *engine;
    const plens_model *model;
    const plens_prompt *prompts;
    const plens_attribution *options;
    size_t n_layers, n_heads; /* n_heads 0: not asked for */
    size_t n_values;          /* of an entry */
    size_t *first_entry;      /* [n_prompts] */
    float *directions;        /* [n_prompts, d_model] */
    double *biases;           /* [n_prompts, L] of o_proj; with heads */
    double *values;           /* [entries, n_values] */
    double *scales;           /* [entries] r */
    double *scratch;          /* [L] */
    plens_allocator allocator;
} ledger;

static size_t entry_of(const ledger *l, size_t prompt, size_t position) {
    int all = l->options->positions == PLENS_POSITIONS_ALL;
    return l->first_entry[prompt] + (all ? position : 0);
}

/* Where the products of a row of `point` go in an entry: as many as its heads, or one. */
static size_t value_at(const ledger *l, plens_point point, size_t layer) {
    switch (point) {
    case PLENS_EMBED:
        return 0;
    case PLENS_ATTN_OUT:
        return layer;
    case PLENS_MLP_OUT:
        return l->n_layers + layer;
    default:
        return 1 + 2 * l->n_layers + (layer - 1) * l->n_heads;
    }
}

/* ---- what the hooks see ---- */

typedef struct call {
    const ledger *ledger;
    const plens_activations *seen;
} call;

static void multiply_row(const ledger *l, const plens_activations *seen, const float *x,
                         size_t prompt, size_t position) {
    size_t d = l->model->config.d_model, n = seen->n_heads == 0 ? 1 : seen->n_heads;
    double *to = l->values + entry_of(l, prompt, position) * l->n_values +
                 value_at(l, seen->point, seen->layer);
    for (size_t i = 0; i < n; i++)
        to[i] = l->engine->kernels->dot_double(x + i * d, l->directions + prompt * d, d);
}

/* Item: a row. */
static void see_task(void *arg, size_t item, int thread) {
    const call *c = arg;
    const ledger *l = c->ledger;
    const plens_row *row = &c->seen->rows[item];
    const float *x = c->seen->values + item * c->seen->width;
    const plens__config *config = &l->model->config;
    (void)thread;
    for (size_t i = 0; i < row->n_prompts; i++) {
        if (c->seen->point != PLENS_RESID_POST) {
            multiply_row(l, c->seen, x, row->prompts[i], row->position);
            continue;
        }
        double mean = l->engine->kernels->dot_double(x, x, config->d_model);
        mean = mean / (double)config->d_model;
        l->scales[entry_of(l, row->prompts[i], row->position)] =
            1 / sqrt(mean + config->rms_norm_eps);
    }
}

/* A plens_hook_fn. */
static int see(void *user, const plens_activations *seen) {
    call c = {user, seen};
    plens__parallel(c.ledger->engine, seen->n_rows, see_task, &c);
    return 0;
}

/* ---- results ---- */

typedef struct settlement {
    const ledger *ledger;
    const plens_lens_result *found;
    plens_attribution_result result;
} settlement;

static void settle_task(void *arg, size_t item, int thread) {
    settlement *s = arg;
    const ledger *l = s->ledger;
    size_t entry = entry_of(l, s->found->prompt, s->found->position);
    double *values = l->values + entry * l->n_values, scale = l->scales[entry], sum = 0;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < l->n_values; i++)
        values[i] = scale * values[i];
    for (size_t i = 0; i < 1 + 2 * l->n_layers; i++)
        sum += values[i];
    for (size_t i = 0; i < l->n_layers && l->n_heads > 0; i++)
        l->scratch[i] = scale * l->biases[s->found->prompt * l->n_layers + i];
    s->result.embed = values[0];
    s->result.sum = sum;
    s->result.attn = values + 1;
    s->result.mlp = s->result.attn + l->n_layers;
    if (l->n_heads > 0) {
        s->result.heads = s->result.mlp + l->n_layers;
        s->result.o_bias = l->scratch;
    }
    double logit = (double)s->found->targets[0].logit;
    if (s->found->n_targets > 1)
        logit = logit - (double)s->found->targets[1].logit;
    s->result.logit = logit;
}

/* A plens_lens_fn: layer L has been unembedded, so all of its entry is known. */
static int settle(void *user, const plens_lens_result *found) {
    settlement s = {.ledger = user, .found = found};
    s.result.prompt = found->prompt;
    s.result.position = found->position;
    s.result.n_layers = s.ledger->n_layers;
    s.result.n_heads = s.ledger->n_heads;
    plens__guarded(settle_task, &s);
    return s.ledger->options->fn(s.ledger->options->user, &s.result);
}

/* ---- directions ---- */

/* Row `row` of a matrix, or a vector (row 0), as floats; raw has room for d_model floats. */
static plens_status read_row(const ledger *l, const plens__tensor *tensor, size_t row, void *raw,
                             float *to, plens_error *error) {
    size_t d = l->model->config.d_model, bytes = d * (tensor->dtype == PLENS_F32 ? 4 : 2);
    plens_status status =
        plens__tensor_read(&l->model->checkpoint, tensor, (uint64_t)row * bytes, bytes, raw, error);
    if (status == PLENS_OK)
        plens__widen(tensor->dtype, raw, d, to);
    return status;
}

typedef struct direction {
    const float *norm, *a, *b; /* b NULL: none */
    float *to;
    size_t d_model;
} direction;

static void direct_task(void *arg, size_t item, int thread) {
    const direction *d = arg;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < d->d_model; i++) {
        double row = (double)d->a[i] - (d->b == NULL ? 0 : (double)d->b[i]);
        d->to[i] = (float)((double)d->norm[i] * row);
    }
}

typedef struct bias_products {
    const ledger *ledger;
    const float *bias;
    size_t layer; /* from 0 */
} bias_products;

/* Item: a prompt. */
static void bias_task(void *arg, size_t item, int thread) {
    const bias_products *b = arg;
    const ledger *l = b->ledger;
    size_t d = l->model->config.d_model;
    (void)thread;
    l->biases[item * l->n_layers + b->layer] =
        l->engine->kernels->dot_double(b->bias, l->directions + item * d, d);
}

/* rows is [4, d_model] of scratch. */
static plens_status make_directions(ledger *l, size_t n_prompts, float *rows, plens_error *error) {
    const plens__layout *layout = &l->model->layout;
    size_t d = l->model->config.d_model;
    float *a = rows + d, *b = rows + 2 * d, *raw = rows + 3 * d;
    plens_status status = read_row(l, layout->final_norm, 0, raw, rows, error);
    for (size_t i = 0; i < n_prompts && status == PLENS_OK; i++) {
        const plens_prompt *prompt = &l->prompts[i];
        direction it = {rows, a, prompt->n_targets > 1 ? b : NULL, l->directions + i * d, d};
        status = read_row(l, layout->unembed, (size_t)prompt->targets[0], raw, a, error);
        if (status == PLENS_OK && it.b != NULL)
            status = read_row(l, layout->unembed, (size_t)prompt->targets[1], raw, b, error);
        if (status == PLENS_OK)
            plens__guarded(direct_task, &it);
    }
    for (size_t i = 0; i < l->n_layers && l->n_heads > 0 && status == PLENS_OK; i++) {
        if (layout->blocks[i].o_bias == NULL)
            continue; /* the products are 0 already */
        bias_products it = {l, a, i};
        status = read_row(l, layout->blocks[i].o_bias, 0, raw, a, error);
        if (status == PLENS_OK)
            plens__parallel(l->engine, n_prompts, bias_task, &it);
    }
    return status;
}

/* ---- entry ---- */

static plens_status check(const plens_model *model, const plens_prompt *prompts, size_t n_prompts,
                          const plens_attribution *options, plens_error *error) {
    if (options->fn == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "the attribution has no function");
    if (options->hooks == NULL && options->n_hooks > 0)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "hooks is NULL");
    plens_status status = plens__positions_check(options->positions, "the attribution", error);
    if (status == PLENS_OK)
        status = plens__prompts_check(model, prompts, n_prompts, error);
    for (size_t i = 0; i < n_prompts && status == PLENS_OK; i++)
        if (prompts[i].n_targets != 1 && prompts[i].n_targets != 2)
            status = plens__fail(error, PLENS_ERROR_ARGUMENT,
                                 "prompt %zu has %zu targets, expected 1 (a token) or 2 (a token, "
                                 "and the one it is set against)",
                                 i, prompts[i].n_targets);
    return status;
}

static void close_ledger(ledger *l) {
    plens__free(&l->allocator, l->first_entry);
    plens__free(&l->allocator, l->directions);
    plens__free(&l->allocator, l->biases);
    plens__free(&l->allocator, l->values);
    plens__free(&l->allocator, l->scales);
    plens__free(&l->allocator, l->scratch);
}

static plens_status open_ledger(ledger *l, size_t n_prompts, plens_error *error) {
    size_t d = l->model->config.d_model, entries = 0, n = 0, rows = 0, biases = 0;
    l->allocator = l->engine->allocator;
    l->first_entry = plens__alloc_array(&l->allocator, n_prompts, sizeof *l->first_entry);
    for (size_t i = 0; i < n_prompts && l->first_entry != NULL; i++) {
        l->first_entry[i] = entries;
        entries += l->options->positions == PLENS_POSITIONS_ALL ? l->prompts[i].n_ids : 1;
    }
    if (l->first_entry != NULL && plens__mul(entries, l->n_values, &n) &&
        plens__mul(n_prompts, d, &rows) && plens__mul(n_prompts, l->n_layers, &biases)) {
        l->directions = plens__alloc_array(&l->allocator, rows, sizeof *l->directions);
        l->biases = plens__alloc_array(&l->allocator, biases, sizeof *l->biases);
        l->values = plens__alloc_array(&l->allocator, n, sizeof *l->values);
        l->scales = plens__alloc_array(&l->allocator, entries, sizeof *l->scales);
        l->scratch = plens__alloc_array(&l->allocator, l->n_layers, sizeof *l->scratch);
    }
    if (l->directions == NULL || l->biases == NULL || l->values == NULL || l->scales == NULL ||
        l->scratch == NULL)
        return plens__fail_memory(error, n * sizeof *l->values, "attributions");
    float *scratch = plens__alloc_array(&l->allocator, 4 * d, sizeof *scratch);
    if (scratch == NULL)
        return plens__fail_memory(error, 4 * d * sizeof *scratch, "the unembedding's rows");
    plens_status status = make_directions(l, n_prompts, scratch, error);
    plens__free(&l->allocator, scratch);
    return status;
}

/* The caller's hooks, then our own, which see what those leave: [n_hooks + 5]. */
static plens_hook *make_hooks(ledger *l, size_t *n_hooks) {
    static const plens_point points[] = {PLENS_EMBED, PLENS_ATTN_OUT, PLENS_MLP_OUT,
                                         PLENS_RESID_POST, PLENS_HEAD_OUT};
    size_t n = l->options->n_hooks, own = l->n_heads > 0 ? 5 : 4;
    plens_hook *hooks = NULL;
    if (plens__add(n, own, n_hooks))
        hooks = plens__alloc_array(&l->allocator, *n_hooks, sizeof *hooks);
    if (hooks == NULL)
        return NULL;
    if (n > 0)
        memcpy(hooks, l->options->hooks, n * sizeof *hooks);
    for (size_t i = 0; i < own; i++) {
        plens_hook *hook = &hooks[n + i];
        *hook = (plens_hook){.point = points[i], .positions = l->options->positions};
        hook->fn = see;
        hook->user = l;
        if (points[i] == PLENS_RESID_POST)
            hook->first_layer = hook->last_layer = l->n_layers;
    }
    return hooks;
}

static plens_status run(ledger *l, uint64_t memory, size_t n_prompts, plens_error *error) {
    const plens_attribution *options = l->options;
    plens_lens lens = {.fn = settle, .user = l, .positions = options->positions};
    plens_run_options how = {.lens = &lens, .progress = options->progress};
    plens_hook *hooks = make_hooks(l, &how.n_hooks);
    if (hooks == NULL)
        return plens__fail_memory(error, options->n_hooks * sizeof *hooks, "hooks");
    lens.first_layer = lens.last_layer = l->n_layers;
    how.hooks = hooks;
    how.progress_user = options->progress_user;
    how.memory = options->memory;
    plens_status status =
        plens__run(l->engine, memory, l->model, l->prompts, n_prompts, &how, error);
    plens__free(&l->allocator, hooks);
    return status;
}

plens_status plens__attribute(const plens__engine *engine, uint64_t memory,
                              const plens_model *model, const plens_prompt *prompts,
                              size_t n_prompts, const plens_attribution *options,
                              plens_error *error) {
    plens_status status = check(model, prompts, n_prompts, options, error);
    if (status != PLENS_OK)
        return status;
    ledger l = {.engine = engine, .model = model, .prompts = prompts, .options = options};
    l.n_layers = model->config.n_layers;
    l.n_heads = options->heads ? model->config.n_heads : 0;
    l.n_values = 1 + l.n_layers * (2 + l.n_heads);
    status = open_ledger(&l, n_prompts, error);
    if (status == PLENS_OK)
        status = run(&l, memory, n_prompts, error);
    close_ledger(&l);
    return status;
}
