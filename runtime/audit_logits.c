/* The logits, judged from the last state: the vocabulary goes by in tiles. */
#include "runtime/fp.h"

#include "runtime/audit_logits.h"

#include <math.h>
#include <string.h>

#include "runtime/numeric.h"

static const plens__arithmetic exactly;

/* The format in which the logits were written; EXACT: that of what made them. */
static plens__format stored_as(const plens__audit *a) {
    return a->logits_stored != PLENS__EXACT ? a->logits_stored : a->c.arithmetic->stored;
}

/* The coarsest of what rounded them. */
static plens__format rounded_to(const plens__audit *a) {
    return stored_as(a) != PLENS__EXACT ? stored_as(a) : plens__format_of(a->c.arithmetic);
}

typedef struct tile {
    plens__audit *a;
    size_t first, n; /* ids */
    plens__logits_sums *sums;
    plens_audit_row *row;
} tile;

/* The square of what rounding did, in place of logits_noise. */
static void tile_noise_task(void *arg, size_t item, int thread) {
    const tile *s = arg;
    plens__audit *a = s->a;
    size_t n = a->states->n_ids;
    (void)item;
    (void)thread;
    a->logits_scale.d = s->n;
    for (size_t i = 0; i < s->n; i++)
        a->logits_scale.column[i] = 1;
    for (size_t t = 0; t < n; t++) {
        double square = 0, size = 0;
        for (size_t i = 0; i < s->n; i++) {
            size_t at = t * s->n + i;
            double made = plens__round_to(stored_as(a), 0, at, a->logits_noise[at]);
            double z = made - a->logits_made[at];
            square += z * z;
            size += a->logits_made[at] * a->logits_made[at];
        }
        double least = 0.25 * plens__unit(rounded_to(a), sqrt(size / (double)s->n));
        double unit = sqrt(square / (double)s->n);
        a->logits_scale.position[t] = unit > least ? unit : least;
    }
    plens__count_distinct(&a->logits_scale, a->logits_made);
}

/* Adds what token id `first + i` says. */
static void add_id(const tile *s, size_t i) {
    plens__audit *a = s->a;
    plens__logits_sums *sums = s->sums;
    size_t n = a->states->n_ids, vocab = a->model->config.vocab_size;
    plens__format format = rounded_to(a);
    double excess = 0, square = 0, sum = 0;
    for (size_t t = 0; t < n; t++) {
        size_t at = t * s->n + i;
        double unit = a->logits_scale.position[t], made = a->logits_made[at];
        double found = (double)a->states->logits[t * vocab + s->first + i];
        double departure = found - made, step = plens__unit(format, found);
        a->logits_departure[at] = departure;
        if (fabs(made) > fabs(sums->largest)) {
            sums->largest = made;
            sums->largest_found = found;
        }
        sums->smallest = found < sums->smallest ? found : sums->smallest;
        sums->departed_at[t] += departure * departure;
        sums->size_at[t] += made * made;
        sums->alike_at[t] += found * made;
        sums->shift_at[t] += departure;
        sums->sum_at[t] += found;
        sums->rounding += unit * unit;
        sums->found_rounding += step * step / 12; /* rounded to nearest */
        excess += departure * departure / (unit * unit * (double)n);
        sum += departure;
        square += departure * departure;
    }
    sums->varied += square - sum * sum / (double)n;
    if (sqrt(excess) > plens__noise_limit(a->logits_scale.distinct) && sums->n_wrong++ == 0)
        sums->first_wrong = s->first + i;
}

static void tile_sums_task(void *arg, size_t item, int thread) {
    const tile *s = arg;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < s->n; i++)
        add_id(s, i);
}

static void finish_row_task(void *arg, size_t item, int thread) {
    const tile *s = arg;
    plens__logits_sums *sums = s->sums;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < s->a->states->n_ids; t++) {
        double departed = sums->departed_at[t];
        double distance = departed == 0 ? 0 : sqrt(departed / sums->size_at[t]);
        sums->departed += departed;
        sums->size += sums->size_at[t];
        sums->alike += sums->alike_at[t];
        if (t == 0 || distance > s->row->worst) {
            s->row->worst = distance;
            s->row->worst_position = t;
        }
    }
    s->row->distance = sums->departed == 0 ? 0 : sqrt(sums->departed / sums->size);
    s->row->rounding = sums->rounding == 0 ? 0 : sqrt(sums->rounding / sums->size);
}

/* The state `from` [n, d] as the unembedding reads it. */
static void final_state(plens__audit *a, const plens__logits_way *way,
                        const plens__arithmetic *arithmetic, const double *from, double *to) {
    const plens__case *c = &a->c;
    if (way->normed)
        memcpy(to, from, c->noise.n * c->noise.d * sizeof *to);
    else
        plens__reference_norm(&c->reference, way->kind,
                              way->weight != NULL ? way->weight : a->weights.final_norm, NULL,
                              way->eps, arithmetic, from, to);
}

static const plens__tensor *matrix_of(const plens__audit *a, const plens__logits_way *way) {
    return way->tied ? a->model->layout.embed : a->model->layout.unembed;
}

