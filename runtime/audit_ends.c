/* What lies before the first block and after the last: the embedding, the final norm, the logits.
 */
#include "runtime/fp.h"

#include "runtime/audit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/numeric.h"
#include "runtime/widen.h"

/* ---- measuring ---- */

typedef struct measure {
    plens_audit_row *row;
    const double *departure, *made;
    const plens__noise *noise;
    size_t n, d;
} measure;

static void measure_task(void *arg, size_t item, int thread) {
    const measure *m = arg;
    double all = 0, size = 0, rounding = 0;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < m->n; t++) {
        double square = 0, own = 0;
        for (size_t j = 0; j < m->d; j++) {
            double unit = m->noise->position[t] * m->noise->column[j];
            square += m->departure[t * m->d + j] * m->departure[t * m->d + j];
            own += m->made[t * m->d + j] * m->made[t * m->d + j];
            rounding += unit * unit;
        }
        double distance = square == 0 ? 0 : sqrt(square) / sqrt(own);
        if (t == 0 || distance > m->row->worst) {
            m->row->worst = distance;
            m->row->worst_position = t;
        }
        all += square;
        size += own;
    }
    m->row->distance = all == 0 ? 0 : sqrt(all) / sqrt(size);
    m->row->rounding = rounding == 0 ? 0 : sqrt(rounding) / sqrt(size);
}

void plens__row_measure(plens_audit_row *row, const double *departure, const double *made,
                        const plens__noise *noise, size_t n, size_t d) {
    measure m = {row, departure, made, noise, n, d};
    plens__guarded(measure_task, &m);
}

/* ---- the embedding ---- */

typedef struct lookup {
    plens__audit *a;
    plens_audit_row *row;
    size_t wrong, n_wrong;
    const float *candidate; /* [d_model] */
    int32_t id, found;
    double factor, scatter;
    int later;               /* the rows are those of this many positions later, if not 0 */
    size_t n_off, first_off; /* elements of the first wrong position */
} lookup;

plens__format plens__format_of(const plens__arithmetic *arithmetic) {
    return arithmetic->stored != PLENS__EXACT ? arithmetic->stored : arithmetic->residual;
}

/* The departure of each position in units of the spacing of the states' format: a value that was
 * looked up and rounded is off by half of one. */
static void embedding_task(void *arg, size_t item, int thread) {
    lookup *s = arg;
    plens__audit *a = s->a;
    size_t n = a->c.noise.n, d = a->c.noise.d;
    plens__format format = plens__format_of(a->c.arithmetic);
    (void)item;
    (void)thread;
    s->n_wrong = 0;
    for (size_t t = 0; t < n; t++) {
        double excess = 0;
        a->c.noise.position[t] = 0;
        for (size_t j = 0; j < d; j++) {
            size_t at = t * d + j;
            double made = (double)a->tokens_embedded[at];
            double unit = plens__unit(format, made);
            a->c.base_output[at] = made;
            a->c.base_departure[at] = a->c.target[at] - made;
            double off = fabs(a->c.base_departure[at]) / unit;
            excess = off > excess ? off : excess;
            a->c.noise.position[t] += unit * unit / 12 / (double)d;
        }
        a->c.noise.position[t] = sqrt(a->c.noise.position[t]);
        if (excess > 1 && s->n_wrong++ == 0)
            s->wrong = t;
        s->row->excess = excess > s->row->excess ? excess : s->row->excess;
    }
    for (size_t j = 0; j < d; j++)
        a->c.noise.column[j] = 1;
}

plens_status plens__audit_embedding(plens__audit *a, plens_audit_row *row, plens_error *error) {
    size_t n = a->states->n_ids;
    plens_status status =
        plens__weights_embed(&a->weights, a->states->ids, n, a->tokens_embedded, error);
    if (status != PLENS_OK)
        return status;
    memset(row, 0, sizeof *row);
    row->place = PLENS_PLACE_EMBEDDING;
    lookup s = {.a = a, .row = row};
    plens__guarded(embedding_task, &s);
    plens__row_measure(row, a->c.base_departure, a->c.base_output, &a->c.noise, n, a->c.noise.d);
    return PLENS_OK;
}

