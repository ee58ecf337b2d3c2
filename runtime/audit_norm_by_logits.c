/* The final norm's epsilon and weight, told from a raw last state and the logits. */
#include "runtime/fp.h"

#include "runtime/audit_logits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const plens__arithmetic exactly;

/* Factors 1 + z_j of the weights: found = W (made (1 + z)), least squares by conjugate gradients on
 * the normal equations [Hestenes & Stiefel 1952]; the matrix goes by in tiles. */
typedef struct gradients {
    plens__audit *a;
    const plens__logits_way *way;
    double *direction, *image, *rest, *z; /* [d] */
    double *in, *sum, *back;              /* [n, d] */
    size_t first, n_tile;
    int of_departure;
    double rho, length, before;
} gradients;

#define STEPS  200
#define EFFORT 2e11 /* multiply-adds */

/* in = made * direction. */
static void spread_task(void *arg, size_t item, int thread) {
    gradients *g = arg;
    size_t n = g->a->c.noise.n, d = g->a->c.noise.d;
    (void)item;
    (void)thread;
    for (size_t at = 0; at < n * d; at++) {
        g->in[at] = g->a->c.base_output[at] * (g->of_departure ? 1 : g->direction[at % d]);
        g->sum[at] = 0;
    }
}

/* logits_made = found - made, in place. */
static void depart_task(void *arg, size_t item, int thread) {
    gradients *g = arg;
    plens__audit *a = g->a;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < a->states->n_ids; t++) {
        const float *found = a->states->logits + t * a->model->config.vocab_size + g->first;
        for (size_t i = 0; i < g->n_tile; i++)
            a->logits_made[t * g->n_tile + i] =
                (double)found[i] - a->logits_made[t * g->n_tile + i];
    }
}

static void add_task(void *arg, size_t item, int thread) {
    gradients *g = arg;
    (void)item;
    (void)thread;
    for (size_t at = 0; at < g->a->c.noise.n * g->a->c.noise.d; at++)
        g->sum[at] += g->back[at];
}

/* image_j = sum over positions of made_j times what came back. */
static void gather_task(void *arg, size_t item, int thread) {
    gradients *g = arg;
    size_t n = g->a->c.noise.n, d = g->a->c.noise.d;
    (void)item;
    (void)thread;
    memset(g->image, 0, d * sizeof *g->image);
    for (size_t at = 0; at < n * d; at++)
        g->image[at % d] += g->a->c.base_output[at] * g->sum[at];
}

/* image = A^T A direction, or A^T (found - made). */
static plens_status pass(gradients *g, int of_departure, plens_error *error) {
    plens__audit *a = g->a;
    const plens__reference *reference = &a->c.reference;
    size_t n = a->states->n_ids, vocab = a->model->config.vocab_size;
    g->of_departure = of_departure;
    plens__guarded(spread_task, g);
    for (g->first = 0; g->first < vocab; g->first += g->n_tile) {
        plens__matrix tile;
        g->n_tile = vocab - g->first < PLENS__TILE_IDS ? vocab - g->first : PLENS__TILE_IDS;
        plens_status status = plens__read_unembed(a, g->way, g->first, g->n_tile, &tile, error);
        if (status != PLENS_OK)
            return status;
        plens__reference_multiply(reference, &tile, &exactly, g->in, n, a->logits_made);
        if (of_departure)
            plens__guarded(depart_task, g);
        plens__reference_multiply_back(reference, &tile, a->logits_made, n, g->back);
        plens__guarded(add_task, g);
    }
    plens__guarded(gather_task, g);
    return PLENS_OK;
}

static void begin_task(void *arg, size_t item, int thread) {
    gradients *g = arg;
    (void)item;
    (void)thread;
    g->rho = 0;
    for (size_t j = 0; j < g->a->c.noise.d; j++) {
        g->z[j] = 0;
        g->direction[j] = g->rest[j] = g->image[j];
        g->rho += g->rest[j] * g->rest[j];
    }
    g->before = g->rho;
}

