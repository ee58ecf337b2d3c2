/* The values of several edits at once: Gauss-Newton on the block itself, which need not be linear
 * in them. Products have weights 1 / noise. */
#include "runtime/fp.h"

#include "runtime/audit_rank.h"

#include <math.h>
#include <string.h>

#define STEPS     12
#define FEW_STEPS 3
#define HALVINGS  4
#define ENOUGH    0.999 /* a step that leaves more than this of the departure is the last */

typedef struct normal {
    const plens__noise *noise;
    const double *departure, *base;
    double *jacobian; /* [k, n, d]: first the outputs a small step away, then the derivatives */
    size_t k;
    double matrix[PLENS__EDITS][PLENS__EDITS], right[PLENS__EDITS], step[PLENS__EDITS];
} normal;

static void derivatives(normal *s) {
    size_t n = s->noise->n, d = s->noise->d;
    for (size_t e = 0; e < s->k; e++) {
        double *j = s->jacobian + e * n * d;
        for (size_t at = 0; at < n * d; at++) {
            double unit = s->noise->position[at / d] * s->noise->column[at % d];
            j[at] = (j[at] - s->base[at]) / PLENS__SMALL_STEP / unit;
        }
    }
}

/* J^T J and J^T r. */
static void products(normal *s) {
    size_t n = s->noise->n, d = s->noise->d;
    for (size_t e = 0; e < s->k; e++) {
        const double *a = s->jacobian + e * n * d;
        s->right[e] = 0;
        for (size_t at = 0; at < n * d; at++)
            s->right[e] +=
                a[at] * s->departure[at] / (s->noise->position[at / d] * s->noise->column[at % d]);
        for (size_t f = 0; f <= e; f++) {
            const double *b = s->jacobian + f * n * d;
            double sum = 0;
            for (size_t at = 0; at < n * d; at++)
                sum += a[at] * b[at];
            s->matrix[e][f] = s->matrix[f][e] = sum;
        }
    }
}

/* The step that solves J^T J step = J^T r, by Cholesky; a direction that the others span gets 0. */
static void solve(normal *s) {
    double l[PLENS__EDITS][PLENS__EDITS] = {{0}}, y[PLENS__EDITS];
    for (size_t e = 0; e < s->k; e++) {
        double pivot = s->matrix[e][e];
        y[e] = s->right[e];
        for (size_t f = 0; f < e; f++) {
            double sum = s->matrix[e][f];
            for (size_t g = 0; g < f; g++)
                sum -= l[e][g] * l[f][g];
            l[e][f] = l[f][f] > 0 ? sum / l[f][f] : 0;
            pivot -= l[e][f] * l[e][f];
            y[e] -= l[e][f] * y[f];
        }
        l[e][e] = pivot > 1e-10 * s->matrix[e][e] ? sqrt(pivot) : 0;
        y[e] = l[e][e] > 0 ? y[e] / l[e][e] : 0;
    }
    for (size_t e = s->k; e-- > 0;) {
        s->step[e] = y[e];
        for (size_t f = e + 1; f < s->k; f++)
            s->step[e] -= l[f][e] * s->step[f];
        s->step[e] = l[e][e] > 0 ? s->step[e] / l[e][e] : 0;
    }
}

static void solve_task(void *arg, size_t item, int thread) {
    (void)item;
    (void)thread;
    derivatives(arg);
    products(arg);
    solve(arg);
}

static plens__variant moved_by(const plens__variant *variant, const normal *s, double share) {
    plens__variant moved = *variant;
    for (size_t e = 0; e < s->k; e++)
        moved.edits[e].value += share * s->step[e];
    return moved;
}

/* One step from the variant, whose departure is r->rest; 0 if there is none to gain by. */
static int improve(plens__ranking *r, plens__variant *variant, plens__excess *excess) {
    plens__case *c = r->c;
    size_t size = c->noise.n * c->noise.d;
    int mlp_only = plens__slot_is_mlp(variant->edits[0].slot);
    normal s = {&c->noise, r->rest, c->slope_output, r->jacobian, variant->n_edits, {{0}},
                {0},       {0}};
    plens__slope_begin(c, variant, mlp_only);
    for (size_t e = 0; e < s.k; e++) {
        plens__variant near = *variant;
        near.edits[e].value += PLENS__SMALL_STEP;
        memcpy(r->jacobian + e * size, plens__case_output(c, &near, mlp_only),
               size * sizeof(double));
    }
    plens__guarded(solve_task, &s);
    double share = 1;
    for (int halvings = 0; halvings <= HALVINGS; halvings++, share /= 2) {
        plens__variant moved = moved_by(variant, &s, share);
        plens__excess after = plens__case_measure(c, &moved, mlp_only);
        if (!(after.all < excess->all))
            continue;
        double most = 0;
        for (size_t e = 0; e < s.k; e++) {
            double change = fabs(share * s.step[e]) / (fabs(moved.edits[e].value) + 1e-300);
            most = change > most ? change : most;
        }
        int gained = after.all < ENOUGH * excess->all;
        *variant = moved;
        *excess = after;
        memcpy(r->rest, c->departure, size * sizeof(double));
        return gained && most > 1e-9;
    }
    return 0;
}

/* Leaves out the edits that do next to nothing beside the others. */
static int drop_idle(plens__ranking *r, plens__variant *variant) {
    plens__case *c = r->c;
    int mlp_only = plens__slot_is_mlp(variant->edits[0].slot);
    double most = 0, effect[PLENS__EDITS];
    plens__slope_begin(c, variant, mlp_only);
    for (size_t e = 0; e < variant->n_edits; e++) {
        plens__variant near = *variant;
        near.edits[e].value += PLENS__SMALL_STEP;
        plens__slope slope =
            plens__slope_towards(c, &near, PLENS__SMALL_STEP, mlp_only, c->base_departure);
        /* significance / |step| = |J| */
        double length = slope.step != 0 ? slope.significance / fabs(slope.step) : 0;
        effect[e] = fabs(variant->edits[e].value) * length;
        most = effect[e] > most ? effect[e] : most;
    }
    size_t kept = 0, n = variant->n_edits;
    for (size_t e = 0; e < n; e++) {
        if (effect[e] > 1e-3 * most)
            variant->edits[kept++] = variant->edits[e];
    }
    variant->n_edits = kept;
    return kept < n;
}

plens__excess plens__fit_roughly(plens__ranking *r, plens__variant *variant) {
    plens__case *c = r->c;
    int mlp_only = plens__slot_is_mlp(variant->edits[0].slot);
    plens__excess excess = plens__case_measure(c, variant, mlp_only);
    memcpy(r->rest, c->departure, c->noise.n * c->noise.d * sizeof(double));
    for (int i = 0; i < FEW_STEPS && improve(r, variant, &excess); i++)
        continue;
    return excess;
}

plens__excess plens__fit_edits(plens__ranking *r, plens__variant *variant) {
    plens__case *c = r->c;
    size_t bytes = c->noise.n * c->noise.d * sizeof(double);
    int mlp_only = plens__slot_is_mlp(variant->edits[0].slot), again = 1;
    plens__excess excess;
    for (int round = 0; round < 2 && again; round++) {
        excess = plens__case_measure(c, variant, mlp_only);
        memcpy(r->rest, c->departure, bytes);
        for (int i = 0; i < STEPS && improve(r, variant, &excess); i++)
            continue;
        again = variant->n_edits > 1 && drop_idle(r, variant);
    }
    excess = plens__case_try(c, variant, mlp_only);
    memcpy(r->rest, c->departure, bytes);
    return excess;
}
