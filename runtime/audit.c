/* The audit: every step by itself, in what precision the states were made, and the verdict. */
#include "runtime/fp.h"

#include "runtime/audit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- how the states were made ---- */

#define ALL(format)                                                                                \
    { format, format, format, format, PLENS__EXACT, 0, 0 }

static const plens__making float_makings[PLENS__MAKINGS] = {
    {"float32", ALL(PLENS__FLOAT)},
    {"float32 with matrix products in f16",
     {PLENS__HALF, PLENS__HALF, PLENS__FLOAT, PLENS__FLOAT, PLENS__EXACT, 0, 0}},
    {"float32 with matrix products in bf16",
     {PLENS__BFLOAT, PLENS__BFLOAT, PLENS__FLOAT, PLENS__FLOAT, PLENS__EXACT, 0, 0}},
};
static const plens__making half_makings[] = {
    {"float32, stored as f16",
     {PLENS__FLOAT, PLENS__FLOAT, PLENS__FLOAT, PLENS__FLOAT, PLENS__HALF, 0, 0}},
    {"f16", ALL(PLENS__HALF)},
};
static const plens__making bfloat_makings[] = {
    {"float32, stored as bf16",
     {PLENS__FLOAT, PLENS__FLOAT, PLENS__FLOAT, PLENS__FLOAT, PLENS__BFLOAT, 0, 0}},
    {"bf16", ALL(PLENS__BFLOAT)},
};

typedef struct grid {
    const float *values;
    size_t n;
    int half, bfloat;  /* every value is one of the format */
    size_t not_finite; /* the first that is not; n if all are */
} grid;

static void grid_task(void *arg, size_t item, int thread) {
    grid *g = arg;
    (void)item;
    (void)thread;
    g->not_finite = g->n;
    for (size_t i = 0; i < g->n; i++) {
        double x = (double)g->values[i];
        if (!(fabs(x) < (double)INFINITY)) {
            g->not_finite = i;
            return;
        }
        g->half = g->half && fabs(x) <= 65504 && plens__round_to(PLENS__HALF, 0, 0, x) == x;
        g->bfloat = g->bfloat && plens__round_to(PLENS__BFLOAT, 0, 0, x) == x;
    }
}

/* Checks that all is finite and tells the precision by the values after the embedding (which is in
 * the checkpoint's). */
