/* Rotary position embedding tables.
 * [Su et al. 2021; scaling as Transformers' modeling_rope_utils.py: "linear" divides every
 * frequency, "llama3" only the low ones, with a smooth passage between.] */
#ifndef PLENS_RUNTIME_ROTARY_H
#define PLENS_RUNTIME_ROTARY_H

#include <stddef.h>

#include "loaders/config.h"

/* Fills cosine and sine [n_positions, head_dim / 2]. inv_freq is rounded to float, the angle is
 * float(position * inv_freq); its sine and cosine are computed in double and rounded to float.
 * Computes: call it inside a task. */
void plens__rotary_tables(const plens__config *config, size_t n_positions, float *cosine,
                          float *sine);

#endif
