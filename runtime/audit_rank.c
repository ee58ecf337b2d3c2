#include "runtime/fp.h"

#include "runtime/audit_rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/audit_math.h"

#define EFFORT 4e11 /* multiply-adds for an exact ranking */
#define ROWS   16   /* of a matrix in one item of work */

/* ---- what reads what ---- */

const plens__linear *plens__linear_at(const plens__case *c, int slot) {
    const plens__block *b = c->reference.block;
    const plens__linear *all[] = {&b->q, &b->k, &b->v, &b->o, &b->gate, &b->up, &b->down};
    return all[slot];
}

const double *plens__input_of(const plens__case *c, plens__slot slot) {
    const plens__trace *t = &c->base;
    const double *all[] = {t->attn_normed, t->attn_normed, t->attn_normed, t->z,
                           t->mlp_normed,  t->mlp_normed,  t->hidden};
    return all[slot];
}

double plens__output_of(const plens__case *c, plens__slot slot, size_t t, size_t row) {
    const plens__trace *b = &c->base;
    const double *all[] = {b->q, b->k, b->v, b->mid, b->gate, b->up, b->out};
    const plens__linear *l = plens__linear_at(c, (int)slot);
    size_t at = t * l->matrix.n_out + row;
    double bias = l->bias != NULL ? (double)l->bias[row] : 0;
    double passed = slot == PLENS__SLOT_O ? c->x[at] : slot == PLENS__SLOT_DOWN ? b->mid[at] : 0;
    return all[slot][at] - passed - bias;
}

/* ---- seeds ---- */

/* The departure over noise^2, or random signs over noise; then back through the final norm. */
static void seed_task(void *arg, size_t item, int thread) {
    plens__ranking *r = arg;
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
        plens__norm_back_row(r->trace->out + t * d, seed, c->final_norm, d, c->final_eps, raw);
        memcpy(seed, raw, d * sizeof *raw);
    }
}

/* Sweeps 0 to `last`. */
static void sweep(plens__ranking *r, const plens__variant *variant, const double *departure,
                  int last) {
    plens__case *c = r->c;
    r->departure = departure;
    r->trace = &c->base;
    if (variant != NULL) {
        plens__case_output(c, variant, 0);
        r->trace = &c->trial;
    }
    for (r->probe = 0; r->probe <= last; r->probe++) {
        plens__guarded(seed_task, r);
        plens__block_backward(&c->reference, &c->model, c->x, r->trace, r->seed,
                              &r->adjoints[r->probe]);
    }
}

void plens__rank_sweep(plens__ranking *r, const plens__variant *variant, const double *departure) {
    sweep(r, variant, departure, PLENS__N_PROBES);
}

void plens__rank_sweep_once(plens__ranking *r, const plens__variant *variant,
                            const double *departure) {
    sweep(r, variant, departure, 0);
}

/* ---- ranking ---- */

static void keep(plens__ranking *r, int thread, plens__candidate found) {
    plens__candidate *best = r->best + (size_t)thread * PLENS__N_BEST;
    if (!(found.score > best[PLENS__N_BEST - 1].score))
        return;
    size_t at = PLENS__N_BEST - 1;
    for (; at > 0 && best[at - 1].score < found.score; at--)
        best[at] = best[at - 1];
    best[at] = found;
}

void plens__rank_judge(plens__ranking *r, int thread, const double *sums, size_t stride, size_t row,
                       size_t column) {
    double square = 0;
    for (size_t p = 1; p <= PLENS__N_PROBES; p++)
        square += sums[p * stride] * sums[p * stride] / PLENS__N_PROBES;
    if (square > 0)
        keep(r, thread, (plens__candidate){sums[0] * sums[0] / square, 0, r->slot, row, column});
}

