/* The machine's own ceiling: fused multiply-adds on registers, nothing else. */
#ifndef PLENS_BENCH_PEAK_H
#define PLENS_BENCH_PEAK_H

#include "runtime/engine.h"

/* Seconds on a clock that only goes forward. */
double bench_now(void);

/* GFLOP/s of the engine's threads together, with the vectors of its kernels; the best of several
 * runs. 0 where no loop for them is known. */
double bench_peak(const plens__engine *engine);

#endif
