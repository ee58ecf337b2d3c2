/* A wrong weight among millions. To first order a departure r is explained by adding v to one entry
 * (i, j) of a matrix if r = v J_ij, J_ij the derivative of the block's output. One backward sweep
 * from r gives <r, J_ij> for all entries at once: the sum over positions of the adjoint at output i
 * times the input j. |J_ij|^2 comes the same way from random signs s as seeds: the mean of
 * <s, J_ij>^2 [Hutchinson 1990]. cos^2 of r and J_ij ranks the entries; the best are then fitted to
 * the block itself, which need not be linear. All products have weights 1 / noise. */
#include "runtime/fp.h"

#include "runtime/audit_suspects.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/audit_math.h"

#define N_PROBES 16
#define N_BEST   512  /* entries that are kept by their estimates */
#define N_FITTED 16   /* of them, that are fitted in one round */
#define EFFORT   4e11 /* multiply-adds for their exact ranking */
#define ROWS     16   /* of a matrix in one item of work */

typedef struct candidate {
    double score; /* estimated cos^2, then exact */
    double step;
    plens__slot slot;
    size_t row, column;
} candidate;

typedef struct ranking {
    plens__case *c;
    plens__adjoint adjoints[1 + N_PROBES]; /* of the departure, then of random signs */
    double *seed, *current;                /* [n, d_model] */
    double *attn_unit, *mlp_unit;          /* [n, d_model] the norms' outputs before their weight */
    double *rows;                          /* [n_threads, 1 + N_PROBES, widest] */
    size_t row_width;
    candidate *best; /* [n_threads, N_BEST] by falling score */
    plens__slot slot;
    int only; /* a slot, or -1 */
    const double *departure;
    int probe;
} ranking;

/* ---- what reads what ---- */

static const plens__linear *linear(const plens__case *c, int slot) {
    const plens__block *b = c->reference.block;
    const plens__linear *all[] = {&b->q, &b->k, &b->v, &b->o, &b->gate, &b->up, &b->down};
    return all[slot];
}

static const double *input_of(const plens__case *c, plens__slot slot) {
    const plens__trace *t = &c->base;
    const double *all[] = {t->attn_normed, t->attn_normed, t->attn_normed, t->z,
                           t->mlp_normed,  t->mlp_normed,  t->hidden};
    return all[slot];
}

/* ---- seeds ---- */

/* The departure over noise^2, or random signs over noise; then back through the final norm. */
static void seed_task(void *arg, size_t item, int thread) {
    ranking *r = arg;
    const plens__case *c = r->c;
    size_t n = c->noise.n, d = c->noise.d;
    uint64_t bits = 0x9E3779B97F4A7C15u * (uint64_t)(r->probe + 1);
    double *raw = r->rows; /* [d]: no other use yet */
    (void)item;
    (void)thread;
    for (size_t t = 0; t < n; t++) {
        double *seed = r->seed + t * d;
        for (size_t i = 0; i < d; i++) {
            double unit = 1 / (c->noise.position[t] * c->noise.column[i]);
            bits = bits * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
            seed[i] =
                r->probe > 0 ? (bits >> 63 ? unit : -unit) : r->departure[t * d + i] * unit * unit;
        }
        if (c->final_norm == NULL)
            continue;
        memset(raw, 0, d * sizeof *raw);
        plens__norm_back_row(c->base.out + t * d, seed, c->final_norm, d, c->final_eps, raw);
        memcpy(seed, raw, d * sizeof *raw);
    }
}

static void sweep_back(ranking *r, const double *departure) {
    plens__case *c = r->c;
    r->departure = departure;
    for (r->probe = 0; r->probe <= N_PROBES; r->probe++) {
        plens__guarded(seed_task, r);
        plens__block_backward(&c->reference, &c->model, c->x, &c->base, r->seed,
                              &r->adjoints[r->probe]);
    }
}

/* ---- ranking ---- */

static void keep(ranking *r, int thread, candidate found) {
    candidate *best = r->best + (size_t)thread * N_BEST;
    if (!(found.score > best[N_BEST - 1].score))
        return;
    size_t at = N_BEST - 1;
    for (; at > 0 && best[at - 1].score < found.score; at--)
        best[at] = best[at - 1];
    best[at] = found;
}