/* Whole rows of the matrix r->slot: what a row adds to its output is the direction. */
static void row_task(void *arg, size_t item, int thread) {
    plens__ranking *r = arg;
    size_t n_out = plens__linear_at(r->c, (int)r->slot)->matrix.n_out;
    size_t end = (item + 1) * ROWS < n_out ? (item + 1) * ROWS : n_out;
    for (size_t row = item * ROWS; row < end; row++) {
        double sums[1 + PLENS__N_PROBES] = {0};
        for (size_t t = 0; t < r->c->reference.n; t++) {
            double output = plens__output_of(r->c, r->slot, t, row);
            for (size_t p = 0; p <= PLENS__N_PROBES; p++)
                sums[p] += r->adjoints[p].linear[r->slot][t * n_out + row] * output;
        }
        plens__rank_judge(r, thread, sums, 1, row, PLENS__WHOLE_ROW);
    }
}

/* Rows of the matrix r->slot. */
static void matrix_task(void *arg, size_t item, int thread) {
    plens__ranking *r = arg;
    const plens__matrix *matrix = &plens__linear_at(r->c, (int)r->slot)->matrix;
    size_t n_in = matrix->n_in, n_out = matrix->n_out, stride = r->row_width;
    size_t end = (item + 1) * ROWS < n_out ? (item + 1) * ROWS : n_out;
    const double *input = plens__input_of(r->c, r->slot);
    double *sums = r->rows + (size_t)thread * (1 + PLENS__N_PROBES) * stride;
    for (size_t row = item * ROWS; row < end; row++) {
        memset(sums, 0, (1 + PLENS__N_PROBES) * stride * sizeof *sums);
        for (size_t t = 0; t < r->c->reference.n; t++) {
            for (size_t p = 0; p <= PLENS__N_PROBES; p++) {
                double adjoint = r->adjoints[p].linear[r->slot][t * n_out + row];
                for (size_t k = 0; k < n_in; k++)
                    sums[p * stride + k] += adjoint * input[t * n_in + k];
            }
        }
        for (size_t k = 0; k < n_in; k++)
            plens__rank_judge(r, thread, sums + k, stride, row, k);
    }
}

typedef struct column_sums {
    plens__ranking *r;
    const plens__matrix *matrix;
    size_t probe;
} column_sums;

/* What the columns add along the probe's adjoint, carried back to the input in reference.product.
 */
static void column_task(void *arg, size_t item, int thread) {
    const column_sums *s = arg;
    plens__ranking *r = s->r;
    size_t n_in = s->matrix->n_in;
    const double *input = plens__input_of(r->c, r->slot), *back = r->c->reference.product;
    double *sums = r->rows + s->probe * r->row_width;
    (void)item;
    (void)thread;
    for (size_t k = 0; k < n_in; k++) {
        sums[k] = 0;
        for (size_t t = 0; t < r->c->reference.n; t++)
            sums[k] += back[t * n_in + k] * input[t * n_in + k];
    }
    for (size_t k = 0; k < n_in && s->probe == PLENS__N_PROBES; k++)
        plens__rank_judge(r, 0, r->rows + k, r->row_width, PLENS__WHOLE_COLUMN, k);
}

static void rank_columns(plens__ranking *r) {
    column_sums s = {r, &plens__linear_at(r->c, (int)r->slot)->matrix, 0};
    for (; s.probe <= PLENS__N_PROBES; s.probe++) {
        plens__reference_multiply_back(&r->c->reference, s.matrix,
                                       r->adjoints[s.probe].linear[r->slot], r->c->reference.n,
                                       r->c->reference.product);
        plens__guarded(column_task, &s);
    }
}

/* The adjoint of probe p at a vector's output, and what the vector's element multiplies. */
static double vector_product(const plens__ranking *r, size_t p, size_t t, size_t i, size_t width) {
    const plens__adjoint *a = &r->adjoints[p];
    if (r->slot >= PLENS__SLOT_BIAS && r->slot < PLENS__SLOT_ATTN_NORM)
        return a->linear[r->slot - PLENS__SLOT_BIAS][t * width + i];
    if (r->slot == PLENS__SLOT_ATTN_NORM)
        return a->attn_normed[t * width + i] * r->attn_unit[t * width + i];
    if (r->slot == PLENS__SLOT_MLP_NORM)
        return a->mlp_normed[t * width + i] * r->mlp_unit[t * width + i];
    const plens__config *config = r->c->reference.config;
    int is_query = r->slot == PLENS__SLOT_Q_NORM;
    size_t n_heads = is_query ? config->n_heads : config->n_kv_heads;
    const double *adjoint = is_query ? a->q_rotated : a->k_rotated;
    const double *unit = is_query ? r->q_unit : r->k_unit;
    double sum = 0;
    for (size_t at = t * n_heads * width + i; at < (t + 1) * n_heads * width; at += width)
        sum += adjoint[at] * unit[at];
    return sum;
}

