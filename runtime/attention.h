/* Attention of one chunk of rows over the prefix tree. */
#ifndef PLENS_RUNTIME_ATTENTION_H
#define PLENS_RUNTIME_ATTENTION_H

#include "runtime/pass.h"

/* pass->z of slots [slot, slot + n) of a selection from their queries in pass->q and the block's K
 * and V. Where hooks want attn_scores or attn_pattern of this layer, step by step past them. */
plens_status plens__pass_attend(plens__pass *pass, size_t layer, const plens__selection *selection,
                                size_t slot, size_t n, plens_error *error);

#endif