/* sums[0] = <r, J>, the others <s, J>. */
static void judge(ranking *r, int thread, const double *sums, size_t stride, size_t row,
                  size_t column) {
    double square = 0;
    for (size_t p = 1; p <= N_PROBES; p++)
        square += sums[p * stride] * sums[p * stride] / N_PROBES;
    if (square > 0)
        keep(r, thread, (candidate){sums[0] * sums[0] / square, 0, r->slot, row, column});
}

/* Rows of the matrix r->slot. */
static void matrix_task(void *arg, size_t item, int thread) {
    ranking *r = arg;
    const plens__matrix *matrix = &linear(r->c, (int)r->slot)->matrix;
    size_t n_in = matrix->n_in, n_out = matrix->n_out, stride = r->row_width;
    size_t end = (item + 1) * ROWS < n_out ? (item + 1) * ROWS : n_out;
    const double *input = input_of(r->c, r->slot);
    double *sums = r->rows + (size_t)thread * (1 + N_PROBES) * stride;
    for (size_t row = item * ROWS; row < end; row++) {
        memset(sums, 0, (1 + N_PROBES) * stride * sizeof *sums);
        for (size_t t = 0; t < r->c->reference.n; t++) {
            for (size_t p = 0; p <= N_PROBES; p++) {
                double adjoint = r->adjoints[p].linear[r->slot][t * n_out + row];
                for (size_t k = 0; k < n_in; k++)
                    sums[p * stride + k] += adjoint * input[t * n_in + k];
            }
        }
        for (size_t k = 0; k < n_in; k++)
            judge(r, thread, sums + k, stride, row, k);
    }
}

/* The adjoint of probe p at a vector's output, and what the vector's element multiplies. */
static double vector_product(const ranking *r, size_t p, size_t t, size_t i, size_t width) {
    const plens__adjoint *a = &r->adjoints[p];
    if (r->slot >= PLENS__SLOT_BIAS && r->slot < PLENS__SLOT_ATTN_NORM)
        return a->linear[r->slot - PLENS__SLOT_BIAS][t * width + i];
    if (r->slot == PLENS__SLOT_ATTN_NORM)
        return a->attn_normed[t * width + i] * r->attn_unit[t * width + i];
    return a->mlp_normed[t * width + i] * r->mlp_unit[t * width + i];
}

static void vector_task(void *arg, size_t item, int thread) {
    ranking *r = arg;
    int bias = r->slot < PLENS__SLOT_ATTN_NORM;
    size_t d = r->c->noise.d;
    size_t width = bias ? linear(r->c, (int)r->slot - PLENS__SLOT_BIAS)->matrix.n_out : d;
    (void)item;
    for (size_t i = 0; i < width; i++) {
        double sums[1 + N_PROBES] = {0};
        for (size_t t = 0; t < r->c->reference.n; t++) {
            for (size_t p = 0; p <= N_PROBES; p++)
                sums[p] += vector_product(r, p, t, i, width);
        }
        judge(r, thread, sums, 1, i, 0);
    }
}

static int has_vector(const plens__case *c, plens__slot slot) {
    if (slot < PLENS__SLOT_ATTN_NORM)
        return linear(c, (int)slot - PLENS__SLOT_BIAS)->bias != NULL;
    return slot == PLENS__SLOT_ATTN_NORM || slot == PLENS__SLOT_MLP_NORM;
}

static int compare(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->column < y->column ? -1 : x->column > y->column;
}

/* The best entries to r->best[0 .. N_BEST). */
static void rank(ranking *r) {
    const plens__engine *engine = r->c->reference.engine;
    size_t n_best = (size_t)engine->n_threads * N_BEST;
    for (size_t i = 0; i < n_best; i++)
        r->best[i] = (candidate){0, 0, PLENS__SLOT_Q, SIZE_MAX, 0};
    for (int slot = 0; slot < PLENS__N_SLOTS; slot++) {
        r->slot = (plens__slot)slot;
        if (r->only >= 0 && slot != r->only)
            continue;
        if (slot < PLENS__N_LINEAR)
            plens__parallel(engine, (linear(r->c, slot)->matrix.n_out + ROWS - 1) / ROWS,
                            matrix_task, r);
        else if (has_vector(r->c, (plens__slot)slot))
            plens__guarded(vector_task, r);
    }
    qsort(r->best, n_best, sizeof *r->best, compare);
}

