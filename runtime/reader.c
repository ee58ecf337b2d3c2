#define _POSIX_C_SOURCE 200809L

#include "runtime/reader.h"

#include <pthread.h>
#include <signal.h>

struct plens__reader {
    plens_allocator allocator;
    int threaded;
    pthread_t thread;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t changed;
    plens__read_fn *fn; /* NULL: no job */
    void *arg;
    int stopping;
};

static void *read_jobs(void *user) {
    plens__reader *reader = user;
    pthread_mutex_lock(&reader->mutex);
    for (;;) {
        while (reader->fn == NULL && !reader->stopping)
            pthread_cond_wait(&reader->changed, &reader->mutex);
        if (reader->stopping)
            break;
        pthread_mutex_unlock(&reader->mutex);
        reader->fn(reader->arg);
        pthread_mutex_lock(&reader->mutex);
        reader->fn = NULL;
        pthread_cond_broadcast(&reader->changed);
    }
    pthread_mutex_unlock(&reader->mutex);
    return NULL;
}

/* The caller's signals are for the caller's threads: this one takes none. */
static int start_thread(plens__reader *reader) {
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return 0;
    int failed = pthread_create(&reader->thread, NULL, read_jobs, reader);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

plens_status plens__reader_open(const plens_allocator *allocator, plens__reader **reader,
                                plens_error *error) {
    plens__reader *made = plens__alloc_array(allocator, 1, sizeof *made);
    if (made == NULL)
        return plens__fail_memory(error, sizeof *made, "a reader");
    made->allocator = *allocator;
    if (pthread_mutex_init(&made->mutex, NULL) == 0) {
        if (pthread_cond_init(&made->changed, NULL) == 0) {
            made->threaded = start_thread(made);
            if (!made->threaded)
                pthread_cond_destroy(&made->changed);
        }
        if (!made->threaded)
            pthread_mutex_destroy(&made->mutex);
    }
    *reader = made;
    return PLENS_OK;
}

void plens__reader_start(plens__reader *reader, plens__read_fn *fn, void *arg) {
    if (reader->threaded)
        pthread_mutex_lock(&reader->mutex);
    reader->arg = arg;
    reader->fn = fn;
    if (reader->threaded) {
        pthread_cond_broadcast(&reader->changed);
        pthread_mutex_unlock(&reader->mutex);
    }
}

void plens__reader_wait(plens__reader *reader) {
    if (!reader->threaded) {
        if (reader->fn != NULL)
            reader->fn(reader->arg);
        reader->fn = NULL;
        return;
    }
    pthread_mutex_lock(&reader->mutex);
    while (reader->fn != NULL)
        pthread_cond_wait(&reader->changed, &reader->mutex);
    pthread_mutex_unlock(&reader->mutex);
}

int plens__reader_stopping(plens__reader *reader) {
    if (!reader->threaded)
        return 0;
    pthread_mutex_lock(&reader->mutex);
    int stopping = reader->stopping;
    pthread_mutex_unlock(&reader->mutex);
    return stopping;
}

void plens__reader_close(plens__reader *reader) {
    if (reader == NULL)
        return;
    if (reader->threaded) {
        pthread_mutex_lock(&reader->mutex);
        reader->stopping = 1;
        pthread_cond_broadcast(&reader->changed);
        pthread_mutex_unlock(&reader->mutex);
        pthread_join(reader->thread, NULL);
        pthread_cond_destroy(&reader->changed);
        pthread_mutex_destroy(&reader->mutex);
    }
    plens_allocator allocator = reader->allocator;
    plens__free(&allocator, reader);
}