/* Is a row of the table what the states have at the wrong position? */
static void match_task(void *arg, size_t item, int thread) {
    lookup *s = arg;
    const double *target = s->a->c.target + s->wrong * s->a->c.noise.d;
    (void)item;
    (void)thread;
    for (size_t j = 0; j < s->a->c.noise.d; j++) {
        double made = (double)s->candidate[j];
        if (fabs(target[j] - made) > plens__unit(plens__format_of(s->a->c.arithmetic), made))
            return;
    }
    s->found = s->id;
}

/* 1 if the states are the table's rows of the ids `later` positions on, as far as there are. */
static int is_shifted(const lookup *s, int later) {
    const plens__case *c = &s->a->c;
    size_t n = c->noise.n, d = c->noise.d;
    plens__format format = plens__format_of(c->arithmetic);
    for (size_t t = later < 0; t + (later > 0) < n; t++) {
        for (size_t j = 0; j < d; j++) {
            double made = c->base_output[(later > 0 ? t + 1 : t - 1) * d + j];
            if (fabs(c->target[t * d + j] - made) > plens__unit(format, made))
                return 0;
        }
    }
    return n > 2;
}

static void place_task(void *arg, size_t item, int thread) {
    lookup *s = arg;
    const plens__case *c = &s->a->c;
    size_t d = c->noise.d;
    (void)item;
    (void)thread;
    s->later = is_shifted(s, 1) ? 1 : is_shifted(s, -1) ? -1 : 0;
    for (size_t j = d; j-- > 0;) {
        size_t at = s->wrong * d + j;
        double unit = plens__unit(plens__format_of(c->arithmetic), c->base_output[at]);
        if (fabs(c->base_departure[at]) <= unit)
            continue;
        s->n_off++;
        s->first_off = j;
    }
}

/* The factor between states and table (least squares), and what it leaves. */
static void factor_task(void *arg, size_t item, int thread) {
    lookup *s = arg;
    const plens__case *c = &s->a->c;
    double ab = 0, bb = 0, rest = 0, all = 0;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < c->noise.n * c->noise.d; i++) {
        ab += c->target[i] * c->base_output[i];
        bb += c->base_output[i] * c->base_output[i];
    }
    s->factor = bb > 0 ? ab / bb : 0;
    for (size_t i = 0; i < c->noise.n * c->noise.d; i++) {
        double left = c->target[i] - s->factor * c->base_output[i];
        rest += left * left;
        all += c->target[i] * c->target[i];
    }
    s->scatter = all > 0 ? sqrt(rest / all) : 1;
}

/* What is wrong with a row that is none of the table's. */
static void tell_elements(const lookup *s, char *text, size_t capacity) {
    size_t at = s->wrong * s->a->c.noise.d + s->first_off;
    char found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    snprintf(text, capacity,
             "whose row is not in the table: %zu of its %zu elements are wrong, element %zu is "
             "about %s, expected %s",
             s->n_off, s->a->c.noise.d, s->first_off, plens__show_number(s->a->c.target[at], found),
             plens__show_number(s->a->c.base_output[at], expected));
}

