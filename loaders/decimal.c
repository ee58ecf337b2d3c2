/* Decimal to double, correctly rounded (to nearest, ties to even).
 *
 * Integer arithmetic throughout, so that neither the caller's rounding mode nor its flush-to-zero
 * matters. The value is a fraction N / M of integers (M = 1 or a power of ten); its binary digits
 * come out one by one, as in long division by hand: 64 of them from the first 1 on, and whether
 * anything is left. Numbers of up to 19 digits with up to 18 decimals fit into machine words; the
 * rest go the same way in long integers [Clinger 1990, "How to Read Floating Point Numbers
 * Accurately", has the background]. */
#include "loaders/json.h"

#include <string.h>

/* ---- From binary digits to a double -------------------------------------------------------- */

/* bits (its top bit set) times 2^(exponent - 63), plus something smaller if `rest`: the value lies
 * in [2^exponent, 2^(exponent + 1)). 0 if it rounds to infinity. */
static int assemble(uint64_t bits, int64_t exponent, int rest, int negative, double *out) {
    if (exponent > 1023)
        return 0;
    int64_t drop = exponent >= -1022 ? 11 : 11 - 1022 - exponent; /* of 64 bits; 53 are kept */
    uint64_t kept = 0, half_up = 0;
    if (drop <= 64) {
        uint64_t half = (uint64_t)1 << (drop - 1);
        kept = drop < 64 ? bits >> drop : 0;
        uint64_t lost = drop < 64 ? bits & (half * 2 - 1) : bits;
        half_up = lost > half || (lost == half && (rest || (kept & 1)));
    }
    uint64_t biased = exponent >= -1022 ? (uint64_t)(exponent + 1022) : 0; /* kept has bit 52 set */
    uint64_t word =
        (biased << 52) + kept + half_up; /* a carry goes into the exponent, as it must */
    if (word >= (uint64_t)0x7FF << 52)
        return 0;
    word |= (uint64_t)negative << 63;
    memcpy(out, &word, sizeof word);
    return 1;
}

/* n / m for 0 < n and m <= 10^18 (so that a remainder doubled still fits). */
static int divide_words(uint64_t n, uint64_t m, int negative, double *out) {
    uint64_t bits = n / m, left = n % m;
    int64_t exponent = 63;
    while (!(bits >> 63)) {
        left *= 2;
        bits = bits << 1 | (left >= m);
        left -= left >= m ? m : 0;
        exponent--;
    }
    return assemble(bits, exponent, left != 0, negative, out);
}

/* ---- Long integers ------------------------------------------------------------------------- */

/* Little-endian limbs without leading zeros. The largest here is 10^(330 + DIGITS): 3,660 bits. */
typedef struct natural {
    uint32_t limbs[128];
    size_t count;
} natural;

static void multiply_add(natural *n, uint32_t factor, uint32_t summand) {
    uint64_t carry = summand;
    for (size_t i = 0; i < n->count; i++) {
        carry += (uint64_t)n->limbs[i] * factor;
        n->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0)
        n->limbs[n->count++] = (uint32_t)carry;
}

static void multiply_power_of_ten(natural *n, int64_t power) {
    for (; power >= 9; power -= 9)
        multiply_add(n, 1000000000, 0);
    for (; power > 0; power--)
        multiply_add(n, 10, 0);
}

static int64_t bit_length(const natural *n) {
    uint32_t top = n->limbs[n->count - 1];
    int64_t length = (int64_t)(n->count - 1) * 32;
    for (; top != 0; top >>= 1)
        length++;
    return length;
}

static void shift_left(natural *n, int64_t by) {
    size_t limbs = (size_t)(by / 32);
    memmove(n->limbs + limbs, n->limbs, n->count * sizeof n->limbs[0]);
    memset(n->limbs, 0, limbs * sizeof n->limbs[0]);
    n->count += limbs;
    multiply_add(n, (uint32_t)1 << by % 32, 0);
}

static int less(const natural *a, const natural *b) {
    if (a->count != b->count)
        return a->count < b->count;
    for (size_t i = a->count; i-- > 0;) {
        if (a->limbs[i] != b->limbs[i])
            return a->limbs[i] < b->limbs[i];
    }
    return 0;
}

