#include "tests/harness/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "tests/harness/message.h"
#include "tests/harness/random.h"
#include "tests/harness/statistics.h"

size_t boot_index(const boot_options *options, size_t resample, size_t i) {
    return random_index(options->seed, (uint64_t)resample * options->n_questions + i,
                        options->n_questions);
}

typedef struct member {
    double value;
    size_t question;
} member;

/* A sample at work. */
typedef struct column {
    member *members; /* [n_members] by value */
    size_t n_members;
    double *means, *medians; /* [n_found] of the resamples so far */
    size_t n_found;
} column;

static int by_value(const void *a, const void *b) {
    const member *one = a, *other = b;
    if (one->value != other->value)
        return one->value > other->value ? 1 : -1;
    return one->question > other->question ? 1 : -1;
}

static column make_column(const boot_options *options, const double *values) {
    column c = {NULL, 0, NULL, NULL, 0};
    c.members = allocate(options->n_questions, sizeof *c.members);
    c.means = allocate(options->n_resamples, sizeof *c.means);
    c.medians = allocate(options->n_resamples, sizeof *c.medians);
    for (size_t i = 0; i < options->n_questions; i++) {
        if (!isnan(values[i]))
            c.members[c.n_members++] = (member){values[i], i};
    }
    qsort(c.members, c.n_members, sizeof *c.members, by_value);
    return c;
}

/* The value at a place, from 0, of the sorted resample. */
static double value_at(const column *c, const uint32_t *counts, size_t place) {
    const member *m = c->members;
    for (; place >= counts[m->question]; m++)
        place -= counts[m->question];
    return m->value;
}

static void add_resample(column *c, const uint32_t *counts) {
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->n_members; i++) {
        size_t count = counts[c->members[i].question];
        sum += (double)count * c->members[i].value;
        n += count;
    }
    if (n == 0)
        return;
    double middle = value_at(c, counts, n / 2);
    c->means[c->n_found] = sum / (double)n;
    c->medians[c->n_found++] = n % 2 == 1 ? middle : (value_at(c, counts, n / 2 - 1) + middle) / 2;
}

static int by_number(const void *a, const void *b) {
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static interval interval_of(double *found, size_t n) {
    qsort(found, n, sizeof *found, by_number);
    return (interval){quantile(found, n, 0.025), quantile(found, n, 0.975)};
}

static void finish_column(column *c, boot_sample *sample) {
    sample->mean = sample->median = (interval){NAN, NAN};
    if (c->n_members >= FEWEST_VALUES && c->n_found > 0) {
        sample->mean = interval_of(c->means, c->n_found);
        sample->median = interval_of(c->medians, c->n_found);
    }
    free(c->members);
    free(c->means);
    free(c->medians);
}

void bootstrap(const boot_options *options, boot_sample *samples, size_t n_samples) {
    column *columns = allocate(n_samples, sizeof *columns);
    uint32_t *counts = allocate(options->n_questions, sizeof *counts);
    for (size_t k = 0; k < n_samples; k++)
        columns[k] = make_column(options, samples[k].values);
    for (size_t resample = 0; resample < options->n_resamples; resample++) {
        for (size_t i = 0; i < options->n_questions; i++)
            counts[i] = 0;
        for (size_t i = 0; i < options->n_questions; i++)
            counts[boot_index(options, resample, i)]++;
        for (size_t k = 0; k < n_samples; k++) {
            if (columns[k].n_members >= FEWEST_VALUES)
                add_resample(&columns[k], counts);
        }
    }
    for (size_t k = 0; k < n_samples; k++)
        finish_column(&columns[k], &samples[k]);
    free(columns);
    free(counts);
}
