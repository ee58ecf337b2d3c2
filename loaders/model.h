/* An open model folder: config, checkpoint and which tensor plays which part. Immutable. */
#ifndef PLENS_LOADERS_MODEL_H
#define PLENS_LOADERS_MODEL_H

#include "loaders/checkpoint.h"
#include "loaders/config.h"
#include "loaders/layout.h"

struct plens_model {
    plens_allocator allocator;
    char *folder;
    plens__config config;
    plens__checkpoint checkpoint;
    plens__layout layout;
};

/* Opens all three; the model keeps a copy of the allocator. The functions of plens.h that need no
 * context (plens_model_close, plens_model_describe, …) are implemented there as it declares them.
 */
plens_status plens__model_open(const plens_allocator *allocator, const char *folder,
                               plens_model **model, plens_error *error);

#endif
