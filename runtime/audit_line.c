/* A row or a column of a matrix that is wrong in many places. What that adds to the matrix's output
 * is a number for each position in one row, or for each row a multiple of one input; they are
 * fitted by Gauss-Newton, whose steps are solved by conjugate gradients with the block's derivative
 * and its adjoint [CGLS: Björck 1996, 7.4.1], scaled by the diagonal that random signs estimate. */
#include "runtime/fp.h"

#include "runtime/audit_rank.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/audit_math.h"

#define EFFORT   2e10  /* multiply-adds of all runs */
#define FEW_RUNS 100   /* fit no line */
#define N_LINES  5     /* rows that are fitted, and as many columns */
#define ROUNDS   12    /* of Gauss-Newton */
#define ENOUGH   1e-10 /* of the squared gradient: the step is then solved well enough */
#define STEPS    40    /* of conjugate gradients in each */
#define HALVINGS 4     /* of a step that leads too far */
#define GAINED   0.9   /* a round that leaves more than this of the departure is the last */

#define SILU_LEAST_AT (-1.2784645427610738) /* where silu has its minimum */

typedef struct fit {
    plens__ranking *r;
    plens__line line;
    plens__variant variant;                                  /* with z */
    size_t m;                                                /* unknowns */
    double *z, *step, *moved, *direction, *gradient, *scale; /* [m] */
    double *tangent;                                         /* [n, d_model] J direction */
    double *left;                                            /* [n, d_model] r - J step */
    double rho, turn;     /* of conjugate gradients: |gradient|^2, how it has changed */
    double length, share; /* of the direction for a derivative, of the step taken */
    double n_runs;        /* of the block so far */
} fit;

/* The number of a line's unknowns. */
static size_t n_unknowns(const plens__case *c, plens__slot slot, int is_column) {
    return is_column ? plens__linear_at(c, (int)slot)->matrix.n_out : c->reference.n;
}

/* The gradient with respect to unknown i of a line, of sweep `probe`. */
static double gradient_of(const plens__ranking *r, const plens__line *line, size_t probe,
                          size_t i) {
    const plens__matrix *matrix = &plens__linear_at(r->c, (int)line->slot)->matrix;
    const double *adjoint = r->adjoints[probe].linear[line->slot];
    const double *input = plens__input_of(r->c, line->slot);
    double sum = 0;
    if (!line->is_column)
        return adjoint[i * matrix->n_out + line->index];
    for (size_t t = 0; t < r->c->reference.n; t++)
        sum += adjoint[t * matrix->n_out + i] * input[t * matrix->n_in + line->index];
    return sum;
}

static double diagonal_of(const plens__ranking *r, const plens__line *line, size_t i) {
    double square = 0;
    for (size_t p = 1; p <= PLENS__N_PROBES; p++) {
        double gradient = gradient_of(r, line, p, i);
        square += gradient * gradient / PLENS__N_PROBES;
    }
    return square;
}

/* ---- which lines ---- */

typedef struct choice {
    plens__ranking *r;
    plens__slot slot;
    int is_column;
    size_t n;
    plens__line best[N_LINES]; /* by falling score */
    double scores[N_LINES];
} choice;

static void keep(choice *s, const plens__line *line, double score) {
    size_t at = s->n;
    if (s->n < N_LINES)
        s->n++;
    else if (score > s->scores[N_LINES - 1])
        at = N_LINES - 1;
    else
        return;
    for (; at > 0 && s->scores[at - 1] < score; at--) {
        s->scores[at] = s->scores[at - 1];
        s->best[at] = s->best[at - 1];
    }
    s->scores[at] = score;
    s->best[at] = *line;
}

/* Lines of one matrix, by what each unknown alone would explain, summed: they are nearly
 * independent. */
static void choose_task(void *arg, size_t item, int thread) {
    choice *s = arg;
    const plens__matrix *matrix = &plens__linear_at(s->r->c, (int)s->slot)->matrix;
    plens__line line = {s->slot, s->is_column, 0, NULL};
    size_t n_lines = s->is_column ? matrix->n_in : matrix->n_out;
    size_t m = n_unknowns(s->r->c, s->slot, s->is_column);
    (void)item;
    (void)thread;
    for (; line.index < n_lines; line.index++) {
        double score = 0;
        for (size_t i = 0; i < m; i++) {
            double square = diagonal_of(s->r, &line, i), gradient = gradient_of(s->r, &line, 0, i);
            score += square > 0 ? gradient * gradient / square : 0;
        }
        keep(s, &line, score);
    }
}

/* ---- fitting one ---- */

static void gradient_task(void *arg, size_t item, int thread) {
    fit *s = arg;
    double rho = 0;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < s->m; i++) {
        s->gradient[i] = gradient_of(s->r, &s->line, 0, i);
        rho += s->gradient[i] * s->gradient[i] * s->scale[i];
    }
    s->turn = s->rho > 0 ? rho / s->rho : 0;
    s->rho = rho;
    for (size_t i = 0; i < s->m; i++)
        s->direction[i] = s->scale[i] * s->gradient[i] + s->turn * s->direction[i];
}

