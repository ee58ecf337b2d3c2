/* A thread that reads ahead: it does one job at a time beside the computation (POSIX threads).
 * Where the system makes no thread, a job is done when it is waited for. */
#ifndef PLENS_RUNTIME_READER_H
#define PLENS_RUNTIME_READER_H

#include "loaders/base.h"

typedef struct plens__reader plens__reader;
typedef void plens__read_fn(void *arg);

plens_status plens__reader_open(const plens_allocator *allocator, plens__reader **reader,
                                plens_error *error);

/* Has fn(arg) done. The job before must have been waited for. */
void plens__reader_start(plens__reader *reader, plens__read_fn *fn, void *arg);

/* Returns once the job is done; at once if there is none. */
void plens__reader_wait(plens__reader *reader);

/* Asked by a job between its steps: 1 if nobody wants its result any more. */
int plens__reader_stopping(plens__reader *reader);

/* Has a job that is under way give up, and ends the thread. NULL: nothing. */
void plens__reader_close(plens__reader *reader);

#endif
