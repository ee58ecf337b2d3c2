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

#endif
