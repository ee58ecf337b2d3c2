/* tokenizer.json (Hugging Face tokenizers) to ids and back. The pipeline is the reference's:
 * added tokens are split off, each segment is normalized, pre-tokenized and run through the model,
 * the post-processor adds special tokens. Immutable once open. */
#ifndef PLENS_LOADERS_TOKENIZER_H
#define PLENS_LOADERS_TOKENIZER_H

#include "loaders/base.h"

typedef struct plens__tokenizer plens__tokenizer;

plens_status plens__tokenizer_open(const plens_allocator *allocator, const char *folder,
                                   plens__tokenizer **tokenizer, plens_error *error);
void plens__tokenizer_close(plens__tokenizer *tokenizer);
size_t plens__tokenizer_size(const plens__tokenizer *tokenizer);

/* ids->data is from plens__alloc(allocator). */
plens_status plens__tokenizer_encode(const plens_allocator *allocator,
                                     const plens__tokenizer *tokenizer, const char *text,
                                     size_t n_bytes, int special, plens_ids *ids,
                                     plens_error *error);

/* text->data is from plens__alloc(allocator) and zero-terminated. */
plens_status plens__tokenizer_decode(const plens_allocator *allocator,
                                     const plens__tokenizer *tokenizer, const int32_t *ids,
                                     size_t n_ids, plens_text *text, plens_error *error);

/* As plens_tokenizer_token in plens.h. */
const char *plens__tokenizer_token(const plens__tokenizer *tokenizer, int32_t id, size_t *n_bytes);

#endif
