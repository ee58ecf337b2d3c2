/* What the parts of the reader of config.json share. What each key means, which are read and what
 * stands in for an absent one follows Transformers 5.23: models/{llama,mistral,qwen2,qwen3}/
 * {configuration,modeling}_*.py, modeling_rope_utils.py. */
#ifndef PLENS_LOADERS_CONFIG_READER_H
#define PLENS_LOADERS_CONFIG_READER_H

#include "loaders/config.h"
#include "loaders/json.h"

#define PLENS__CONFIG_MAX INT32_MAX /* of a size */

/* What a class of Transformers does without being told. */
typedef struct plens__config_family {
    const char *architecture, *model_type;
    size_t n_kv_heads; /* where the key is absent; 0: as n_heads */
    size_t head_dim;   /* likewise; 0: d_model / n_heads */
    int reads_attention_bias, reads_mlp_bias;
} plens__config_family;

typedef struct plens__config_reader {
    const char *path;
    const plens__json *root;
    const plens__config_family *family;
    plens__config *config; /* being filled */
    plens_error *error;
} plens__config_reader;

/* "PATH: KEY: expected EXPECTED, found FOUND". */
plens_status plens__config_fail(const plens__config_reader *r, plens_status status, const char *key,
                                const char *expected, const plens__json *found);

/* 0 if it is absent or null. */
int plens__config_is_given(const plens__json *value);

/* An integer from `least` on. Absent: `fallback`, or an error where that is 0. */
plens_status plens__config_size(const plens__config_reader *r, const char *key, size_t least,
                                size_t fallback, size_t *size);
plens_status plens__config_flag(const plens__config_reader *r, const char *key, int fallback,
                                int *flag);
plens_status plens__config_positive(const plens__config_reader *r, const char *key,
                                    const plens__json *value, double *number);

/* The parts that have files of their own: the rotary embedding; the sliding windows (of an
 * architecture and sizes already read); UNSUPPORTED for what plens does not compute. */
plens_status plens__config_rope(const plens__config_reader *r);
plens_status plens__config_windows(const plens_allocator *allocator, const plens__config_reader *r);
plens_status plens__config_refuse(const plens__config_reader *r);

#endif
