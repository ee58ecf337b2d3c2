/* The logit lens over the states that a pass has kept.
 *
 * A *site* is one kept state: a row of the lens's selection after one block, or what a component of
 * that block (a head of it) gave. The unembedding goes
 * by in tiles of ids; each site keeps its top-k, its sums for log-sum-exp and entropy and the rank
 * of each target. There is never an array [sites, vocabulary].
 *
 * Layer L goes first: its top token is a target of all the others, and their KL needs its sums.
 *
 * The states of all layers are kept until then; where memory lacks the room, those of so many
 * layers as fit. The blocks run twice then: first to layer L, which is unembedded alone, then to
 * those layers, which are unembedded as they come and make room for the next. */
#ifndef PLENS_RUNTIME_LENS_H
#define PLENS_RUNTIME_LENS_H

#include "loaders/config.h"
#include "runtime/batch.h"
#include "runtime/lens_groups.h"
#include "runtime/weights.h"

/* Sites that are unembedded together. */
#define PLENS__LENS_ROWS 1024
/* Targets whose logits are computed together. */
#define PLENS__LENS_TARGETS PLENS__ROW_IDS

/* Over the ids seen so far, blocks of the vocabulary ascending, in double: the maximum m, the sum
 * of e^(x - m), and the sum of e^(x - m) (x - m). */
typedef struct plens__lens_site {
    double max, sum, weighted;
    double cross; /* for KL: the sum of e^(f - m) x, f the logits of layer L and m their maximum */
    float entropy, kl;
    int finite;
    size_t n_top;
} plens__lens_site;

/* One prompt at one position: who gets the results of a row. */
typedef struct plens__lens_entry {
    size_t prompt, position;
    size_t row;     /* slot in the lens's selection */
    size_t targets; /* where its [n_layers, n_targets] begin in the lens's targets */
    size_t next;    /* the next entry of the same row, or SIZE_MAX */
} plens__lens_entry;

typedef struct plens__lens {
    const plens_lens *options;          /* NULL: no lens, and nothing below is valid */
    const plens_prompt *prompts;        /* the caller's */
    const plens__selection *rows;       /* where it looks */
    size_t first_layer, last_layer;     /* that it reports */
    plens_point component;              /* whose lens it is; 0: the residual stream's */
    size_t first_head, n_heads;         /* of head_out; else 0 and 1 */
    size_t n_early;                     /* sites of a row: of the layers that it reports but L, or
                                           of their components, [layers, n_heads] */
    size_t n_layers;                    /* n_early + 1: layer L is always kept, as the last */
    size_t top_k, n_entries, n_targets; /* targets of all entries */

    size_t most_held;    /* of the early ones: room for their states; of components for all */
    size_t from, n_held; /* those whose states `early` has: [from, from + n_held) */

    float *early;                /* [rows, n_held, d_model] final norm of the residual stream, or
                                    components, not normed before plens__lens_freeze */
    float *final;                /* [rows, d_model] the same after layer L */
    plens__lens_site *sites;     /* [rows, n_layers] */
    plens_lens_token *top;       /* [rows, n_layers, top_k] */
    plens_lens_token *final_top; /* [rows, n_layers] */
    plens_lens_token *targets;   /* for each entry [n_layers, n_targets] */
    plens__lens_entry *entries;  /* [n_entries] by prompt, then position */
    size_t *first_entry;         /* [rows] or SIZE_MAX */
    float *logits;               /* [PLENS__LENS_ROWS, PLENS__TILE_IDS] */
    float *target_logits;        /* [PLENS__LENS_ROWS or n_layers, PLENS__LENS_TARGETS] */
    plens__groups groups;        /* its sites are those above */

    /* for KL, of the rows in hand and one tile; NULL unless asked for: */
    float *powers;      /* [PLENS__LENS_ROWS, PLENS__TILE_IDS] e^(f - m'), m' a block's maximum */
    double (*scale)[2]; /* [PLENS__LENS_ROWS] e^(m' - m) of the tile's blocks */
} plens__lens;

/* The layers that a first and last ask for: 1..n_layers if both are 0. */
void plens__layer_range(size_t first, size_t last, size_t n_layers, size_t *from, size_t *to);

/* ARGUMENT, saying which, for what a lens cannot be asked. */
plens_status plens__lens_check(const plens_allocator *allocator, const plens_lens *options,
                               const plens__config *config, plens_error *error);

/* The component whose lens is asked for; 0: the residual stream's. */
plens_point plens__lens_component(const plens_lens *options);

/* What n_early will be; 0 without options. */
size_t plens__lens_early(const plens_lens *options, const plens__config *config);

/* Cuts the lens's arrays from the carver, with room for the states of at most `held` early layers
 * (0: of all). options NULL: none. The batch needs its size only. */
void plens__lens_carve(plens__lens *lens, const plens_lens *options, const plens_prompt *prompts,
                       const plens__config *config, size_t held, const plens__batch *batch,
                       plens__carver *carver);

/* Lists the entries of a built batch; no site has seen a token. */
void plens__lens_begin(plens__lens *lens, const plens__batch *batch);

/* From now on the states of as many early layers as there is room for are kept, from the from-th
 * (counted from 0) on. */
void plens__lens_hold(plens__lens *lens, size_t from);

/* None is kept: the blocks run for layer L alone. */
void plens__lens_hold_none(plens__lens *lens);

/* 1 if there is no room for all of them at once. */
int plens__lens_as_they_come(const plens__lens *lens);

#endif
