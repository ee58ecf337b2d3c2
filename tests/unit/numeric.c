#include "runtime/fp.h"

#include "runtime/numeric.h"
#include "tests/test.h"

#include <math.h>
#include <stdint.h>

/* A step of the result's precision at `value`, denormals included. */
static double ulp(double value) {
    int exponent;
    frexp(value, &exponent);
    return ldexp(1, exponent - 53 < -1074 ? -1074 : exponent - 53);
}

static double error_in_ulps(double found, long double expected) {
    return (double)(fabsl((long double)found - expected) / (long double)ulp((double)expected));
}

/* Numbers in [0, 1), fixed [Marsaglia, xorshift64*]. */
static double uniform(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (double)((state * 2685821657736338717u) >> 11) * 0x1p-53;
}

/* Expected values from mpmath with 300 bits, rounded to double. */
static const double exp_cases[][2] = {
    {1, 0x1.5bf0a8b145769p+1},
    {-1, 0x1.78b56362cef38p-2},
    {0.5, 0x1.a61298e1e069cp+0},
    {1e-20, 1},
    {10, 0x1.5829dcf950560p+14},
    {-10, 0x1.7cd79b5647c9bp-15},
    {100.25, 0x1.8c39b9134bac4p+144},
    {-700.5, 0x1.4ff475c68ca02p-1011},
    {709.75, 0x1.ef85a11e73f2dp+1023},
    {-708.5, 0x0.e6cf6d08897acp-1022},
    {-740.25, 0x0.0000000000042p-1022},
    {-745, 0x0.0000000000001p-1022},
    {0x1.62e42fead449cp-2, 0x1.6a09e66640654p+0},
    {-0x1.62e42fead449cp-2, 0x1.6a09e669a7145p-1},
    {300.125, 0x1.fc0ed35ef0037p+432},
};

static const double log_cases[][2] = {
    {2, 0x1.62e42fefa39efp-1},
    {0.5, -0x1.62e42fefa39efp-1},
    {3, 0x1.193ea7aad030bp+0},
    {10, 0x1.26bb1bbb55516p+1},
    {0x1.56e1fc2f8f359p-997, -0x1.5963447f87fb5p+9},
    {0x0.0000000000001p-1022, -0x1.74385446d71c3p+9},
    {0x1.e42d130773b76p+1023, 0x1.62dd08fdc6f88p+9},
    {0x1.0000000000001p+0, 0x1.fffffffffffffp-53},
    {0x1.fffffffffffffp-1, -0x1.0000000000000p-53},
    {0x1.6a09e667f3bcdp-1, -0x1.62e42fefa39eep-2},
    {0x1.6a09e667f3bccp+0, 0x1.62e42fefa39eep-2},
    {0x1.00068db8bac71p+0, 0x1.a368d0657fcd4p-14},
    {0x1.ff7ced916872bp-1, -0x1.064670d979b73p-10},
    {1e10, 0x1.7069e2aa2aa5bp+4},
    {128256, 0x1.786087e2da908p+3},
};

/* x, sin x, cos x; the first five are the doubles below 2^27 nearest to a multiple of pi/2. */
static const double sincos_cases[][3] = {
    {0x1.6c6cbc45dc8dep+5, 1, -0x1.6d61b58c99c43p-61},
    {0x1.6c6cbc45dc8dep+6, -0x1.6d61b58c99c43p-60, -1},
    {0x1.b951f1572eba5p+23, -1, -0x1.f54f5227a4e84p-60},
    {0x1.6c6cbc45dc8dep+7, 0x1.6d61b58c99c43p-59, 1},
    {0x1.b951f1572eba5p+24, 0x1.f54f5227a4e84p-59, -1},
    {1, 0x1.aed548f090ceep-1, 0x1.14a280fb5068cp-1},
    {0.5, 0x1.eaee8744b05f0p-2, 0x1.c1528065b7d50p-1},
    {3, 0x1.210386db6d55bp-3, -0x1.fae04be85e5d2p-1},
    {-2, -0x1.d18f6ead1b446p-1, -0x1.aa22657537205p-2},
    {100000, 0x1.24daa9c527e96p-5, -0x1.ffac3841b3da7p-1},
    {131071, -0x1.268613f60babcp-1, -0x1.a2cebbb513e7cp-1},
    {0x1p-30, 0x1p-30, 1},
    {0x1.921fb54442d18p-1, 0x1.6a09e667f3bccp-1, 0x1.6a09e667f3bcdp-1},
};

/* A wrong coefficient or a lost tail in exp, denormal results rounded twice. */
static void exp_is_within_an_ulp_of_known_values(void) {
    for (size_t i = 0; i < sizeof exp_cases / sizeof *exp_cases; i++) {
        double found = plens__exp(exp_cases[i][0]);
        CHECK_THAT(error_in_ulps(found, exp_cases[i][1]) <= 1, "exp(%a) is %a, expected %a",
                   exp_cases[i][0], found, exp_cases[i][1]);
    }
}

