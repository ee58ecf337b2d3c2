/* The logits, judged from the last state: the vocabulary goes by in tiles. */
#include "runtime/fp.h"

#include "runtime/audit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/numeric.h"

static const plens__arithmetic exactly;

typedef struct logits_sums {
    plens__audit *a;
    size_t first, n; /* ids of the tile */
    plens_audit_row *row;
    double alike; /* <found, made> */
    double departed, size, rounding;
    /* [5, n_ids] squares of departure and size, <found, made>, sums of departure and of found */
    double *position;
    double varied;   /* departures less each id's mean over positions, squared */
    double smallest; /* found */
    /* ids whose logits depart */
    size_t n_wrong, first_wrong;
    plens__excess worst;
    double largest, largest_found; /* made, in absolute value, and what was found there */
} logits_sums;

/* The square of what rounding did, in place of logits_noise. */
static void tile_noise_task(void *arg, size_t item, int thread) {
    logits_sums *s = arg;
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
            double made = plens__round_to(a->c.arithmetic->stored, 0, at, a->logits_noise[at]);
            double z = made - a->logits_made[at];
            square += z * z;
            size += a->logits_made[at] * a->logits_made[at];
        }
        double least =
            0.25 * plens__unit(plens__format_of(a->c.arithmetic), sqrt(size / (double)s->n));
        double unit = sqrt(square / (double)s->n);
        a->logits_scale.position[t] = unit > least ? unit : least;
    }
    plens__count_distinct(&a->logits_scale, a->logits_made);
}

static void tile_sums_task(void *arg, size_t item, int thread) {
    logits_sums *s = arg;
    plens__audit *a = s->a;
    size_t n = a->states->n_ids, vocab = a->model->config.vocab_size;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < s->n; i++) {
        double excess = 0, square = 0, sum = 0;
        for (size_t t = 0; t < n; t++) {
            size_t at = t * s->n + i;
            double unit = a->logits_scale.position[t];
            double departure =
                (double)a->states->logits[t * vocab + s->first + i] - a->logits_made[at];
            a->logits_found[at] = departure;
            if (fabs(a->logits_made[at]) > fabs(s->largest)) {
                s->largest = a->logits_made[at];
                s->largest_found = departure + a->logits_made[at];
            }
            excess += departure * departure / (unit * unit * (double)n);
            s->position[t] += departure * departure;
            s->alike += (departure + a->logits_made[at]) * a->logits_made[at];
            double found = departure + a->logits_made[at];
            s->position[2 * n + t] += found * a->logits_made[at];
            s->position[3 * n + t] += departure;
            s->position[4 * n + t] += found;
            s->smallest = found < s->smallest ? found : s->smallest;
            sum += departure;
            square += departure * departure;
            s->position[n + t] += a->logits_made[at] * a->logits_made[at];
            s->rounding += unit * unit;
        }
        s->varied += square - sum * sum / (double)n;
        if (sqrt(excess) > plens__noise_limit(a->logits_scale.distinct) && s->n_wrong++ == 0)
            s->first_wrong = s->first + i;
    }
}

static void finish_row_task(void *arg, size_t item, int thread) {
    logits_sums *s = arg;
    size_t n = s->a->states->n_ids;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < n; t++) {
        double distance = s->position[t] == 0 ? 0 : sqrt(s->position[t] / s->position[n + t]);
        s->departed += s->position[t];
        s->size += s->position[n + t];
        if (t == 0 || distance > s->row->worst) {
            s->row->worst = distance;
            s->row->worst_position = t;
        }
    }
    s->row->distance = s->departed == 0 ? 0 : sqrt(s->departed / s->size);
    s->row->rounding = s->rounding == 0 ? 0 : sqrt(s->rounding / s->size);
}

/* The state `from` after the way's norms. */
static void final_state(plens__audit *a, const plens__logits_way *way,
                        const plens__arithmetic *arithmetic, const double *from, double *to) {
    plens__case *c = &a->c;
    size_t bytes = c->noise.n * c->noise.d * sizeof(double);
    memcpy(to, from, bytes);
    for (int i = 0; i < way->norms; i++) {
        memcpy(c->samples, to, bytes);
        plens__reference_norm(&c->reference, way->kind,
                              way->weight != NULL ? way->weight : a->weights.final_norm, NULL,
                              way->eps, arithmetic, c->samples, to);
    }
}

