/* The rows of a batch: a prefix tree of tokens.
 *
 * Prompts are sorted by their tokens, so those that begin alike are neighbours. Walking them in
 * that order, each prompt adds one *branch*: a run of rows for the positions that it does not share
 * with the prompt before it. Rows are numbered as they are added, therefore
 *   - a row's ancestors (the positions it attends to) have smaller numbers than the row itself,
 *   - the prompts that a row serves are neighbours in the sorted order. */
#ifndef PLENS_RUNTIME_BATCH_H
#define PLENS_RUNTIME_BATCH_H

#include "runtime/workspace.h"

/* Rows that go through a block's matrices together. */
#ifndef PLENS__CHUNK_ROWS
#define PLENS__CHUNK_ROWS 1024
#endif
/* Queries of one branch that are one item of work in attention. */
#define PLENS__PIECE_ROWS 64

/* A prompt in sorted order. */
typedef struct plens__leaf {
    const int32_t *ids;
    size_t n_ids;
    size_t prompt; /* its index in the caller's array */
    size_t branch; /* that holds its last row */
    size_t end;    /* its slot among the batch's ends */
    size_t own;    /* so many of its last positions are shared with no other prompt */
} plens__leaf;

typedef struct plens__branch {
    size_t row, n_rows;
    size_t depth;  /* position of its first row */
    size_t parent; /* the branch that holds position depth - 1, if depth > 0 */
} plens__branch;

/* Consecutive rows of one branch, in consecutive slots of a selection, within one chunk. */
typedef struct plens__piece {
    size_t slot, row, n_rows;
    size_t branch;
} plens__piece;

/* Some of the batch's rows in ascending order: slot s is row rows[s] (row s if rows is NULL). */
typedef struct plens__selection {
    size_t count;
    size_t *rows;
    plens_row *served; /* [count] position and prompts, as hooks see them */
    plens__piece *pieces;
    size_t n_pieces;
} plens__selection;

/* (query, key) pairs of a block's attention: of all rows, and of the prompts' last rows alone. */
typedef struct plens__pairs {
    size_t all, ends;
} plens__pairs;

/* Those of positions [first, end) of one prompt, of the keys each sees (window: 0, all before). */
size_t plens__pairs_between(size_t first, size_t end, size_t window);

/* How large a batch is: enough to plan its memory and time. */
typedef struct plens__batch_size {
    size_t window; /* of the model's blocks that have one; set before the first prompt is added */
    size_t n_prompts, n_rows, n_branches, n_ends;
    size_t n_tokens;                 /* of all prompts: what n_rows would be without sharing */
    plens__pairs full, windowed;     /* of blocks without a window, and with one */
    size_t longest;                  /* positions */
    size_t n_targets, n_targets_all; /* of all prompts; and each counted once a position */
} plens__batch_size;

typedef struct plens__batch {
    plens__batch_size size;
    plens__leaf *leaves;     /* [n_prompts], sorted by tokens */
    size_t *order;           /* [n_prompts] leaves[i].prompt */
    int32_t *tokens;         /* [n_rows] */
    plens__branch *branches; /* [n_branches] */
    plens__selection all;    /* every row; served: all prompts that have the prefix */
    plens__selection ends;   /* the last rows of prompts; served: the prompts that end there */
} plens__batch;

/* Sorts leaves by tokens, shorter first, equal ones by their prompt's index; where a prompt's own
 * positions begin it comes after all that could be shared. */
void plens__leaves_sort(plens__leaf *leaves, size_t n);

/* Adds leaves[i] to the size of a batch whose last prompt so far is leaves[i - 1] (first: none).
 * share: count common prefixes once. */
void plens__batch_size_add(plens__batch_size *size, const plens__leaf *leaves, size_t i, int first,
                           size_t n_targets, int share);

/* Cuts the arrays of a batch of this size from the carver (leaves aside). */
void plens__batch_carve(plens__batch *batch, const plens__batch_size *size, plens__carver *carver);

/* Fills them from size.n_prompts sorted leaves. */
void plens__batch_build(plens__batch *batch, plens__leaf *leaves, int share);

/* The first slot of the batch's ends whose row is `row` or one after it. */
size_t plens__batch_end_at(const plens__batch *batch, size_t row);

/* The row of position `position` on the path that ends in branch. */
size_t plens__batch_row(const plens__batch *batch, size_t branch, size_t position);

#endif