/* The gradient of what is left, and the next direction. */
static void turn(fit *s) {
    plens__rank_sweep_once(s->r, &s->variant, s->left);
    s->n_runs += 4;
    plens__guarded(gradient_task, s);
}

/* A small way along the direction. */
static void move_task(void *arg, size_t item, int thread) {
    fit *s = arg;
    double most = 0;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < s->m; i++)
        most = fabs(s->direction[i]) > most ? fabs(s->direction[i]) : most;
    s->length = most > 0 ? PLENS__SMALL_STEP / most : 0;
    for (size_t i = 0; i < s->m; i++)
        s->moved[i] = s->z[i] + s->length * s->direction[i];
}

static void advance_task(void *arg, size_t item, int thread) {
    fit *s = arg;
    const plens__noise *noise = &s->r->c->noise;
    const double *moved = s->tangent, *output = s->r->c->slope_output;
    double bent = 0;
    (void)item;
    (void)thread;
    for (size_t at = 0; at < noise->n * noise->d; at++) {
        double unit = noise->position[at / noise->d] * noise->column[at % noise->d];
        s->tangent[at] = (moved[at] - output[at]) / s->length;
        bent += s->tangent[at] * s->tangent[at] / unit / unit;
    }
    double step = bent > 0 ? s->rho / bent : 0;
    for (size_t at = 0; at < noise->n * noise->d; at++)
        s->left[at] -= step * s->tangent[at];
    for (size_t i = 0; i < s->m; i++)
        s->step[i] += step * s->direction[i];
}

/* The step from z that explains most of the departure, to first order. */
static void solve(fit *s) {
    plens__case *c = s->r->c;
    size_t bytes = c->noise.n * c->noise.d * sizeof(double);
    memcpy(s->left, c->departure, bytes);
    memset(s->step, 0, s->m * sizeof *s->step);
    memset(s->direction, 0, s->m * sizeof *s->direction);
    s->rho = 0;
    turn(s);
    double first = s->rho;
    for (int i = 0; i < STEPS && s->rho > ENOUGH * first && !c->stopped; i++) {
        plens__variant near = s->variant;
        near.line.added = s->moved;
        plens__guarded(move_task, s);
        plens__slope_begin(c, &s->variant, plens__slot_is_mlp(s->line.slot));
        memcpy(s->tangent, plens__case_output(c, &near, plens__slot_is_mlp(s->line.slot)), bytes);
        s->n_runs += 2;
        if (!(s->length > 0))
            break;
        plens__guarded(advance_task, s);
        turn(s);
    }
}

static void scale_task(void *arg, size_t item, int thread) {
    fit *s = arg;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < s->m; i++) {
        double square = diagonal_of(s->r, &s->line, i);
        s->scale[i] = square > 0 ? 1 / square : 0;
        s->z[i] = 0;
    }
}

static void add_task(void *arg, size_t item, int thread) {
    fit *s = arg;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < s->m; i++)
        s->moved[i] = s->z[i] + s->share * s->step[i];
}

/* One step from z, or as much of it as helps; c->departure is then that of the new z. */
static plens__excess improve(fit *s, plens__excess excess) {
    plens__case *c = s->r->c;
    solve(s);
    s->share = 1;
    for (int halvings = 0; halvings <= HALVINGS; halvings++, s->share /= 2) {
        plens__variant moved = s->variant;
        plens__guarded(add_task, s);
        moved.line.added = s->moved;
        plens__excess after = plens__case_measure(c, &moved, plens__slot_is_mlp(s->line.slot));
        s->n_runs++;
        if (!(after.all < excess.all))
            continue;
        memcpy(s->z, s->moved, s->m * sizeof *s->z);
        return after;
    }
    return excess;
}

/* Fits the line s->line. */
static plens__excess fit_line(fit *s) {
    plens__case *c = s->r->c;
    int mlp_only = plens__slot_is_mlp(s->line.slot);
    s->m = n_unknowns(c, s->line.slot, s->line.is_column);
    s->variant = c->model;
    s->variant.line = s->line;
    s->variant.line.added = s->z;
    plens__guarded(scale_task, s);
    plens__excess excess = plens__case_measure(c, &s->variant, mlp_only);
    for (int i = 0; i < ROUNDS && excess.worst > 1 && !c->stopped; i++) {
        plens__excess after = improve(s, excess);
        int gained = after.all < GAINED * excess.all;
        excess = after;
        if (!gained)
            break;
    }
    return plens__case_try(c, &s->variant, mlp_only);
}

/* ---- the other row ---- */