/* Rows [n, d] one place up or down, in a circle; by way of the first or last one in `row`. */
static void roll_rows(int later, size_t n, size_t d, double *row, double *rows) {
    size_t bytes = d * sizeof *rows, rest = (n - 1) * bytes;
    memcpy(row, later > 0 ? rows : rows + (n - 1) * d, bytes);
    memmove(later > 0 ? rows : rows + d, later > 0 ? rows + d : rows, rest);
    memcpy(later > 0 ? rows + (n - 1) * d : rows, row, bytes);
}

static const plens__tensor *matrix_of(const plens__audit *a, const plens__logits_way *way) {
    return way->tied ? a->model->layout.embed : a->model->layout.unembed;
}

plens_status plens__read_unembed(plens__audit *a, const plens__logits_way *way, size_t first,
                                 size_t n, plens__matrix *tile, plens_error *error) {
    const plens__tensor *matrix = matrix_of(a, way);
    size_t d = a->model->config.d_model, row = d * (matrix->dtype == PLENS_F32 ? 4 : 2);
    *tile = (plens__matrix){a->weights.tiles[0], matrix->dtype, n, d};
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

/* Tile after tile of the vocabulary; with a shift without the ids that have no such row. */
static plens_status run_logits(plens__audit *a, const plens__logits_way *way, logits_sums *s,
                               plens_error *error) {
    plens__case *c = &a->c;
    size_t n = a->states->n_ids, end = a->model->config.vocab_size - (size_t)(way->shift < 0);
    plens__arithmetic arithmetic = *c->arithmetic;
    plens__case_blur(c, c->target, 1);
    final_state(a, way, &exactly, c->target, c->base_output);
    final_state(a, way, &arithmetic, c->blurred, c->trial_output);
    if (way->later != 0) {
        roll_rows(way->later, n, c->noise.d, c->samples, c->base_output);
        roll_rows(way->later, n, c->noise.d, c->samples, c->trial_output);
    }
    for (s->first = way->shift > 0; s->first < end; s->first += s->n) {
        plens__matrix tile;
        s->n = end - s->first < PLENS__TILE_IDS ? end - s->first : PLENS__TILE_IDS;
        size_t row = way->shift > 0 ? s->first - 1 : s->first + (size_t)(way->shift < 0);
        plens_status status = plens__read_unembed(a, way, row, s->n, &tile, error);
        if (status != PLENS_OK)
            return status;
        plens__reference_multiply(&c->reference, &tile, &exactly, c->base_output, n,
                                  a->logits_made);
        plens__reference_multiply(&c->reference, &tile, &arithmetic, c->trial_output, n,
                                  a->logits_noise);
        capping cap = {way->cap, {a->logits_made, a->logits_noise}, n * s->n};
        if (way->cap > 0)
            plens__guarded(cap_task, &cap);
        plens__guarded(tile_noise_task, s);
        plens__guarded(tile_sums_task, s);
        plens__excess excess = plens__excess_of(&a->logits_scale, a->logits_found);
        s->worst.all = excess.all > s->worst.all ? excess.all : s->worst.all;
        s->worst.worst = excess.worst > s->worst.worst ? excess.worst : s->worst.worst;
    }
    plens__guarded(finish_row_task, s);
    return PLENS_OK;
}

static logits_sums start_sums(plens__audit *a, plens_audit_row *row) {
    logits_sums s = {.a = a, .row = row, .position = a->logits_squares};
    memset(row, 0, sizeof *row);
    memset(s.position, 0, 5 * a->states->n_ids * sizeof(double));
    row->place = PLENS_PLACE_UNEMBED;
    return s;
}

static plens__logits_way model_way(const plens__audit *a) {
    return (plens__logits_way){.kind = PLENS__NORM_RMS,
                               .eps = a->model->config.rms_norm_eps,
                               .norms = !a->states->last_is_normed};
}

plens_status plens__audit_logits(plens__audit *a, plens_audit_row *row, plens_error *error) {
    logits_sums s = start_sums(a, row);
    plens__logits_way way = model_way(a);
    plens_status status = run_logits(a, &way, &s, error);
    row->excess = s.worst.worst;
    return status;
}

/* ---- explaining ---- */

/* Ways of making logits that engines have; norms counts from a raw state. */
static const struct {
    plens__norm_kind kind;
    int norms;
    double eps; /* negative: the model's */
    const char *text;
} mistakes[] = {
    {PLENS__NORM_RMS, 0, -1, "the final norm is missing"},
    {PLENS__NORM_RMS, 2, -1, "the final norm is applied twice"},
    {PLENS__NORM_NO_WEIGHT, 1, -1, "the final norm's weight is missing"},
    {PLENS__NORM_WEIGHT_PLUS_ONE, 1, -1, "the final norm's weight is used as 1 + weight"},
    {PLENS__NORM_MEAN, 1, -1, "the final norm subtracts the mean (LayerNorm)"},
    {PLENS__NORM_RMS, 1, 1e-6, "the final norm's epsilon is 1e-06"},
    {PLENS__NORM_RMS, 1, 1e-5, "the final norm's epsilon is 1e-05"},
    {PLENS__NORM_RMS, 1, 1e-12, "the final norm's epsilon is 1e-12"},
    {PLENS__NORM_RMS, 1, 0, "the final norm's epsilon is 0"},
};

/* 1 if what departs is a constant of each position. */
static int is_constant(const logits_sums *s) {
    size_t n = s->a->states->n_ids;
    double vocab = (double)s->a->model->config.vocab_size, left = 0;
    for (size_t t = 0; t < n; t++)
        left += s->position[t] - s->position[3 * n + t] * s->position[3 * n + t] / vocab;
    return left < 1e-6 * s->departed;
}

/* 1 if what is found at each position is not negative and sums to 1. */
static int is_distribution(const logits_sums *s) {
    size_t n = s->a->states->n_ids, t = 0;
    while (t < n && fabs(s->position[4 * n + t] - 1) < 0.01)
        t++;
    return s->smallest >= 0 && t == n;
}

/* What logits are that are no logits. */
static const char *other_than_logits(const logits_sums *s) {
    return is_constant(s)       ? "a constant is added to all logits of a position: are they "
                                  "log-probabilities?"
           : is_distribution(s) ? "they are probabilities, after the softmax"
           : s->a->states->n_ids > 1 && s->varied < 1e-6 * s->departed
               ? "the same is added at all positions: a bias"
               : NULL;
}

/* Few ids are rows of the unembedding; one factor for all is told too. */
static void tell_ids(const plens__audit *a, const logits_sums *s, plens__finding *finding) {
    size_t vocab = a->model->config.vocab_size;
    char factor[PLENS__NUMBER_TEXT];
    double scale = s->alike / (s->size > 0 ? s->size : 1);
    double left = s->departed - (scale - 1) * (scale - 1) * s->size;
    if (other_than_logits(s) != NULL) {
        finding->explained = 1;
        snprintf(finding->text, sizeof finding->text, "%s", other_than_logits(s));
    } else if (s->n_wrong > 0 && s->n_wrong <= 1 + vocab / 50) {
        finding->explained = 1;
        snprintf(finding->text, sizeof finding->text,
                 "the logits of %zu of %zu token ids, the first is %zu: its row of %s", s->n_wrong,
                 vocab, s->first_wrong,
                 a->model->config.tied_embeddings ? "the tied embedding" : "lm_head.weight");
    } else if (left < 1e-4 * s->departed) {
        finding->explained = 1;
        snprintf(finding->text, sizeof finding->text, "the logits are multiplied by %s",
                 plens__show_number(scale, factor));
    } else {
        snprintf(finding->text, sizeof finding->text, "%zu of %zu token ids", s->n_wrong, vocab);
    }
}

plens_status plens__try_logits(plens__audit *a, const plens__logits_way *way, const char *text,
                               plens__finding *finding, plens_error *error) {
    plens_audit_row row;
    logits_sums s = start_sums(a, &row);
    plens_status status = run_logits(a, way, &s, error);
    if (status == PLENS_OK && s.worst.worst <= 1) {
        finding->explained = 1;
        snprintf(finding->text, sizeof finding->text, "%s", text);
    }
    return status;
}

static plens_status try_norms(plens__audit *a, plens__finding *finding, int *at_norm,
                              plens_error *error) {
    plens_status status = PLENS_OK;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        plens__logits_way way = model_way(a);
        way.norms = mistakes[i].norms - a->states->last_is_normed;
        way.kind = mistakes[i].kind;
        way.eps = mistakes[i].eps < 0 ? way.eps : mistakes[i].eps;
        if (way.norms < 0 || (a->states->last_is_normed && mistakes[i].norms == 1))
            continue;
        status = plens__try_logits(a, &way, mistakes[i].text, finding, error);
        if (status != PLENS_OK || finding->explained)
            break;
    }
    if (status == PLENS_OK && !finding->explained && !a->states->last_is_normed) {
        plens_audit_row row;
        plens__logits_way way = model_way(a);
        logits_sums s = start_sums(a, &row);
        status = run_logits(a, &way, &s, error); /* again: what the trials left is another's */
        if (status == PLENS_OK)
            status = plens__explain_norm_by_logits(a, &way, s.position + 2 * a->states->n_ids,
                                                   s.position + a->states->n_ids, finding, error);
    }
    *at_norm = finding->explained && !a->states->last_is_normed;
    return status;
}