plens_status plens__explain_embedding(plens__audit *a, plens__finding *finding,
                                      plens_error *error) {
    plens_audit_row row;
    plens_status status = plens__audit_embedding(a, &row, error);
    if (status != PLENS_OK)
        return status;
    lookup s = {.a = a, .row = &row, .found = -1};
    char factor[PLENS__NUMBER_TEXT];
    size_t vocab = a->model->config.vocab_size, n = a->states->n_ids;
    plens__guarded(embedding_task, &s);
    plens__guarded(factor_task, &s);
    memset(finding, 0, sizeof *finding);
    finding->part = "";
    if (s.n_wrong > 1 && s.scatter < 1e-2 && fabs(s.factor - 1) > 1e-3) {
        finding->explained = 1;
        snprintf(finding->text, sizeof finding->text, "the embedding is multiplied by %s",
                 plens__show_number(s.factor, factor));
        return PLENS_OK;
    }
    plens__guarded(place_task, &s);
    if (s.later != 0) {
        finding->explained = 1;
        snprintf(finding->text, sizeof finding->text,
                 "each position has the row of the token id %s it: the ids are shifted by one "
                 "position (a BOS too many or too few?)",
                 s.later > 0 ? "after" : "before");
        return PLENS_OK;
    }
    for (size_t id = 0; id < vocab && s.found < 0; id++) {
        s.id = (int32_t)id;
        status = plens__weights_embed(&a->weights, &s.id, 1, a->tokens_embedded, error);
        if (status != PLENS_OK)
            return status;
        s.candidate = a->tokens_embedded;
        plens__guarded(match_task, &s);
    }
    finding->explained = s.found >= 0 || 2 * s.n_off < a->c.noise.d;
    int used = snprintf(finding->text, sizeof finding->text,
                        "%zu of %zu positions, the first is %zu (token id %ld), ", s.n_wrong, n,
                        s.wrong, (long)a->states->ids[s.wrong]);
    if (s.found >= 0)
        snprintf(finding->text + used, sizeof finding->text - (size_t)used,
                 "which has the row of token id %ld", (long)s.found);
    else
        tell_elements(&s, finding->text + used, sizeof finding->text - (size_t)used);
    return PLENS_OK;
}

/* ---- the final norm, seen through block L ---- */

static const struct {
    plens__norm_kind kind;
    double eps; /* negative: the model's */
    const char *text;
} norm_mistakes[] = {
    {PLENS__NORM_NONE, -1, "it is missing"},
    {PLENS__NORM_TWICE, -1, "it is applied twice"},
    {PLENS__NORM_NO_WEIGHT, -1, "its weight is missing"},
    {PLENS__NORM_WEIGHT_PLUS_ONE, -1, "its weight is used as 1 + weight"},
    {PLENS__NORM_MEAN, -1, "it subtracts the mean (LayerNorm)"},
    {PLENS__NORM_RMS, 1e-6, "its epsilon is 1e-06"},
    {PLENS__NORM_RMS, 1e-5, "its epsilon is 1e-05"},
    {PLENS__NORM_RMS, 1e-12, "its epsilon is 1e-12"},
    {PLENS__NORM_RMS, 0, "its epsilon is 0"},
    {PLENS__NORM_RMS, 1e-8, "its epsilon is 1e-08"},
    {PLENS__NORM_RMS, 1e-7, "its epsilon is 1e-07"},
    {PLENS__NORM_RMS, 1e-4, "its epsilon is 0.0001"},
    {PLENS__NORM_RMS, 1e-3, "its epsilon is 0.001"},
};
#define N_NORM_MISTAKES (sizeof norm_mistakes / sizeof norm_mistakes[0])

/* target = made times a factor for each column: which columns' factors are not 1? */
typedef struct columns {
    plens__case *c;
    const double *made;
    size_t n_wrong, first;
    double factor; /* of the first */
} columns;

static void columns_task(void *arg, size_t item, int thread) {
    columns *s = arg;
    const plens__noise *noise = &s->c->noise;
    (void)item;
    (void)thread;
    for (size_t j = 0; j < noise->d; j++) {
        double ab = 0, bb = 0, rr = 0;
        for (size_t t = 0; t < noise->n; t++) {
            size_t at = t * noise->d + j;
            double unit = noise->position[t] * noise->column[j];
            double a = s->c->target[at] / unit, b = s->made[at] / unit;
            ab += a * b;
            bb += b * b;
            rr += (a - b) * (a - b);
        }
        double factor = bb > 0 ? ab / bb : 1;
        int wrong = sqrt(rr / (double)noise->n) > plens__noise_limit(noise->distinct);
        if (wrong && s->n_wrong++ == 0) {
            s->first = j;
            s->factor = factor;
        }
        for (size_t t = 0; t < noise->n; t++) {
            size_t at = t * noise->d + j;
            s->c->departure[at] = s->c->target[at] - (wrong ? factor : 1) * s->made[at];
        }
    }
}