/* silu(x) = share for x at or right of its minimum; `share` is not below that. */
static double silu_inverse(double share) {
    double low = SILU_LEAST_AT, high = share > 0 ? share + 1 : 0;
    for (int i = 0; i < 100; i++) {
        double x = 0.5 * (low + high);
        *(plens__activate(PLENS__SILU, x) < share ? &low : &high) = x;
    }
    return 0.5 * (low + high);
}

/* moved: what a row of gate_proj must give more for what s->z does to the same row of up_proj;
 * where no gate gives that, what comes nearest. */
static void gate_task(void *arg, size_t item, int thread) {
    fit *s = arg;
    const plens__case *c = s->r->c;
    size_t d_ff = c->reference.config->d_ff;
    double least = plens__activate(PLENS__SILU, SILU_LEAST_AT);
    (void)item;
    (void)thread;
    for (size_t t = 0; t < s->m; t++) {
        double gate = c->base.gate[t * d_ff + s->line.index];
        double up = c->base.up[t * d_ff + s->line.index];
        double wanted = plens__activate(PLENS__SILU, gate) * (up + s->z[t]);
        double share = up != 0 ? wanted / up : 0;
        s->moved[t] = silu_inverse(share > least ? share : least) - gate;
    }
}

/* A row of up_proj that explains the departure as fitted: the same row of gate_proj may do so too,
 * though the activation leads its fit astray. 1 if it does. */
static int gate_explains(fit *s, plens__excess *after) {
    plens__variant variant = s->r->c->model;
    if (s->line.slot != PLENS__SLOT_UP || s->line.is_column)
        return 0;
    plens__guarded(gate_task, s);
    variant.line = s->line;
    variant.line.slot = PLENS__SLOT_GATE;
    variant.line.added = s->moved;
    *after = plens__case_try(s->r->c, &variant, 1);
    return after->worst <= 1;
}

/* ---- all ---- */

static void carve(fit *s, plens__carver *carver) {
    const plens__case *c = s->r->c;
    size_t widest = s->r->row_width > c->reference.n ? s->r->row_width : c->reference.n;
    double **vectors[] = {&s->z, &s->step, &s->moved, &s->direction, &s->gradient, &s->scale};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        *vectors[i] = plens__carve(carver, widest, sizeof(double));
    s->tangent = plens__carve(carver, c->noise.n, c->noise.d * sizeof(double));
    s->left = plens__carve(carver, c->noise.n, c->noise.d * sizeof(double));
}

/* Far fewer unknowns than numbers to explain: else they explain whatever happened. */
static int is_telling(const plens__case *c, const plens__line *line) {
    return 4 * n_unknowns(c, line->slot, line->is_column) <= c->noise.distinct * c->noise.d;
}

/* Unless it is named already. */
static void name_line(const fit *s, plens__slot slot, int first, plens__excess after,
                      plens__finding *finding) {
    char text[160];
    snprintf(text, sizeof text, "%s %zu of %s is wrong in many places",
             s->line.is_column ? "column" : "row", s->line.index, plens__slot_name(slot));
    if (first || strstr(finding->text, text) == NULL)
        plens__name_too(finding, first, plens__slot_part(slot), text, after);
}

plens_status plens__fit_line(plens__ranking *r, plens__finding *finding, plens_error *error) {
    plens__case *c = r->c;
    const plens_allocator *allocator = &c->reference.engine->allocator;
    plens__carver carver = {NULL, 0, 0};
    fit s = {.r = r};
    int found = 0;
    if (FEW_RUNS * plens__case_effort(c) > EFFORT)
        return PLENS_OK;
    carve(&s, &carver);
    char *base = carver.overflow ? NULL : plens__alloc(allocator, carver.used);
    if (base == NULL)
        return plens__fail_memory(error, carver.used, "the search for a wrong row");
    carver = (plens__carver){base, 0, 0};
    carve(&s, &carver);
    for (int is_column = 0; is_column <= 1; is_column++) {
        choice lines = {.r = r, .is_column = is_column};
        plens__rank_sweep(r, NULL, c->base_departure);
        for (int slot = 0; slot < PLENS__N_LINEAR; slot++) {
            lines.slot = (plens__slot)slot;
            plens__guarded(choose_task, &lines);
        }
        for (size_t i = 0; i < lines.n && s.n_runs * plens__case_effort(c) < EFFORT; i++) {
            s.line = lines.best[i];
            if (!is_telling(c, &s.line))
                continue;
            plens__excess after = fit_line(&s);
            if (after.worst > 1)
                continue;
            name_line(&s, s.line.slot, !found, after, finding);
            finding->n_fitted = found && finding->n_fitted < s.m ? finding->n_fitted : s.m;
            found = 1;
            if (gate_explains(&s, &after))
                name_line(&s, PLENS__SLOT_GATE, 0, after, finding);
        }
    }
    plens__free(allocator, base);
    return PLENS_OK;
}