static plens_status choose_makings(plens__audit *a, plens_error *error) {
    const plens_states *states = a->states;
    size_t n_layers = a->model->config.n_layers, d = a->model->config.d_model;
    grid g = {.half = 1, .bfloat = 1};
    for (size_t l = 0; l <= n_layers + (states->logits != NULL); l++) {
        int half = g.half, bfloat = g.bfloat;
        size_t width = l <= n_layers ? d : a->model->config.vocab_size;
        char name[32];
        g.values = l <= n_layers ? states->resid[l] : states->logits;
        g.n = states->n_ids * width;
        plens__guarded(grid_task, &g);
        snprintf(name, sizeof name, l <= n_layers ? "state %zu" : "the logits", l);
        if (g.not_finite < g.n)
            return plens__fail(error, PLENS_ERROR_FORMAT,
                               "%s: %s, position %zu, element %zu: expected a finite number, "
                               "found %s",
                               states->source != NULL ? states->source : "the states", name,
                               g.not_finite / width, g.not_finite % width,
                               g.values[g.not_finite] != g.values[g.not_finite] ? "NaN"
                                                                                : "infinity");
        if (l == 0 || l > n_layers) {
            g.half = half;
            g.bfloat = bfloat;
        }
    }
    a->makings = g.bfloat ? bfloat_makings : g.half ? half_makings : float_makings;
    a->n_makings = g.bfloat || g.half ? 2 : PLENS__MAKINGS;
    return PLENS_OK;
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

static void load_state(const plens__audit *a, size_t l, double *to) {
    widening w = {a->states->resid[l], to, a->states->n_ids * a->model->config.d_model};
    plens__guarded(widen_task, &w);
}

/* Sets a->c up for a block and runs the model's own. */
static plens_status begin_block(plens__audit *a, size_t layer, plens_error *error) {
    plens_status status = plens__weights_block(&a->weights, layer - 1, &a->block, error);
    if (status != PLENS_OK)
        return status;
    int last = layer == a->model->config.n_layers && a->states->last_is_normed;
    load_state(a, layer - 1, a->c.x);
    load_state(a, layer, a->c.target);
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
    c->ratio = changed > 0 ? sqrt(departed / changed) : 0;
}

/* A clean float32 block stays below this share of its limits (but for dumps of one position). */
#define UNUSUAL 0.4

/* A departure that no entry shows may be plain in their sum. Rounding has a sum too: that of a
 * norm's root moves a whole row along one direction, which counts up to twice the root of the width
 * in clean dumps. */
static double suspicion(plens__case *c, double excess) {
    double limit = 15 + 2.5 * sqrt((double)c->noise.d);
    double found = plens__significance(c) / limit;
    return found > excess ? found : excess;
}

/* Judges block `layer` under every making, until one fits. */
static plens_status judge_block(plens__audit *a, size_t layer, plens_error *error) {
    plens__case *c = &a->c;
    plens_audit_row *row = &a->rows[layer];
    plens__excess *excess = a->excess + (layer - 1) * PLENS__MAKINGS;
    double *rounding = a->rounding + (layer - 1) * PLENS__MAKINGS;
    c->arithmetic = &a->makings[0].arithmetic;
    plens_status status = begin_block(a, layer, error);
    if (status != PLENS_OK)
        return status;
    memset(row, 0, sizeof *row);
    for (size_t m = 0; m < a->n_makings; m++) {
        if (m > 0 && (a->makings != float_makings || excess[m - 1].worst > 1)) {
            c->arithmetic = &a->makings[m].arithmetic;
            plens__case_estimate(c);
        }
        excess[m] = plens__excess_of(&c->noise, c->base_departure);
        plens__row_measure(row, c->base_departure, c->base_output, &c->noise, c->noise.n,
                           c->noise.d);
        rounding[m] = row->rounding;
    }
    if (a->makings == float_makings && excess[0].worst > UNUSUAL && excess[0].worst <= 1)
        excess[0].worst = suspicion(c, excess[0].worst);
    change d = {c->base_departure, c->x, c->base_output, c->noise.n * c->noise.d, 0};
    plens__guarded(change_task, &d);
    row->place = PLENS_PLACE_BLOCK;
    row->block = layer;
    row->change = d.ratio;
    return PLENS_OK;
}

/* How far the departures are from the size of a making's noise, in the block where they are
 * farthest: 1 if they are of its size. Blocks with a mistake do not count. */
static double misfit(const plens__audit *a, size_t making) {
    double most = 1;
    for (size_t l = 0; l < a->model->config.n_layers; l++) {
        const plens__excess *excess = a->excess + l * PLENS__MAKINGS;
        if (excess[0].worst > 1 && excess[a->n_makings - 1].worst > 1)
            continue;
        double all = excess[making].all + 1e-300, off = all > 1 ? all : 1 / all;
        most = off > most ? off : most;
    }
    return most;
}

static size_t count_fits(const plens__audit *a, size_t making) {
    size_t fits = 0;
    for (size_t l = 0; l < a->model->config.n_layers; l++)
        fits += a->excess[l * PLENS__MAKINGS + making].worst <= 1;
    return fits;
}

/* The making in which most blocks agree, and of those the one of which the departures have the
 * size. Values that fill float32 mean float32 unless no block at all agrees with that and all agree
 * with another: one block's mistake is not to pass for a rougher arithmetic. */
static size_t choose_making(const plens__audit *a) {
    size_t best = 0;
    if (a->makings == float_makings && count_fits(a, 0) > 0)
        return 0;
    for (size_t m = 1; m < a->n_makings; m++) {
        size_t fits = count_fits(a, m), best_fits = count_fits(a, best);
        if (a->makings == float_makings && fits < a->model->config.n_layers)
            continue;
        if (fits > best_fits || (fits == best_fits && misfit(a, m) < misfit(a, best)))
            best = m;
    }
    return best;
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

static void set_verdict(const plens__audit *a, plens_audit_row *row) {
    int agrees = a->options->tolerance > 0 ? row->worst <= a->options->tolerance : row->excess <= 1;
    int as_float = a->making == 0 && a->makings == float_makings;
    row->verdict = !agrees ? PLENS_DEPARTS : as_float ? PLENS_AGREES : PLENS_ROUNDING;
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
    a->making = choose_making(a);
    a->c.arithmetic = &a->makings[a->making].arithmetic;
    for (size_t l = 1; l <= n_layers; l++) {
        a->rows[l].excess = a->excess[(l - 1) * PLENS__MAKINGS + a->making].worst;
        a->rows[l].rounding = a->rounding[(l - 1) * PLENS__MAKINGS + a->making];
    }
    load_state(a, 0, a->c.target);
    status = plens__audit_embedding(a, &a->rows[0], error);
    *n_rows = n_layers + 1;
    if (status != PLENS_OK || a->states->logits == NULL)
        return status;
    load_state(a, n_layers, a->c.target);
    status = plens__audit_logits(a, &a->rows[(*n_rows)++], error);
    return status;
}

/* ---- the verdict ---- */

static void copy_finding(const plens__finding *finding, plens_audit_result *result) {
    result->part = finding->part;
    result->explained = finding->explained;
    snprintf(result->cause, sizeof result->cause, "%s", finding->text);
}

/* Block L and the final norm are one step: who explains it? */
static void weigh_final_norm(plens__audit *a, const plens__finding *block,
                             plens_audit_result *result) {
    plens__finding norm;
    plens__explain_final_norm(a, &norm);
    if (norm.explained && !block->explained) {
        result->place = PLENS_PLACE_FINAL_NORM;
        result->block = 0;
        copy_finding(&norm, result);
        return;
    }
    result->or_final_norm = norm.explained || !block->explained;
    if (norm.explained) {
        size_t used = strlen(result->cause);
        snprintf(result->cause + used, sizeof result->cause - used, "; or the final norm: %s",
                 norm.text);
    }
}

static plens_status explain_block(plens__audit *a, plens_audit_result *result, plens_error *error) {
    plens__finding finding;
    plens_status status = begin_block(a, result->block, error);
    if (status == PLENS_OK)
        status = plens__investigate(a->model, result->block, &a->c, &finding, error);
    if (status != PLENS_OK)
        return status;
    copy_finding(&finding, result);
    if (a->c.final_norm != NULL)
        weigh_final_norm(a, &finding, result);
    return PLENS_OK;
}

static plens_status explain(plens__audit *a, plens_audit_result *result, plens_error *error) {
    plens__finding finding;
    int at_norm = 0;
    plens_status status;
    if (result->place == PLENS_PLACE_BLOCK)
        return explain_block(a, result, error);
    load_state(a, result->place == PLENS_PLACE_EMBEDDING ? 0 : a->model->config.n_layers,
               a->c.target);
    status = result->place == PLENS_PLACE_EMBEDDING
                 ? plens__explain_embedding(a, &finding, error)
                 : plens__explain_logits(a, &finding, &at_norm, error);
    if (status != PLENS_OK)
        return status;
    copy_finding(&finding, result);
    if (at_norm)
        result->place = PLENS_PLACE_FINAL_NORM;
    return PLENS_OK;
}

/* If float32's rounding explains no block but a rougher arithmetic's explains all: unless one
 * mistake in the first block explains that block down to float32's. */
static plens_status doubt_making(plens__audit *a, plens_error *error) {
    plens__finding finding;
    if (a->makings != float_makings || a->making == 0)
        return PLENS_OK;
    size_t making = a->making;
    a->c.arithmetic = &a->makings[0].arithmetic;
    plens_status status = begin_block(a, 1, error);
    if (status != PLENS_OK)
        return status;
    plens__accuse(&a->c, &finding);
    a->making = finding.explained ? 0 : making;
    return PLENS_OK;
}

static void place_text(const plens_audit_result *result, char *text, size_t capacity) {
    if (result->place == PLENS_PLACE_BLOCK)
        snprintf(text, capacity, "block %zu", result->block);
    else
        snprintf(text, capacity, "%s",
                 result->place == PLENS_PLACE_EMBEDDING    ? "embedding"
                 : result->place == PLENS_PLACE_FINAL_NORM ? "final norm"
                                                           : "unembed");
}

static void tell_departure(const plens__audit *a, size_t n_others, plens_audit_result *result) {
    char place[48], more[96] = "";
    place_text(result, place, sizeof place);
    if (n_others > 0)
        snprintf(more, sizeof more, "; %zu later step%s by %s own depart%s too", n_others,
                 n_others == 1 ? "" : "s", n_others == 1 ? "its" : "their",
                 n_others == 1 ? "s" : "");
    const char *colon = result->part[0] != '\0' ? ": " : "";
    snprintf(
        result->text, sizeof result->text, "departs at %s: %s%s%s%s%s%s", place,
        result->explained ? "" : "unexplained; best guess ", result->part, colon, result->cause,
        result->or_final_norm && strstr(result->cause, "final norm") == NULL
            ? "; block and final norm could both explain it (the dump has only the normed state)"
            : "",
        more);
    (void)a;
}

static void tell_agreement(const plens__audit *a, const plens_audit_row *worst,
                           plens_audit_result *result) {
    char distance[PLENS__NUMBER_TEXT], tolerance[PLENS__NUMBER_TEXT];
    plens_audit_result at = {.place = worst->place, .block = worst->block};
    char place[48];
    place_text(&at, place, sizeof place);
    plens__show_number(worst->worst, distance);
    if (a->options->tolerance > 0)
        snprintf(result->text, sizeof result->text,
                 "ok: every step is within %s (the worst is %s, at %s)",
                 plens__show_number(a->options->tolerance, tolerance), distance, place);
    else if (result->verdict == PLENS_AGREES)
        snprintf(result->text, sizeof result->text,
                 "ok: every step agrees within the rounding of float32 (the worst distance is %s, "
                 "at %s)",
                 distance, place);
    else
        snprintf(result->text, sizeof result->text,
                 "rounding: every step agrees within the rounding of %s (the worst distance is %s, "
                 "at %s)",
                 result->precision, distance, place);
}

static plens_status conclude(plens__audit *a, size_t n_rows, plens_audit_result *result,
                             plens_error *error) {
    const plens_audit_row *first = NULL, *worst = &a->rows[0];
    size_t n_departing = 0;
    for (size_t i = 0; i < n_rows; i++) {
        set_verdict(a, &a->rows[i]);
        n_departing += a->rows[i].verdict == PLENS_DEPARTS;
        if (a->rows[i].verdict == PLENS_DEPARTS && first == NULL)
            first = &a->rows[i];
        if (a->rows[i].worst > worst->worst)
            worst = &a->rows[i];
    }
    result->precision = a->makings[a->making].name;
    result->part = "";
    if (first == NULL) {
        int rounding = a->making > 0 || a->makings != float_makings;
        result->verdict = rounding && !(a->options->tolerance > 0) ? PLENS_ROUNDING : PLENS_AGREES;
        tell_agreement(a, worst, result);
        return PLENS_OK;
    }
    result->verdict = PLENS_DEPARTS;
    result->place = first->place;
    result->block = first->block;
    plens_status status = explain(a, result, error);
    if (status == PLENS_OK)
        tell_departure(a, n_departing - 1, result);
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
    a->logits_found = plens__carve(carver, n, tile);
    a->logits_made = plens__carve(carver, n, tile);
    a->logits_noise = plens__carve(carver, n, tile);
    a->logits_squares = plens__carve(carver, n, 2 * sizeof(double));
    a->logits_scale.n = n;
    a->logits_scale.position = plens__carve(carver, n, sizeof(double));
    a->logits_scale.column = plens__carve(carver, tile, 1);
}

static plens_status run_audit(plens__audit *a, plens_audit_result *result, plens_error *error) {
    plens_audit_result made;
    size_t n_rows = 0;
    memset(&made, 0, sizeof made);
    plens_status status = choose_makings(a, error);
    if (status == PLENS_OK)
        status = judge_steps(a, &n_rows, error);
    if (status == PLENS_OK)
        status = doubt_making(a, error);
    if (status == PLENS_OK)
        status = conclude(a, n_rows, &made, error);
    for (size_t i = 0; i < n_rows && status == PLENS_OK && a->options->row != NULL; i++) {
        if (a->options->row(a->options->row_user, &a->rows[i]) != 0)
            status = plens__fail(error, PLENS_CANCELLED, "the audit was stopped at its results");
    }
    if (status == PLENS_OK)
        *result = made;
    return status;
}

plens_status plens__audit_run(const plens__engine *engine, const plens_model *model,
                              const plens_states *states, const plens_audit_options *options,
                              plens_audit_result *result, plens_error *error) {
    plens_status status = check_ids(model, states, error);
    if (status != PLENS_OK)
        return status;
    plens__audit a = {.engine = engine, .model = model, .states = states, .options = options};
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
