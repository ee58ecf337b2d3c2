/* Numbers that are wrong by little in states of 16 bits: each block's departure is within its
 * rounding, which has no direction, while the mistake has the same one in all of them. What the
 * departures have along the derivative of one number, summed over all entries of all blocks, is
 * then far beyond what the sum of rounding is. */
#include "runtime/fp.h"

#include "runtime/audit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/numeric.h"

/* The final norm's epsilon, where block L and it are one step. */
#define FINAL_EPS PLENS__N_SLIGHT
#define N_NUMBERS (PLENS__N_SLIGHT + 1)

/* Standard deviations of the sum that rounding may reach: TAIL of audit_case.c, and a third for
 * what a few imitated runs do not know of it. */
#define DEVIATIONS 8
#define IMITATED   16 /* departures that tell the deviation in a block */
#define SMALL_STEP 1e-3

/* Positions with errors of their own below which a block tells nothing: clean dumps of three
 * positions had sums up to 8 deviations, those of 24 and 70 up to 3 (the final norm 5.5). */
#define LEAST_DISTINCT 12

/* Of blocks, weighted by what they tell where that is known. With r a departure and j the
 * derivative for the number's logarithm, <r, j> / <j, j> estimates the logarithm's change. */
typedef struct sums {
    double along, square; /* <r, j> / v, <j, j> / v; v = 1, or the variance of <r, j> / |j| */
    double gain;          /* what a small change of the logarithm multiplies, summed */
    double n;             /* blocks */
} sums;

/* The largest relative error of one rounding in the coarsest format of an arithmetic. */
static double half_unit(const plens__arithmetic *arithmetic) {
    const plens__format formats[] = {arithmetic->operands, arithmetic->results,
                                     arithmetic->residual, arithmetic->stored};
    double most = 0;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        double half = formats[i] == PLENS__EXACT ? 0 : 0.5 * plens__unit(formats[i], 1);
        most = half > most ? half : most;
    }
    return most;
}

typedef struct gains {
    const double *x;
    size_t n, d;
    double eps, gain;
} gains;

/* d log(1 / sqrt(s + eps)) / d log(eps), s the mean square of a position; their mean. */
static void gain_task(void *arg, size_t item, int thread) {
    gains *g = arg;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < g->n; t++) {
        double square = 0;
        for (size_t i = 0; i < g->d; i++)
            square += g->x[t * g->d + i] * g->x[t * g->d + i] / (double)g->d;
        g->gain += 0.5 * g->eps / (square + g->eps) / (double)g->n;
    }
}

/* By what factor a norm's outputs, or the scores, change with the number, to first order. */
static double gain_of(const plens__case *c, size_t number) {
    const double *normed[N_NUMBERS] = {c->x, c->base.mid, NULL, c->base.out};
    const double eps[N_NUMBERS] = {c->model.attn_eps, c->model.mlp_eps, 0, c->final_eps};
    gains g = {normed[number], c->noise.n, c->noise.d, eps[number], 0};
    if (g.x == NULL)
        return 1;
    plens__guarded(gain_task, &g);
    return g.gain;
}

/* The block begun with the number a small step away: its output to c->trial_output. 0: it has no
 * such number. */
static int move(plens__case *c, size_t number) {
    plens__variant moved = c->model;
    double eps = c->final_eps;
    if (number == FINAL_EPS ? c->final_norm == NULL || !(eps > 0)
                            : !(plens__slight_number(c, number, SMALL_STEP, &moved) > 0))
        return 0;
    if (number == FINAL_EPS)
        c->final_eps *= plens__exp(SMALL_STEP);
    memcpy(c->trial_output, plens__case_output(c, &moved, 0),
           c->noise.n * c->noise.d * sizeof *c->trial_output);
    c->final_eps = eps;
    memcpy(c->slope_output, c->base_output, c->noise.n * c->noise.d * sizeof *c->slope_output);
    return 1;
}

/* The variance of <r, j> / |j| of the block begun if r is rounding, j from c->trial_output. Like
 * positions are imitated each at random, though an engine rounds them alike. */
static double imitated_variance(plens__case *c) {
    double variance = 0;
    for (uint64_t seed = 1; seed <= IMITATED; seed++) {
        plens__case_imitate(c, seed);
        double along = plens__slope_of(c, c->trial_output, SMALL_STEP, c->departure).significance;
        variance += along * along / IMITATED;
    }
    return variance * (double)c->noise.n / (double)c->noise.distinct + 1e-300;
}

