/* The forward pass of one block in float64, its definitions written out: RMSNorm [Zhang & Sennrich
 * 2019], RoPE [Su et al. 2021], grouped queries [Ainslie et al. 2023], SwiGLU [Shazeer 2020]; and
 * what else an engine may have done. Where an arithmetic is given, each step is rounded as
 * Transformers rounds it in that type. */
#include "runtime/fp.h"

#include "runtime/audit_block.h"

#include <math.h>
#include <string.h>

#include "runtime/audit_math.h"
#include "runtime/audit_step.h"
#include "runtime/numeric.h"

static const plens__linear *linear_of(const plens__block *block, plens__slot slot) {
    const plens__linear *all[] = {&block->q,    &block->k,  &block->v,   &block->o,
                                  &block->gate, &block->up, &block->down};
    return all[slot];
}

void plens__variant_of_model(const plens__config *config, size_t layer, plens__variant *variant) {
    memset(variant, 0, sizeof *variant);
    variant->config = *config;
    variant->attn_eps = variant->mlp_eps = variant->qk_eps = config->rms_norm_eps;
    variant->scale = 1 / sqrt((double)config->head_dim);
    variant->window = config->windows[layer - 1];
    variant->rope_dims = config->head_dim;
    variant->rope_stretch = 1;
    variant->attn_norm_out = variant->mlp_norm_out = 1;
    variant->skip_attn = variant->skip_mlp = variant->attn_out = variant->mlp_out = 1;
    for (int s = 0; s < PLENS__N_LINEAR; s++) {
        variant->matrix[s] = (plens__slot)s;
        variant->factor[s] = variant->bias[s] = 1;
    }
}

double plens__round_result(const plens__step *s, size_t at, double x) {
    return plens__round_to(s->arithmetic->results, s->arithmetic->seed, at, x);
}

/* The block whose weights a slot has. */
static const plens__block *source(const plens__reference *reference, const plens__variant *variant,
                                  plens__slot slot) {
    return variant->from[slot] != NULL ? variant->from[slot] : reference->block;
}

static double edited(const plens__variant *variant, plens__slot slot, size_t i, double value) {
    for (size_t e = 0; e < variant->n_edits; e++) {
        if (variant->edits[e].slot == slot && variant->edits[e].row == i)
            value += variant->edits[e].value;
    }
    return value;
}

/* ---- norms ---- */

static double norm_weight(const plens__step *s, plens__slot slot, size_t i) {
    const float *weight = s->norm == PLENS__NORM_OTHER ? s->other : s->weight;
    double w = s->norm == PLENS__NORM_NO_WEIGHT
                   ? 1
                   : plens__round_to(s->arithmetic->results, 0, 0, (double)weight[i]);
    if (s->norm == PLENS__NORM_WEIGHT_PLUS_ONE)
        w += 1;
    return edited(s->variant, slot, i, w);
}

