/* The float exponential's constants, shared by every instruction set. The operations, in order:
 *
 *     x  = min(x, HIGH), max(x, LOW); a NaN stays        beyond them the result is inf or 0
 *     t  = fma(x, LOG2E, SHIFT), n = t - SHIFT           n = round(x / ln 2) as a float
 *     r  = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x))        x = n ln 2 + r, |r| <= 0.3466
 *     p  = ((((C6 r + C5) r + C4) r + C3) r + C2) r + 1) r + 1, each step one fma
 *     y  = (p * 2^a) * 2^b, a = floor(n / 2), b = n - a
 *
 * n: LOW <= x <= HIGH puts t into [2^23, 2^24), where a float's last bit counts 1, so adding SHIFT
 * rounds to an integer and the low bits of t are n + 256. Even a rounding of x LOG2E the other way
 * only makes |r| a little larger than ln 2 / 2.
 * r: LN2_HIGH has 15 bits and |n| < 2^8, so n LN2_HIGH is exact, and so is x - n LN2_HIGH, by
 * cancellation. LN2_LOW continues it to 39 bits; only the last fma rounds (<= 2^-26).
 * p: C2..C6 minimise the relative error of the polynomial with two leading ones on
 * |r| <= 0.3468 (Remez exchange, then rounded to float): 3.7e-9, or 0.06 ulp. Where p < 1 (an ulp
 * is then 2^-24) the roundings add: the last fma 0.5 ulp, the one before it, of a value in [0.8, 1)
 * times |r|, 0.18 ulp, r's own 0.25 ulp times p. Together below 1 ulp; measured over all
 * floats, those with denormal results included: 0.892 ulp (tests/unit/accuracy.c samples them).
 * y: 2^a and 2^b are normal for -150 <= n <= 129, p 2^a is exact, so only the last product
 * can round: a denormal result is p rounded once more, and too large a one becomes infinite. */
#ifndef PLENS_RUNTIME_KERNELS_EXP_H
#define PLENS_RUNTIME_KERNELS_EXP_H

#define PLENS__EXP_HIGH     89.0f     /* e^89 > 2^128 */
#define PLENS__EXP_LOW      (-104.0f) /* e^-104 < 2^-150, which rounds to 0 */
#define PLENS__EXP_LOG2E    0x1.715476p+0f
#define PLENS__EXP_SHIFT    12583168.0f /* 1.5 * 2^23 + 256 */
#define PLENS__EXP_LN2_HIGH 0x1.62e4p-1f
#define PLENS__EXP_LN2_LOW  0x1.7f7d1cp-20f
#define PLENS__EXP_C2       0x1.fffffcp-2f
#define PLENS__EXP_C3       0x1.555492p-3f
#define PLENS__EXP_C4       0x1.5558f2p-5f
#define PLENS__EXP_C5       0x1.123a20p-7f
#define PLENS__EXP_C6       0x1.6a23d0p-10f

/* With u = n + 256 from the low bits of t: a + 127 = u / 2 - 1 and b + 127 = u - u / 2 - 1. */
#define PLENS__EXP_MASK 0x1FF

#endif