plens_status plens__read_unembed(plens__audit *a, const plens__logits_way *way, size_t first,
                                 size_t n, plens__matrix *rows, plens_error *error) {
    const plens__tensor *matrix = matrix_of(a, way);
    size_t d = a->model->config.d_model, row = d * (matrix->dtype == PLENS_F32 ? 4 : 2);
    *rows = (plens__matrix){a->weights.tiles[0], matrix->dtype, n, d};
    return plens__tensor_read(&a->model->checkpoint, matrix, (uint64_t)first * row, n * row,
                              a->weights.tiles[0], error);
}

typedef struct capping {
    double cap;
    double *to[2];
    size_t n;
} capping;

/* tanh(x) = 1 - 2 / (e^(2x) + 1). */
static void cap_task(void *arg, size_t item, int thread) {
    const capping *s = arg;
    (void)item;
    (void)thread;
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < s->n; i++)
            s->to[k][i] = s->cap * (1 - 2 / (plens__exp(2 * s->to[k][i] / s->cap) + 1));
    }
}

/* The states that the way's unembedding reads: exact ones to base_output, rounded ones to
 * trial_output. */
static void final_states(plens__audit *a, const plens__logits_way *way) {
    plens__case *c = &a->c;
    plens__case_blur(c, c->target, 1);
    final_state(a, way, &exactly, c->target, c->base_output);
    final_state(a, way, c->arithmetic, c->blurred, c->trial_output);
    if (way->later == 0)
        return;
    plens__roll_rows(way->later, c->noise.n, c->noise.d, c->samples, c->base_output);
    plens__roll_rows(way->later, c->noise.n, c->noise.d, c->samples, c->trial_output);
}

static void begin(plens__audit *a, plens_audit_row *row, plens__logits_sums *sums) {
    size_t n = a->states->n_ids;
    double **all[PLENS__LOGITS_SUMS_AT] = {&sums->departed_at, &sums->size_at, &sums->alike_at,
                                           &sums->shift_at, &sums->sum_at};
    memset(row, 0, sizeof *row);
    row->place = PLENS_PLACE_UNEMBED;
    memset(sums, 0, sizeof *sums);
    memset(a->logits_sums_at, 0, PLENS__LOGITS_SUMS_AT * n * sizeof *a->logits_sums_at);
    for (size_t i = 0; i < PLENS__LOGITS_SUMS_AT; i++)
        *all[i] = a->logits_sums_at + i * n;
}

/* Makes the logits of a tile, of which `matrix` is the way's, and adds what they say. */
static void run_tile(tile *s, const plens__logits_way *way, const plens__matrix *matrix) {
    plens__audit *a = s->a;
    const plens__case *c = &a->c;
    size_t n = a->states->n_ids;
    plens__excess *worst = &s->sums->worst;
    capping cap = {way->cap, {a->logits_made, a->logits_noise}, n * s->n};
    plens__reference_multiply(&c->reference, matrix, &exactly, c->base_output, n, a->logits_made);
    plens__reference_multiply(&c->reference, matrix, c->arithmetic, c->trial_output, n,
                              a->logits_noise);
    if (way->cap > 0)
        plens__guarded(cap_task, &cap);
    plens__guarded(tile_noise_task, s);
    plens__guarded(tile_sums_task, s);
    plens__excess excess = plens__excess_of(&a->logits_scale, a->logits_departure);
    worst->all = excess.all > worst->all ? excess.all : worst->all;
    worst->worst = excess.worst > worst->worst ? excess.worst : worst->worst;
}

/* Tile after tile of the vocabulary; with a shift without the ids that have no such row. */
plens_status plens__run_logits(plens__audit *a, const plens__logits_way *way, plens_audit_row *row,
                               plens__logits_sums *sums, plens_error *error) {
    size_t end = a->model->config.vocab_size - (size_t)(way->shift < 0);
    tile s = {a, way->shift > 0, 0, sums, row};
    begin(a, row, sums);
    final_states(a, way);
    for (; s.first < end; s.first += s.n) {
        plens__matrix matrix;
        s.n = end - s.first < PLENS__TILE_IDS ? end - s.first : PLENS__TILE_IDS;
        size_t first = way->shift > 0 ? s.first - 1 : s.first + (size_t)(way->shift < 0);
        plens_status status = plens__read_unembed(a, way, first, s.n, &matrix, error);
        if (status != PLENS_OK)
            return status;
        run_tile(&s, way, &matrix);
    }
    plens__guarded(finish_row_task, &s);
    row->excess = sums->worst.worst;
    return PLENS_OK;
}

plens__logits_way plens__logits_way_of_model(const plens__audit *a) {
    return (plens__logits_way){.normed = a->states->last_is_normed,
                               .kind = PLENS__NORM_RMS,
                               .eps = a->model->config.rms_norm_eps};
}

plens_status plens__audit_logits(plens__audit *a, plens_audit_row *row, plens_error *error) {
    plens__logits_sums sums;
    plens__logits_way way = plens__logits_way_of_model(a);
    return plens__run_logits(a, &way, row, &sums, error);
}

plens_status plens__try_logits(plens__audit *a, const plens__logits_way *way, const char *text,
                               plens__finding *finding, plens_error *error) {
    plens_audit_row row;
    plens__logits_sums sums;
    plens_status status = plens__run_logits(a, way, &row, &sums, error);
    if (status == PLENS_OK && sums.worst.worst <= 1)
        plens__explain(finding, "%s", text);
    return status;
}
