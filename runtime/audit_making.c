/* In what precision the states were made: told by their values, and by how much they depart. */
#include "runtime/fp.h"

#include "runtime/audit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the candidates ---- */

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

static plens__format format_of_grid(const grid *g) {
    return g->bfloat ? PLENS__BFLOAT : g->half ? PLENS__HALF : PLENS__EXACT;
}

/* State l, or the logits behind the last one. */
static plens_status look_at(const plens__audit *a, size_t l, grid *g, plens_error *error) {
    const plens_states *states = a->states;
    int are_logits = l > a->model->config.n_layers;
    size_t width = are_logits ? a->model->config.vocab_size : a->model->config.d_model;
    char name[32];
    g->values = are_logits ? states->logits : states->resid[l];
    g->n = states->n_ids * width;
    g->half = g->bfloat = 1;
    plens__guarded(grid_task, g);
    if (g->not_finite == g->n)
        return PLENS_OK;
    snprintf(name, sizeof name, are_logits ? "the logits" : "state %zu", l);
    float found = g->values[g->not_finite];
    return plens__fail(error, PLENS_ERROR_FORMAT,
                       "%s: %s, position %zu, element %zu: expected a finite number, found %s",
                       states->source != NULL ? states->source : "the states", name,
                       g->not_finite / width, g->not_finite % width,
                       found != found ? "NaN" : "infinity");
}

/* Checks that all is finite and tells the precision by the values after the embedding (which is in
 * the checkpoint's). The logits have one of their own: mixed precision leaves them in 16 bits. */
plens_status plens__choose_makings(plens__audit *a, plens_error *error) {
    size_t n_layers = a->model->config.n_layers;
    int half = 1, bfloat = 1;
    grid g;
    for (size_t l = 0; l <= n_layers + (a->states->logits != NULL); l++) {
        plens_status status = look_at(a, l, &g, error);
        if (status != PLENS_OK)
            return status;
        if (l > 0 && l <= n_layers) {
            half &= g.half;
            bfloat &= g.bfloat;
        }
    }
    a->logits_stored = a->states->logits != NULL ? format_of_grid(&g) : PLENS__EXACT;
    a->makings = bfloat ? bfloat_makings : half ? half_makings : float_makings;
    a->n_makings = bfloat || half ? 2 : PLENS__MAKINGS;
    return PLENS_OK;
}

/* ---- the choice ---- */

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
 * size. Values that fill float32 mean float32 unless no block at all agrees with that and all of
 * them, or of many all but one, agree with another: one block's mistake is not to pass for a
 * rougher arithmetic, nor to hide it. */
size_t plens__choose_making(const plens__audit *a) {
    size_t best = 0, n_layers = a->model->config.n_layers;
    size_t needed = n_layers > 2 ? n_layers - 1 : n_layers;
    if (plens__as_float(a) && count_fits(a, 0) > 0)
        return 0;
    for (size_t m = 1; m < a->n_makings; m++) {
        size_t fits = count_fits(a, m), best_fits = count_fits(a, best);
        if (plens__as_float(a) && fits < needed)
            continue;
        if (fits > best_fits || (fits == best_fits && misfit(a, m) < misfit(a, best)))
            best = m;
    }
    return best;
}

void plens__set_making(plens__audit *a, size_t making) {
    a->making = making;
    a->c.arithmetic = &a->makings[making].arithmetic;
    for (size_t l = 1; l <= a->model->config.n_layers; l++) {
        a->rows[l].excess = a->excess[(l - 1) * PLENS__MAKINGS + making].worst;
        a->rows[l].rounding = a->rounding[(l - 1) * PLENS__MAKINGS + making];
    }
}

/* Multiply-adds of a block below which the search is quick: it is then made in any case. */
#define CHEAP 1e8

typedef struct likeness {
    const double *found, *imitated;
    size_t n;
    double cosine;
} likeness;

static void likeness_task(void *arg, size_t item, int thread) {
    likeness *s = arg;
    double ab = 0, aa = 0, bb = 0;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < s->n; i++) {
        ab += s->found[i] * s->imitated[i];
        aa += s->found[i] * s->found[i];
        bb += s->imitated[i] * s->imitated[i];
    }
    s->cosine = aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* 1 if the departure of the block begun resembles what rounding to nearest in a making gives:
 * operands rounded to 16 bits err alike in all engines, though not all of an engine's are. For a
 * block that is not CHEAP: of thousands of entries that have nothing to do with it the cosine stays
 * far below. */
static int resembles(plens__audit *a, size_t making) {
    const plens__arithmetic *kept = a->c.arithmetic;
    likeness s = {a->c.base_departure, a->c.departure, a->c.noise.n * a->c.noise.d, 0};
    a->c.arithmetic = &a->makings[making].arithmetic;
    plens__case_imitate(&a->c, 0);
    a->c.arithmetic = kept;
    plens__guarded(likeness_task, &s);
    return s.cosine > 0.2;
}

/* A block's departure over the noise of storing, times the same over that of a run in 16 bits:
 * below this the states were only stored so. Clean dumps of three models had 0.04 to 0.35 stored,
 * and 0.48 to 2.1 run in 16 bits. */
#define STORED 0.4

/* 1 if most blocks depart as states of 16 bits do that were only stored so. */
static int seem_stored(const plens__audit *a) {
    size_t n_layers = a->model->config.n_layers, n_stored = 0;
    for (size_t l = 0; l < n_layers; l++) {
        const plens__excess *excess = a->excess + l * PLENS__MAKINGS;
        n_stored += excess[0].all * excess[1].all < STORED;
    }
    return 2 * n_stored > n_layers;
}

/* The first block that the first making, the one of least noise, does not explain; 0: none. */
static size_t first_departing(const plens__audit *a) {
    for (size_t l = 1; l <= a->model->config.n_layers; l++) {
        if (a->excess[(l - 1) * PLENS__MAKINGS].worst > 1)
            return l;
    }
    return 0;
}

/* Where the making of least noise leaves blocks unexplained and a rougher one does not: unless a
 * mistake in the first of them explains that block down to the least noise. No mistake takes half
 * of what rounding has done. Values that fill float32 come here when no block is explained by it,
 * then it is a mistake made in all; 16 bits when most blocks seem to be stored so only. */
plens_status plens__doubt_making(plens__audit *a, plens_error *error) {
    plens__finding finding = {.explained = 0};
    size_t making = a->making, layer = first_departing(a);
    if (making == 0 || layer == 0 || (!plens__as_float(a) && !seem_stored(a)))
        return PLENS_OK;
    a->c.arithmetic = &a->makings[0].arithmetic;
    plens_status status = plens__audit_begin(a, layer, error);
    if (status == PLENS_OK && !plens__as_float(a))
        status = plens__investigate(a->model, layer, &a->c, &finding, error);
    else if (status == PLENS_OK && (plens__case_effort(&a->c) < CHEAP || !resembles(a, making)))
        plens__accuse(&a->c, &finding);
    if (status != PLENS_OK)
        return status;
    int mistaken = finding.explained && finding.after.all < 0.5 * finding.before.all;
    plens__set_making(a, mistaken ? 0 : making);
    return PLENS_OK;
}

const char *plens__making_name(const plens__audit *a) {
    if (!plens__as_float(a) || a->making > 0 || a->logits_stored == PLENS__EXACT)
        return a->makings[a->making].name;
    return a->logits_stored == PLENS__HALF ? "float32, the logits in f16"
                                           : "float32, the logits in bf16";
}

int plens__as_float(const plens__audit *a) {
    return a->makings == float_makings;
}
