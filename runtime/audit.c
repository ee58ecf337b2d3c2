/* The audit: every step by itself. */
#include "runtime/fp.h"

#include "runtime/audit_logits.h"
#include "runtime/work.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- distances ---- */

typedef struct measure {
    plens_audit_row *row;
    const double *departure, *made;
    const plens__noise *noise;
    size_t n, d;
} measure;

static void measure_task(void *arg, size_t item, int thread) {
    const measure *m = arg;
    double all = 0, size = 0, rounding = 0;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < m->n; t++) {
        double square = 0, own = 0;
        for (size_t j = 0; j < m->d; j++) {
            double unit = m->noise->position[t] * m->noise->column[j];
            square += m->departure[t * m->d + j] * m->departure[t * m->d + j];
            own += m->made[t * m->d + j] * m->made[t * m->d + j];
            rounding += unit * unit;
        }
        double distance = square == 0 ? 0 : sqrt(square) / sqrt(own);
        if (t == 0 || distance > m->row->worst) {
            m->row->worst = distance;
            m->row->worst_position = t;
        }
        all += square;
        size += own;
    }
    m->row->distance = all == 0 ? 0 : sqrt(all) / sqrt(size);
    m->row->rounding = rounding == 0 ? 0 : sqrt(rounding) / sqrt(size);
}

void plens__row_measure(plens_audit_row *row, const double *departure, const double *made,
                        const plens__noise *noise, size_t n, size_t d) {
    measure m = {row, departure, made, noise, n, d};
    plens__guarded(measure_task, &m);
}

/* ---- one block ---- */

typedef struct widening {
    const float *from;
    double *to;
    size_t n;
} widening;

static void widen_task(void *arg, size_t item, int thread) {
    const widening *w = arg;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < w->n; i++)
        w->to[i] = (double)w->from[i];
}

void plens__audit_load(const plens__audit *a, size_t l, double *to) {
    widening w = {a->states->resid[l], to, a->states->n_ids * a->model->config.d_model};
    plens__guarded(widen_task, &w);
}

/* Sets a->c up for a block and runs the model's own. */
plens_status plens__audit_begin(plens__audit *a, size_t layer, plens_error *error) {
    plens_status status = plens__weights_block(&a->weights, layer - 1, &a->block, error);
    if (status != PLENS_OK)
        return status;
    int last = layer == a->model->config.n_layers && a->states->last_is_normed;
    plens__audit_load(a, layer - 1, a->c.x);
    plens__audit_load(a, layer, a->c.target);
    plens__variant_of_model(&a->model->config, layer, &a->c.model);
    a->c.reference.block = &a->block;
    a->c.final_norm = last ? a->weights.final_norm : NULL;
    a->c.final_kind = PLENS__NORM_RMS;
    a->c.final_eps = a->model->config.rms_norm_eps;
    plens__case_begin(&a->c);
    return PLENS_OK;
}

typedef struct change {
    const double *departure, *in, *out;
    size_t n;
    double changed; /* squared */
    double ratio;
} change;

static void change_task(void *arg, size_t item, int thread) {
    change *c = arg;
    double departed = 0, changed = 0;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < c->n; i++) {
        departed += c->departure[i] * c->departure[i];
        changed += (c->out[i] - c->in[i]) * (c->out[i] - c->in[i]);
    }
    c->changed = changed;
    c->ratio = changed > 0 ? sqrt(departed / changed) : 0;
}

/* A clean float32 block is rarely above this share of its limits; such a one is looked at again. */
#define UNUSUAL 0.4

