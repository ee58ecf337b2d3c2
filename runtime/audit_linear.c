/* Matrix products of the audit's reference, and how it imitates the rounding of others. */
#include "runtime/fp.h"

#include "runtime/audit_block.h"

#include <math.h>
#include <string.h>

#include "runtime/widen.h"

#define ROWS_AT_ONCE 8  /* of the matrix, in one item of work */
#define SLICE        64 /* columns in one item of the product from the other side */
#define SUMS         8  /* partial sums of a dot product */

/* ---- rounding ---- */

/* A number in [0, 1) from two integers [Steele, Lea & Flood 2014: SplitMix64's finalizer]. */
static double uniform(uint64_t seed, uint64_t at) {
    uint64_t z = at * 0x9E3779B97F4A7C15u + seed * 0xD1B54A32D192ED03u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* 2^(e - bits + 1) for 2^e <= |x| < 2^(e+1). */
double plens__unit(plens__format format, double x) {
    static const int bits[] = {53, 24, 11, 8}, least[] = {-1022, -126, -14, -126};
    int exponent;
    (void)frexp(x, &exponent);
    exponent = exponent - 1 < least[format] ? least[format] : exponent - 1;
    return ldexp(1, exponent - bits[format] + 1);
}

double plens__round_to(plens__format format, uint64_t seed, uint64_t at, double x) {
    if (format == PLENS__EXACT || x == 0 || !(fabs(x) <= 0x1p1000))
        return x;
    double unit = plens__unit(format, x);
    return floor(x / unit + (seed == 0 ? 0.5 : uniform(seed, at))) * unit;
}

double plens__blur(plens__format format, uint64_t seed, uint64_t at, double x) {
    if (format == PLENS__EXACT || x == 0 || !(fabs(x) <= 0x1p1000))
        return x;
    return x + (uniform(seed, at) - 0.5) * plens__unit(format, x);
}

/* ---- y = x W^T ---- */

typedef struct product {
    const plens__reference *reference;
    const plens__matrix *matrix;
    const plens__arithmetic *arithmetic;
    const double *x;
    size_t n;
    double *y;
} product;

static const char *row_bytes(const plens__matrix *matrix, size_t row, size_t column) {
    size_t size = matrix->dtype == PLENS_F32 ? 4 : 2;
    return (const char *)matrix->data + (row * matrix->n_in + column) * size;
}

double plens__matrix_at(const plens__matrix *matrix, size_t row, size_t column) {
    float value;
    plens__widen(matrix->dtype, row_bytes(matrix, row, column), 1, &value);
    return (double)value;
}

/* Elements [column, column + n) of a row, in the arithmetic's format; n <= SLICE. */
static void widen_slice(const product *p, size_t row, size_t column, size_t n, double *to) {
    float values[SLICE];
    plens__widen(p->matrix->dtype, row_bytes(p->matrix, row, column), n, values);
    for (size_t i = 0; i < n; i++)
        to[i] = plens__round_to(p->arithmetic->weights, 0, 0, (double)values[i]);
}

static double dot(const double *a, const double *b, size_t n) {
    double sums[SUMS] = {0}, rest = 0;
    size_t i = 0;
    for (; i + SUMS <= n; i += SUMS) {
        for (size_t j = 0; j < SUMS; j++)
            sums[j] += a[i + j] * b[i + j];
    }
    for (; i < n; i++)
        rest += a[i] * b[i];
    for (size_t j = 0; j < SUMS; j++)
        rest += sums[j];
    return rest;
}

/* The same with one sum in float, k ascending: no engine rounds more. */
static double dot_float(const double *a, const double *b, size_t n) {
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (float)a[i] * (float)b[i];
    return (double)sum;
}

static void multiply_task(void *arg, size_t item, int thread) {
    const product *p = arg;
    const plens__arithmetic *arithmetic = p->arithmetic;
    size_t n_in = p->matrix->n_in, n_out = p->matrix->n_out;
    size_t end = (item + 1) * ROWS_AT_ONCE < n_out ? (item + 1) * ROWS_AT_ONCE : n_out;
    double *row = p->reference->scratch + (size_t)thread * p->reference->scratch_width;
    for (size_t o = item * ROWS_AT_ONCE; o < end; o++) {
        for (size_t k = 0; k < n_in; k += SLICE)
            widen_slice(p, o, k, n_in - k < SLICE ? n_in - k : SLICE, row + k);
        for (size_t t = 0; t < p->n; t++) {
            const double *x = p->x + t * n_in;
            double y =
                arithmetic->results == PLENS__EXACT ? dot(x, row, n_in) : dot_float(x, row, n_in);
            p->y[t * n_out + o] =
                plens__round_to(arithmetic->results, arithmetic->seed, t * n_out + o, y);
        }
    }
}

void plens__reference_multiply(const plens__reference *reference, const plens__matrix *matrix,
                               const plens__arithmetic *arithmetic, const double *x, size_t n,
                               double *y) {
    product p = {reference, matrix, arithmetic, x, n, y};
    plens__parallel(reference->engine, (matrix->n_out + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE,
                    multiply_task, &p);
}

/* ---- y = x W ---- */

static void multiply_back_task(void *arg, size_t item, int thread) {
    const product *p = arg;
    size_t n_in = p->matrix->n_in, n_out = p->matrix->n_out, first = item * SLICE;
    size_t width = n_in - first < SLICE ? n_in - first : SLICE;
    double row[SLICE];
    (void)thread;
    for (size_t t = 0; t < p->n; t++)
        memset(p->y + t * n_in + first, 0, width * sizeof *p->y);
    for (size_t o = 0; o < n_out; o++) {
        widen_slice(p, o, first, width, row);
        for (size_t t = 0; t < p->n; t++) {
            double x = p->x[t * n_out + o], *y = p->y + t * n_in + first;
            for (size_t i = 0; i < width; i++)
                y[i] += x * row[i];
        }
    }
}

void plens__reference_multiply_back(const plens__reference *reference, const plens__matrix *matrix,
                                    const double *x, size_t n, double *y) {
    static const plens__arithmetic exact;
    product p = {reference, matrix, &exact, x, n, y};
    plens__parallel(reference->engine, (matrix->n_in + SLICE - 1) / SLICE, multiply_back_task, &p);
}
