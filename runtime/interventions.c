/* Interventions: hooks that record, replace, zero, add to or stop what they see. */
#include "runtime/fp.h"

#include <math.h>
#include <string.h>

#include "loaders/model.h"
#include "runtime/engine.h"
#include "runtime/points.h"

/* ---- shapes ---- */

static int has_keys(plens_point point) {
    return point == PLENS_ATTN_SCORES || point == PLENS_ATTN_PATTERN;
}

/* [layers, prompts, positions, row]; 0 where it cannot be told. */
typedef struct extents {
    size_t layers, prompts, positions, row;
} extents;

static extents extents_of(const plens__config *config, const plens_intervention *what) {
    const plens_hook *where = &what->where;
    int all = where->first_layer == 0 && where->last_layer == 0;
    extents e = {1, where->n_prompts, 1, 0};
    if (plens__point_in_block(where->point))
        e.layers = all ? config->n_layers : where->last_layer - where->first_layer + 1;
    if (where->positions == PLENS_POSITIONS_ALL)
        e.positions = where->n_positions;
    size_t n_heads = plens__point_heads(config, where->point);
    e.row = plens__point_width(config, where->point, what->n_keys);
    if (n_heads > 0 && where->n_heads > 0)
        e.row = e.row / n_heads * where->n_heads;
    else if (n_heads > 0)
        e.row = e.row / n_heads * (n_heads - where->first_head);
    return e;
}

static plens_status check_where(const plens_model *model, const plens_intervention *what,
                                plens_error *error) {
    const plens__config *config = &model->config;
    const plens_hook *where = &what->where;
    plens_status status = plens__heads_check(config, where, "the intervention", error);
    if (status == PLENS_OK)
        status = plens__layers_check(where->first_layer, where->last_layer, config->n_layers,
                                     "the intervention", error);
    if (status == PLENS_OK && !has_keys(where->point) && (what->first_key > 0 || what->n_keys > 0))
        status =
            plens__fail(error, PLENS_ERROR_ARGUMENT, "the intervention asks for keys, %s has none",
                        plens_point_name(where->point));
    return status;
}

/* The product of the extents; ARGUMENT if one of them is 0 or it does not fit. */
static plens_status count_values(const plens__config *config, const plens_intervention *what,
                                 size_t *n_values, plens_error *error) {
    extents e = extents_of(config, what);
    const char *name = plens_point_name(what->where.point), *missing = NULL;
    if (e.row == 0)
        missing = "n_keys";
    if (e.positions == 0)
        missing = "n_positions";
    if (e.prompts == 0)
        missing = "n_prompts";
    if (missing != NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "%s: values are [layers, prompts, positions, row], but %s is 0", name,
                           missing);
    size_t n;
    if (!plens__mul(e.layers, e.prompts, &n) || !plens__mul(n, e.positions, &n) ||
        !plens__mul(n, e.row, &n))
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "%s: %zu x %zu x %zu x %zu values are more than memory can hold", name,
                           e.layers, e.prompts, e.positions, e.row);
    *n_values = n;
    return PLENS_OK;
}

