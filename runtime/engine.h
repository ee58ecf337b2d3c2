/* What computes: the kernels chosen, the threads, and per-thread scratch planned in advance. */
#ifndef PLENS_RUNTIME_ENGINE_H
#define PLENS_RUNTIME_ENGINE_H

#include "loaders/base.h"
#include "runtime/kernels/kernels.h"

typedef struct plens__engine {
    plens_allocator allocator;
    const plens__kernels *kernels;
    plens_precision precision;
    int n_threads;
    int n_processors;
    char *scratch; /* [n_threads, scratch_bytes]: plens__matmul's packed panels */
    size_t scratch_bytes;
    size_t n_choices;
    const char *choices[8]; /* plens_context_info.kernels: static strings */
} plens__engine;

/* Chooses the kernels: by CPUID, XCR0 and the limit, the best first; each candidate runs a small
 * fixed problem and is passed over unless it gives the definition's bits. Allocates the scratch. */
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

#endif
