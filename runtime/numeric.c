/* exp, log, sin and cos in double. All begin by subtracting a multiple of a constant held in
 * several pieces (Cody & Waite 1980), go on with the Taylor series, whose coefficients need no
 * table of origin, and keep what the first steps rounded away, so that only the last addition costs
 * much more than half an ulp. tests/unit/numeric.c measures them against long double. */
#include "runtime/fp.h"

#include "runtime/numeric.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define SHIFT 0x1.8p52 /* adding it rounds |x| < 2^51 to an integer */

static double double_of_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* 2^n for -1022 <= n <= 1023. */
static double power_of_two(int n) {
    return double_of_bits((uint64_t)(n + 1023) << 52);
}

/* The polynomial c[0] + c[1] x + ... of n coefficients. */
static double polynomial(const double *c, int n, double x) {
    double sum = c[n - 1];
    for (int i = n - 2; i >= 0; i--)
        sum = fma(sum, x, c[i]);
    return sum;
}

/* ln 2 in 42 and 53 bits: n LN2_HIGH is exact for |n| < 2^11. */
#define LN2_HIGH 0x1.62e42fefa38p-1
#define LN2_LOW  0x1.ef35793c7673p-45

/* x = n ln 2 + r + tail, |r| <= 0.3466; e^x = 2^n (1 + (r + (tail + r^2 q(r)))). The series stops
 * after r^13 / 13!: the rest is below 0.04 ulp. */
double plens__exp(double x) {
    static const double q[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                               1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                               1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
    if (x != x)
        return x;
    if (x > 710)
        return (double)INFINITY;
    if (x < -746)
        return 0;
    double n = fma(x, 0x1.71547652b82fep0, SHIFT) - SHIFT;
    double exact = fma(n, -LN2_HIGH, x), low = n * LN2_LOW;
    double r = exact - low, tail = (exact - r) - low;
    double p = 1 + (r + fma(r * r, polynomial(q, 12, r), tail));
    int half = (int)n / 2; /* in two steps, so that a denormal result is rounded once */
    return (p * power_of_two(half)) * power_of_two((int)n - half);
}

/* x = 2^n m, sqrt(1/2) <= m < sqrt(2), f = m - 1, s = f / (2 + f): log m = 2 atanh(s) =
 * f - (f^2/2 - s (f^2/2 + R)), R = 2 s^2/3 + 2 s^4/5 + ...: the arrangement of FreeBSD's e_log.c,
 * which lets the exact f lead. s^2 < 0.0295, so what follows s^20 is below 2^-60. */
double plens__log(double x) {
    static const double series[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                                    2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
    if (!(x > 0))
        return x == 0 ? (double)-INFINITY : (double)NAN;
    if (x == (double)INFINITY)
        return x;
    int n = 0;
    if (x < 0x1p-1022) { /* denormal */
        x *= 0x1p54;
        n = -54;
    }
    /* Take the exponent of x relative to sqrt(1/2), so that m falls around 1. */
    uint64_t bits = bits_of_double(x), offset = bits - bits_of_double(0x1.6a09e667f3bcdp-1);
    n += (int)((offset >> 52) ^ 0x800) - 0x800;
    double m = double_of_bits(bits - (offset & 0xFFF0000000000000));
    double f = m - 1, s = f / (2 + f), square = s * s, half = 0.5 * f * f;
    double rest = square * polynomial(series, 10, square);
    double scale = (double)n;
    return scale * LN2_HIGH + (f - (half - fma(s, half + rest, scale * LN2_LOW)));
}

/* pi/2 in three times 53 bits. */
#define PIO2_1 0x1.921fb54442d18p0
#define PIO2_2 0x1.1a62633145c06p-54
#define PIO2_3 0x1.c1cd129024e08p-107

/* a + b = sum + error, exactly [Knuth, TAOCP 2, 4.2.2]. */
static double two_sum(double a, double b, double *error) {
    double sum = a + b, part = sum - a;
    *error = (a - (sum - part)) + (b - part);
    return sum;
}

/* x - n pi/2 as r + tail, |r| <= pi/4 and a little. n < 2^27, and no double below 2^27 comes
 * nearer to a multiple of pi/2 than 2^-61 (but 0), while what is left out is below
 * 2^27 2^-160: r + tail is good to far beyond double. */
static double reduce(double x, double n, double *tail) {
    double high1 = n * PIO2_1, low1 = fma(n, PIO2_1, -high1);
    double high2 = n * PIO2_2, low2 = fma(n, PIO2_2, -high2);
    double error1, error2;
    double r = two_sum(x - high1, -low1, &error1); /* x - high1 is exact, they are so close */
    r = two_sum(r, -high2, &error2);
    double rest = error1 + (error2 - fma(n, PIO2_3, low2));
    double sum = r + rest;
    *tail = (r - sum) + rest;
    return sum;
}

/* sin(r + tail) = r + (tail cos r + r^3 S(r^2)), cos r to first order. */
static double sine_of(double r, double tail) {
    static const double series[] = {
        -1.0 / 6,        1.0 / 120,          -1.0 / 5040,          1.0 / 362880,
        -1.0 / 39916800, 1.0 / 6227020800.0, -1.0 / 1307674368000, 1.0 / 355687428096000};
    double square = r * r;
    double cube = square * r * polynomial(series, 8, square);
    return r + fma(tail, 1 - 0.5 * square, cube);
}

/* cos(r + tail) = 1 - r^2/2 + (r^4 C(r^2) - r tail), with what 1 - r^2/2 rounds away. */
static double cosine_of(double r, double tail) {
    static const double series[] = {
        1.0 / 24,        -1.0 / 720,         1.0 / 40320,          -1.0 / 3628800,
        1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000, -1.0 / 6402373705728000};
    double square = r * r, half = 0.5 * square;
    double most = 1 - half, lost = (1 - most) - half;
    double rest = square * square * polynomial(series, 8, square);
    return most + (lost + (rest - r * tail));
}

void plens__sincos(double x, double *sine, double *cosine) {
    double n = fma(x, 0x1.45f306dc9c883p-1, SHIFT) - SHIFT, tail;
    double r = reduce(x, n, &tail);
    double s = sine_of(r, tail), c = cosine_of(r, tail);
    unsigned quarter = (unsigned)(int)n & 3;
    *sine = quarter == 0 ? s : quarter == 1 ? c : quarter == 2 ? -s : -c;
    *cosine = quarter == 0 ? c : quarter == 1 ? -s : quarter == 2 ? -c : s;
}
