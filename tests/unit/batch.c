/* The prefix tree against brute force over sets of prompts. */
#include "runtime/batch.h"
#include "tests/test.h"

enum { MOST = 64 };

static void *reallocate(void *user, void *old, size_t old_size, size_t new_size) {
    (void)user;
    (void)old_size;
    if (new_size == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, new_size);
}

static const plens_allocator allocator = {reallocate, NULL};

typedef struct made {
    int32_t ids[MOST][200];
    plens__leaf leaves[MOST];
    size_t lengths[MOST], own[MOST];
    plens__batch batch;
    void *base;
} made;

static unsigned next_random(unsigned *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

enum { NONE_OWN = 0, SOME_OWN = 1, WINDOW = 17 };

/* n prompts over few tokens, so that many share prefixes, are prefixes of others, or are equal;
 * with SOME_OWN half of them do not share their last positions. */
static void make_batch(made *m, size_t n, unsigned seed, int share, int own) {
    for (size_t i = 0; i < n; i++) {
        m->lengths[i] = 1 + next_random(&seed) % (i % 7 == 0 ? 200 : 6);
        for (size_t p = 0; p < m->lengths[i]; p++)
            m->ids[i][p] = (int32_t)(next_random(&seed) % 2);
        m->leaves[i] = (plens__leaf){m->ids[i], m->lengths[i], i, 0, 0, 0};
        if (own && next_random(&seed) % 2 == 0)
            m->leaves[i].own = next_random(&seed) % (m->lengths[i] + 1);
        m->own[i] = m->leaves[i].own;
    }
    plens__leaves_sort(m->leaves, n);
    plens__batch_size size = {.window = WINDOW};
    for (size_t i = 0; i < n; i++)
        plens__batch_size_add(&size, m->leaves, i, i == 0, 1, share);
    plens__carver measure = {NULL, 0, 0};
    plens__batch_carve(&m->batch, &size, &measure);
    m->base = plens__alloc(&allocator, measure.used);
    plens__carver carver = {m->base, 0, 0};
    plens__batch_carve(&m->batch, &size, &carver);
    plens__batch_build(&m->batch, m->leaves, share);
    if (memcmp(&size, &m->batch.size, sizeof size) != 0)
        test_bad = 1; /* the plan and the built batch must agree */
}

/* The number of distinct non-empty prefixes, by comparing all pairs, and of positions that are not
 * shared. */
static size_t count_prefixes(const made *m, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += m->own[i];
        for (size_t length = 1; length <= m->lengths[i] - m->own[i]; length++) {
            int seen = 0;
            for (size_t j = 0; j < i && !seen; j++)
                seen = m->lengths[j] - m->own[j] >= length &&
                       memcmp(m->ids[i], m->ids[j], length * sizeof(int32_t)) == 0;
            count += !seen;
        }
    }
    return count;
}

/* Guards against a row computed twice, or shared by prompts that differ. */
static void rows_are_the_distinct_prefixes(void) {
    for (unsigned seed = 1; seed < 30; seed++) {
        size_t n = 1 + seed % MOST;
        made m;
        make_batch(&m, n, seed, 1, seed % 2);
        CHECK(!test_bad);
        CHECK_INT(m.batch.size.n_rows, count_prefixes(&m, n));
        plens__free(&allocator, m.base);
    }
}

/* Guards against a path that leads through another prompt's tokens, and ancestors that would not
 * be computed yet when a chunk is. */
static void paths_spell_the_prompts(void) {
    for (unsigned seed = 1; seed < 30; seed++) {
        made m;
        make_batch(&m, MOST, seed, seed % 2 == 0, seed % 4 < 2);
        for (size_t i = 0; i < MOST; i++) {
            const plens__leaf *leaf = &m.batch.leaves[i];
            size_t last = 0;
            for (size_t p = 0; p < leaf->n_ids; p++) {
                size_t row = plens__batch_row(&m.batch, leaf->branch, p);
                CHECK_INT(m.batch.tokens[row], leaf->ids[p]);
                CHECK_INT(m.batch.all.served[row].position, p);
                CHECK(p == 0 || row > last);
                last = row;
            }
            CHECK_INT(m.batch.ends.rows[leaf->end], last);
        }
        plens__free(&allocator, m.base);
    }
}

/* The keys that a position sees, one by one. */
static size_t keys_of(size_t position, size_t window) {
    size_t count = 0;
    for (size_t key = 0; key <= position; key++)
        count += window == 0 || key + window > position;
    return count;
}

