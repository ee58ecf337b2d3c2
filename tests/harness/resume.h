/* The checkpoint of a score in its output folder: what a run that was ended goes on from. */
#ifndef PLENS_HARNESS_RESUME_H
#define PLENS_HARNESS_RESUME_H

#include <stdio.h>

#include "tests/harness/checksum.h"
#include "tests/harness/score_files.h"

typedef struct checkpoint {
    char *path, *unfinished; /* DIR/checkpoint, and what it is called until it is whole */
    char *identity;          /* what makes two runs the same, as text */
    uint64_t fingerprint;    /* of the model */
    double interval;         /* seconds between two, at least */
    scores *results;
    FILE *file;         /* being written or read */
    checksum sum;       /* of what was written */
    double begun, last; /* when the one in hand was begun, and the last was finished */
    double cost;        /* seconds that the last took */
    int written;        /* one was, since the run began */
    int failed;         /* no more of them: a write failed, and it was said */
} checkpoint;

enum { RUN_TO_DO = 0, RUN_FINISHED = 1 };

/* Looks at what the folder holds and says with *state whether there is anything to do. With resume
 * a finished run of the same input is RUN_FINISHED, one of another input, or one whose tables are
 * not all there, is refused (EXIT_INPUT); without it whatever lies there but for `force`. */
int checkpoint_open(checkpoint *c, const score_report *r, const char *folder, int resume, int force,
                    double interval, int *state);

/* Where the run begins: fills in results and leaves saver->read to take back the run's own state if
 * there is a checkpoint, else NULL. Exit status as above. The saver writes checkpoints from then
 * on. */
int checkpoint_begin(checkpoint *c, scores *results, int resume, plens_saver *saver);

/* Says how to go on if the run was ended and a checkpoint is there. */
void checkpoint_tell(const checkpoint *c);

/* Removes it: the run is finished. */
void checkpoint_remove(const checkpoint *c);

void checkpoint_close(checkpoint *c);

#endif
