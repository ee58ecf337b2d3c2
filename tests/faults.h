/* Fault injection: an allocator that fails the Nth allocation, once or from then on, and counts
 * what is outstanding. Not for calls that allocate from several threads at once.
 *
 *     static plens_status open_and_close(const plens_allocator *allocator, void *data,
 *                                        plens_error *error);
 *     ...
 *     const char *problem = faults_sweep(open_and_close, data);
 *     CHECK_THAT(problem == NULL, "%s", problem); */
#ifndef PLENS_TESTS_FAULTS_H
#define PLENS_TESTS_FAULTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plens.h"

typedef struct faults {
    size_t calls;       /* allocations asked for so far */
    size_t fail_at;     /* the one that fails, from 1; 0: none */
    int from_then_on;   /* the ones after it too */
    size_t outstanding; /* bytes, as the caller states their sizes */
} faults;

static inline void *faults_reallocate(void *user, void *old, size_t old_size, size_t new_size) {
    faults *state = user;
    if (new_size == 0) {
        state->outstanding -= old_size;
        free(old);
        return NULL;
    }
    state->calls++;
    if (state->fail_at != 0 &&
        (state->calls == state->fail_at || (state->from_then_on && state->calls > state->fail_at)))
        return NULL;
    void *block = realloc(old, new_size);
    if (block != NULL)
        state->outstanding += new_size - old_size;
    return block;
}

/* How many allocations there were at the first and at the last look. */
typedef struct faults_looks {
    const faults *state;
    size_t first, last;
} faults_looks;

/* A plens_hook_fn; user is a faults_looks. */
static inline int faults_look(void *user, const plens_activations *a) {
    faults_looks *looks = user;
    (void)a;
    if (looks->first == 0)
        looks->first = looks->state->calls;
    looks->last = looks->state->calls;
    return 0;
}

/* Makes something with the allocator, and if that worked, destroys it again. */
typedef plens_status faults_fn(const plens_allocator *allocator, void *data, plens_error *error);

/* Runs fn with its 1st, 2nd, 3rd, … allocation failing (past the 200th in growing steps) until it
 * succeeds. NULL if every failure was PLENS_ERROR_MEMORY with a message and nothing leaked, else
 * what went wrong. */
static inline const char *faults_sweep(faults_fn *fn, void *data) {
    static char problem[256];
    for (int from_then_on = 0; from_then_on < 2; from_then_on++) {
        for (size_t fail_at = 1;; fail_at += fail_at < 200 ? 1 : fail_at / 8) {
            faults state = {0, fail_at, from_then_on, 0};
            plens_allocator allocator = {faults_reallocate, &state};
            plens_error error;
            memset(&error, 0, sizeof error);
            plens_status status = fn(&allocator, data, &error);
            int failed = state.calls >= fail_at;
            snprintf(problem, sizeof problem,
                     "allocation %zu failing %s: status %d (%.80s), %zu "
                     "bytes leaked",
                     fail_at, from_then_on ? "and all after it" : "once", (int)status,
                     error.message, state.outstanding);
            if (state.outstanding != 0 || (status == PLENS_ERROR_MEMORY) != failed ||
                (status == PLENS_OK) == failed || (failed && error.message[0] == 0))
                return problem;
            if (!failed)
                break;
        }
    }
    return NULL;
}

#endif
