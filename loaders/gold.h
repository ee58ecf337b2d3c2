/* Gold tokens: by which token a gold answer would follow a text (plens.h, plens_gold_token). */
#ifndef PLENS_LOADERS_GOLD_H
#define PLENS_LOADERS_GOLD_H

#include "loaders/tokenizer.h"

plens_status plens__gold_token(const plens_allocator *allocator, const plens__tokenizer *tokenizer,
                               const char *text, size_t n_text, const char *gold, size_t n_gold,
                               plens_gold_form form, plens_gold *result, plens_error *error);

#endif