static void add_block(plens__case *c, size_t number, int weighted, sums *s) {
    if (c->noise.distinct < LEAST_DISTINCT || !move(c, number))
        return;
    plens__slope slope = plens__slope_of(c, c->trial_output, SMALL_STEP, c->base_departure);
    double variance = weighted ? imitated_variance(c) : 1;
    s->along += slope.step * slope.square / variance;
    s->square += slope.square / variance;
    s->gain += gain_of(c, number);
    s->n++;
}

/* Of all blocks: number N_NUMBERS: all numbers, to sums [N_NUMBERS]; else the one, weighted. */
static plens_status add_blocks(plens__audit *a, size_t number, sums *all, plens_error *error) {
    size_t n_layers = a->model->config.n_layers;
    for (size_t l = number == FINAL_EPS ? n_layers : 1; l <= n_layers; l++) {
        plens_status status = plens__audit_begin(a, l, error);
        if (status != PLENS_OK)
            return status;
        for (size_t i = 0; i < N_NUMBERS; i++) {
            if (number == N_NUMBERS || number == i)
                add_block(&a->c, i, number == i, &all[i]);
        }
    }
    return PLENS_OK;
}

/* How much rougher than imitated the departures are: 1 or more. */
static double roughness(const plens__audit *a) {
    double square = 0;
    size_t n_layers = a->model->config.n_layers;
    for (size_t l = 0; l < n_layers; l++) {
        double all = a->excess[l * PLENS__MAKINGS + a->making].all;
        square += all * all / (double)n_layers;
    }
    return square > 1 ? sqrt(square) : 1;
}

/* 1 if the number can be wrong by what the sums say, and that is more than one rounding in the
 * wrong place does: engines round a scale, or a norm's factor, where others do not. */
static int is_possible(const plens__audit *a, const sums *s) {
    double step = s->square > 0 ? s->along / s->square : 0;
    return step > -1 && fabs(step) * s->gain / s->n > half_unit(a->c.arithmetic);
}

static void tell(plens__audit *a, size_t number, const sums *s, double excess) {
    char found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    plens__variant model;
    size_t n_layers = a->model->config.n_layers;
    double value =
        number == FINAL_EPS ? a->c.final_eps : plens__slight_number(&a->c, number, 0, &model);
    plens__show_both(value * (1 + s->along / s->square), value, found, expected);
    a->slight.part = number == FINAL_EPS ? "" : plens__slight_part(number);
    if (number == FINAL_EPS)
        plens__explain(&a->slight, "its epsilon is about %s, expected %s", found, expected);
    else
        plens__explain(&a->slight,
                       "%s is about %s, expected %s, in all blocks (each by itself agrees within "
                       "its rounding)",
                       plens__slight_name(number), found, expected);
    for (size_t l = number == FINAL_EPS ? n_layers : 1; l <= n_layers; l++)
        a->rows[l].excess = excess;
    a->slight_at_norm = number == FINAL_EPS;
}

/* The number that is possible by most, to *number with its sums; excess: over the limit. */
static plens_status find(plens__audit *a, size_t *number, sums *best, double *excess,
                         plens_error *error) {
    sums all[N_NUMBERS], again[N_NUMBERS];
    memset(all, 0, sizeof all);
    memset(again, 0, sizeof again);
    plens_status status = add_blocks(a, N_NUMBERS, all, error);
    for (size_t i = 0; i < N_NUMBERS && status == PLENS_OK; i++) {
        if (!is_possible(a, &all[i]))
            continue;
        status = add_blocks(a, i, again, error);
        double found = fabs(again[i].along) / sqrt(again[i].square) / DEVIATIONS / roughness(a);
        if (status != PLENS_OK || !is_possible(a, &again[i]) || !(found > *excess))
            continue;
        *excess = found;
        *number = i;
        *best = again[i];
    }
    return status;
}

plens_status plens__find_slight(plens__audit *a, plens_error *error) {
    sums best;
    size_t number = N_NUMBERS;
    double excess = 1;
    if (a->states->n_ids < LEAST_DISTINCT)
        return PLENS_OK;
    plens_status status = find(a, &number, &best, &excess, error);
    if (status == PLENS_OK && number < N_NUMBERS && !a->c.stopped)
        tell(a, number, &best, excess);
    return status;
}
