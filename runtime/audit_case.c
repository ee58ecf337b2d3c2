#include "runtime/fp.h"

#include "runtime/audit_case.h"

#include <math.h>
#include <string.h>

#include "runtime/numeric.h"

/* ---- the size of rounding ---- */

/* Imitated runs whose departures are averaged, so that they are of some thousand numbers. */
#define ENOUGH      16384
#define MAX_SAMPLES 24

typedef struct estimate {
    const plens__case *c;
    const double *exact, *samples; /* samples: sums of squared departures, of n_samples runs */
    plens__noise *noise;
    size_t n_samples;
} estimate;

/* A position is not quieter than half of what is usual for its size (geometric mean), so that a
 * lucky sample does not raise an alarm. */
static void position_noise(const estimate *e) {
    size_t n = e->noise->n, d = e->noise->d;
    double usual = 0;
    for (size_t t = 0; t < n; t++) {
        double square = 0, size = 0;
        for (size_t j = 0; j < d; j++) {
            square += e->samples[t * d + j] / (double)e->n_samples;
            size += e->exact[t * d + j] * e->exact[t * d + j];
        }
        e->noise->position[t] = sqrt(square / (double)d) + 1e-300;
        usual += plens__log(e->noise->position[t] / (sqrt(size / (double)d) + 1e-300)) / (double)n;
    }
    usual = plens__exp(usual);
    for (size_t t = 0; t < n; t++) {
        double size = 0;
        for (size_t j = 0; j < d; j++)
            size += e->exact[t * d + j] * e->exact[t * d + j];
        double least = 0.5 * usual * sqrt(size / (double)d);
        if (e->noise->position[t] < least)
            e->noise->position[t] = least;
    }
}

/* Rows nearer to each other than ALIKE times their noise are rounded alike. A row is compared with
 * the last SEEN that were like none before. */
#define ALIKE 4
#define SEEN  64

static int alike(const plens__noise *noise, const double *rows, size_t t, size_t u) {
    double square = 0, limit = ALIKE * noise->position[t];
    for (size_t j = 0; j < noise->d; j++) {
        double off = rows[t * noise->d + j] - rows[u * noise->d + j];
        square += off * off;
    }
    return square <= limit * limit * (double)noise->d;
}

void plens__count_distinct(plens__noise *noise, const double *rows) {
    size_t seen[SEEN];
    noise->distinct = 0;
    for (size_t t = 0; t < noise->n; t++) {
        size_t n_seen = noise->distinct < SEEN ? noise->distinct : SEEN, i = 0;
        while (i < n_seen && !alike(noise, rows, t, seen[i]))
            i++;
        if (i == n_seen)
            seen[noise->distinct++ % SEEN] = t;
    }
}

static void noise_task(void *arg, size_t item, int thread) {
    const estimate *e = arg;
    size_t n = e->noise->n, d = e->noise->d;
    (void)item;
    (void)thread;
    position_noise(e);
    plens__count_distinct(e->noise, e->exact);
    for (size_t j = 0; j < d; j++) {
        double square = 0;
        for (size_t t = 0; t < n; t++)
            square += e->samples[t * d + j] / (double)e->n_samples /
                      (e->noise->position[t] * e->noise->position[t]);
        square /= (double)n;
        e->noise->column[j] = square > 1 ? sqrt(square) : 1;
    }
}

typedef struct sums {
    plens__excess *excess;
    const plens__noise *noise;
    const double *departure;
} sums;

static double larger(double a, double b) {
    return a > b ? a : b; /* b if a is a NaN: callers pass the NaN as b */
}

/* What the root of the mean square of k entries may be, in units of the imitation's. Of k
 * independent normal ones it is above 1 + t / sqrt(k) with a probability below e^(-t^2 / 2)
 * [Gaussian concentration: Boucheron, Lugosi & Massart 2013, theorem 5.6]: 1.5e-8 for t = 6.
 * Another engine may be rougher than the imitation, though not by much: that rounds at random,
 * which errs sqrt(2) times more than rounding to nearest, and adds one by one. */
#define TAIL    6
#define ROUGHER 3

double plens__noise_limit(size_t k) {
    return ROUGHER * (1 + TAIL / sqrt((double)k));
}