static void explain_weight(plens__audit *a, plens__finding *finding) {
    plens__case *c = &a->c;
    char found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    columns s = {c, c->base_output, 0, 0, 1};
    plens__guarded(columns_task, &s);
    plens__excess after = plens__excess_of(&c->noise, c->departure);
    /* Few positions can be matched by some weights whatever went wrong. */
    if (after.worst > 1 || (c->noise.n < 3 && 8 * s.n_wrong > c->noise.d))
        return;
    double weight = (double)c->final_norm[s.first];
    finding->explained = 1;
    finding->after = after;
    snprintf(finding->text, sizeof finding->text,
             "%zu of its weights %s wrong, model.norm.weight[%zu] is about %s, expected %s",
             s.n_wrong, s.n_wrong == 1 ? "is" : "are", s.first,
             plens__show_number(weight * s.factor, found), plens__show_number(weight, expected));
}

/* For each position <target, made> and <made, made>. */
static void alike_task(void *arg, size_t item, int thread) {
    plens__audit *a = arg;
    size_t n = a->c.noise.n, d = a->c.noise.d;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < n; t++) {
        a->alike[t] = a->alike[n + t] = 0;
        for (size_t at = t * d; at < (t + 1) * d; at++) {
            a->alike[t] += a->c.target[at] * a->c.base_output[at];
            a->alike[n + t] += a->c.base_output[at] * a->c.base_output[at];
        }
    }
}

static void explain_epsilon(plens__audit *a, plens__finding *finding) {
    plens__case *c = &a->c;
    double eps = c->final_eps;
    char found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    plens__guarded(alike_task, a);
    c->final_eps = plens__epsilon_of(c, c->base.out, a->alike, a->alike + c->noise.n);
    plens__excess after = plens__case_try(c, &c->model, 1);
    if (after.worst <= 1) {
        finding->explained = 1;
        finding->after = after;
        snprintf(finding->text, sizeof finding->text, "its epsilon is about %s, expected %s",
                 plens__show_number(c->final_eps, found), plens__show_number(eps, expected));
    }
    c->final_eps = eps;
}

void plens__explain_final_norm(plens__audit *a, plens__finding *finding) {
    plens__case *c = &a->c;
    plens__norm_kind kind = c->final_kind;
    double eps = c->final_eps;
    char expected[PLENS__NUMBER_TEXT];
    memset(finding, 0, sizeof *finding);
    finding->part = "";
    finding->before = finding->after = plens__excess_of(&c->noise, c->base_departure);
    for (size_t i = 0; i < N_NORM_MISTAKES; i++) {
        c->final_kind = norm_mistakes[i].kind;
        c->final_eps = norm_mistakes[i].eps < 0 ? eps : norm_mistakes[i].eps;
        plens__excess after = plens__case_try(c, &c->model, 1);
        if (!(after.all < finding->after.all))
            continue;
        finding->after = after;
        finding->explained = after.worst <= 1;
        snprintf(finding->text, sizeof finding->text, "%s", norm_mistakes[i].text);
        if (norm_mistakes[i].eps >= 0)
            snprintf(finding->text, sizeof finding->text, "%s, expected %s", norm_mistakes[i].text,
                     plens__show_number(eps, expected));
    }
    c->final_kind = kind;
    c->final_eps = eps;
    if (!finding->explained)
        explain_epsilon(a, finding);
    if (!finding->explained)
        explain_weight(a, finding);
}
