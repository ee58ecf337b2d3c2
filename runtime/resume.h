/* A run that goes on where another one, of the same prompts and options, ended: what it hands to
 * its saver at the end of a block, and takes back. */
#ifndef PLENS_RUNTIME_RESUME_H
#define PLENS_RUNTIME_RESUME_H

#include "runtime/pass.h"

/* Where a run stands: all prompts before the sorted order's `first` are finished and their results
 * handed out; the next `count` are one part that has gone through blocks 1..layer. */
typedef struct plens__standing {
    size_t first, count, layer; /* layer 0: the part is at its beginning, its count means nothing */
    size_t n_rows;              /* of that part */
    int as_they_come;           /* 1: its lens has no room for the states of all layers */
    int again; /* 1: layer L is known, and the part goes through blocks 1..layer once more */
} plens__standing;

/* Takes back where the saved run stood; all zero if there is none. FORMAT if it was another run, or
 * the saved bytes end early. */
plens_status plens__resume_begin(const plens__pass *pass, const plens_prompt *prompts,
                                 size_t n_prompts, plens__standing *standing, plens_error *error);

/* Takes back the part's rows: x, and what the lens has kept of blocks 1..layer, or found in them.
 * The pass is laid out for a part of the same rows. */
plens_status plens__resume_rows(plens__pass *pass, const plens__standing *standing,
                                plens_error *error);

/* Asks the saver and hands it all that the two above take back. A saver that fails to keep it does
 * not end the run. */
void plens__resume_save(const plens__pass *pass, const plens_prompt *prompts, size_t n_prompts,
                        const plens__standing *standing);

#endif
