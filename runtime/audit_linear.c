/* Matrix products of the audit's reference, and how it imitates the rounding of others. */
#include "runtime/fp.h"

#include "runtime/audit_block.h"

#include <math.h>
#include <string.h>

#include "runtime/widen.h"

#define ROWS_AT_ONCE 8  /* of the matrix, in one item of work */
#define SLICE        64 /* columns in one item of the product from the other side */
#define AT_ONCE      8  /* positions in one pass over a row */

/* ---- rounding ---- */

/* A number in [0, 1) from two integers [Steele, Lea & Flood 2014: SplitMix64's finalizer]. */
static double uniform(uint64_t seed, uint64_t at) {
    uint64_t z = at * 0x9E3779B97F4A7C15u + seed * 0xD1B54A32D192ED03u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* The exponent e of the unit 2^e of a format around x, from the bits of x: millions are asked for.
 */
static int unit_exponent(plens__format format, double x) {
    static const int bits[] = {53, 24, 11, 8}, least[] = {-1022, -126, -14, -126};
    uint64_t word;
    memcpy(&word, &x, sizeof word);
    int exponent = (int)(word >> 52 & 0x7FF) - 1023;
    exponent = exponent < least[format] ? least[format] : exponent;
    return exponent - bits[format] + 1;
}

/* 2^exponent, for -1022 <= exponent <= 1023. */
static double power_of_two(int exponent) {
    uint64_t word = (uint64_t)(exponent + 1023) << 52;
    double x;
    memcpy(&x, &word, sizeof x);
    return x;
}

double plens__unit(plens__format format, double x) {
    return ldexp(1, unit_exponent(format, x));
}

double plens__round_to(plens__format format, uint64_t seed, uint64_t at, double x) {
    if (format == PLENS__EXACT || x == 0 || !(fabs(x) <= 0x1p1000))
        return x;
    int exponent = unit_exponent(format, x);
    return floor(x * power_of_two(-exponent) + (seed == 0 ? 0.5 : uniform(seed, at))) *
           power_of_two(exponent);
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
    plens__keeping kept;
    double largest; /* of the matrix, where it is kept by that */
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

/* 1 if every number of a checkpoint's type is one of the format. */
static int holds(plens__format format, plens_dtype dtype) {
    return format == PLENS__EXACT || format == PLENS__FLOAT ||
           (format == PLENS__HALF && dtype == PLENS_F16) ||
           (format == PLENS__BFLOAT && dtype == PLENS_BF16);
}

/* Elements [column, column + n) of a row, in the arithmetic's format; n <= SLICE. */
static void widen_slice(const product *p, size_t row, size_t column, size_t n, double *to) {
    float values[SLICE];
    plens__widen(p->matrix->dtype, row_bytes(p->matrix, row, column), n, values);
    if (holds(p->arithmetic->weights, p->matrix->dtype)) {
        for (size_t i = 0; i < n; i++)
            to[i] = (double)values[i];
        return;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = plens__round_to(p->arithmetic->weights, 0, 0, (double)values[i]);
}

/* A row times AT_ONCE positions of x, AT_ONCE * n apart: sums[AT_ONCE]. Independent chains keep the
 * adders busy. */
static void dots(const double *row, const double *x, size_t n, double *sums) {
    double even[AT_ONCE] = {0}, odd[AT_ONCE] = {0};
    size_t i = 0;
    for (; i + 2 <= n; i += 2) {
        for (size_t t = 0; t < AT_ONCE; t++) {
            even[t] += row[i] * x[t * n + i];
            odd[t] += row[i + 1] * x[t * n + i + 1];
        }
    }
    for (size_t t = 0; t < AT_ONCE; t++)
        sums[t] = even[t] + odd[t] + (i < n ? row[i] * x[t * n + i] : 0);
}

/* The same with one sum in float, k ascending: no engine rounds more. */
static void dots_float(const double *row, const double *x, size_t n, double *sums) {
    float all[AT_ONCE] = {0};
    for (size_t i = 0; i < n; i++) {
        for (size_t t = 0; t < AT_ONCE; t++)
            all[t] += (float)row[i] * (float)x[t * n + i];
    }
    for (size_t t = 0; t < AT_ONCE; t++)
        sums[t] = (double)all[t];
}

static double dot(const double *a, const double *b, size_t n) {
    double even = 0, odd = 0;
    size_t i = 0;
    for (; i + 2 <= n; i += 2) {
        even += a[i] * b[i];
        odd += a[i + 1] * b[i + 1];
    }
    return even + odd + (i < n ? a[i] * b[i] : 0);
}

static double dot_float(const double *a, const double *b, size_t n) {
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (float)a[i] * (float)b[i];
    return (double)sum;
}

static double largest_of(const double *x, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fabs(x[i]) > largest ? fabs(x[i]) : largest;
    return largest;
}

/* Numbers in 8 bits, divided by the scale in float as engines do it; the scale is kept in f16 where
 * `half`. */
static void keep_in_8_bits(double largest, int half, double *x, size_t n) {
    float scale = (float)largest / 127;
    double kept = plens__round_to(half ? PLENS__HALF : PLENS__FLOAT, 0, 0, (double)scale);
    for (size_t i = 0; i < n && scale > 0; i++)
        x[i] = floor((double)((float)x[i] / scale) + 0.5) * kept;
}

void plens__keep(plens__keeping kept, double *x, size_t n) {
    plens__format format = kept == PLENS__KEPT_IN_HALF ? PLENS__HALF : PLENS__BFLOAT;
    if (kept == PLENS__KEPT_IN_8_BITS || kept == PLENS__KEPT_IN_8_BITS_A_ROW)
        keep_in_8_bits(largest_of(x, n), 0, x, n);
    for (size_t i = 0; i < n && kept == PLENS__KEPT_IN_8_BITS_OF_32; i += 32) {
        size_t width = n - i < 32 ? n - i : 32;
        keep_in_8_bits(largest_of(x + i, width), 1, x + i, width);
    }
    for (size_t i = 0; i < n && kept == PLENS__KEPT_CUT_TO_BFLOAT; i++) {
        double unit = plens__unit(PLENS__BFLOAT, x[i]);
        double cut = floor(fabs(x[i]) / unit) * unit;
        x[i] = x[i] < 0 ? -cut : cut;
    }
    for (size_t i = 0; i < n && (kept == PLENS__KEPT_IN_HALF || kept == PLENS__KEPT_IN_BFLOAT); i++)
        x[i] = plens__round_to(format, 0, 0, x[i]);
}

/* A row of W as the engine keeps it. */
static void keep_row(const product *p, double *row, size_t n) {
    if (p->kept == PLENS__KEPT_IN_8_BITS)
        keep_in_8_bits(p->largest, 0, row, n);
    else
        plens__keep(p->kept, row, n);
}

static void largest_task(void *arg, size_t item, int thread) {
    product *p = arg;
    double row[SLICE];
    (void)item;
    (void)thread;
    for (size_t o = 0; o < p->matrix->n_out; o++) {
        for (size_t k = 0; k < p->matrix->n_in; k += SLICE) {
            size_t n = p->matrix->n_in - k < SLICE ? p->matrix->n_in - k : SLICE;
            widen_slice(p, o, k, n, row);
            double largest = largest_of(row, n);
            p->largest = largest > p->largest ? largest : p->largest;
        }
    }
}

static void multiply_task(void *arg, size_t item, int thread) {
    const product *p = arg;
    const plens__arithmetic *arithmetic = p->arithmetic;
    size_t n_in = p->matrix->n_in, n_out = p->matrix->n_out;
    size_t end = (item + 1) * ROWS_AT_ONCE < n_out ? (item + 1) * ROWS_AT_ONCE : n_out;
    double *row = p->reference->scratch + (size_t)thread * p->reference->scratch_width;
    int exact = arithmetic->results == PLENS__EXACT;
    for (size_t o = item * ROWS_AT_ONCE; o < end; o++) {
        for (size_t k = 0; k < n_in; k += SLICE)
            widen_slice(p, o, k, n_in - k < SLICE ? n_in - k : SLICE, row + k);
        if (p->kept != PLENS__KEPT_AS_IS)
            keep_row(p, row, n_in);
        for (size_t t = 0; t < p->n;) {
            double sums[AT_ONCE];
            const double *x = p->x + t * n_in;
            size_t n = p->n - t < AT_ONCE ? 1 : AT_ONCE;
            if (n == AT_ONCE)
                (exact ? dots : dots_float)(row, x, n_in, sums);
            else
                sums[0] = (exact ? dot : dot_float)(row, x, n_in);
            for (size_t i = 0; i < n; i++, t++)
                p->y[t * n_out + o] =
                    plens__round_to(arithmetic->results, arithmetic->seed, t * n_out + o, sums[i]);
        }
    }
}

void plens__reference_multiply(const plens__reference *reference, const plens__matrix *matrix,
                               const plens__arithmetic *arithmetic, const double *x, size_t n,
                               double *y) {
    plens__reference_multiply_kept(reference, matrix, PLENS__KEPT_AS_IS, arithmetic, x, n, y);
}

void plens__reference_multiply_kept(const plens__reference *reference, const plens__matrix *matrix,
                                    plens__keeping kept, const plens__arithmetic *arithmetic,
                                    const double *x, size_t n, double *y) {
    product p = {reference, matrix, arithmetic, x, n, y, kept, 0};
    if (kept == PLENS__KEPT_IN_8_BITS)
        plens__guarded(largest_task, &p);
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
    product p = {reference, matrix, &exact, x, n, y, PLENS__KEPT_AS_IS, 0};
    plens__parallel(reference->engine, (matrix->n_in + SLICE - 1) / SLICE, multiply_back_task, &p);
}