/* A scale outside the range of doubles, a NaN that becomes a number. */
static void exp_ends_in_zero_and_infinity(void) {
    CHECK(plens__exp(-INFINITY) == 0);
    CHECK(plens__exp(-1e300) == 0);
    CHECK(plens__exp(-746) == 0);
    CHECK(plens__exp(0) == 1);
    CHECK(plens__exp(709.79) == (double)INFINITY);
    CHECK(plens__exp(1e300) == (double)INFINITY);
    CHECK(plens__exp(INFINITY) == (double)INFINITY);
    CHECK(isnan(plens__exp(NAN)));
}

/* log losing its digits near 1, on denormals or at sqrt(1/2), where the exponent changes. */
static void log_is_within_an_ulp_of_known_values(void) {
    for (size_t i = 0; i < sizeof log_cases / sizeof *log_cases; i++) {
        double found = plens__log(log_cases[i][0]);
        CHECK_THAT(error_in_ulps(found, log_cases[i][1]) <= 1, "log(%a) is %a, expected %a",
                   log_cases[i][0], found, log_cases[i][1]);
    }
    CHECK(plens__log(1) == 0);
    CHECK(plens__log(INFINITY) == (double)INFINITY);
    CHECK(plens__log(0) == (double)-INFINITY);
    CHECK(isnan(plens__log(-1)));
    CHECK(isnan(plens__log(NAN)));
}

/* A reduction by too short a pi, a quadrant or a sign mixed up. */
static void sincos_is_within_an_ulp_of_known_values(void) {
    for (size_t i = 0; i < sizeof sincos_cases / sizeof *sincos_cases; i++) {
        const double *expected = sincos_cases[i];
        double s, c;
        plens__sincos(expected[0], &s, &c);
        CHECK_THAT(error_in_ulps(s, expected[1]) <= 1, "sin(%a) is %a, expected %a", expected[0], s,
                   expected[1]);
        CHECK_THAT(error_in_ulps(c, expected[2]) <= 1, "cos(%a) is %a, expected %a", expected[0], c,
                   expected[2]);
        plens__sincos(-expected[0], &s, &c);
        CHECK(error_in_ulps(s, -expected[1]) <= 1);
        CHECK(error_in_ulps(c, expected[2]) <= 1);
    }
    double s, c;
    plens__sincos(0, &s, &c);
    CHECK(s == 0 && c == 1);
}

#define NEED_LONG_DOUBLE                                                                           \
    if (LDBL_MANT_DIG < 64)                                                                        \
    SKIP("long double is no wider than double here")

/* The stated error anywhere else; libm's long double functions judge. */
static void exp_and_log_are_within_an_ulp_of_long_double(void) {
    NEED_LONG_DOUBLE;
    double worst_exp = 0, worst_log = 0;
    for (int i = 0; i < 200000; i++) {
        double x = (uniform() - 0.5) * (i % 2 ? 2 : 1418);
        worst_exp = fmax(worst_exp, error_in_ulps(plens__exp(x), expl(x)));
        double y = i % 2 ? 0.5 + uniform() : exp((uniform() - 0.5) * 1400);
        worst_log = fmax(worst_log, error_in_ulps(plens__log(y), logl(y)));
    }
    CHECK_THAT(worst_exp < 1, "exp is %g ulp off", worst_exp);
    CHECK_THAT(worst_log < 1, "log is %g ulp off", worst_log);
}

/* The angles of rotary embeddings, float(position * frequency), among them. */
static void sincos_is_within_an_ulp_of_long_double(void) {
    NEED_LONG_DOUBLE;
    double worst = 0;
    for (int i = 0; i < 300000; i++) {
        double angle = i % 3 == 0   ? (uniform() - 0.5) * 0x1p28
                       : i % 3 == 1 ? (uniform() - 0.5) * 10
                                    : (float)(floor(uniform() * 131072) * exp(-13 * uniform()));
        double s, c;
        plens__sincos(angle, &s, &c);
        worst = fmax(worst, fmax(error_in_ulps(s, sinl(angle)), error_in_ulps(c, cosl(angle))));
    }
    CHECK_THAT(worst < 1, "sin or cos is %g ulp off", worst);
}

int main(void) {
    RUN(exp_is_within_an_ulp_of_known_values);
    RUN(exp_ends_in_zero_and_infinity);
    RUN(log_is_within_an_ulp_of_known_values);
    RUN(sincos_is_within_an_ulp_of_known_values);
    RUN(exp_and_log_are_within_an_ulp_of_long_double);
    RUN(sincos_is_within_an_ulp_of_long_double);
    return test_finish();
}