typedef struct cap_search {
    double made, found, cap;
} cap_search;

/* cap * tanh(made / cap) = found: tanh(u) / u falls from 1 as u = made / cap grows. */
static void find_cap_task(void *arg, size_t item, int thread) {
    cap_search *s = arg;
    double low = 1e-3, high = 1e3, share = s->found / s->made;
    (void)item;
    (void)thread;
    for (int i = 0; i < 100; i++) {
        double u = 0.5 * (low + high), tanh_u = 1 - 2 / (plens__exp(2 * u) + 1);
        *(tanh_u > share * u ? &low : &high) = u;
    }
    s->cap = fabs(s->made) / low;
}

/* A cap is a round number, or what the largest logit says. */
static plens_status try_caps(plens__audit *a, const logits_sums *model, plens__finding *finding,
                             plens_error *error) {
    cap_search search = {model->largest, model->largest_found, 0};
    char text[96], shown[PLENS__NUMBER_TEXT];
    plens__logits_way way = model_way(a);
    if (!(search.found / search.made > 0.01 && search.found / search.made < 0.9999))
        return PLENS_OK;
    plens__guarded(find_cap_task, &search);
    double half = 0.5 * floor(2 * search.cap + 0.5);
    for (int i = 0; i < 2 && !finding->explained; i++) {
        way.cap = i == 0 ? half : search.cap;
        if (!(way.cap > 0))
            continue;
        snprintf(text, sizeof text, "the logits are capped: %s tanh(logits / %s)",
                 plens__show_number(way.cap, shown), shown);
        plens_status status = plens__try_logits(a, &way, text, finding, error);
        if (status != PLENS_OK)
            return status;
    }
    return PLENS_OK;
}

