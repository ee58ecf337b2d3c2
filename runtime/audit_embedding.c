/* The embedding: the states before the first block are the table's rows. */
#include "runtime/fp.h"

#include "runtime/audit.h"

#include <math.h>
#include <string.h>

#include "runtime/numeric.h"

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
static void tell_elements(const lookup *s, plens__finding *finding) {
    size_t at = s->wrong * s->a->c.noise.d + s->first_off;
    char found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    plens__append(
        finding->text, sizeof finding->text,
        "whose row is not in the table: %zu of its %zu elements are wrong, element %zu is "
        "about %s, expected %s",
        s->n_off, s->a->c.noise.d, s->first_off, plens__show_number(s->a->c.target[at], found),
        plens__show_number(s->a->c.base_output[at], expected));
}

/* s->found: the token id whose row is at the wrong position, or -1. */
static plens_status find_row(plens__audit *a, lookup *s, plens_error *error) {
    plens_status status = PLENS_OK;
    s->found = -1;
    s->candidate = a->tokens_embedded;
    for (size_t id = 0; id < a->model->config.vocab_size && s->found < 0; id++) {
        s->id = (int32_t)id;
        status = plens__weights_embed(&a->weights, &s->id, 1, a->tokens_embedded, error);
        if (status != PLENS_OK)
            break;
        plens__guarded(match_task, s);
    }
    return status;
}

plens_status plens__explain_embedding(plens__audit *a, plens__finding *finding,
                                      plens_error *error) {
    plens_audit_row row;
    plens_status status = plens__audit_embedding(a, &row, error);
    if (status != PLENS_OK)
        return status;
    lookup s = {.a = a, .row = &row};
    char factor[PLENS__NUMBER_TEXT];
    plens__guarded(embedding_task, &s);
    plens__guarded(factor_task, &s);
    *finding = (plens__finding){.part = ""};
    if (s.n_wrong > 1 && s.scatter < 1e-2 && fabs(s.factor - 1) > 1e-3) {
        plens__explain(finding, "the embedding is multiplied by %s",
                       plens__show_number(s.factor, factor));
        return PLENS_OK;
    }
    plens__guarded(place_task, &s);
    if (s.later != 0) {
        plens__explain(
            finding,
            "each position has the row of the token id %s it: the ids are shifted by one "
            "position (a BOS too many or too few?)",
            s.later > 0 ? "after" : "before");
        return PLENS_OK;
    }
    status = find_row(a, &s, error);
    if (status != PLENS_OK)
        return status;
    plens__append(finding->text, sizeof finding->text,
                  "%zu of %zu positions, the first is %zu (token id %ld), ", s.n_wrong,
                  a->states->n_ids, s.wrong, (long)a->states->ids[s.wrong]);
    if (s.found >= 0)
        plens__append(finding->text, sizeof finding->text, "which has the row of token id %ld",
                      (long)s.found);
    else
        tell_elements(&s, finding);
    finding->explained = s.found >= 0 || 2 * s.n_off < a->c.noise.d;
    return PLENS_OK;
}
