/* Threads: OpenMP where the compiler has it, else the calling thread alone. */
#include "runtime/engine.h"
#include "runtime/fpstate.h"

#ifdef _OPENMP
#include <omp.h>
#endif

void plens__guarded_flush(int flush, plens__task *task, void *arg) {
    plens__fpstate saved;
    plens__fpstate_enter(&saved, flush);
    task(arg, 0, 0);
    plens__fpstate_leave(&saved);
}

void plens__guarded(plens__task *task, void *arg) {
    plens__guarded_flush(0, task, arg);
}

static void run_serially(int flush, size_t n_items, plens__task *task, void *arg) {
    plens__fpstate saved;
    plens__fpstate_enter(&saved, flush);
    for (size_t item = 0; item < n_items; item++)
        task(arg, item, 0);
    plens__fpstate_leave(&saved);
}

void plens__parallel_flush(const plens__engine *engine, int flush, size_t n_items,
                           plens__task *task, void *arg) {
#ifdef _OPENMP
    int n_threads = n_items < (size_t)engine->n_threads ? (int)n_items : engine->n_threads;
    if (n_threads > 1) {
#pragma omp parallel num_threads(n_threads)
        {
            plens__fpstate saved;
            plens__fpstate_enter(&saved, flush);
#pragma omp for schedule(dynamic, 1)
            for (size_t item = 0; item < n_items; item++)
                task(arg, item, omp_get_thread_num());
            plens__fpstate_leave(&saved);
        }
        return;
    }
#endif
    (void)engine;
    run_serially(flush, n_items, task, arg);
}

void plens__parallel(const plens__engine *engine, size_t n_items, plens__task *task, void *arg) {
    plens__parallel_flush(engine, 0, n_items, task, arg);
}
