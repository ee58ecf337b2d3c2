#include "tests/harness/stats.h"

#include <stdlib.h>

static int compare(const void *a, const void *b) {
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

stats stats_of(double *values, size_t n) {
    stats result = {n, 0, 0, 0, 0};
    double sum = 0;
    if (n == 0)
        return result;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    qsort(values, n, sizeof *values, compare);
    result.min = values[0];
    result.mean = sum / (double)n;
    result.median = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    result.max = values[n - 1];
    return result;
}
