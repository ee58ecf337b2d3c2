/* What benchmarks of the library's parts share: the machine's own ceilings (arithmetic on registers
 * alone, and reading memory), a clock, an allocator. */
#ifndef PLENS_BENCH_PEAK_H
#define PLENS_BENCH_PEAK_H

#include "runtime/engine.h"

/* realloc and free. */
extern const plens_allocator bench_allocator;

/* Seconds on a clock that only goes forward. */
double bench_now(void);

/* FLOP/s of the engine's threads together with the instruction that a product multiplies by, over
 * registers: FMA of the set's vectors, VDPBF16PS, or TDPBF16PS. A bf16x3 product does three times
 * the multiplications of bf16, so its peak is a third. The best of several runs; 0 where no loop
 * for it is known. */
double bench_peak(const plens__engine *engine, const plens__product *product);

/* Seconds in which one core loads a tile of AMX, one of n_bytes that it loads in turn. The engine
 * has AMX. */
double bench_tile_load(const plens__engine *engine, size_t n_bytes);

/* Bytes/s at which the engine's threads together read memory that is in no cache. 0: no memory. */
double bench_bandwidth(const plens__engine *engine);

/* "FMA, 512 bits" …: what bench_peak measures for a product. */
const char *bench_instruction(const plens__product *product);

#endif