static void step_task(void *arg, size_t item, int thread) {
    gradients *g = arg;
    size_t d = g->a->c.noise.d;
    double bent = 0, rho = 0;
    (void)item;
    (void)thread;
    for (size_t j = 0; j < d; j++)
        bent += g->direction[j] * g->image[j];
    double length = bent > 0 ? g->rho / bent : 0;
    for (size_t j = 0; j < d; j++) {
        g->z[j] += length * g->direction[j];
        g->rest[j] -= length * g->image[j];
        rho += g->rest[j] * g->rest[j];
    }
    for (size_t j = 0; j < d; j++)
        g->direction[j] = g->rest[j] + (g->rho > 0 ? rho / g->rho : 0) * g->direction[j];
    g->rho = length > 0 ? rho : 0;
}

static plens_status solve(gradients *g, plens_error *error) {
    plens__audit *a = g->a;
    double effort =
        2 * (double)a->states->n_ids * (double)a->c.noise.d * (double)a->model->config.vocab_size;
    plens_status status = pass(g, 1, error);
    plens__guarded(begin_task, g);
    for (int i = 0; i < STEPS && i * effort < EFFORT && status == PLENS_OK; i++) {
        if (!(g->rho > 1e-22 * g->before))
            break;
        status = pass(g, 0, error);
        plens__guarded(step_task, g);
    }
    return status;
}

static plens_status explain_weight(plens__audit *a, const plens__logits_way *way,
                                   plens__finding *finding, plens_error *error) {
    plens__case *c = &a->c;
    const plens_allocator *allocator = &a->engine->allocator;
    size_t d = c->noise.d, most = 0, n_wrong = 0;
    double *vectors = plens__alloc_array(allocator, d, 5 * sizeof *vectors);
    if (vectors == NULL)
        return plens__fail_memory(error, 5 * d * sizeof *vectors, "the final norm's weight");
    gradients g = {.a = a, .way = way, .in = c->trial_output, .sum = c->departure};
    g.back = c->blurred;
    g.direction = vectors;
    g.image = vectors + d;
    g.rest = vectors + 2 * d;
    g.z = vectors + 3 * d;
    plens_status status = solve(&g, error);
    float *weight = (float *)(vectors + 4 * d);
    for (size_t j = 0; j < d; j++) {
        weight[j] = (float)((double)a->weights.final_norm[j] * (1 + g.z[j]));
        most = fabs(g.z[j]) > fabs(g.z[most]) ? j : most;
    }
    for (size_t j = 0; j < d; j++)
        n_wrong += fabs(g.z[j]) > 1e-3 * fabs(g.z[most]);
    char text[160], found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    snprintf(text, sizeof text,
             "%zu of its weights %s wrong, model.norm.weight[%zu] is about %s, expected %s",
             n_wrong, n_wrong == 1 ? "is" : "are", most,
             plens__show_number((double)weight[most], found),
             plens__show_number((double)a->weights.final_norm[most], expected));
    plens__logits_way other = *way;
    other.weight = weight;
    /* Few positions can be matched by some weights whatever went wrong. */
    if (status == PLENS_OK && (c->noise.n >= 3 || 8 * n_wrong <= d))
        status = plens__try_logits(a, &other, text, finding, error);
    plens__free(allocator, vectors);
    return status;
}

plens_status plens__explain_norm_by_logits(plens__audit *a, const plens__logits_way *way,
                                           const double *alike, const double *sizes,
                                           plens__finding *finding, plens_error *error) {
    char text[96], found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    plens__logits_way other = *way;
    other.eps = plens__epsilon_of(&a->c, a->c.target, alike, sizes);
    snprintf(text, sizeof text, "its epsilon is about %s, expected %s",
             plens__show_number(other.eps, found), plens__show_number(way->eps, expected));
    plens_status status = plens__try_logits(a, &other, text, finding, error);
    if (status != PLENS_OK || finding->explained)
        return status;
    /* a trial leaves its own normed state */
    plens__reference_norm(&a->c.reference, way->kind, a->weights.final_norm, NULL, way->eps,
                          &exactly, a->c.target, a->c.base_output);
    return explain_weight(a, way, finding, error);
}
