/* Loops over registers must vanish, or the registers become memory; gcc -O2 needs to be told. */
#ifndef PLENS_RUNTIME_KERNELS_UNROLL_H
#define PLENS_RUNTIME_KERNELS_UNROLL_H

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
