/* Percentile bootstrap intervals [Efron 1979]: the questions of a task are drawn anew with
 * replacement, and with a question all its values, so that what was measured on the same questions
 * stays paired. */
#ifndef PLENS_HARNESS_BOOTSTRAP_H
#define PLENS_HARNESS_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct interval {
    double low, high; /* NaN: none */
} interval;

/* A value for each question, NaN where it has none; and what is found for them. */
typedef struct boot_sample {
    const double *values; /* [n_questions] */
    interval mean, median;
} boot_sample;

typedef struct boot_options {
    uint64_t seed;
    size_t n_questions, n_resamples;
} boot_options;

/* Fewer values than this make no interval and no test: below 6 pairs not even signs that all agree
 * are rarer than 5 % (2 / 2^5). */
enum { FEWEST_VALUES = 6 };

/* The question that draw i of a resample takes, both from 0. */
size_t boot_index(const boot_options *options, size_t resample, size_t i);

/* The 95 % intervals of the means and medians of all samples; none for those with fewer than
 * FEWEST_VALUES values. A resample without any value of a sample says nothing about it. */
void bootstrap(const boot_options *options, boot_sample *samples, size_t n_samples);

#endif