/* ---- fitting ---- */

/* A small step for an entry: its derivative is then exact to many digits. */
#define SMALL 1e-5

static void add_edit(plens__variant *variant, const candidate *found, double value) {
    variant->edits[variant->n_edits++] =
        (plens__edit){found->slot, found->row, found->column, value};
}

/* How many entries are worth an exact look: a large block allows fewer. */
static size_t n_exact(const plens__case *c) {
    const plens__config *config = c->reference.config;
    double block =
        (double)config->d_model *
        (double)(3 * config->d_ff + 2 * config->head_dim * (config->n_heads + config->n_kv_heads));
    double n = EFFORT / (block * (double)c->reference.n);
    return n < 32 ? 32 : n > N_BEST ? N_BEST : (size_t)n;
}

/* Exact alignments with c->samples (the departure of `variant`) in place of the estimates. */
static void rank_exactly(ranking *r, const plens__variant *variant) {
    size_t n = n_exact(r->c);
    int mlp_only = variant->n_edits > 0 && plens__slot_is_mlp(variant->edits[0].slot);
    plens__slope_begin(r->c, variant, mlp_only);
    for (size_t i = n; i < N_BEST; i++)
        r->best[i].row = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        candidate *found = &r->best[i];
        plens__variant moved = *variant;
        if (found->row == SIZE_MAX)
            break;
        add_edit(&moved, found, SMALL);
        plens__slope slope = plens__slope_towards(r->c, &moved, SMALL,
                                                  plens__slot_is_mlp(found->slot), r->c->samples);
        found->score = slope.alignment;
        found->step = slope.step;
    }
    qsort(r->best, n, sizeof *r->best, compare);
}

/* Gauss-Newton, one edit after the other; leaves the departure in c->samples. */
static plens__excess fit(plens__case *c, plens__variant *variant) {
    size_t bytes = c->reference.n * c->reference.config->d_model * sizeof(double);
    int mlp_only = plens__slot_is_mlp(variant->edits[0].slot);
    plens__excess excess = plens__case_try(c, variant, mlp_only);
    size_t n_steps = variant->n_edits == 1 ? 12 : 6 * variant->n_edits;
    for (size_t i = 0; i < n_steps; i++) {
        plens__variant moved = *variant;
        size_t e = i % variant->n_edits;
        double least = 1e-9 * fabs(variant->edits[e].value);
        memcpy(c->samples, c->departure, bytes);
        moved.edits[e].value += SMALL;
        plens__slope_begin(c, variant, mlp_only);
        plens__slope slope = plens__slope_towards(c, &moved, SMALL, mlp_only, c->samples);
        moved = *variant;
        moved.edits[e].value += slope.step;
        plens__excess after = plens__case_try(c, &moved, mlp_only);
        for (int halvings = 0; halvings < 4 && !(after.all <= excess.all); halvings++) {
            slope.step /= 2;
            moved.edits[e].value = variant->edits[e].value + slope.step;
            after = plens__case_try(c, &moved, mlp_only);
        }
        if (!(after.all < excess.all))
            break;
        *variant = moved;
        excess = after;
        if (fabs(slope.step) <= least)
            break;
    }
    excess = plens__case_try(c, variant, mlp_only);
    memcpy(c->samples, c->departure, bytes);
    return excess;
}

/* ---- telling it ---- */

/* The value in the file of what an edit changes. */
static double value_in_file(const plens__case *c, const plens__edit *edit) {
    const plens__block *b = c->reference.block;
    if (edit->slot == PLENS__SLOT_ATTN_NORM)
        return (double)b->attn_norm[edit->row];
    if (edit->slot == PLENS__SLOT_MLP_NORM)
        return (double)b->mlp_norm[edit->row];
    if (edit->slot >= PLENS__SLOT_BIAS)
        return (double)linear(c, (int)edit->slot - PLENS__SLOT_BIAS)->bias[edit->row];
    const plens__matrix *matrix = &linear(c, (int)edit->slot)->matrix;
    return plens__matrix_at(matrix, edit->row, edit->column);
}

