/* Two rows or two columns of a matrix in each other's place. With y = x W^T, the exchange of rows a
 * and b adds y_b - y_a to y_a and takes it from y_b; with u the adjoint of y, to first order
 *     <r, J> = sum over positions of (u_a - u_b) (y_b - y_a).
 * Of columns the same holds with u W in place of u and x in place of y. So all pairs are ranked as
 * single weights are (audit_rank.h), and the best are tried. */
#include "runtime/fp.h"

#include "runtime/audit_rank.h"

#include <stdio.h>
#include <string.h>

#define EFFORT       1e11 /* multiply-adds that the pairs of one matrix are worth */
#define LEAST_TRIED  48   /* pairs that are tried */
#define TRIED_EFFORT 1e10 /* multiply-adds of more, until one explains the departure */

typedef struct pairs {
    plens__ranking *r;
    const double *u[1 + PLENS__N_PROBES]; /* [n, width] */
    const double *v;                      /* [n, width] */
    size_t width;
} pairs;

static void outputs_task(void *arg, size_t item, int thread) {
    const pairs *s = arg;
    double *to = s->r->c->reference.product + item * s->width;
    (void)thread;
    for (size_t row = 0; row < s->width; row++)
        to[row] = plens__output_of(s->r->c, s->r->slot, item, row);
}

/* All pairs of line `item` and a later one. */
static void pairs_task(void *arg, size_t item, int thread) {
    const pairs *s = arg;
    plens__ranking *r = s->r;
    size_t width = s->width, stride = r->row_width;
    double *sums = r->rows + (size_t)thread * (1 + PLENS__N_PROBES) * stride;
    memset(sums, 0, (1 + PLENS__N_PROBES) * stride * sizeof *sums);
    for (size_t t = 0; t < r->c->reference.n; t++) {
        const double *v = s->v + t * width;
        for (size_t p = 0; p <= PLENS__N_PROBES; p++) {
            const double *u = s->u[p] + t * width;
            for (size_t k = item + 1; k < width; k++)
                sums[p * stride + k] += (u[item] - u[k]) * (v[k] - v[item]);
        }
    }
    for (size_t k = item + 1; k < width; k++)
        plens__rank_judge(r, thread, sums + k, stride, item, k);
}

/* The rows of r->slot. */
static void begin_rows(plens__ranking *r, pairs *s) {
    s->width = plens__linear_at(r->c, (int)r->slot)->matrix.n_out;
    for (size_t p = 0; p <= PLENS__N_PROBES; p++)
        s->u[p] = r->adjoints[p].linear[r->slot];
    plens__parallel(r->c->reference.engine, r->c->reference.n, outputs_task, s);
    s->v = r->c->reference.product;
}

/* Its columns. */
static void begin_columns(plens__ranking *r, pairs *s) {
    const plens__reference *reference = &r->c->reference;
    const plens__matrix *matrix = &plens__linear_at(r->c, (int)r->slot)->matrix;
    s->width = matrix->n_in;
    s->v = plens__input_of(r->c, r->slot);
    for (size_t p = 0; p <= PLENS__N_PROBES; p++) {
        double *back = r->backs + p * reference->n * reference->config->d_model;
        s->u[p] = r->slot == PLENS__SLOT_O      ? r->adjoints[p].z
                  : r->slot == PLENS__SLOT_DOWN ? r->adjoints[p].hidden
                                                : back;
        if (s->u[p] == back)
            plens__reference_multiply_back(reference, matrix, r->adjoints[p].linear[r->slot],
                                           reference->n, back);
    }
}

/* The best pairs of all matrices to r->best: row and column are the two lines. */
static void rank_pairs(plens__ranking *r, int is_column) {
    pairs s = {.r = r};
    plens__rank_begin(r);
    for (int slot = 0; slot < PLENS__N_LINEAR; slot++) {
        const plens__matrix *matrix = &plens__linear_at(r->c, slot)->matrix;
        double width = (double)(is_column ? matrix->n_in : matrix->n_out);
        if (width * width / 2 * (double)r->c->reference.n * (1 + PLENS__N_PROBES) > EFFORT)
            continue;
        r->slot = (plens__slot)slot;
        (is_column ? begin_columns : begin_rows)(r, &s);
        plens__parallel(r->c->reference.engine, s.width - 1, pairs_task, &s);
    }
    plens__rank_end(r);
}

int plens__fit_exchange(plens__ranking *r, plens__finding *finding) {
    plens__suspect suspect;
    double affordable = TRIED_EFFORT / plens__case_effort(r->c);
    for (int is_column = 0; is_column <= 1; is_column++) {
        rank_pairs(r, is_column);
        for (size_t i = 0; i < PLENS__N_BEST && r->best[i].row != SIZE_MAX; i++) {
            if (i >= LEAST_TRIED && (finding->explained || (double)i > affordable))
                break;
            const plens__candidate *pair = &r->best[i];
            suspect.variant = r->c->model;
            suspect.variant.exchange =
                (plens__exchange){pair->slot, is_column, pair->row, pair->column};
            snprintf(suspect.text, sizeof suspect.text, "%s %zu and %zu of %s are exchanged",
                     is_column ? "columns" : "rows", pair->row, pair->column,
                     plens__slot_name(pair->slot));
            suspect.part = plens__slot_part(pair->slot);
            suspect.mlp_only = plens__slot_is_mlp(pair->slot);
            plens__consider(r->c, &suspect, finding);
        }
    }
    return finding->explained;
}
