/* A run: prompts cut into parts that fit the memory budget, each part taken through the model. */
#ifndef PLENS_RUNTIME_RUN_H
#define PLENS_RUNTIME_RUN_H

#include "loaders/model.h"
#include "runtime/engine.h"

/* The precision of runs of a model: as asked, or what the model decides. */
plens_precision plens__run_precision(const plens__engine *engine, const plens_model *model);

/* ARGUMENT, saying which and where, for no prompts, an empty one, or an id out of range. */
plens_status plens__prompts_check(const plens_model *model, const plens_prompt *prompts,
                                  size_t n_prompts, plens_error *error);

/* plens_run and plens_run_plan of plens.h; options and plan are never NULL, memory 0 is no limit.
 */
plens_status plens__run(const plens__engine *engine, uint64_t memory, const plens_model *model,
                        const plens_prompt *prompts, size_t n_prompts,
                        const plens_run_options *options, plens_error *error);
plens_status plens__run_plan(const plens__engine *engine, uint64_t memory, const plens_model *model,
                             const plens_prompt *prompts, size_t n_prompts,
                             const plens_run_options *options, plens_plan *plan,
                             plens_error *error);

#endif
