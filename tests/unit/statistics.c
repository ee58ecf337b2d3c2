/* The report's statistics against scipy, numpy and mpmath: tests/fixtures/statistics.tsv, which
 * tests/make_statistics_fixture.py makes. The program's files are compiled in here. */
#include <math.h>

#include "tests/harness/bootstrap.c"
#define by_value statistics_by_value
#include "tests/harness/statistics.c"
#undef by_value
#include "tests/harness/random.c"

#include "tests/test.h"

/* What message.c has, which needs the rest of the program. */
void *allocate(size_t count, size_t size) {
    return calloc(count == 0 ? 1 : count, size);
}

enum { MOST_BYTES = 1 << 14, MOST_NUMBERS = 256 };

/* One row of the fixture. */
typedef struct row {
    char bytes[MOST_BYTES];
    const char *test, *parameters;
    double values[MOST_NUMBERS], expected[MOST_NUMBERS];
    size_t n_values, n_expected;
} row;

static size_t read_numbers(const char *text, double *numbers) {
    size_t n = 0;
    for (char *end; n < MOST_NUMBERS; n++, text = end) {
        numbers[n] = strtod(text, &end);
        if (end == text)
            break;
    }
    return n;
}

/* The next row of a test: 1, or 0 at the end. */
static int next_row(FILE *file, row *r, const char *test) {
    while (fgets(r->bytes, sizeof r->bytes, file) != NULL) {
        char *cells[4] = {r->bytes, NULL, NULL, NULL};
        for (int c = 1; c < 4; c++) {
            char *tab = cells[c - 1] == NULL ? NULL : strchr(cells[c - 1], '\t');
            if (tab != NULL)
                *tab = '\0';
            cells[c] = tab == NULL ? NULL : tab + 1;
        }
        if (cells[3] == NULL || strcmp(cells[0], test) != 0)
            continue;
        r->test = cells[0];
        r->parameters = cells[1];
        r->n_values = read_numbers(cells[2], r->values);
        r->n_expected = read_numbers(cells[3], r->expected);
        return 1;
    }
    return 0;
}

static int is_close(double found, double expected, double tolerance) {
    if (isnan(found) || isnan(expected))
        return isnan(found) && isnan(expected);
    return fabs(found - expected) <= tolerance * fabs(expected);
}

#define CHECK_CLOSE(found, expected, tolerance)                                                    \
    CHECK_THAT(is_close(found, expected, tolerance), "%s %s: %s is %.17g, expected %.17g",         \
               r->test, r->parameters, #found, (double)(found), (double)(expected))

/* Checks every row of a test, and wants to see some. */
static void each_row(const char *name, void (*check)(row *r)) {
    static row r;
    size_t n_rows = 0;
    FILE *file = fopen("tests/fixtures/statistics.tsv", "rb");
    CHECK(file != NULL);
    for (; next_row(file, &r, name); n_rows++)
        check(&r);
    fclose(file);
    CHECK(n_rows > 0);
}

static void check_normal(row *r) {
    CHECK_CLOSE(normal_two_sided(r->values[0]), r->expected[0], 1e-12);
}

/* Guards the tail where p-values are small, and the seam between series and fraction at 2. */
static void the_normal_tail_is_right(void) {
    each_row("normal", check_normal);
}

static void check_quantile(row *r) {
    double q = strtod(r->parameters, NULL);
    CHECK_CLOSE(quantile(r->values, r->n_values, q), r->expected[0], 1e-15);
}

/* Guards the rule between order statistics: there are nine in use. */
static void quantiles_are_numpy_s(void) {
    each_row("quantile", check_quantile);
}

static void check_wilcoxon(row *r) {
    wilcoxon w = wilcoxon_signed_rank(r->values, r->n_values);
    CHECK_CLOSE((double)w.n, r->expected[0], 0);
    CHECK_CLOSE(w.plus, r->expected[1], 0);
    CHECK_CLOSE(w.minus, r->expected[2], 0);
    CHECK_CLOSE(w.exact, r->expected[3], 0);
    CHECK_CLOSE(w.p, r->expected[4], 1e-10);
    CHECK_CLOSE(w.rank_biserial, r->expected[5], 1e-15);
}

/* Guards ranks of ties, zeros, which p is taken when, both tails, the correction for ties. */
static void wilcoxon_is_scipy_s(void) {
    const double zeros[3] = {0, 0, 0};
    CHECK_INT(wilcoxon_signed_rank(zeros, 3).n, 0);
    CHECK_INT(wilcoxon_signed_rank(zeros, 0).n, 0);
    each_row("wilcoxon", check_wilcoxon);
}

static void check_flips(row *r) {
    char *end;
    uint64_t seed = strtoull(r->parameters, &end, 10);
    size_t n_flips = strtoull(end, NULL, 10);
    CHECK_CLOSE(sign_flips(r->values, r->n_values, seed, n_flips), r->expected[0], 0);
}

/* Guards the words of bits across 64 differences, and sums that are equal but for rounding. */
static void flips_are_counted(void) {
    each_row("flips", check_flips);
}

static void check_holm(row *r) {
    holm(r->values, r->n_values);
    for (size_t i = 0; i < r->n_values; i++)
        CHECK_CLOSE(r->values[i], r->expected[i], 1e-15);
}

/* Guards monotone corrections, ties, and values that are not in the family. */
static void holm_steps_down(void) {
    each_row("holm", check_holm);
}

static void check_bootstrap(row *r) {
    char *end;
    boot_options options = {0, r->n_values, 0};
    options.seed = strtoull(r->parameters, &end, 10);
    options.n_resamples = strtoull(end, NULL, 10);
    boot_sample sample = {.values = r->values};
    bootstrap(&options, &sample, 1);
    CHECK_CLOSE(sample.mean.low, r->expected[0], 1e-14);
    CHECK_CLOSE(sample.mean.high, r->expected[1], 1e-14);
    CHECK_CLOSE(sample.median.low, r->expected[2], 1e-14);
    CHECK_CLOSE(sample.median.high, r->expected[3], 1e-14);
}

/* Guards resamples without some of the values, medians of even counts, and too few values. */
static void intervals_are_numpy_s(void) {
    each_row("bootstrap", check_bootstrap);
}

int main(void) {
    RUN(the_normal_tail_is_right);
    RUN(quantiles_are_numpy_s);
    RUN(wilcoxon_is_scipy_s);
    RUN(flips_are_counted);
    RUN(holm_steps_down);
    RUN(intervals_are_numpy_s);
    return test_finish();
}