static void tell_edit(const plens__case *c, const plens__edit *edit, char *text, size_t capacity) {
    char found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT], column[32] = "";
    double value = value_in_file(c, edit);
    if (edit->slot < PLENS__N_LINEAR)
        snprintf(column, sizeof column, ", %zu", edit->column);
    snprintf(text, capacity, "%s[%zu%s] is about %s, expected %s", plens__slot_name(edit->slot),
             edit->row, column, plens__show_number(value + edit->value, found),
             plens__show_number(value, expected));
}

static void add_text(char *text, size_t capacity, const char *more) {
    size_t used = strlen(text);
    snprintf(text + used, capacity - used, "%s", more);
}

/* Several single entries each explain the departure: what they have in common is what is known. The
 * smallest change stands for them. */
static void tell_choice(const plens__case *c, const plens__edit *edits, size_t n,
                        plens__finding *finding) {
    int same_row = 1, same_column = 1, same_part = 1;
    char where[32] = "", names[160] = "", first[160];
    size_t least = 0;
    unsigned told = 0;
    for (size_t i = 0; i < n; i++) {
        same_row &= edits[i].row == edits[0].row;
        same_column &= edits[i].column == edits[0].column;
        same_part &= plens__slot_part(edits[i].slot) == plens__slot_part(edits[0].slot);
        if (fabs(edits[i].value) < fabs(edits[least].value))
            least = i;
        if ((told & 1u << edits[i].slot) == 0) {
            add_text(names, sizeof names, told == 0 ? "" : " or ");
            add_text(names, sizeof names, plens__slot_name(edits[i].slot));
        }
        told |= 1u << edits[i].slot;
    }
    finding->part = same_part ? plens__slot_part(edits[0].slot) : "attention or MLP";
    tell_edit(c, &edits[least], first, sizeof first);
    if (same_row || same_column)
        snprintf(where, sizeof where, " in %s %zu", same_row ? "row" : "column",
                 same_row ? edits[0].row : edits[0].column);
    if (n == 1)
        snprintf(finding->text, sizeof finding->text, "%s", first);
    else
        snprintf(finding->text, sizeof finding->text,
                 "one entry of %s%s; perhaps %s (these positions cannot tell)", names, where,
                 first);
}

static void tell_several(const plens__case *c, const plens__variant *variant,
                         plens__finding *finding) {
    char first[160];
    const plens__edit *edits = variant->edits;
    int same_row = 1, same_column = 1;
    for (size_t i = 1; i < variant->n_edits; i++) {
        same_row &= edits[i].row == edits[0].row;
        same_column &= edits[i].column == edits[0].column;
    }
    tell_edit(c, &edits[0], first, sizeof first);
    finding->part = plens__slot_part(edits[0].slot);
    if (variant->n_edits == 1)
        snprintf(finding->text, sizeof finding->text, "%s", first);
    else
        snprintf(finding->text, sizeof finding->text, "%zu entries of %s%s%s: %s, and others",
                 variant->n_edits, plens__slot_name(edits[0].slot),
                 same_row ? ", all in one row" : "", same_column ? ", all in one column" : "",
                 first);
}

/* ---- the search ---- */

/* 1 if an entry of the same row of the same matrix comes before the i-th. */
static int row_seen(const candidate *best, size_t i) {
    for (size_t k = 0; k < i; k++) {
        if (best[k].slot == best[i].slot && best[k].row == best[i].row)
            return 1;
    }
    return 0;
}

/* Fits the best entries one by one: in the first round one of each row and the best's runner-up, in
 * the second the others (an activation bends the ranking), until some explain the departure.
 * best: the best of them. */
static int fit_single(ranking *r, plens__variant *best, plens__finding *finding) {
    plens__case *c = r->c;
    plens__edit explained[2 * N_FITTED];
    size_t n_explained = 0, n_fitted = 0;
    plens__excess least = {1e300, 1e300};
    for (size_t round = 1; round <= 2 && n_explained == 0; round++) {
        for (size_t i = 0; i < N_BEST && r->best[i].row != SIZE_MAX && n_fitted < round * N_FITTED;
             i++) {
            plens__variant variant = c->model;
            if (i != 1 && row_seen(r->best, i) != (round == 2))
                continue;
            n_fitted++;
            add_edit(&variant, &r->best[i], 0);
            plens__excess after = fit(c, &variant);
            if (after.worst <= 1)
                explained[n_explained++] = variant.edits[0];
            if (after.all < least.all) {
                least = after;
                *best = variant;
            }
        }
    }
    if (n_explained > 0) {
        finding->explained = 1;
        finding->after = least;
        tell_choice(c, explained, n_explained, finding);
    }
    return n_explained > 0;
}

