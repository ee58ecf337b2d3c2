/* One part of a run on its way through the model: the buffers and what every step needs. */
#ifndef PLENS_RUNTIME_PASS_H
#define PLENS_RUNTIME_PASS_H

#include "runtime/batch.h"
#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/lens.h"
#include "runtime/points.h"
#include "runtime/weights.h"

/* Rows that are picked for a hook together, at most. */
#define PLENS__GATHERED_ROWS 1024

typedef struct plens__pass {
    const plens__engine *engine;
    const plens_model *model;
    const plens_run_options *options; /* never NULL */
    const plens__product *product;    /* of the run's precision */
    plens__batch batch;
    plens__weights weights;
    plens__lens lens;
    size_t held; /* early layers of the lens whose states are kept at once; 0: all of them */
    const plens__selection *finished; /* the rows that go through all of the last block */

    float *cosine, *sine; /* [longest, head_dim / 2] */
    float *x;             /* [n_rows, d_model] the residual stream */
    float *k, *v;         /* [n_rows, n_kv_heads * head_dim] of the block in hand */

    /* of one chunk: */
    float *active;    /* [chunk, d_model] residual rows gathered from a selection */
    float *norm;      /* [chunk, d_model] normed rows; then a component's output */
    float *q, *z;     /* [chunk, n_heads * head_dim] */
    float *gate, *up; /* [chunk, d_ff] */
    char *packed;     /* what plens__pass_operand packs; one operand at a time */
    float *logits;    /* [logit_rows, vocab_size] for the LOGITS hook */
    size_t logit_rows;

    /* for hooks; NULL unless one wants them: */
    float *gathered; /* [gathered_floats] rows picked for a hook, or heads of them */
    size_t gathered_floats;
    plens_row *gathered_rows; /* [PLENS__GATHERED_ROWS] */
    size_t *gathered_from;    /* [PLENS__GATHERED_ROWS] which rows they are */
    float *attn_norm;         /* [n_rows, d_model] as hooks left it */
    float *scores;            /* [score_rows, n_heads, longest] of attn_scores, attn_pattern */
    size_t score_rows;
    float *head_out, *head_kept; /* [head_rows, n_heads, d_model]; the same before hooks wrote */
    void *head_weights;          /* [d_model, head_dim] of o_proj, as in the checkpoint */
    size_t head_rows;

    char *attention; /* [n_threads, attention_bytes] scores and gathered K, V */
    size_t attention_bytes;

    plens__clock *clock;

    /* progress */
    size_t part, n_parts, layer;
    double work_done, work_all; /* in multiply-adds, of the whole run */
} plens__pass;

/* How far the run is. */
plens_progress plens__pass_standing(const plens__pass *pass);

/* Adds work to what is done and asks the caller whether to go on. */
plens_status plens__pass_progress(plens__pass *pass, double work, plens_error *error);

/* x [n_rows, n_in], ldx floats between rows, for the matrix products that follow: at most a chunk
 * of rows, or the lens's. Valid until the next one is made. */
plens__operand plens__pass_operand(const plens__pass *pass, const float *x, size_t ldx,
                                   size_t n_rows, size_t n_in);
plens__operand plens__pass_operand_of(const plens__pass *pass, const plens__rows *rows);

/* Shows rows [slot, slot + n) of a selection, values [n, width], to the hooks on this point, each
 * those of them that it asks for. */
plens_status plens__pass_hooks(plens__pass *pass, plens_point point, size_t layer,
                               const plens__selection *selection, size_t slot, size_t n,
                               float *values, size_t width, plens_error *error);

/* Shows each head's output of slots [slot, slot + n), whose z and attn_out are in pass->z and
 * pass->norm, to the hooks on head_out; where they change a row, its attn_out is made anew. */
plens_status plens__pass_head_out(plens__pass *pass, const plens__linear *o, size_t layer,
                                  const plens__selection *selection, size_t slot, size_t n,
                                  plens_error *error);

/* Multiply-adds of plens__pass_head_out for one row; 0 where no hook wants it. */
double plens__head_out_work(const plens__pass *pass, size_t layer);

/* Takes the rows of pass->finished (all rows, unless block is the last) through block `layer`,
 * 1..L. Only K and V are computed for the others. */
plens_status plens__pass_block(plens__pass *pass, const plens__block *block, size_t layer,
                               plens_error *error);

/* Unembeds the finished rows for the hooks on FINAL_NORM and LOGITS. */
plens_status plens__pass_output(plens__pass *pass, plens_error *error);

/* Keeps what the lens reads of x after block `layer`. */
void plens__pass_capture(plens__pass *pass, size_t layer);

/* Keeps what the lens reads of a component's values [n, width], as hooks left them. */
void plens__pass_component(plens__pass *pass, plens_point point, size_t layer,
                           const plens__selection *selection, size_t slot, size_t n,
                           const float *values, size_t width);

/* Norms the components kept by the scales of their rows' last states, which x holds. */
void plens__lens_freeze(plens__pass *pass);

/* The logits of all targets, and of layer L's top tokens, at layer L or at the early layers whose
 * states are kept. */
plens_status plens__pass_targets(plens__pass *pass, int final, plens_error *error);
plens_status plens__pass_final_tops(plens__pass *pass, int final, plens_error *error);

/* The lens, in this order: unembeds layer L; unembeds the early layers whose states are kept (once,
 * or for each plens__lens_hold); calls the lens function. */
plens_status plens__pass_lens_final(plens__pass *pass, plens_error *error);
plens_status plens__pass_lens_held(plens__pass *pass, plens_error *error);
plens_status plens__pass_lens_deliver(plens__pass *pass, plens_error *error);

#endif
