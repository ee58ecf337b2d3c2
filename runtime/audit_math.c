#include "runtime/fp.h"

#include "runtime/audit_math.h"

#include <math.h>

#include "runtime/numeric.h"

static double sigmoid(double x) {
    return 1 / (1 + plens__exp(-x));
}

/* erf(x) = 2/sqrt(pi) e^(-x^2) (x + 2 x^3/3 + 4 x^5/15 + ...): all terms of one sign
 * [Abramowitz & Stegun 7.1.6]. */
static double error_function(double x) {
    if (x > 6 || x < -6)
        return x > 0 ? 1 : -1;
    double term = x, sum = x;
    for (int n = 1; fabs(term) > 1e-17 * fabs(sum) && n < 200; n++) {
        term *= 2 * x * x / (2 * n + 1);
        sum += term;
    }
    return 1.1283791670955125739 * plens__exp(-x * x) * sum;
}

double plens__activate(plens__activation activation, double x) {
    switch (activation) {
    case PLENS__SILU:
        return x * sigmoid(x);
    case PLENS__GELU:
        return 0.5 * x * (1 + error_function(x * 0.70710678118654752440));
    case PLENS__GELU_TANH: /* 1 + tanh(u) = 2 sigmoid(2u) */
        return x * sigmoid(2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x));
    case PLENS__GELU_QUICK:
        return x * sigmoid(1.702 * x);
    case PLENS__RELU:
        return x > 0 ? x : 0;
    case PLENS__SIGMOID:
        return sigmoid(x);
    case PLENS__RELU_SQUARED:
        return x > 0 ? x * x : 0;
    case PLENS__TANH: /* = 2 sigmoid(2x) - 1 */
        return 2 * sigmoid(2 * x) - 1;
    case PLENS__HARD_SWISH:
        return x > 3 ? x : x < -3 ? 0 : x * (x + 3) / 6;
    case PLENS__IDENTITY:
        return x;
    }
    return x;
}

double plens__silu_slope(double x) {
    double s = sigmoid(x);
    return s * (1 + x * (1 - s));
}