static void excess_task(void *arg, size_t item, int thread) {
    const sums *s = arg;
    size_t n = s->noise->n, d = s->noise->d;
    double all = 0, worst = 0, largest = 0;
    (void)item;
    (void)thread;
    for (size_t t = 0; t < n; t++) {
        double square = 0;
        for (size_t j = 0; j < d; j++) {
            double z = s->departure[t * d + j] / (s->noise->position[t] * s->noise->column[j]);
            square += z * z;
            largest = larger(largest, fabs(z));
        }
        all += square / (double)(n * d);
        worst = larger(worst, sqrt(square / (double)d) / plens__noise_limit(d));
    }
    for (size_t j = 0; j < d; j++) {
        double square = 0;
        for (size_t t = 0; t < n; t++) {
            double z = s->departure[t * d + j] / (s->noise->position[t] * s->noise->column[j]);
            square += z * z / (double)n;
        }
        worst = larger(worst, sqrt(square) / plens__noise_limit(s->noise->distinct));
    }
    s->excess->all = sqrt(all);
    worst = larger(worst, largest / plens__noise_limit(1));
    s->excess->worst = larger(worst, s->excess->all / plens__noise_limit(s->noise->distinct * d));
    if (!(all < 1e300))
        s->excess->all = s->excess->worst = 1e150;
}

plens__excess plens__excess_of(const plens__noise *noise, const double *departure) {
    plens__excess excess = {0, 0};
    sums s = {&excess, noise, departure};
    plens__guarded(excess_task, &s);
    return excess;
}

/* ---- runs ---- */

static const plens__arithmetic exactly;

static const double *finish(plens__case *c, const plens__arithmetic *arithmetic,
                            const plens__trace *trace) {
    if (c->final_norm == NULL)
        return trace->out;
    plens__reference_norm(&c->reference, c->final_kind, c->final_norm, NULL, c->final_eps,
                          arithmetic, trace->out, c->normed);
    return c->normed;
}

const double *plens__case_output(plens__case *c, const plens__variant *variant, int mlp_only) {
    if (c->poll != NULL && !c->stopped)
        c->stopped = c->poll(c->poll_user);
    if (c->stopped)
        return c->base_output;
    if (variant->twice) {
        plens__block_run(&c->reference, variant, &exactly, c->x, &c->trial);
        return finish(c, &exactly, &c->trial);
    }
    if (mlp_only)
        memcpy(c->trial.mid, c->base.mid,
               c->reference.n * c->reference.config->d_model * sizeof(double));
    else
        plens__block_attention(&c->reference, variant, &exactly, c->x, &c->trial);
    plens__block_mlp(&c->reference, variant, &exactly, c->x, &c->trial);
    return finish(c, &exactly, &c->trial);
}

typedef struct difference {
    const double *a, *b;
    double *to;
    size_t n;
    plens__format stored;
    uint64_t seed;
} difference;

static void subtract_task(void *arg, size_t item, int thread) {
    const difference *s = arg;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < s->n; i++)
        s->to[i] = s->a[i] - s->b[i];
}

/* to += (stored(a) - b)^2. */
static void square_task(void *arg, size_t item, int thread) {
    const difference *s = arg;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < s->n; i++) {
        double z = plens__round_to(s->stored, s->seed, i, s->a[i]) - s->b[i];
        s->to[i] += z * z;
    }
}

/* A value that is stored as x may have been anything that is rounded to it. */
static void blur_task(void *arg, size_t item, int thread) {
    const difference *s = arg;
    (void)item;
    (void)thread;
    for (size_t i = 0; i < s->n; i++)
        s->to[i] = plens__blur(s->stored, s->seed, i, s->a[i]);
}

void plens__case_blur(plens__case *c, const double *state, uint64_t seed) {
    difference blur = {state, NULL, c->blurred, c->noise.n * c->noise.d, c->arithmetic->stored,
                       seed};
    plens__guarded(blur_task, &blur);
}

/* The noise in a variant whose exact output is `exact`, of an arithmetic of attention and of one of
 * the rest. Uses trial and normed. */
static void estimate_noise(plens__case *c, const plens__variant *variant,
                           const plens__arithmetic *attention, const plens__arithmetic *rest,
                           const double *exact, plens__noise *noise) {
    size_t size = c->reference.n * c->reference.config->d_model;
    size_t n_samples = ENOUGH / size + 1;
    n_samples = n_samples < MAX_SAMPLES ? n_samples : MAX_SAMPLES;
    memset(c->samples, 0, size * sizeof *c->samples);
    for (size_t i = 0; i < n_samples; i++) {
        plens__arithmetic first = *attention, second = *rest;
        first.seed = second.seed = i;
        plens__case_blur(c, c->x, i + 1);
        plens__block_attention(&c->reference, variant, &first, c->blurred, &c->trial);
        plens__block_mlp(&c->reference, variant, &second, c->blurred, &c->trial);
        difference add = {finish(c, &second, &c->trial), exact, c->samples, size, second.stored, i};
        plens__guarded(square_task, &add);
    }
    estimate e = {c, exact, c->samples, noise, n_samples};
    plens__guarded(noise_task, &e);
}