static plens_status check_values(const plens__config *config, const plens_intervention *what,
                                 plens_error *error) {
    extents e = extents_of(config, what);
    const char *name = plens_point_name(what->where.point);
    size_t n = 0;
    if (what->values == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s: values is NULL", name);
    if (what->action != PLENS_RECORD && e.row > 0 && what->n_values == e.row)
        return PLENS_OK;
    plens_status status = count_values(config, what, &n, error);
    if (status != PLENS_OK || what->n_values == n)
        return status;
    return plens__fail(error, PLENS_ERROR_ARGUMENT,
                       "%s: %zu values, expected %zu layers x %zu prompts x %zu positions x %zu = "
                       "%zu%s",
                       name, what->n_values, e.layers, e.prompts, e.positions, e.row, n,
                       what->action == PLENS_RECORD ? "" : ", or those of one row");
}

/* ---- what is done to a row ---- */

/* The hook's call in hand, for a task under the library's floating-point state. */
typedef struct call {
    const plens_intervention *what;
    const plens_activations *seen;
    size_t n_heads, stride; /* of a row of what is seen; rows without heads have one */
    size_t first, n;        /* the floats of a head in question */
    size_t span;            /* floats of a head in values */
} call;

/* The row of values that belongs to one prompt's row. */
static float *values_at(const call *c, const plens_row *row, size_t prompt) {
    const plens_intervention *what = c->what;
    const plens_hook *where = &what->where;
    size_t width = c->n_heads * c->span;
    if (what->n_values == width)
        return what->values;
    size_t first = where->first_layer == 0 ? 1 : where->first_layer, index = 0, positions = 1;
    if (c->seen->layer > 0)
        index = c->seen->layer - first;
    index = index * where->n_prompts + (prompt - where->first_prompt);
    if (where->positions == PLENS_POSITIONS_ALL) {
        positions = where->n_positions;
        index = index * positions + (row->position - where->first_position);
    }
    return what->values + index * width;
}

static void record(const call *c, const float *x, const plens_row *row) {
    const plens_hook *where = &c->what->where;
    for (size_t i = 0; i < row->n_prompts; i++) {
        if (!plens__in_range(row->prompts[i], where->first_prompt, where->n_prompts))
            continue;
        float *to = values_at(c, row, row->prompts[i]);
        memset(to, 0, c->n_heads * c->span * sizeof(float)); /* keys that lie ahead */
        for (size_t h = 0; h < c->n_heads; h++)
            memcpy(to + h * c->span, x + h * c->stride + c->first, c->n * sizeof(float));
    }
}

static void change(const call *c, float *x, const float *values) {
    for (size_t i = 0; i < c->n; i++) {
        switch (c->what->action) {
        case PLENS_REPLACE:
            x[i] = values[i];
            break;
        case PLENS_ADD:
            x[i] = x[i] + c->what->scale * values[i];
            break;
        default:
            x[i] = c->what->action == PLENS_STOP ? -INFINITY : 0;
            break;
        }
    }
}

static void apply_task(void *arg, size_t item, int thread) {
    const call *c = arg;
    int reads = c->what->action == PLENS_REPLACE || c->what->action == PLENS_ADD;
    (void)item;
    (void)thread;
    for (size_t r = 0; r < c->seen->n_rows; r++) {
        const plens_row *row = &c->seen->rows[r];
        float *x = c->seen->values + r * c->seen->width;
        if (c->what->action == PLENS_RECORD) {
            record(c, x, row);
            continue;
        }
        const float *values = reads ? values_at(c, row, row->prompts[0]) : NULL;
        for (size_t h = 0; h < c->n_heads; h++)
            change(c, x + h * c->stride + c->first, reads ? values + h * c->span : NULL);
    }
}

/* A plens_hook_fn. */
static int intervene(void *user, const plens_activations *seen) {
    const plens_intervention *what = user;
    call c = {.what = what, .seen = seen, .n_heads = seen->n_heads == 0 ? 1 : seen->n_heads};
    c.stride = c.span = c.n = seen->width / c.n_heads;
    if (has_keys(seen->point)) {
        c.first = what->first_key < c.stride ? what->first_key : c.stride;
        c.n = c.stride - c.first;
        if (what->n_keys > 0 && what->n_keys < c.n)
            c.n = what->n_keys;
        c.span = what->n_keys;
    }
    plens__guarded(apply_task, &c);
    return 0;
}

/* ---- entry ---- */

plens_status plens_intervention_size(const plens_model *model, const plens_intervention *what,
                                     size_t *n_values, plens_error *error) {
    if (model == NULL || what == NULL || n_values == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "plens_intervention_size: an argument is NULL");
    plens_status status = check_where(model, what, error);
    return status == PLENS_OK ? count_values(&model->config, what, n_values, error) : status;
}

plens_status plens_intervention_hook(const plens_model *model, const plens_intervention *what,
                                     plens_hook *hook, plens_error *error) {
    if (model == NULL || what == NULL || hook == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT,
                           "plens_intervention_hook: an argument is NULL");
    if (what->action < PLENS_RECORD || what->action > PLENS_STOP)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "unknown action %d", (int)what->action);
    plens_status status = check_where(model, what, error);
    if (status == PLENS_OK && what->action == PLENS_STOP && what->where.point != PLENS_ATTN_SCORES)
        status = plens__fail(error, PLENS_ERROR_ARGUMENT,
                             "attention is stopped at attn_scores, found %s",
                             plens_point_name(what->where.point));
    if (status == PLENS_OK && what->action != PLENS_ZERO && what->action != PLENS_STOP)
        status = check_values(&model->config, what, error);
    if (status != PLENS_OK)
        return status;
    *hook = what->where;
    hook->fn = intervene;
    hook->user = (void *)what; /* only read */
    hook->writes = what->action != PLENS_RECORD;
    return PLENS_OK;
}

typedef struct average {
    const float *values;
    size_t n_rows, width;
    float *mean;
} average;

static void mean_task(void *arg, size_t item, int thread) {
    const average *a = arg;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < a->width; i++) {
        double sum = 0;
        for (size_t r = 0; r < a->n_rows; r++)
            sum += (double)a->values[r * a->width + i];
        a->mean[i] = (float)(sum / (double)a->n_rows);
    }
}

void plens_mean(const float *values, size_t n_rows, size_t width, float *mean) {
    average a = {values, n_rows, width, mean};
    plens__guarded(mean_task, &a);
}