/* Guards against plans, and times left, that count the attention of long prompts wrong. */
static void pairs_are_counted(void) {
    for (unsigned seed = 1; seed < 30; seed++) {
        made m;
        make_batch(&m, MOST, seed, seed % 2, seed % 4 < 2);
        const plens__batch_size *size = &m.batch.size;
        size_t full = 0, near = 0, full_ends = 0, near_ends = 0;
        for (size_t r = 0; r < size->n_rows; r++) {
            full += keys_of(m.batch.all.served[r].position, 0);
            near += keys_of(m.batch.all.served[r].position, WINDOW);
        }
        for (size_t e = 0; e < size->n_ends; e++) {
            full_ends += keys_of(m.batch.ends.served[e].position, 0);
            near_ends += keys_of(m.batch.ends.served[e].position, WINDOW);
        }
        CHECK_INT(size->full.all, full);
        CHECK_INT(size->windowed.all, near);
        CHECK_INT(size->full.ends, full_ends);
        CHECK_INT(size->windowed.ends, near_ends);
        plens__free(&allocator, m.base);
    }
}

static int serves(const plens_row *row, size_t prompt) {
    int count = 0;
    for (size_t i = 0; i < row->n_prompts; i++)
        count += row->prompts[i] == prompt;
    return count;
}

/* Guards against hooks that name the wrong prompts for a row, or several where one may write. */
static void rows_name_the_prompts_they_serve(void) {
    made m;
    make_batch(&m, MOST, 5, 1, SOME_OWN);
    size_t served = 0;
    for (size_t i = 0; i < MOST; i++) {
        const plens__leaf *leaf = &m.batch.leaves[i];
        for (size_t p = 0; p < leaf->n_ids; p++) {
            size_t row = plens__batch_row(&m.batch, leaf->branch, p);
            CHECK_INT(serves(&m.batch.all.served[row], leaf->prompt), 1);
            if (p >= leaf->n_ids - leaf->own)
                CHECK_INT(m.batch.all.served[row].n_prompts, 1);
        }
        CHECK_INT(serves(&m.batch.ends.served[leaf->end], leaf->prompt), 1);
        served += leaf->n_ids;
    }
    for (size_t r = 0; r < m.batch.size.n_rows; r++)
        served -= m.batch.all.served[r].n_prompts;
    CHECK_INT(served, 0);
    size_t ends = 0;
    for (size_t e = 0; e < m.batch.ends.count; e++)
        ends += m.batch.ends.served[e].n_prompts;
    CHECK_INT(ends, MOST);
    plens__free(&allocator, m.base);
}

/* Guards against rows that attention forgets or takes twice, and pieces across two chunks. */
static void pieces_cover_every_row_once(void) {
    made m;
    make_batch(&m, MOST, 9, 0, NONE_OWN);
    size_t next = 0;
    for (size_t i = 0; i < m.batch.all.n_pieces; i++) {
        const plens__piece *piece = &m.batch.all.pieces[i];
        const plens__branch *branch = &m.batch.branches[piece->branch];
        CHECK_INT(piece->slot, next);
        CHECK_INT(piece->row, next);
        CHECK(piece->n_rows >= 1 && piece->n_rows <= PLENS__PIECE_ROWS);
        CHECK(piece->row >= branch->row &&
              piece->row + piece->n_rows <= branch->row + branch->n_rows);
        CHECK_INT(piece->slot / PLENS__CHUNK_ROWS,
                  (piece->slot + piece->n_rows - 1) / PLENS__CHUNK_ROWS);
        next += piece->n_rows;
    }
    CHECK_INT(next, m.batch.size.n_rows);
    CHECK(next > PLENS__CHUNK_ROWS); /* or the test tests nothing */
    plens__free(&allocator, m.base);
}

/* Guards against no_sharing that shares after all (equal prompts above all). */
static void without_sharing_every_token_is_a_row(void) {
    made m;
    make_batch(&m, MOST, 3, 0, NONE_OWN);
    CHECK(!test_bad);
    CHECK_INT(m.batch.size.n_rows, m.batch.size.n_tokens);
    CHECK_INT(m.batch.ends.count, MOST);
    plens__free(&allocator, m.base);
}

int main(void) {
    RUN(rows_are_the_distinct_prefixes);
    RUN(paths_spell_the_prompts);
    RUN(pairs_are_counted);
    RUN(rows_name_the_prompts_they_serve);
    RUN(pieces_cover_every_row_once);
    RUN(without_sharing_every_token_is_a_row);
    return test_finish();
}
