/* What computes: the kernels chosen, the threads, and per-thread scratch planned in advance. */
#ifndef PLENS_RUNTIME_ENGINE_H
#define PLENS_RUNTIME_ENGINE_H

#include "loaders/base.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/product.h"

#define PLENS__CHOICE_BYTES 128

/* Items [next, end) that a thread of a loop has left; a cache line of its own. */
typedef struct plens__share {
    size_t next, end;
    char apart[64 - 2 * sizeof(size_t)];
} plens__share;

typedef struct plens__engine {
    plens_allocator allocator;
    const plens__kernels *kernels;                              /* of rows */
    const plens__product *products[PLENS_PRECISION_BF16X3 + 1]; /* by plens_precision */
    plens_precision precision; /* as asked; DEFAULT: the model decides */
    int n_threads;
    int n_processors;
    char *scratch; /* [n_threads, scratch_bytes]: plens__matmul's packed panels, in... */
    char *scratch_block;
    plens__share *shares; /* [n_threads], after the scratch */
    size_t scratch_bytes; /* a multiple of pages */
    size_t n_choices;
    char choices[8][PLENS__CHOICE_BYTES]; /* plens_context_info.kernels */
} plens__engine;

/* Chooses the kernels of rows and a product for each precision: by CPUID, XCR0 and the limit, the
 * fastest first; each candidate runs a small fixed problem and is passed over unless it gives the
 * definition's bits. Allocates the scratch. */
plens_status plens__engine_open(const plens_allocator *allocator, const plens_options *options,
                                plens__engine *engine, plens_error *error);
void plens__engine_close(plens__engine *engine);

/* Runs task(arg, item, thread) for every item < n_items, in any order, on the engine's threads
 * (thread < n_threads), and returns when all are done. Each thread computes under a known
 * floating-point state (round to nearest, denormals kept, traps masked) and has its own back
 * afterwards. Every float operation of the library happens inside such a task. */
typedef void plens__task(void *arg, size_t item, int thread);
void plens__parallel(const plens__engine *engine, size_t n_items, plens__task *task, void *arg);

/* Runs task(arg, 0, 0) once on the calling thread under the same floating-point state. */
void plens__guarded(plens__task *task, void *arg);

/* The same two with denormals flushed if `flush` is set, for products that want it. */
void plens__parallel_flush(const plens__engine *engine, int flush, size_t n_items,
                           plens__task *task, void *arg);
void plens__guarded_flush(int flush, plens__task *task, void *arg);

#endif
