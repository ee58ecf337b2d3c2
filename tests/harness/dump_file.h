/* A safetensors file of activations: its tensors are listed first, its rows go to their places as a
 * run hands them out [format: https://github.com/huggingface/safetensors#format]. */
#ifndef PLENS_HARNESS_DUMP_FILE_H
#define PLENS_HARNESS_DUMP_FILE_H

#include "tests/harness/output.h"

typedef struct dump_tensor {
    char name[40];
    plens_point point; /* 0: the token ids */
    size_t layer;
    size_t rank, shape[3];
    uint64_t first; /* offset from the data's begin */
} dump_tensor;

typedef struct dump_file {
    output out;
    const int32_t *ids;
    size_t n_ids;
    dump_tensor *tensors; /* free with free() */
    size_t n_tensors;
    uint64_t data; /* offset of the first tensor in the file */
    uint64_t n_bytes;
} dump_file;

/* Lists input_ids [T], then a point of a layer (0: a point outside blocks): [T, width],
 * [T, heads, width], or, at points with keys, [heads, T, T] (query, key). */
void dump_list_ids(dump_file *d, const int32_t *ids, size_t n_ids);
void dump_list(dump_file *d, const char *name, const plens_point_info *info, plens_point point,
               size_t layer);

/* Writes the header and the token ids. */
void dump_head(dump_file *d);

/* A plens_hook_fn, user a dump_file: writes rows to their places. */
int dump_rows(void *user, const plens_activations *activations);

#endif
