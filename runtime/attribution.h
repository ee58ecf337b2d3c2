/* Direct logit attribution: what each component's output adds to a logit. */
#ifndef PLENS_RUNTIME_ATTRIBUTION_H
#define PLENS_RUNTIME_ATTRIBUTION_H

#include "loaders/model.h"
#include "runtime/engine.h"

/* plens_attribute of plens.h; memory 0 is no limit. */
plens_status plens__attribute(const plens__engine *engine, uint64_t memory,
                              const plens_model *model, const plens_prompt *prompts,
                              size_t n_prompts, const plens_attribution *options,
                              plens_error *error);

#endif