static void vector_task(void *arg, size_t item, int thread) {
    plens__ranking *r = arg;
    size_t width = r->slot < PLENS__SLOT_ATTN_NORM
                       ? plens__linear_at(r->c, (int)r->slot - PLENS__SLOT_BIAS)->matrix.n_out
                   : r->slot < PLENS__SLOT_Q_NORM ? r->c->noise.d
                                                  : r->c->reference.config->head_dim;
    (void)item;
    for (size_t i = 0; i < width; i++) {
        double sums[1 + PLENS__N_PROBES] = {0};
        for (size_t t = 0; t < r->c->reference.n; t++) {
            for (size_t p = 0; p <= PLENS__N_PROBES; p++)
                sums[p] += vector_product(r, p, t, i, width);
        }
        plens__rank_judge(r, thread, sums, 1, i, 0);
    }
}

int plens__has_slot(const plens__case *c, plens__slot slot) {
    if (slot >= PLENS__SLOT_BIAS && slot < PLENS__SLOT_ATTN_NORM)
        return plens__linear_at(c, (int)slot - PLENS__SLOT_BIAS)->bias != NULL;
    return slot < PLENS__SLOT_Q_NORM || c->reference.block->q_norm != NULL;
}

static int compare(const void *a, const void *b) {
    const plens__candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->column < y->column ? -1 : x->column > y->column;
}

static size_t n_kept(const plens__ranking *r) {
    return (size_t)r->c->reference.engine->n_threads * PLENS__N_BEST;
}

void plens__rank_begin(plens__ranking *r) {
    for (size_t i = 0; i < n_kept(r); i++)
        r->best[i] = (plens__candidate){0, 0, PLENS__SLOT_Q, SIZE_MAX, 0};
}

void plens__rank_end(plens__ranking *r) {
    qsort(r->best, n_kept(r), sizeof *r->best, compare);
}

void plens__rank(plens__ranking *r) {
    const plens__engine *engine = r->c->reference.engine;
    plens__rank_begin(r);
    for (int slot = 0; slot < PLENS__N_SLOTS; slot++) {
        r->slot = (plens__slot)slot;
        if (r->only >= 0 && slot != r->only)
            continue;
        if (slot < PLENS__N_LINEAR && r->kind == PLENS__COLUMNS)
            rank_columns(r);
        else if (slot < PLENS__N_LINEAR)
            plens__parallel(engine, (plens__linear_at(r->c, slot)->matrix.n_out + ROWS - 1) / ROWS,
                            r->kind == PLENS__ROWS ? row_task : matrix_task, r);
        else if (r->kind == PLENS__ENTRIES && plens__has_slot(r->c, (plens__slot)slot))
            plens__guarded(vector_task, r);
    }
    plens__rank_end(r);
}

/* ---- exactly ---- */

void plens__add_edit(plens__variant *variant, const plens__candidate *found, double value) {
    variant->edits[variant->n_edits++] =
        (plens__edit){found->slot, found->row, found->column, value};
}

/* How many entries are worth an exact look: a large block allows fewer. */
static size_t n_exact(const plens__case *c) {
    double n = EFFORT / plens__case_effort(c);
    return n < 32 ? 32 : n > PLENS__N_BEST ? PLENS__N_BEST : (size_t)n;
}

void plens__rank_exactly(plens__ranking *r, const plens__variant *variant, size_t at_most) {
    size_t n = n_exact(r->c) < at_most ? n_exact(r->c) : at_most;
    int mlp_only = variant->n_edits > 0 && plens__slot_is_mlp(variant->edits[0].slot);
    plens__slope_begin(r->c, variant, mlp_only);
    for (size_t i = n; i < PLENS__N_BEST; i++)
        r->best[i].row = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        plens__candidate *found = &r->best[i];
        plens__variant moved = *variant;
        if (found->row == SIZE_MAX)
            break;
        plens__add_edit(&moved, found, PLENS__SMALL_STEP);
        plens__slope slope = plens__slope_towards(r->c, &moved, PLENS__SMALL_STEP,
                                                  plens__slot_is_mlp(found->slot), r->departure);
        found->score = slope.alignment;
        found->step = slope.step;
    }
    qsort(r->best, n, sizeof *r->best, compare);
}