static plens_status try_rows(plens__audit *a, plens__finding *finding, plens_error *error) {
    static const struct {
        int shift, tied, later;
        const char *text;
    } ways[] = {
        {0, 1, 0, "the embedding is used in place of lm_head.weight"},
        {1, 0, 0, "each token id has the row of the id before it"},
        {-1, 0, 0, "each token id has the row of the id after it"},
        {0, 0, -1, "each position has the logits of the position before it"},
        {0, 0, 1, "each position has the logits of the position after it"},
    };
    const plens__layout *layout = &a->model->layout;
    plens_status status = PLENS_OK;
    for (size_t i = 0; i < sizeof ways / sizeof *ways && !finding->explained; i++) {
        plens__logits_way way = model_way(a);
        way.shift = ways[i].shift;
        way.tied = ways[i].tied;
        way.later = ways[i].later;
        if (way.later != 0 && a->states->n_ids < 2)
            continue;
        if (way.tied &&
            (layout->embed == layout->unembed || layout->embed->dtype != layout->unembed->dtype))
            continue;
        status = plens__try_logits(a, &way, ways[i].text, finding, error);
        if (status != PLENS_OK)
            break;
    }
    return status;
}

plens_status plens__explain_logits(plens__audit *a, plens__finding *finding, int *at_norm,
                                   plens_error *error) {
    plens_audit_row row;
    plens__logits_way way = model_way(a);
    logits_sums found = start_sums(a, &row);
    plens_status status = run_logits(a, &way, &found, error);
    memset(finding, 0, sizeof *finding);
    finding->part = "";
    *at_norm = 0;
    if (status == PLENS_OK)
        tell_ids(a, &found, finding);
    if (status == PLENS_OK && !finding->explained)
        status = try_norms(a, finding, at_norm, error);
    if (status == PLENS_OK && !finding->explained)
        status = try_rows(a, finding, error);
    if (status == PLENS_OK && !finding->explained)
        status = try_caps(a, &found, finding, error);
    if (status == PLENS_OK && !finding->explained && !a->states->last_is_normed) {
        size_t used = strlen(finding->text);
        snprintf(finding->text + used, sizeof finding->text - used,
                 "; the final norm could explain it as well");
    }
    return status;
}
