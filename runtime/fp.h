/* What the compiler may do with floating point: nothing. Included first, before any intrinsics
 * header, by every file that computes; a build without the Makefile's flags then gives the same
 * bits. gcc would otherwise fuse even _mm256_add_ps(_mm256_mul_ps(a, b), c) into one rounding. */
#ifndef PLENS_RUNTIME_FP_H
#define PLENS_RUNTIME_FP_H

#include <float.h>

#if defined(__FAST_MATH__)
#error "plens computes exact bits: build it without -ffast-math"
#endif
/* 16 is 0 but for _Float16, which no file uses: gcc where the processor has AVX512-FP16. */
#if !defined(FLT_EVAL_METHOD) || (FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16)
#error "plens needs float and double arithmetic without excess precision (x86: SSE2, not x87)"
#endif

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#else
#pragma STDC FP_CONTRACT OFF
#endif

#endif
