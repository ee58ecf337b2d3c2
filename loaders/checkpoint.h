/* A checkpoint: safetensors files and their index, as validated tensors.
 * Format: https://github.com/huggingface/safetensors (README, "Format"), enforced as its reference
 * implementation does: no holes, no overlaps, no trailing bytes, shape x dtype = span. */
#ifndef PLENS_LOADERS_CHECKPOINT_H
#define PLENS_LOADERS_CHECKPOINT_H

#include "loaders/file.h"

typedef struct plens__tensor {
    const char *name;
    const char *dtype_name; /* "BF16", "F8_E4M3", … */
    plens_dtype dtype;      /* 0 for those that plens does not compute with */
    size_t rank;
    const uint64_t *shape; /* [rank] */
    uint64_t offset;       /* of its first byte in the file */
    uint64_t n_bytes;
    uint32_t shard; /* index into plens__checkpoint.shards */
} plens__tensor;

typedef struct plens__checkpoint {
    plens_allocator allocator; /* a copy: the checkpoint outlives the context */
    plens__arena arena;        /* names, shapes, tensors (its allocator points to the copy above) */
    plens__file *shards;       /* [n_shards], mapped */
    size_t n_shards;
    plens__tensor *tensors; /* [n_tensors], sorted by name */
    size_t n_tensors;
    uint64_t n_bytes; /* of all tensors */
} plens__checkpoint;

/* Opens folder/model.safetensors, or the shards that folder/model.safetensors.index.json names.
 * On failure *checkpoint is untouched. The struct must not be moved afterwards. */
plens_status plens__checkpoint_open(const plens_allocator *allocator, const char *folder,
                                    plens__checkpoint *checkpoint, plens_error *error);
void plens__checkpoint_close(plens__checkpoint *checkpoint);

/* By name, or NULL. */
const plens__tensor *plens__checkpoint_find(const plens__checkpoint *checkpoint, const char *name);

/* Bytes [from, from + n) of the tensor, by plain reads. A shard cut short is ERROR_IO that names
 * shard, tensor and offset. */
plens_status plens__tensor_read(const plens__checkpoint *checkpoint, const plens__tensor *tensor,
                                uint64_t from, size_t n, void *to, plens_error *error);

/* Tells the system that these bytes will not be read again soon. */
void plens__tensor_forget(const plens__checkpoint *checkpoint, const plens__tensor *tensor,
                          uint64_t from, size_t n);

/* Mixes into *hash what tells checkpoints apart without reading them whole: each shard's size and
 * header, and the first bytes of each tensor. Plain reads. */
plens_status plens__checkpoint_fingerprint(const plens__checkpoint *checkpoint, uint64_t *hash,
                                           plens_error *error);

/* One safetensors file's header: tensors are added to *tensors in the order of their offsets (an
 * array from the allocator, grown as needed; names and shapes in arena). Also for dumps (audit). */
plens_status plens__safetensors_parse(plens__arena *arena, plens__file *file, uint32_t shard,
                                      plens__tensor **tensors, size_t *n_tensors,
                                      plens_error *error);

#endif
