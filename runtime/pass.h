/* One part of a run on its way through the model: the buffers and what every step needs. */
#ifndef PLENS_RUNTIME_PASS_H
#define PLENS_RUNTIME_PASS_H

#include "runtime/batch.h"
#include "runtime/engine.h"
#include "runtime/lens.h"
#include "runtime/weights.h"

typedef struct plens__pass {
    const plens__engine *engine;
    const plens_model *model;
    const plens_run_options *options; /* never NULL */
    plens__batch batch;
    plens__weights weights;
    plens__lens lens;
    const plens__selection *finished; /* the rows that go through all of the last block */

    float *cosine, *sine; /* [longest, head_dim / 2] */
    float *x;             /* [n_rows, d_model] the residual stream */
    float *k, *v;         /* [n_rows, n_kv_heads * head_dim] of the block in hand */

    /* of one chunk: */
    float *active;    /* [chunk, d_model] residual rows gathered from a selection */
    float *norm;      /* [chunk, d_model] normed rows; then a component's output */
    float *q, *z;     /* [chunk, n_heads * head_dim] */
    float *gate, *up; /* [chunk, d_ff] */
    float *logits;    /* [logit_rows, vocab_size] for the LOGITS hook */
    size_t logit_rows;
    float *gathered; /* [gathered_floats] rows picked for a hook */
    size_t gathered_floats;
    char *attention; /* [n_threads, attention_bytes] scores and gathered K, V */
    size_t attention_bytes;

    /* progress */
    size_t part, n_parts, layer;
    double work_done, work_all; /* in multiply-adds, of the whole run */
} plens__pass;

/* Adds work to what is done and asks the caller whether to go on. */
plens_status plens__pass_progress(plens__pass *pass, double work, plens_error *error);

/* Shows rows [slot, slot + n) of a selection, values [n, width], to the hooks on this point. A hook
 * for last positions gets those of them that end a prompt. */
plens_status plens__pass_hooks(plens__pass *pass, plens_point point, size_t layer,
                               const plens__selection *selection, size_t slot, size_t n,
                               const float *values, size_t width, plens_error *error);

/* 1 if a hook wants this point at this layer. */
int plens__pass_wants(const plens_run_options *options, plens_point point, size_t layer);

/* Takes the rows of pass->finished (all rows, unless block is the last) through block `layer`,
 * 1..L. Only K and V are computed for the others. */
plens_status plens__pass_block(plens__pass *pass, const plens__block *block, size_t layer,
                               plens_error *error);

/* Unembeds the finished rows for the hooks on FINAL_NORM and LOGITS. */
plens_status plens__pass_output(plens__pass *pass, plens_error *error);

/* Keeps what the lens reads of x after block `layer`. */
void plens__pass_capture(plens__pass *pass, size_t layer);

/* Unembeds what was kept and calls the lens function. */
plens_status plens__pass_lens(plens__pass *pass, plens_error *error);

#endif