/* Judges block `layer` under every making, until one fits. */
static plens_status judge_block(plens__audit *a, size_t layer, plens_error *error) {
    plens__case *c = &a->c;
    plens_audit_row *row = &a->rows[layer];
    plens__excess *excess = a->excess + (layer - 1) * PLENS__MAKINGS;
    double *rounding = a->rounding + (layer - 1) * PLENS__MAKINGS;
    c->arithmetic = &a->makings[0].arithmetic;
    plens_status status = plens__audit_begin(a, layer, error);
    if (status != PLENS_OK)
        return status;
    memset(row, 0, sizeof *row);
    for (size_t m = 0; m < a->n_makings; m++) {
        if (m > 0 && (!plens__as_float(a) || excess[m - 1].worst > 1)) {
            c->arithmetic = &a->makings[m].arithmetic;
            plens__case_estimate(c);
        }
        excess[m] = plens__excess_of(&c->noise, c->base_departure);
        plens__row_measure(row, c->base_departure, c->base_output, &c->noise, c->noise.n,
                           c->noise.d);
        rounding[m] = row->rounding;
    }
    if (plens__as_float(a) && excess[0].worst > UNUSUAL && excess[0].worst <= 1) {
        double found = plens__significance(c);
        excess[0].worst = found > excess[0].worst ? found : excess[0].worst;
    }
    change d = {c->base_departure, c->x, c->base_output, c->noise.n * c->noise.d, 0, 0};
    plens__guarded(change_task, &d);
    if (!(d.changed < (double)INFINITY)) /* the dump is finite */
        return plens__fail(
            error, PLENS_ERROR_FORMAT,
            "the model's own block %zu gives values that are infinite or not numbers, "
            "expected finite ones",
            layer);
    row->place = PLENS_PLACE_BLOCK;
    row->block = layer;
    row->change = d.ratio;
    return PLENS_OK;
}

/* ---- all steps ---- */

static plens_status report_progress(const plens__audit *a, size_t layer, plens_error *error) {
    size_t n_layers = a->model->config.n_layers;
    plens_progress progress = {1, 1, layer, n_layers, (double)layer / (double)(n_layers + 1)};
    if (a->options->progress == NULL ||
        a->options->progress(a->options->progress_user, &progress) == 0)
        return PLENS_OK;
    return plens__fail(error, PLENS_CANCELLED, "cancelled at layer %zu of %zu", layer, n_layers);
}

static plens_status judge_steps(plens__audit *a, size_t *n_rows, plens_error *error) {
    size_t n_layers = a->model->config.n_layers;
    plens_status status = plens__weights_begin(&a->weights, error);
    for (size_t l = 1; l <= n_layers && status == PLENS_OK; l++) {
        status = report_progress(a, l, error);
        if (status == PLENS_OK)
            status = judge_block(a, l, error);
    }
    if (status != PLENS_OK)
        return status;
    plens__set_making(a, plens__choose_making(a));
    plens__audit_load(a, 0, a->c.target);
    status = plens__audit_embedding(a, &a->rows[0], error);
    *n_rows = n_layers + 1;
    if (status != PLENS_OK || a->states->logits == NULL)
        return status;
    plens__audit_load(a, n_layers, a->c.target);
    status = plens__audit_logits(a, &a->rows[(*n_rows)++], error);
    return status;
}

/* ---- entry ---- */

static plens_status check_ids(const plens_model *model, const plens_states *states,
                              plens_error *error) {
    size_t vocab = model->config.vocab_size;
    const char *source = states->source != NULL ? states->source : "the states";
    if (states->ids == NULL || states->n_ids == 0 || states->resid == NULL)
        return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s: no token ids or no states", source);
    for (size_t l = 0; l <= model->config.n_layers; l++) {
        if (states->resid[l] == NULL)
            return plens__fail(error, PLENS_ERROR_ARGUMENT, "%s: state %zu is NULL", source, l);
    }
    for (size_t i = 0; i < states->n_ids; i++) {
        if (states->ids[i] < 0 || (size_t)states->ids[i] >= vocab)
            return plens__fail(error, PLENS_ERROR_ARGUMENT,
                               "%s: input_ids, position %zu: expected 0 to %zu (the model's "
                               "vocabulary), found %ld",
                               source, i, vocab - 1, (long)states->ids[i]);
    }
    return PLENS_OK;
}

