/* The definition itself against double precision, within bounds derived from its operations:
 * u = 2^-24 is a float operation's relative error, n operations in a chain have n u (to first
 * order; a factor of 1.01 covers the rest), a lane sum has n / 16 + 5, e^x has 2 u. */
#include "sets.h"

static const double U = 1.01 * 0x1p-24;

static double lane_sum_steps(size_t n) {
    return (double)n / 16 + 5;
}

/* A product left out or taken twice, a weight transposed. */
static void gemm_is_within_its_bound(void) {
    enum { ROWS = 7, K = 300 };
    static float x[ROWS * K], w[PLENS__PANEL_MAX * K], panel[PLENS__PANEL_MAX * K];
    float c[ROWS * PLENS__PANEL_MAX];
    const plens__product *set = plens__product_scalar(PLENS_PRECISION_F32);
    test_fill(x, ROWS * K, PLAIN);
    test_fill(w, set->panel * K, PLAIN);
    set->pack_w(PLENS_F32, w, K * sizeof *w, set->panel, K, panel);
    set->multiply(ROWS, K, x, K * sizeof *x, panel, set->panel, 0, c, set->panel);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t o = 0; o < set->panel; o++) {
            double sum = 0, size = 0;
            for (size_t k = 0; k < K; k++) {
                sum += (double)x[r * K + k] * (double)w[o * K + k];
                size += fabs((double)x[r * K + k] * (double)w[o * K + k]);
            }
            double error = fabs((double)c[r * set->panel + o] - sum);
            CHECK_THAT(error <= K * U * size, "c[%zu, %zu] is %g off", r, o, error);
        }
}

/* The mean over the wrong count, eps outside the root, the weight before the norm. */
static void rms_norm_is_within_its_bound(void) {
    enum { N = 1000 };
    float x[N], weight[N], y[N];
    test_fill(x, N, PLAIN);
    test_fill(weight, N, PLAIN);
    for (size_t n = 1; n <= N; n += 37) {
        plens__kernels_scalar.rms_norm(x, weight, n, 1e-5f, y);
        double square = 0;
        for (size_t i = 0; i < n; i++)
            square += (double)x[i] * (double)x[i];
        double root = sqrt(square / (double)n + (double)1e-5f);
        /* The root halves the error of the sum, the division and the addition. */
        double bound = ((lane_sum_steps(n) + 2) / 2 + 4) * U;
        for (size_t i = 0; i < n; i++) {
            double expected = (double)x[i] / root * (double)weight[i];
            CHECK(fabs((double)y[i] - expected) <= bound * fabs(expected));
        }
    }
}

/* The halves exchanged, the sign on the wrong one. */
static void rope_turns_by_the_angle(void) {
    enum { HALF = 40 };
    float x[2 * HALF], y[2 * HALF], cosine[HALF], sine[HALF];
    test_fill(x, 2 * HALF, PLAIN);
    for (size_t i = 0; i < HALF; i++) {
        cosine[i] = (float)cos((double)i * 0.3);
        sine[i] = (float)sin((double)i * 0.3);
    }
    memcpy(y, x, sizeof y);
    plens__kernels_scalar.rope(y, cosine, sine, HALF);
    for (size_t i = 0; i < HALF; i++) {
        double a = (double)x[i], b = (double)x[i + HALF], angle = (double)i * 0.3;
        double bound = 4 * U * (fabs(a) + fabs(b));
        CHECK(fabs((double)y[i] - (a * cos(angle) - b * sin(angle))) <= bound);
        CHECK(fabs((double)y[i + HALF] - (b * cos(angle) + a * sin(angle))) <= bound);
    }
}

/* The sigmoid's sign, gate and up exchanged, values where e^-g over- or underflows. */
static void silu_mul_is_within_its_bound(void) {
    enum { N = 4000 };
    static float gate[N], up[N], out[N];
    test_fill(up, N, PLAIN);
    for (size_t i = 0; i < N; i++)
        gate[i] = ((float)i - N / 2) * 0.055f;
    plens__kernels_scalar.silu_mul(gate, up, N, out);
    for (size_t i = 0; i < N; i++) {
        double g = (double)gate[i], expected = g / (1 + exp(-g)) * (double)up[i];
        /* Beyond e^88 the float sigmoid is 0 or denormal: an absolute error below 2^-118. */
        double bound = 5 * U * fabs(expected) + 0x1p-118;
        CHECK_THAT(fabs((double)out[i] - expected) <= bound, "silu(%g) * %g is %g", g,
                   (double)up[i], (double)out[i]);
    }
}

