/* The processor's floating-point modes of the calling thread: rounding, denormals, traps, flags.
 * A caller built with -ffast-math has flush-to-zero set; kernels must not see it. */
#ifndef PLENS_RUNTIME_FPSTATE_H
#define PLENS_RUNTIME_FPSTATE_H

#include <stdint.h>

typedef struct plens__fpstate {
    uint64_t control; /* x86: MXCSR; aarch64: FPCR */
    uint64_t status;  /* aarch64: FPSR */
} plens__fpstate;

/* Saves the modes and loads known ones: to nearest even, traps masked, flags clear, and denormals
 * kept or, with `flush`, flushed (x86: FTZ and DAZ; aarch64: FZ). Calls may be nested. Arithmetic
 * between the two calls must sit behind a function pointer: compilers move it across writes to the
 * control register. Nothing happens on other machines. */
void plens__fpstate_enter(plens__fpstate *saved, int flush);
void plens__fpstate_leave(const plens__fpstate *saved);

#endif
