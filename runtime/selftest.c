/* plens_selftest: the values, the comparison, and the walk over sets and roles. */
#include "runtime/fp.h"

#include "runtime/selftest.h"

#include <stdio.h>
#include <string.h>

#include "runtime/engine.h"
#include "runtime/sets.h"
#include "runtime/trial.h"
#include "runtime/widen.h"

/* ---- Values -------------------------------------------------------------------------------- */

#define HASH_START 0xCBF29CE484222325u
#define HASH_PRIME 0x100000001B3u

void plens__test_begin(plens__test *test) {
    test->random = 88172645463325252u;
    test->hash = HASH_START;
    test->difference[0] = '\0';
}

/* [Marsaglia 2003, xorshift64*] */
static uint32_t next_random(plens__test *test) {
    test->random ^= test->random >> 12;
    test->random ^= test->random << 25;
    test->random ^= test->random >> 27;
    return (uint32_t)((test->random * 2685821657736338717u) >> 32);
}

size_t plens__test_below(plens__test *test, size_t n) {
    return next_random(test) % n;
}

/* Products of two are 2^-126 times a few factors, sometimes some 2^-24 of that: what is left of
 * 2^-126 less one of those lies on either side of the ties of rounding to 24 bits, with and without
 * an end of exponents. */
static float edge_value(uint32_t bits) {
    static const float factors[] = {1.0f, 0.9921875f, 1.0078125f, 0.5f};
    float value = factors[bits >> 8 & 3] * (bits >> 12 & 7 ? 0x1p-63f : 0x1p-75f);
    return bits & 16 ? value : -value;
}

float plens__test_value(plens__test *test, plens__test_kind kind) {
    uint32_t bits = next_random(test);
    float value = (float)((int32_t)bits >> 20) * 0x1p-9f; /* 12 bits, in [-4, 4) */
    switch (kind) {
    case PLENS__EDGE:
        return edge_value(bits);
    case PLENS__TINY:
        return plens__float_of_bits(bits & 16 ? bits & 0x807FFFFF : (bits & 0x9FFFFFFF) | 1u << 28);
    case PLENS__HUGE:
        return value * (bits & 16 ? 0x1p64f : 30.0f);
    case PLENS__ANY:
        return plens__float_of_bits(bits);
    default:
        return bits % 16 == 0 ? -0.0f : value;
    }
}

void plens__test_fill(plens__test *test, plens__test_kind kind, float *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        values[i] = plens__test_value(test, kind);
}

/* ---- Results ------------------------------------------------------------------------------- */

void plens__test_reset(plens__test *test) {
    for (size_t i = 0; i < PLENS__TEST_FIELD; i++)
        test->expected[i] = test->found[i] = (float)i + 0.25f;
}

/* FNV-1a; every NaN counts as the same one. */
static void hash_expected(plens__test *test) {
    for (size_t i = 0; i < PLENS__TEST_FIELD; i++) {
        float value = test->expected[i];
        uint32_t bits = value != value ? 0x7FC00000 : plens__bits_of_float(value);
        for (int shift = 0; shift < 32; shift += 8)
            test->hash = (test->hash ^ (bits >> shift & 0xFF)) * HASH_PRIME;
    }
}

int plens__test_compare(plens__test *test, const char *what, size_t from) {
    size_t at = plens__trial_difference(test->expected, test->found, PLENS__TEST_FIELD);
    hash_expected(test);
    if (at == PLENS__TEST_FIELD)
        return 1;
    snprintf(test->difference, sizeof test->difference,
             "%s: element %ld has the bits %08lx, expected %08lx", what, (long)at - (long)from,
             (unsigned long)plens__bits_of_float(test->found[at]),
             (unsigned long)plens__bits_of_float(test->expected[at]));
    return 0;
}

/* ---- Sets and roles ------------------------------------------------------------------------ */

/* What the definition gives on all tests of a role, recorded on x86-64 and AArch64: nothing else
 * could tell a compiler that breaks it. They change with the tests. */
static const uint64_t recorded[PLENS__N_ROLES] = {0xddfdd28c5539bbbdu, 0x772be44065cd698du,
                                                  0xbc7459fdc41c4412u, 0x865eb18a1de89877u};

typedef struct job {
    plens__test *test;
    const plens__set *set;
    int role;
} job;

static void run_role(void *arg, size_t item, int thread) {
    const job *j = arg;
    (void)item, (void)thread;
    plens__test_begin(j->test);
    if (j->role == 0)
        plens__test_rows(j->test, j->set->rows);
    else
        plens__test_product(j->test, j->set->product((plens_precision)j->role));
}

static plens_selftest_outcome test_role(plens__test *test, const plens__set *set, int role) {
    job j = {test, set, role};
    plens__guarded(run_role, &j);
    if (set->isa == PLENS_ISA_SCALAR && test->hash != recorded[role])
        snprintf(test->difference, sizeof test->difference,
                 "the definition itself has other bits than those recorded: hash %016llx, expected "
                 "%016llx",
                 (unsigned long long)test->hash, (unsigned long long)recorded[role]);
    return test->difference[0] == '\0' ? PLENS_SELFTEST_PASSED : PLENS_SELFTEST_FAILED;
}

/* "no AVX2": as `plens_isa_name` has it, in capitals. */
static void tell_missing(plens_isa isa, char *text, size_t capacity) {
    snprintf(text, capacity, "no %s", plens_isa_name(isa));
    for (char *c = text + 3; *c != '\0'; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
}

/* Returns what the callback returned. */
static int test_set(const plens__set *set, plens_isa limit, plens__test *test,
                    plens_selftest_fn *fn, void *user) {
    char missing[32];
    plens_selftest_result result = {set->isa, "all", PLENS_SELFTEST_SKIPPED, NULL};
    result.detail = plens__set_unusable(set, limit, PLENS_PRECISION_DEFAULT);
    if (result.detail != NULL && !set->supported) {
        tell_missing(set->isa, missing, sizeof missing);
        result.detail = missing;
    }
    if (result.detail != NULL)
        return fn(user, &result);
    for (int role = 0; role < PLENS__N_ROLES; role++) {
        if (!plens__set_offers(set, role))
            continue;
        result.part = role == 0 ? "rows" : plens_precision_name((plens_precision)role);
        result.outcome = test_role(test, set, role);
        result.detail = test->difference;
        int stop = fn(user, &result);
        if (stop)
            return stop;
    }
    return 0;
}

plens_status plens__selftest(const plens_allocator *allocator, plens_isa limit,
                             plens_selftest_fn *fn, void *user, plens_error *error) {
    plens__set sets[PLENS__MOST_SETS];
    size_t n = plens__sets(sets);
    plens__test *test = plens__alloc(allocator, sizeof *test);
    if (test == NULL)
        return plens__fail_memory(error, sizeof *test, "the self-test");
    int stopped = 0;
    for (size_t i = 0; i < n && !stopped; i++)
        stopped = test_set(&sets[i], limit, test, fn, user);
    plens__free(allocator, test);
    if (stopped)
        return plens__fail(error, PLENS_CANCELLED, "the self-test was ended by its callback");
    return PLENS_OK;
}
