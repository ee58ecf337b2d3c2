#include "runtime/batch.h"

#include <stdlib.h>
#include <string.h>

/* The positions that a prompt may share with others. */
static size_t shareable(const plens__leaf *leaf) {
    return leaf->n_ids - leaf->own;
}

static size_t common_prefix(const plens__leaf *a, const plens__leaf *b) {
    size_t n = shareable(a) < shareable(b) ? shareable(a) : shareable(b), i = 0;
    while (i < n && a->ids[i] == b->ids[i])
        i++;
    return i;
}

static int compare_leaves(const void *left, const void *right) {
    const plens__leaf *a = left, *b = right;
    size_t i = common_prefix(a, b);
    if (i < shareable(a) && i < shareable(b))
        return a->ids[i] < b->ids[i] ? -1 : 1;
    int ended = (i == b->n_ids) - (i == a->n_ids);
    if (ended == 0) /* both go on, one at least with positions of its own */
        ended = (i == shareable(a)) - (i == shareable(b));
    if (ended != 0)
        return ended;
    return a->prompt < b->prompt ? -1 : a->prompt > b->prompt;
}

void plens__leaves_sort(plens__leaf *leaves, size_t n) {
    qsort(leaves, n, sizeof *leaves, compare_leaves);
}

/* How many positions leaf i shares with the one before it. Equal prompts share all. */
static size_t shared_depth(const plens__leaf *leaves, size_t i, int first, int share) {
    return first || !share ? 0 : common_prefix(&leaves[i - 1], &leaves[i]);
}

size_t plens__pairs_between(size_t first, size_t end, size_t window) {
    size_t grow = end; /* positions below it see all keys up to their own, later ones a window */
    if (window > 0 && window < end)
        grow = window > first ? window : first;
    return (grow * (grow + 1) - first * (first + 1)) / 2 + (end - grow) * window;
}

static void add_pairs(plens__pairs *pairs, size_t first, size_t end, size_t window) {
    if (first == end)
        return;
    pairs->all += plens__pairs_between(first, end, window);
    pairs->ends += plens__pairs_between(end - 1, end, window);
}

void plens__batch_size_add(plens__batch_size *size, const plens__leaf *leaves, size_t i, int first,
                           size_t n_targets, int share) {
    size_t n = leaves[i].n_ids, depth = shared_depth(leaves, i, first, share);
    size->n_prompts++;
    size->n_tokens += n;
    size->n_rows += n - depth;
    add_pairs(&size->full, depth, n, 0);
    add_pairs(&size->windowed, depth, n, size->window);
    size->n_branches += depth < n;
    size->n_ends += depth < n;
    size->n_targets += n_targets;
    size->n_targets_all += n_targets * n;
    if (n > size->longest)
        size->longest = n;
}

/* Every piece but the last of a branch or of a chunk is full. */
static size_t most_pieces(size_t n_rows, size_t n_branches) {
    return n_branches + n_rows / PLENS__PIECE_ROWS + n_rows / PLENS__CHUNK_ROWS + 1;
}

void plens__batch_carve(plens__batch *batch, const plens__batch_size *size, plens__carver *carver) {
    memset(batch, 0, sizeof *batch);
    batch->size = *size;
    batch->order = plens__carve(carver, size->n_prompts, sizeof *batch->order);
    batch->tokens = plens__carve(carver, size->n_rows, sizeof *batch->tokens);
    batch->branches = plens__carve(carver, size->n_branches, sizeof *batch->branches);
    batch->all.served = plens__carve(carver, size->n_rows, sizeof *batch->all.served);
    batch->all.pieces = plens__carve(carver, most_pieces(size->n_rows, size->n_branches),
                                     sizeof *batch->all.pieces);
    batch->ends.rows = plens__carve(carver, size->n_ends, sizeof *batch->ends.rows);
    batch->ends.served = plens__carve(carver, size->n_ends, sizeof *batch->ends.served);
    batch->ends.pieces = plens__carve(carver, size->n_ends, sizeof *batch->ends.pieces);
}