/* Adds entries of the same matrix to the best one while that helps. */
static void fit_several(ranking *r, plens__variant *variant, plens__finding *finding) {
    plens__case *c = r->c;
    plens__excess excess = fit(c, variant);
    r->only = (int)variant->edits[0].slot;
    while (excess.worst > 1 && variant->n_edits < PLENS__EDITS) {
        memcpy(r->current, c->samples, c->noise.n * c->noise.d * sizeof(double));
        sweep_back(r, r->current);
        rank(r);
        memcpy(c->samples, r->current, c->noise.n * c->noise.d * sizeof(double));
        rank_exactly(r, variant);
        if (r->best[0].row == SIZE_MAX)
            break;
        plens__variant more = *variant;
        add_edit(&more, &r->best[0], 0);
        plens__excess after = fit(c, &more);
        if (!(after.all < 0.9 * excess.all))
            break;
        *variant = more;
        excess = after;
    }
    if (!(excess.all < finding->after.all))
        return;
    finding->after = excess;
    finding->explained = excess.worst <= 1;
    tell_several(c, variant, finding);
}

static void unit_task(void *arg, size_t item, int thread) {
    ranking *r = arg;
    const plens__case *c = r->c;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < c->noise.n; t++) {
        size_t d = c->noise.d;
        const double *from[] = {c->x + t * d, c->base.mid + t * d};
        double *to[] = {r->attn_unit + t * d, r->mlp_unit + t * d};
        double eps[] = {c->model.attn_eps, c->model.mlp_eps};
        for (int k = 0; k < 2; k++) {
            double square = 0;
            for (size_t i = 0; i < d; i++)
                square += from[k][i] * from[k][i] / (double)d;
            for (size_t i = 0; i < d; i++)
                to[k][i] = from[k][i] / sqrt(square + eps[k]);
        }
    }
}

static void carve(ranking *r, plens__carver *carver) {
    const plens__case *c = r->c;
    const plens__config *config = c->reference.config;
    size_t n = c->reference.n, state = config->d_model * sizeof(double);
    size_t threads = (size_t)c->reference.engine->n_threads;
    r->row_width = c->reference.scratch_width;
    for (int p = 0; p <= N_PROBES; p++)
        plens__adjoint_carve(config, n, &r->adjoints[p], carver);
    r->seed = plens__carve(carver, n, state);
    r->current = plens__carve(carver, n, state);
    r->attn_unit = plens__carve(carver, n, state);
    r->mlp_unit = plens__carve(carver, n, state);
    r->rows = plens__carve(carver, threads * (1 + N_PROBES), r->row_width * sizeof(double));
    r->best = plens__carve(carver, threads * N_BEST, sizeof(candidate));
}

plens_status plens__fit_entries(plens__case *c, plens__finding *finding, plens_error *error) {
    ranking r = {.c = c, .only = -1};
    plens__carver carver = {NULL, 0, 0};
    size_t bytes = c->noise.n * c->noise.d * sizeof(double);
    carve(&r, &carver);
    const plens_allocator *allocator = &c->reference.engine->allocator;
    char *base = carver.overflow ? NULL : plens__alloc(allocator, carver.used);
    if (base == NULL)
        return plens__fail_memory(error, carver.used, "the search for a wrong weight");
    carver = (plens__carver){base, 0, 0};
    carve(&r, &carver);
    plens__guarded(unit_task, &r);
    sweep_back(&r, c->base_departure);
    rank(&r);
    memcpy(c->samples, c->base_departure, bytes);
    rank_exactly(&r, &c->model);
    plens__variant best = c->model;
    if (r.best[0].row != SIZE_MAX && !fit_single(&r, &best, finding) && r.best[0].score > 0.05)
        fit_several(&r, &best, finding);
    plens__free(allocator, base);
    return PLENS_OK;
}
