/* Statistics of a column of scores. */
#ifndef PLENS_HARNESS_STATS_H
#define PLENS_HARNESS_STATS_H

#include <stddef.h>

typedef struct stats {
    size_t n; /* 0: the rest means nothing */
    double min, mean, median, max;
} stats;

/* Sums in the order given, then sorts the values. The median of an even number of values is the
 * mean of the middle two. */
stats stats_of(double *values, size_t n);

#endif
