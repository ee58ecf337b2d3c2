/* Threads: OpenMP where the compiler has it, else the calling thread alone. Each thread has a share
 * of the items, neighbours, and the same share whenever there are as many: what it wrote in one
 * loop is near when it reads it in the next. One that is done takes from the shares of others. */
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

#ifdef _OPENMP

static void share_out(plens__share *shares, size_t n_threads, size_t n_items) {
    size_t each = n_items / n_threads, more = n_items % n_threads, begin = 0;
    for (size_t t = 0; t < n_threads; t++) {
        shares[t].next = begin;
        begin += each + (t < more);
        shares[t].end = begin;
    }
}

/* All that is left of a share. */
static void run_share(plens__share *share, plens__task *task, void *arg, int thread) {
    for (;;) {
        size_t item;
#pragma omp atomic capture
        item = share->next++;
        if (item >= share->end)
            return;
        task(arg, item, thread);
    }
}

static void run_together(plens__share *shares, int n_threads, int flush, plens__task *task,
                         void *arg) {
#pragma omp parallel num_threads(n_threads)
    {
        plens__fpstate saved;
        int thread = omp_get_thread_num();
        plens__fpstate_enter(&saved, flush);
        for (int i = 0; i < n_threads; i++)
            run_share(&shares[(thread + i) % n_threads], task, arg, thread);
        plens__fpstate_leave(&saved);
    }
}

#endif

void plens__parallel_flush(const plens__engine *engine, int flush, size_t n_items,
                           plens__task *task, void *arg) {
#ifdef _OPENMP
    int n_threads = n_items < (size_t)engine->n_threads ? (int)n_items : engine->n_threads;
    if (n_threads > 1) {
        share_out(engine->shares, (size_t)n_threads, n_items);
        run_together(engine->shares, n_threads, flush, task, arg);
        return;
    }
#endif
    (void)engine;
    run_serially(flush, n_items, task, arg);
}

void plens__parallel(const plens__engine *engine, size_t n_items, plens__task *task, void *arg) {
    plens__parallel_flush(engine, 0, n_items, task, arg);
}
