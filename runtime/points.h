/* The points of the forward pass: their names and shapes, and which hook asks for what. */
#ifndef PLENS_RUNTIME_POINTS_H
#define PLENS_RUNTIME_POINTS_H

#include "loaders/config.h"

/* 1 if every block has this point. */
int plens__point_in_block(plens_point point);

/* 1 if a block computes this point for rows of which only K and V are needed, too. */
int plens__point_of_every_row(plens_point point);

/* Heads in a row of this point, 0 if it is not by heads. */
size_t plens__point_heads(const plens__config *config, plens_point point);

/* Floats of a row; n_keys counts at the points whose heads have one float for each key. */
size_t plens__point_width(const plens__config *config, plens_point point, size_t n_keys);

/* 1 if a hook or the lens, or a writing hook, wants this point at this layer; layer 0: at any. */
int plens__pass_wants(const plens_run_options *options, plens_point point, size_t layer);
int plens__pass_writes(const plens_run_options *options, plens_point point, size_t layer);
int plens__hook_wants(const plens_hook *hook, plens_point point, size_t layer);

/* 1 if first <= i and, unless n is 0, i < first + n. */
int plens__in_range(size_t i, size_t first, size_t n);

/* How many of the last positions of a prompt [n_ids] hooks may change: those it shares with none.
 */
size_t plens__written_positions(const plens_run_options *options, size_t prompt, size_t n_ids);

/* ARGUMENT, naming who asks, unless the point is one and has the heads that the hook asks for. */
plens_status plens__heads_check(const plens__config *config, const plens_hook *hook,
                                const char *who, plens_error *error);

/* ARGUMENT, naming who asks, for a value that is none of plens_positions. */
plens_status plens__positions_check(plens_positions positions, const char *who, plens_error *error);

/* ARGUMENT, naming who asks, unless first to last (0 and 0: all) lie within 1 to n_layers. */
plens_status plens__layers_check(size_t first, size_t last, size_t n_layers, const char *who,
                                 plens_error *error);

/* ARGUMENT, saying which, if a hook asks for what the model or the prompts do not have. */
plens_status plens__hooks_check(const plens__config *config, const plens_prompt *prompts,
                                size_t n_prompts, const plens_run_options *options,
                                plens_error *error);

#endif