void plens__case_imitate(plens__case *c, uint64_t seed) {
    plens__arithmetic arithmetic = *c->arithmetic;
    arithmetic.seed = seed;
    plens__case_blur(c, c->x, seed);
    plens__block_run(&c->reference, &c->model, &arithmetic, c->blurred, &c->trial);
    difference s = {finish(c, &arithmetic, &c->trial), c->base_output, c->departure,
                    c->noise.n * c->noise.d,           PLENS__EXACT,   0};
    plens__guarded(subtract_task, &s);
}

void plens__case_estimate(plens__case *c) {
    estimate_noise(c, &c->model, c->arithmetic, c->arithmetic, c->base_output, &c->noise);
}

void plens__case_begin(plens__case *c) {
    size_t size = c->reference.n * c->reference.config->d_model;
    plens__block_run(&c->reference, &c->model, &exactly, c->x, &c->base);
    memcpy(c->base_output, finish(c, &exactly, &c->base), size * sizeof(double));
    difference s = {c->target, c->base_output, c->base_departure, size, PLENS__EXACT, 0};
    plens__guarded(subtract_task, &s);
    plens__case_estimate(c);
}

/* ---- trials ---- */

static plens__excess measure(plens__case *c, const double *output) {
    size_t size = c->reference.n * c->reference.config->d_model;
    difference s = {c->target, output, c->departure, size, PLENS__EXACT, 0};
    plens__guarded(subtract_task, &s);
    return plens__excess_of(&c->noise, c->departure);
}

plens__excess plens__case_measure(plens__case *c, const plens__variant *variant, int mlp_only) {
    const double *output = plens__case_output(c, variant, mlp_only);
    return c->stopped ? (plens__excess){1e150, 1e150} : measure(c, output);
}

plens__excess plens__case_try(plens__case *c, const plens__variant *variant, int mlp_only) {
    size_t size = c->reference.n * c->reference.config->d_model;
    plens__excess before = plens__excess_of(&c->noise, c->base_departure);
    const double *output = plens__case_output(c, variant, mlp_only);
    if (c->stopped)
        return (plens__excess){1e150, 1e150};
    plens__excess excess = measure(c, output);
    if (excess.worst <= 1 || !(excess.all < 0.3 * before.all))
        return excess;
    memcpy(c->trial_output, output, size * sizeof(double));
    estimate_noise(c, variant, c->arithmetic, c->arithmetic, c->trial_output, &c->trial_noise);
    return plens__excess_of(&c->trial_noise, c->departure);
}

typedef struct likelihood {
    const plens__noise *noise;
    double rms, log;
} likelihood;

/* Of entries with deviations rms * position * column, up to a constant. */
static void likelihood_task(void *arg, size_t item, int thread) {
    likelihood *s = arg;
    double n = (double)s->noise->n, d = (double)s->noise->d;
    (void)item;
    (void)thread;
    s->log = -n * d * plens__log(s->rms + 1e-300);
    for (size_t t = 0; t < s->noise->n; t++)
        s->log -= d * plens__log(s->noise->position[t]);
    for (size_t j = 0; j < s->noise->d; j++)
        s->log -= n * plens__log(s->noise->column[j]);
}

plens__excess plens__case_try_rounding(plens__case *c, const plens__arithmetic *attention,
                                       const plens__arithmetic *rest, double *log_likelihood) {
    estimate_noise(c, &c->model, attention, rest, c->base_output, &c->trial_noise);
    plens__excess excess = plens__excess_of(&c->trial_noise, c->base_departure);
    likelihood s = {&c->trial_noise, excess.all, 0};
    plens__guarded(likelihood_task, &s);
    *log_likelihood = s.log;
    return excess;
}

double plens__case_effort(const plens__case *c) {
    const plens__config *config = c->reference.config;
    size_t heads = 2 * config->head_dim * (config->n_heads + config->n_kv_heads);
    return (double)c->reference.n * (double)config->d_model * (double)(3 * config->d_ff + heads);
}

/* ---- memory ---- */

static void noise_carve(plens__noise *noise, size_t n, size_t d, plens__carver *carver) {
    noise->n = n;
    noise->d = d;
    noise->position = plens__carve(carver, n, sizeof(double));
    noise->column = plens__carve(carver, d, sizeof(double));
}

void plens__case_carve(plens__case *c, const plens__engine *engine, const plens__config *config,
                       size_t n, plens__carver *carver) {
    double **states[] = {
        &c->x,         &c->target,         &c->blurred, &c->base_output,  &c->normed,
        &c->departure, &c->base_departure, &c->samples, &c->trial_output, &c->slope_output};
    plens__reference_carve(&c->reference, engine, config, n, carver);
    plens__trace_carve(config, n, &c->base, carver);
    plens__trace_carve(config, n, &c->trial, carver);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        *states[i] = plens__carve(carver, n, config->d_model * sizeof(double));
    noise_carve(&c->noise, n, config->d_model, carver);
    noise_carve(&c->trial_noise, n, config->d_model, carver);
}