/* One row x [n] to y [n]; y may be x. */
void plens__norm_row(const plens__step *s, plens__slot slot, const double *x, size_t n, size_t at,
                     double *y) {
    double sum = 0, mean = 0;
    if (s->norm == PLENS__NORM_NONE) {
        memmove(y, x, n * sizeof *y);
        return;
    }
    if (s->norm == PLENS__NORM_TWICE) {
        plens__step once = *s;
        once.norm = PLENS__NORM_RMS;
        plens__norm_row(&once, slot, x, n, at, y);
        plens__norm_row(&once, slot, y, n, at + 2 * n, y);
        return;
    }
    for (size_t i = 0; i < n && s->norm == PLENS__NORM_MEAN; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    double r = 1 / sqrt(sum / (s->norm == PLENS__NORM_SUM ? 1 : (double)n) + s->eps);
    if (s->arithmetic->results != PLENS__EXACT)
        r = plens__round_to(PLENS__FLOAT, s->arithmetic->seed, at, r);
    for (size_t i = 0; i < n; i++) {
        double scaled = plens__round_result(s, at + i, (x[i] - mean) * r);
        y[i] = plens__round_result(s, at + n + i, scaled * norm_weight(s, slot, i));
        y[i] *= slot == PLENS__SLOT_ATTN_NORM  ? s->variant->attn_norm_out
                : slot == PLENS__SLOT_MLP_NORM ? s->variant->mlp_norm_out
                                               : 1;
        if (!s->arithmetic->core_only)
            y[i] = plens__round_to(s->arithmetic->operands, 0, 0, y[i]);
    }
}

static void norm_task(void *arg, size_t item, int thread) {
    const plens__step *s = arg;
    size_t d = s->reference->config->d_model;
    (void)thread;
    plens__norm_row(s, s->is_query ? PLENS__SLOT_ATTN_NORM : PLENS__SLOT_MLP_NORM,
                    s->from + item * d, d, item * d * 2, s->to + item * d);
}

static void normalize(plens__step *s, plens__slot slot, const double *from, double *to) {
    const plens__block *block = source(s->reference, s->variant, slot);
    s->is_query = slot == PLENS__SLOT_ATTN_NORM;
    s->weight = s->is_query ? block->attn_norm : block->mlp_norm;
    s->other = s->is_query ? block->mlp_norm : block->attn_norm;
    s->norm = s->is_query ? s->variant->attn_norm : s->variant->mlp_norm;
    s->eps = s->is_query ? s->variant->attn_eps : s->variant->mlp_eps;
    s->from = from;
    s->to = to;
    plens__parallel(s->reference->engine, s->reference->n, norm_task, s);
}

void plens__reference_norm(const plens__reference *reference, plens__norm_kind kind,
                           const float *weight, const float *other, double eps,
                           const plens__arithmetic *arithmetic, const double *x, double *to) {
    static const plens__variant as_is = {.attn_norm_out = 1};
    plens__step s = {.reference = reference, .variant = &as_is, .arithmetic = arithmetic};
    s.from = x;
    s.to = to;
    s.weight = weight;
    s.other = other;
    s.norm = kind;
    s.eps = eps;
    s.is_query = 1;
    plens__parallel(reference->engine, reference->n, norm_task, &s);
}

/* ---- linear layers ---- */

static void add_edit(const plens__edit *edit, const plens__matrix *matrix, const double *x,
                     double *y) {
    if (edit->row != PLENS__WHOLE_COLUMN) {
        y[edit->row] +=
            edit->value * (edit->column == PLENS__WHOLE_ROW ? y[edit->row] : x[edit->column]);
        return;
    }
    for (size_t o = 0; o < matrix->n_out; o++)
        y[o] += edit->value * x[edit->column] * plens__matrix_at(matrix, o, edit->column);
}

static void add_exchange(const plens__exchange *e, const plens__matrix *matrix, const double *x,
                         double *y) {
    if (!e->is_column) {
        double row = y[e->a];
        y[e->a] = y[e->b];
        y[e->b] = row;
        return;
    }
    for (size_t o = 0; o < matrix->n_out; o++)
        y[o] += (plens__matrix_at(matrix, o, e->b) - plens__matrix_at(matrix, o, e->a)) *
                (x[e->a] - x[e->b]);
}

static void add_line(const plens__line *line, size_t t, const double *x, size_t n_out, double *y) {
    if (!line->is_column)
        y[line->index] += line->added[t];
    for (size_t o = 0; o < n_out && line->is_column; o++)
        y[o] += line->added[o] * x[line->index];
}

/* y [n] one place up or down, in a circle. */
static void shift_circle(int by, double *y, size_t n) {
    double first = y[0], last = y[n - 1];
    if (by > 0)
        memmove(y + 1, y, (n - 1) * sizeof *y);
    else
        memmove(y, y + 1, (n - 1) * sizeof *y);
    *(by > 0 ? y : y + n - 1) = by > 0 ? last : first;
}

typedef struct finish {
    const plens__step *s;
    plens__slot slot;
    const double *x;
    double *y;
    size_t n_in, n_out;
    const plens__matrix *matrix;
    const float *bias;
} finish;

/* What a linear layer adds to its product at one position. */
static void finish_task(void *arg, size_t item, int thread) {
    const finish *f = arg;
    const plens__variant *variant = f->s->variant;
    double *y = f->y + item * f->n_out;
    (void)thread;
    for (size_t e = 0; e < variant->n_edits; e++) {
        if (variant->edits[e].slot == f->slot)
            add_edit(&variant->edits[e], f->matrix, f->x + item * f->n_in, y);
    }
    if (variant->line.added != NULL && variant->line.slot == f->slot)
        add_line(&variant->line, item, f->x + item * f->n_in, f->n_out, y);
    if (variant->exchange.a != variant->exchange.b && variant->exchange.slot == f->slot)
        add_exchange(&variant->exchange, f->matrix, f->x + item * f->n_in, y);
    if (variant->shift[f->slot] != 0)
        shift_circle(variant->shift[f->slot], y, f->n_out);
    for (size_t o = 0; o < f->n_out; o++) {
        double b = f->bias == NULL ? 0 : (double)f->bias[o] * variant->bias[f->slot];
        b = plens__round_to(f->s->arithmetic->weights, 0, 0, b);
        b = edited(variant, (plens__slot)(PLENS__SLOT_BIAS + f->slot), o, b);
        y[o] = plens__round_result(f->s, item * f->n_out + o, y[o] * variant->factor[f->slot] + b);
    }
}

static void apply(const plens__step *s, plens__slot slot, const double *x, double *y) {
    const plens__variant *variant = s->variant;
    const plens__linear *own = linear_of(s->reference->block, slot);
    const plens__linear *used =
        linear_of(source(s->reference, variant, slot), variant->matrix[slot]);
    const plens__block *biased =
        source(s->reference, variant, (plens__slot)(PLENS__SLOT_BIAS + slot));
    plens__slot biases = variant->matrix[slot];
    if (variant->exchange_biases && (slot == PLENS__SLOT_K || slot == PLENS__SLOT_V))
        biases = slot == PLENS__SLOT_K ? PLENS__SLOT_V : PLENS__SLOT_K;
    finish f = {s,
                slot,
                x,
                y,
                own->matrix.n_in,
                own->matrix.n_out,
                &own->matrix,
                linear_of(biased, biases)->bias};
    plens__matrix turned = used->matrix; /* the same bytes, read column by column */
    turned.n_in = used->matrix.n_out;
    turned.n_out = used->matrix.n_in;
    if (variant->transposed[slot])
        plens__reference_multiply_back(s->reference, &turned, x, s->reference->n, y);
    else
        plens__reference_multiply_kept(s->reference, &used->matrix, variant->kept[slot],
                                       s->arithmetic, x, s->reference->n, y);
    if (f.bias != NULL || variant->n_edits > 0 || variant->factor[slot] != 1 ||
        variant->transposed[slot] || variant->shift[slot] != 0 ||
        variant->exchange.a != variant->exchange.b || variant->line.added != NULL)
        plens__parallel(s->reference->engine, s->reference->n, finish_task, &f);
}

/* ---- the residual stream ---- */

/* to = skip * from + out * added, one position. */
static void add_task(void *arg, size_t item, int thread) {
    const plens__step *s = arg;
    size_t d = s->reference->config->d_model;
    (void)thread;
    for (size_t i = item * d; i < (item + 1) * d; i++)
        s->to[i] = plens__round_to(s->arithmetic->residual, s->arithmetic->seed, i,
                                   s->skip * s->from[i] + s->out * s->added[i]);
}

static void add(plens__step *s, double skip, const double *from, double out, double *to) {
    s->skip = skip;
    s->from = from;
    s->out = out;
    s->added = s->reference->product;
    s->to = to;
    plens__parallel(s->reference->engine, s->reference->n, add_task, s);
}

void plens__block_attention(const plens__reference *reference, const plens__variant *variant,
                            const plens__arithmetic *arithmetic, const double *x,
                            plens__trace *trace) {
    plens__step s = {.reference = reference, .variant = variant, .arithmetic = arithmetic};
    s.x = x;
    s.trace = trace;
    normalize(&s, PLENS__SLOT_ATTN_NORM, x, trace->attn_normed);
    apply(&s, PLENS__SLOT_Q, trace->attn_normed, trace->q);
    apply(&s, PLENS__SLOT_K, trace->attn_normed, trace->k);
    apply(&s, PLENS__SLOT_V, trace->attn_normed, trace->v);
    plens__step_rotate(&s);
    plens__step_attend(&s);
    if (variant->no_o)
        memcpy(reference->product, trace->z,
               reference->n * reference->config->d_model * sizeof *trace->z);
    else
        apply(&s, PLENS__SLOT_O, trace->z, reference->product);
    add(&s, variant->skip_attn, variant->carry_attn ? trace->attn_normed : x, variant->attn_out,
        trace->mid);
}

/* ---- the MLP ---- */

/* Element j of what gate_proj (j < d_ff) and up_proj give at position t, in variant->fused's order.
 */
static double fused(const plens__step *s, size_t t, size_t j) {
    size_t d_ff = s->reference->config->d_ff;
    if (s->variant->fused > 0)
        j = j < d_ff ? 2 * j : 2 * (j - d_ff) + 1;
    else if (s->variant->fused < 0)
        j = j / 2 + j % 2 * d_ff;
    return j < d_ff ? s->trace->gate[t * d_ff + j] : s->trace->up[t * d_ff + j - d_ff];
}

static void activate_task(void *arg, size_t item, int thread) {
    const plens__step *s = arg;
    size_t d_ff = s->reference->config->d_ff;
    (void)thread;
    for (size_t j = 0; j < d_ff; j++) {
        size_t i = item * d_ff + j;
        double activated = plens__activate(s->variant->activation, fused(s, item, j));
        activated = plens__round_result(s, 2 * i, activated);
        activated *= s->variant->no_up ? 1 : fused(s, item, d_ff + j);
        s->trace->hidden[i] = plens__round_to(s->arithmetic->operands, 0, 0,
                                              plens__round_result(s, 2 * i + 1, activated));
    }
}

void plens__roll_rows(int later, size_t n, size_t d, double *row, double *rows) {
    size_t bytes = d * sizeof *rows, rest = (n - 1) * bytes;
    memcpy(row, later > 0 ? rows : rows + (n - 1) * d, bytes);
    memmove(later > 0 ? rows : rows + d, later > 0 ? rows + d : rows, rest);
    memcpy(later > 0 ? rows + (n - 1) * d : rows, row, bytes);
}

void plens__block_mlp(const plens__reference *reference, const plens__variant *variant,
                      const plens__arithmetic *arithmetic, const double *x, plens__trace *trace) {
    plens__step s = {.reference = reference, .variant = variant, .arithmetic = arithmetic};
    s.x = x;
    s.trace = trace;
    normalize(&s, PLENS__SLOT_MLP_NORM, variant->parallel_mlp ? x : trace->mid, trace->mlp_normed);
    apply(&s, PLENS__SLOT_GATE, trace->mlp_normed, trace->gate);
    apply(&s, PLENS__SLOT_UP, trace->mlp_normed, trace->up);
    plens__parallel(reference->engine, reference->n, activate_task, &s);
    apply(&s, PLENS__SLOT_DOWN, trace->hidden, reference->product);
    add(&s, variant->skip_mlp, variant->carry_mlp ? trace->mlp_normed : trace->mid,
        variant->mlp_out, trace->out);
    if (variant->later != 0)
        plens__roll_rows(variant->later, reference->n, reference->config->d_model,
                         reference->product, trace->out);
}

void plens__block_run(const plens__reference *reference, const plens__variant *variant,
                      const plens__arithmetic *arithmetic, const double *x, plens__trace *trace) {
    plens__block_attention(reference, variant, arithmetic, x, trace);
    plens__block_mlp(reference, variant, arithmetic, x, trace);
    if (!variant->twice)
        return;
    plens__block_attention(reference, variant, arithmetic, trace->out, trace);
    plens__block_mlp(reference, variant, arithmetic, trace->out, trace);
}

/* ---- memory ---- */

void plens__trace_carve(const plens__config *config, size_t n, plens__trace *trace,
                        plens__carver *carver) {
    size_t q_width = config->n_heads * config->head_dim;
    size_t kv_width = config->n_kv_heads * config->head_dim;
    double **model[] = {&trace->attn_normed, &trace->mid, &trace->mlp_normed, &trace->out};
    double **queries[] = {&trace->q, &trace->q_rotated, &trace->z};
    double **keys[] = {&trace->k, &trace->k_rotated, &trace->v};
    double **hidden[] = {&trace->gate, &trace->up, &trace->hidden};
    for (int i = 0; i < 4; i++)
        *model[i] = plens__carve(carver, n, config->d_model * sizeof(double));
    for (int i = 0; i < 3; i++) {
        *queries[i] = plens__carve(carver, n, q_width * sizeof(double));
        *keys[i] = plens__carve(carver, n, kv_width * sizeof(double));
        *hidden[i] = plens__carve(carver, n, config->d_ff * sizeof(double));
    }
}

void plens__reference_carve(plens__reference *reference, const plens__engine *engine,
                            const plens__config *config, size_t n, plens__carver *carver) {
    size_t widest = config->n_heads * config->head_dim;
    widest = widest > config->d_model ? widest : config->d_model;
    widest = widest > config->d_ff ? widest : config->d_ff;
    reference->engine = engine;
    reference->config = config;
    reference->n = n;
    reference->scratch_width = (widest > 2 * n ? widest : 2 * n) + 8;
    reference->product = plens__carve(carver, n, widest * sizeof(double));
    reference->scratch =
        plens__carve(carver, (size_t)engine->n_threads, reference->scratch_width * sizeof(double));
}