/* a -= b, where a >= b. */
static void subtract(natural *a, const natural *b) {
    uint32_t borrow = 0;
    for (size_t i = 0; i < a->count; i++) {
        uint64_t taken = (uint64_t)borrow + (i < b->count ? b->limbs[i] : 0);
        borrow = a->limbs[i] < taken;
        a->limbs[i] = (uint32_t)(a->limbs[i] - taken);
    }
    while (a->count > 0 && a->limbs[a->count - 1] == 0)
        a->count--;
}

/* n / m, both above 0. */
static int divide_naturals(natural *n, natural *m, int negative, double *out) {
    int64_t exponent = bit_length(n) - bit_length(m);
    shift_left(exponent < 0 ? n : m, exponent < 0 ? -exponent : exponent);
    if (less(n, m)) {
        shift_left(n, 1);
        exponent--;
    }
    uint64_t bits = 0; /* now m <= n < 2m: the first bit is 1 */
    for (int i = 0; i < 64; i++) {
        int one = !less(n, m);
        bits = bits << 1 | (uint64_t)one;
        if (one)
            subtract(n, m);
        shift_left(n, 1);
    }
    return assemble(bits, exponent, n->count > 0, negative, out);
}

/* ---- Digits -------------------------------------------------------------------------------- */

/* No double, and no point halfway between two, has more than 767 significant digits: of what is
 * beyond only matters whether it is zero. */
#define DIGITS 770

/* 0.D1 D2 ... Dcount times 10^point, D1 not 0; count is 0 for zero. */
typedef struct decimal {
    unsigned char digits[DIGITS + 1];
    size_t count;
    int64_t point;
} decimal;

static void take_digit(decimal *d, int digit) {
    if (d->count < DIGITS)
        d->digits[d->count++] = (unsigned char)digit;
    else if (digit != 0) { /* the one after the last says "and something more" */
        d->digits[DIGITS] = 1;
        d->count = DIGITS + 1;
    }
}

/* text [n]: digits, then maybe a fraction and an exponent. */
static void scan(const char *text, size_t n, decimal *d) {
    int fraction = 0;
    size_t i = 0;
    d->count = 0;
    d->point = 0;
    for (; i < n && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.') {
            fraction = 1;
            continue;
        }
        int leading = d->count == 0 && text[i] == '0';
        if (!leading)
            take_digit(d, text[i] - '0');
        d->point += fraction ? -(int64_t)leading : !leading;
    }
    if (i++ >= n)
        return;
    int negative = text[i] == '-';
    int64_t exponent = 0, limit = INT64_MAX / 100; /* far beyond what the digits can make good */
    for (i += text[i] == '-' || text[i] == '+'; i < n; i++)
        exponent = exponent < limit ? exponent * 10 + (text[i] - '0') : exponent;
    d->point += negative ? -exponent : exponent;
}

static int divide_digits(const decimal *d, int64_t power, int negative, double *out) {
    natural n = {{0}, 0}, m = {{1}, 1};
    size_t i = 0;
    while (i < d->count) { /* nine at a time */
        uint32_t chunk = 0, scale = 1;
        for (; i < d->count && scale < 1000000000; i++, scale *= 10)
            chunk = chunk * 10 + d->digits[i];
        multiply_add(&n, scale, chunk);
    }
    multiply_power_of_ten(power > 0 ? &n : &m, power > 0 ? power : -power);
    return divide_naturals(&n, &m, negative, out);
}

int plens__decimal_to_double(const char *text, size_t n, double *out) {
    decimal d;
    int negative = text[0] == '-';
    scan(text + negative, n - (size_t)negative, &d);
    while (d.count > 0 && d.digits[d.count - 1] == 0)
        d.count--;
    if (d.count == 0 || d.point < -330) { /* below half of the smallest, 10^-324 */
        *out = negative ? -0.0 : 0.0;
        return 1;
    }
    if (d.point > 310)
        return 0;
    int64_t power = d.point - (int64_t)d.count; /* the digits as an integer, times 10^power */
    if (d.count > 19 || power > 0 || power < -18)
        return divide_digits(&d, power, negative, out);
    uint64_t integer = 0, scale = 1;
    for (size_t i = 0; i < d.count; i++)
        integer = integer * 10 + d.digits[i];
    for (; power < 0; power++)
        scale *= 10;
    return divide_words(integer, scale, negative, out);
}