/* Cuts a branch into pieces that respect the chunks. */
static void add_pieces(plens__selection *all, const plens__branch *branch, size_t index) {
    size_t row = branch->row, end = branch->row + branch->n_rows;
    while (row < end) {
        size_t stop = (row / PLENS__CHUNK_ROWS + 1) * PLENS__CHUNK_ROWS;
        if (stop > row + PLENS__PIECE_ROWS)
            stop = row + PLENS__PIECE_ROWS;
        if (stop > end)
            stop = end;
        all->pieces[all->n_pieces++] = (plens__piece){row, row, stop - row, index};
        row = stop;
    }
}

/* Adds leaf i: its branch of new rows, and itself to the prompts that its shared rows serve. */
static void add_branch(plens__batch *batch, size_t i, size_t depth) {
    plens__leaf *leaf = &batch->leaves[i];
    size_t index = batch->size.n_branches, row = batch->size.n_rows;
    plens__branch *branch = &batch->branches[index];
    *branch = (plens__branch){row, leaf->n_ids - depth, depth, 0};
    if (depth > 0) {
        size_t parent = leaf[-1].branch;
        while (batch->branches[parent].depth >= depth)
            parent = batch->branches[parent].parent;
        branch->parent = parent;
    }
    for (size_t p = depth; p < leaf->n_ids; p++, row++) {
        batch->tokens[row] = leaf->ids[p];
        batch->all.served[row] = (plens_row){p, &batch->order[i], 0};
    }
    size_t end = batch->ends.count++;
    batch->ends.rows[end] = row - 1;
    batch->ends.served[end] = (plens_row){leaf->n_ids - 1, &batch->order[i], 0};
    batch->ends.pieces[end] = (plens__piece){end, row - 1, 1, index};
    batch->ends.n_pieces++;
    add_pieces(&batch->all, branch, index);
    batch->size.n_branches++;
    batch->size.n_rows = batch->all.count = row;
    leaf->branch = index;
    leaf->end = end;
}

size_t plens__batch_row(const plens__batch *batch, size_t branch, size_t position) {
    while (position < batch->branches[branch].depth)
        branch = batch->branches[branch].parent;
    return batch->branches[branch].row + (position - batch->branches[branch].depth);
}

/* Counts leaf i at each row of its path. */
static void serve(plens__batch *batch, size_t i) {
    size_t branch = batch->leaves[i].branch, end = batch->leaves[i].n_ids;
    for (;;) {
        const plens__branch *b = &batch->branches[branch];
        for (size_t p = b->depth; p < end; p++)
            batch->all.served[b->row + (p - b->depth)].n_prompts++;
        if (b->depth == 0)
            break;
        end = b->depth;
        branch = b->parent;
    }
    batch->ends.served[batch->leaves[i].end].n_prompts++;
}

void plens__batch_build(plens__batch *batch, plens__leaf *leaves, int share) {
    size_t n = batch->size.n_prompts;
    batch->leaves = leaves;
    batch->size.n_branches = batch->size.n_rows = 0;
    batch->all.count = batch->all.n_pieces = 0;
    batch->ends.count = batch->ends.n_pieces = 0;
    for (size_t i = 0; i < n; i++) {
        size_t depth = shared_depth(leaves, i, i == 0, share);
        batch->order[i] = leaves[i].prompt;
        if (depth < leaves[i].n_ids) {
            add_branch(batch, i, depth);
        } else { /* the same tokens as the leaf before */
            leaves[i].branch = leaves[i - 1].branch;
            leaves[i].end = leaves[i - 1].end;
        }
        serve(batch, i);
    }
}

size_t plens__batch_end_at(const plens__batch *batch, size_t row) {
    size_t low = 0, high = batch->ends.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (batch->ends.rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