/* A score without its scale, probabilities that do not add up to 1, a value row too many. */
static void attention_is_within_its_bound(void) {
    enum { N = 90, DIM = 48 };
    static float q[DIM], k[N * DIM], v[N * DIM], scores[N], out[DIM];
    test_fill(q, DIM, PLAIN);
    test_fill(k, N * DIM, PLAIN);
    test_fill(v, N * DIM, PLAIN);
    const double scale = 0.125;
    plens__kernels_scalar.attend(q, k, DIM, v, DIM, N, DIM, (float)scale, scores, out);
    double exact[N], max = -INFINITY, total = 0, shift = 0;
    for (size_t j = 0; j < N; j++) {
        double size = 0;
        exact[j] = 0;
        for (size_t i = 0; i < DIM; i++) {
            exact[j] += (double)q[i] * (double)k[j * DIM + i] * scale;
            size += fabs((double)q[i] * (double)k[j * DIM + i] * scale);
        }
        shift = fmax(shift, (lane_sum_steps(DIM) + 1) * U * size);
        max = fmax(max, exact[j]);
    }
    for (size_t j = 0; j < N; j++)
        total += exp(exact[j] - max);
    /* p_j: its score and the maximum may be off by `shift`, and their difference (below 100 here)
     * is rounded; the sum has the same errors; then e^x, the lane sum and the division. */
    double relative = 4 * shift + (2 * 100 + 2 * 2 + lane_sum_steps(N) + 1) * U;
    for (size_t i = 0; i < DIM; i++) {
        double expected = 0, size = 0;
        for (size_t j = 0; j < N; j++) {
            expected += exp(exact[j] - max) / total * (double)v[j * DIM + i];
            size += exp(exact[j] - max) / total * fabs((double)v[j * DIM + i]);
        }
        CHECK(fabs((double)out[i] - expected) <= (relative + N * U) * size);
    }
}

/* A block's sums that miss an element or weigh it by the logit instead of its distance. */
static void vocabulary_sums_are_within_their_bound(void) {
    static float x[PLENS__VOCAB_BLOCK];
    for (size_t n = 1; n <= PLENS__VOCAB_BLOCK; n += 93) {
        double max = -INFINITY, sum = 0, weighted = 0, sum_bound = 0, weighted_bound = 0;
        for (size_t i = 0; i < n; i++) {
            x[i] = test_value(PLAIN) * 5;
            max = fmax(max, (double)x[i]);
        }
        for (size_t i = 0; i < n; i++) {
            double below = (double)x[i] - max, e = exp(below);
            double relative = (2 - below) * U; /* of e^x, and of x - m before it */
            sum += e;
            weighted += e * below;
            sum_bound += e * relative;
            weighted_bound += e * -below * (relative + U);
        }
        plens__vocab_sums sums;
        plens__kernels_scalar.vocab_sums(x, n, &sums);
        CHECK(sums.finite == 1 && (double)sums.max == max);
        CHECK(fabs(sums.sum - sum) <= sum_bound + 1e-12 * sum);
        CHECK(fabs(sums.weighted - weighted) <= weighted_bound + 1e-12 * fabs(weighted));
    }
    x[5] = NAN;
    plens__vocab_sums sums;
    plens__kernels_scalar.vocab_sums(x, 16, &sums);
    CHECK(sums.finite == 0 && sums.max == sums.max);
    x[5] = -INFINITY;
    plens__kernels_scalar.vocab_sums(x + 5, 1, &sums);
    CHECK(sums.finite == 0 && sums.max == -INFINITY);
}

/* exp off by an ulp or more anywhere: every 6007th float between underflow and overflow. */
static void float_exp_is_within_an_ulp(void) {
    for (uint32_t bits = 0; bits < 0xC2D00000; bits += 6007) {
        float x, y;
        memcpy(&x, &bits, sizeof x);
        if (!(x <= 88.7228f)) /* e^x overflows, or x is a NaN */
            continue;
        plens__kernels_scalar.exp(&x, 1, &y);
        double expected = exp((double)x);
        int exponent;
        frexp(expected, &exponent);
        double ulp = ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
        CHECK_THAT(fabs((double)y - expected) < ulp, "exp(%a) is %a, expected %a", (double)x,
                   (double)y, expected);
    }
}

/* An exponential that wraps around, or lets a NaN pass for a number. */
static void float_exp_has_the_right_ends(void) {
    const float x[] = {INFINITY, 1e30f, 89.0f, -104.0f, -1e30f, -INFINITY, 0.0f, -0.0f, NAN};
    float y[9];
    plens__kernels_scalar.exp(x, 9, y);
    CHECK(y[0] == INFINITY && y[1] == INFINITY && y[2] == INFINITY);
    CHECK(y[3] == 0 && y[4] == 0 && y[5] == 0);
    CHECK(y[6] == 1 && y[7] == 1 && y[8] != y[8]);
}

int main(void) {
    RUN(gemm_is_within_its_bound);
    RUN(rms_norm_is_within_its_bound);
    RUN(rope_turns_by_the_angle);
    RUN(silu_mul_is_within_its_bound);
    RUN(attention_is_within_its_bound);
    RUN(vocabulary_sums_are_within_their_bound);
    RUN(float_exp_is_within_an_ulp);
    RUN(float_exp_has_the_right_ends);
    return test_finish();
}
