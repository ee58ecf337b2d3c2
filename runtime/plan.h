/* The plan of a run: how prompts are cut into parts that fit the memory budget, and how a part's
 * memory is laid out. */
#ifndef PLENS_RUNTIME_PLAN_H
#define PLENS_RUNTIME_PLAN_H

#include "runtime/pass.h"
#include "runtime/resume.h"

typedef struct plens__part {
    size_t first; /* of the plan's leaves */
    plens__batch_size size;
} plens__part;

typedef struct plens__plan {
    plens_allocator allocator;
    plens__leaf *leaves; /* [n_prompts] sorted */
    plens__part *parts;  /* [n_parts] */
    size_t n_parts;
    size_t n_bytes; /* of the largest part */
    size_t largest; /* which that is */
    int resumed;    /* 1: the first part is the one asked for */
    size_t n_slots; /* buffers for a block's weights: 2 to read ahead, 1 if memory is short */
    size_t held;    /* early layers of the lens whose states are kept at once; 0: all */
} plens__plan;

/* Cuts the prompts into parts that take at most `memory` bytes with the engine's scratch (0: one
 * part). The sorted prompts before standing->first are left out; the first part is standing->count
 * prompts if they fit and have as many rows as then. Of pass only engine, model, product and
 * options are read. MEMORY if one prompt alone does not fit. */
plens_status plens__plan_make(const plens__pass *pass, uint64_t memory, const plens_prompt *prompts,
                              size_t n_prompts, const plens__standing *standing, plens__plan *plan,
                              plens_error *error);
void plens__plan_free(plens__plan *plan);

/* Lays the pass's buffers out for a part of this size. */
void plens__plan_carve(plens__pass *pass, const plens_prompt *prompts,
                       const plens__batch_size *size, plens__carver *carver);

/* 1 if something looks at all positions after the last block, not only at the prompts' ends. */
int plens__plan_needs_all_rows(const plens_run_options *options, size_t n_layers);

#endif