void plens__rank_row(plens__ranking *r, const plens__variant *variant) {
    plens__candidate best = r->best[0];
    if (r->kind != PLENS__ENTRIES || best.row == SIZE_MAX || best.slot >= PLENS__N_LINEAR)
        return;
    size_t n_in = plens__linear_at(r->c, (int)best.slot)->matrix.n_in;
    if (n_in > n_exact(r->c))
        return;
    for (size_t i = 0; i < PLENS__N_BEST; i++)
        r->best[i] =
            (plens__candidate){0, 0, best.slot, i < n_in ? best.row : SIZE_MAX, i < n_in ? i : 0};
    plens__rank_exactly(r, variant, PLENS__N_BEST);
}

/* ---- memory ---- */

/* The heads of queries or keys at position t over their root of the mean square. */
static void head_units(const plens__case *c, const double *from, size_t n_heads, size_t t,
                       double *to) {
    size_t d = c->reference.config->head_dim;
    for (size_t at = t * n_heads * d; at < (t + 1) * n_heads * d; at += d) {
        double square = 0;
        for (size_t i = 0; i < d; i++)
            square += from[at + i] * from[at + i] / (double)d;
        for (size_t i = 0; i < d; i++)
            to[at + i] = from[at + i] / sqrt(square + c->model.qk_eps);
    }
}

static void unit_task(void *arg, size_t item, int thread) {
    plens__ranking *r = arg;
    const plens__case *c = r->c;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < c->noise.n; t++) {
        size_t d = c->noise.d;
        head_units(c, c->base.q, c->reference.config->n_heads, t, r->q_unit);
        head_units(c, c->base.k, c->reference.config->n_kv_heads, t, r->k_unit);
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

static void carve(plens__ranking *r, plens__carver *carver) {
    const plens__case *c = r->c;
    const plens__config *config = c->reference.config;
    size_t n = c->reference.n, state = config->d_model * sizeof(double);
    size_t threads = (size_t)c->reference.engine->n_threads;
    r->row_width = c->reference.scratch_width;
    for (int p = 0; p <= PLENS__N_PROBES; p++)
        plens__adjoint_carve(config, n, &r->adjoints[p], carver);
    r->seed = plens__carve(carver, n, state);
    r->rest = plens__carve(carver, n, state);
    r->attn_unit = plens__carve(carver, n, state);
    r->mlp_unit = plens__carve(carver, n, state);
    r->q_unit = plens__carve(carver, n * config->n_heads, config->head_dim * sizeof(double));
    r->k_unit = plens__carve(carver, n * config->n_kv_heads, config->head_dim * sizeof(double));
    r->backs = plens__carve(carver, (1 + PLENS__N_PROBES) * n, state);
    r->jacobian = plens__carve(carver, PLENS__EDITS * n, state);
    r->rows = plens__carve(carver, threads * (1 + PLENS__N_PROBES), r->row_width * sizeof(double));
    r->best = plens__carve(carver, threads * PLENS__N_BEST, sizeof(plens__candidate));
}

plens_status plens__rank_open(plens__ranking *r, plens__case *c, char **base, plens_error *error) {
    const plens_allocator *allocator = &c->reference.engine->allocator;
    plens__carver carver = {NULL, 0, 0};
    *r = (plens__ranking){.c = c, .only = -1};
    carve(r, &carver);
    *base = carver.overflow ? NULL : plens__alloc(allocator, carver.used);
    if (*base == NULL)
        return plens__fail_memory(error, carver.used, "the search for a wrong weight");
    carver = (plens__carver){*base, 0, 0};
    carve(r, &carver);
    plens__guarded(unit_task, r);
    return PLENS_OK;
}
