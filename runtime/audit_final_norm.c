/* The final norm, seen through block L: the dump has only the normed state. */
#include "runtime/fp.h"

#include "runtime/audit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- its epsilon ---- */

typedef struct epsilons {
    const plens__case *c;
    const double *x, *alike, *sizes;
    double found;
} epsilons;

/* A norm with another epsilon is a factor for each position, f^2 = (s + eps) / (s + eps'), s the
 * mean square: the smallest s tells eps' best. */
static void epsilon_task(void *arg, size_t item, int thread) {
    epsilons *s = arg;
    size_t d = s->c->noise.d;
    double least = 1e300;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < s->c->noise.n; t++) {
        double square = 0, factor = s->sizes[t] > 0 ? s->alike[t] / s->sizes[t] : 1;
        for (size_t i = 0; i < d; i++)
            square += s->x[t * d + i] * s->x[t * d + i] / (double)d;
        if (!(square < least) || !(factor > 0))
            continue;
        least = square;
        s->found = (square + s->c->final_eps) / (factor * factor) - square;
    }
}

double plens__epsilon_of(const plens__case *c, const double *x, const double *alike,
                         const double *sizes) {
    epsilons s = {c, x, alike, sizes, 0};
    plens__guarded(epsilon_task, &s);
    return s.found > 0 ? s.found : 0;
}

/* ---- mistakes ---- */

int plens__norm_mistake(size_t i, double model_eps, plens__norm_kind *kind, double *eps,
                        char *text) {
    static const struct {
        plens__norm_kind kind;
        const char *text;
    } kinds[] = {
        {PLENS__NORM_NONE, "it is missing"},
        {PLENS__NORM_TWICE, "it is applied twice"},
        {PLENS__NORM_NO_WEIGHT, "its weight is missing"},
        {PLENS__NORM_WEIGHT_PLUS_ONE, "its weight is used as 1 + weight"},
        {PLENS__NORM_MEAN, "it subtracts the mean (LayerNorm)"},
    };
    static const double values[] = {1e-6, 1e-5, 1e-12, 0, 1e-8, 1e-7, 1e-4, 1e-3};
    const size_t n_kinds = sizeof kinds / sizeof *kinds, n_values = sizeof values / sizeof *values;
    char found[PLENS__NUMBER_TEXT], expected[PLENS__NUMBER_TEXT];
    *kind = i < n_kinds ? kinds[i].kind : PLENS__NORM_RMS;
    *eps = i < n_kinds ? model_eps : values[(i - n_kinds) % n_values];
    if (i < n_kinds)
        snprintf(text, PLENS__NORM_MISTAKE_TEXT, "%s", kinds[i].text);
    else
        snprintf(text, PLENS__NORM_MISTAKE_TEXT, "its epsilon is %s, expected %s",
                 plens__show_number(*eps, found), plens__show_number(model_eps, expected));
    return i < n_kinds + n_values;
}

/* ---- its weight ---- */

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
    finding->after = after;
    finding->n_fitted = s.n_wrong;
    plens__explain(
        finding, "%zu of its weights %s wrong, model.norm.weight[%zu] is about %s, expected %s",
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
        finding->after = after;
        plens__explain(finding, "its epsilon is about %s, expected %s",
                       plens__show_number(c->final_eps, found), plens__show_number(eps, expected));
    }
    c->final_eps = eps;
}

void plens__explain_final_norm(plens__audit *a, plens__finding *finding) {
    plens__case *c = &a->c;
    plens__norm_kind kind = c->final_kind;
    double eps = c->final_eps;
    char text[PLENS__NORM_MISTAKE_TEXT];
    *finding = (plens__finding){.part = ""};
    finding->before = finding->after = plens__excess_of(&c->noise, c->base_departure);
    for (size_t i = 0; plens__norm_mistake(i, eps, &c->final_kind, &c->final_eps, text); i++) {
        plens__excess after = plens__case_try(c, &c->model, 1);
        if (!(after.all < finding->after.all))
            continue;
        finding->after = after;
        finding->explained = after.worst <= 1;
        snprintf(finding->text, sizeof finding->text, "%s", text);
    }
    c->final_kind = kind;
    c->final_eps = eps;
    if (!finding->explained)
        explain_epsilon(a, finding);
    if (!finding->explained)
        explain_weight(a, finding);
}