static void carve(plens__audit *a, plens__carver *carver) {
    const plens__config *config = &a->model->config;
    size_t n = a->states->n_ids, n_layers = config->n_layers;
    size_t tile = a->states->logits != NULL ? PLENS__TILE_IDS * sizeof(double) : 0;
    plens__weights_carve(&a->weights, a->model, carver);
    plens__case_carve(&a->c, a->engine, config, n, carver);
    a->tokens_embedded = plens__carve(carver, n, config->d_model * sizeof(float));
    a->rows = plens__carve(carver, n_layers + 2, sizeof *a->rows);
    a->excess = plens__carve(carver, n_layers, PLENS__MAKINGS * sizeof *a->excess);
    a->rounding = plens__carve(carver, n_layers, PLENS__MAKINGS * sizeof *a->rounding);
    a->logits_departure = plens__carve(carver, n, tile);
    a->logits_made = plens__carve(carver, n, tile);
    a->logits_noise = plens__carve(carver, n, tile);
    a->logits_sums_at = plens__carve(carver, n, PLENS__LOGITS_SUMS_AT * sizeof(double));
    a->alike = plens__carve(carver, n, 2 * sizeof(double));
    a->logits_scale.n = n;
    a->logits_scale.position = plens__carve(carver, n, sizeof(double));
    a->logits_scale.column = plens__carve(carver, tile, 1);
}

/* Of a case: all layers are judged, the search for the cause is under way. */
static int poll(void *user) {
    const plens__audit *a = user;
    return report_progress(a, a->model->config.n_layers, NULL) != PLENS_OK;
}

/* 1 if the states are of 16 bits, or of products in 16 bits. */
static int is_rough(const plens__audit *a) {
    return a->making > 0 || !plens__as_float(a);
}

static int all_agree(const plens__audit *a, size_t n_rows) {
    size_t i = 0;
    while (i < n_rows && a->rows[i].excess <= 1)
        i++;
    return i == n_rows && !(a->options->tolerance > 0);
}

static plens_status run_audit(plens__audit *a, plens_audit_result *result, plens_error *error) {
    plens_audit_result made;
    size_t n_rows = 0;
    memset(&made, 0, sizeof made);
    plens_status status = plens__choose_makings(a, error);
    if (status == PLENS_OK)
        status = judge_steps(a, &n_rows, error);
    a->c.poll = a->options->progress != NULL ? poll : NULL;
    a->c.poll_user = a;
    if (status == PLENS_OK)
        status = plens__doubt_making(a, error);
    if (status == PLENS_OK && is_rough(a) && all_agree(a, n_rows))
        status = plens__find_slight(a, error);
    if (status == PLENS_OK)
        status = plens__conclude(a, n_rows, &made, error);
    if (status == PLENS_OK && a->c.stopped)
        status = plens__fail(error, PLENS_CANCELLED, "cancelled in the search for a cause");
    for (size_t i = 0; i < n_rows && status == PLENS_OK && a->options->row != NULL; i++) {
        if (a->options->row(a->options->row_user, &a->rows[i]) != 0)
            status = plens__fail(error, PLENS_CANCELLED, "the audit was stopped at its results");
    }
    if (status == PLENS_OK)
        *result = made;
    return status;
}

/* Multiply-adds of a block that are done before other threads have been woken for its steps, of
 * which the search for a cause runs thousands. */
#define FEW_MULTIPLICATIONS 2e6

static int few_multiplications(const plens_model *model, const plens_states *states) {
    double row = plens__kv_work(&model->config) + plens__rest_work(&model->config);
    return (double)states->n_ids * row < FEW_MULTIPLICATIONS;
}

plens_status plens__audit_run(const plens__engine *engine, const plens_model *model,
                              const plens_states *states, const plens_audit_options *options,
                              plens_audit_result *result, plens_error *error) {
    plens_status status = check_ids(model, states, error);
    if (status != PLENS_OK)
        return status;
    plens__engine used = *engine;
    if (few_multiplications(model, states))
        used.n_threads = 1;
    plens__audit a = {.engine = &used, .model = model, .states = states, .options = options};
    plens__carver carver = {NULL, 0, 0};
    carve(&a, &carver);
    char *base = carver.overflow ? NULL : plens__alloc(&engine->allocator, carver.used);
    if (base == NULL)
        return plens__fail_memory(error, carver.used, "the audit's workspace");
    carver = (plens__carver){base, 0, 0};
    carve(&a, &carver);
    status = run_audit(&a, result, error);
    plens__free(&engine->allocator, base);
    return status;
}
