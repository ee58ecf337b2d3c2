#include "tests/harness/shard.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/message.h"
#include "tests/harness/options.h"

/* ---- which shard ---- */

/* A launcher's variable as a number; the mistake is said if it is missing or something else. */
static int read_variable(const char *launcher, const char *name, uint64_t *number) {
    const char *text = getenv(name);
    if (text == NULL)
        return fail_usage("score", "--shard %s: the variable %s is not set", launcher, name);
    if (!parse_number(text, INT_MAX, number))
        return fail_usage("score", "--shard %s: %s: expected a number, found '%s'", launcher, name,
                          text);
    return EXIT_DONE;
}

/* A Slurm job array: ID - MIN + 1 of COUNT. [slurm.schedmd.com/job_array.html] */
static int from_slurm(shard *s) {
    static const char *const names[] = {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN",
                                        "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT"};
    uint64_t values[4], step = 1;
    for (int i = 0; i < 4; i++) {
        int code = read_variable("slurm", names[i], &values[i]);
        if (code != EXIT_DONE)
            return code;
    }
    int code = getenv("SLURM_ARRAY_TASK_STEP") == NULL
                   ? EXIT_DONE
                   : read_variable("slurm", "SLURM_ARRAY_TASK_STEP", &step);
    if (code != EXIT_DONE)
        return code;
    uint64_t id = values[0], first = values[1], last = values[2], count = values[3];
    if (step != 1)
        return fail_usage("score", "--shard slurm: the array has step %llu, expected step 1",
                          (unsigned long long)step);
    if (id < first || id > last || last - first + 1 != count)
        return fail_usage("score",
                          "--shard slurm: task %llu of the array %llu-%llu with %llu tasks: "
                          "expected an array of consecutive ids",
                          (unsigned long long)id, (unsigned long long)first,
                          (unsigned long long)last, (unsigned long long)count);
    *s = (shard){(size_t)(id - first + 1), (size_t)count};
    return EXIT_DONE;
}

/* Rank + 1 of size, from the first launcher that says either. */
static int from_mpi(shard *s) {
    static const char *const names[][2] = {
        {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, /* Open MPI */
        {"PMI_RANK", "PMI_SIZE"},                         /* MPICH, Intel MPI, srun with PMI */
        {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"}};  /* MVAPICH2 */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint64_t rank, size;
        if (getenv(names[i][0]) == NULL && getenv(names[i][1]) == NULL)
            continue;
        int code = read_variable("mpi", names[i][0], &rank);
        if (code == EXIT_DONE)
            code = read_variable("mpi", names[i][1], &size);
        if (code != EXIT_DONE)
            return code;
        if (rank >= size)
            return fail_usage("score", "--shard mpi: %s is %llu, expected it below %s, %llu",
                              names[i][0], (unsigned long long)rank, names[i][1],
                              (unsigned long long)size);
        *s = (shard){(size_t)rank + 1, (size_t)size};
        return EXIT_DONE;
    }
    return fail_usage("score", "--shard mpi: none of OMPI_COMM_WORLD_RANK, PMI_RANK and "
                               "MV2_COMM_WORLD_RANK is set");
}

int shard_read(shard *s, const char *text) {
    char digits[24];
    uint64_t index, count;
    size_t length = strcspn(text, "/");
    if (length >= sizeof digits || text[length] != '/')
        return 0;
    memcpy(digits, text, length);
    digits[length] = '\0';
    if (!parse_number(digits, INT_MAX, &index) ||
        !parse_number(text + length + 1, INT_MAX, &count) || index < 1 || index > count)
        return 0;
    *s = (shard){(size_t)index, (size_t)count};
    return 1;
}

int shard_parse(shard *s, const char *text) {
    if (strcmp(text, "slurm") == 0)
        return from_slurm(s);
    if (strcmp(text, "mpi") == 0)
        return from_mpi(s);
    if (shard_read(s, text))
        return EXIT_DONE;
    return fail_usage("score", "--shard takes I/N with 1 <= I <= N, slurm or mpi, found '%s'",
                      text);
}

char *shard_path(const shard *s, const char *path) {
    static const char place[] = "{shard}";
    char index[24], *filled = join("", NULL);
    snprintf(index, sizeof index, "%zu", s->index);
    while (*path != '\0') {
        const char *at = s->count > 0 ? strstr(path, place) : NULL;
        size_t length = at == NULL ? strlen(path) : (size_t)(at - path);
        char *before = join(path, NULL);
        before[length] = '\0';
        char *longer = join(filled, before, at == NULL ? "" : index, NULL);
        free(filled);
        free(before);
        filled = longer;
        path += length + (at == NULL ? 0 : sizeof place - 1);
    }
    return filled;
}

/* ---- the cut ---- */

static size_t common_prefix(const job *a, const job *b) {
    size_t n = a->ids.count < b->ids.count ? a->ids.count : b->ids.count, i = 0;
    while (i < n && a->ids.data[i] == b->ids.data[i])
        i++;
    return i;
}

/* By tokens, so that prompts which begin alike are neighbours. */
static int compare_tokens(const void *left, const void *right) {
    const job *a = left, *b = right;
    size_t i = common_prefix(a, b);
    if (i < a->ids.count && i < b->ids.count)
        return a->ids.data[i] < b->ids.data[i] ? -1 : 1;
    if (a->ids.count != b->ids.count)
        return a->ids.count < b->ids.count ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static int compare_places(const void *left, const void *right) {
    const job *a = left, *b = right;
    return a->index < b->index ? -1 : 1;
}

/* Where a sorted list may be cut: before its item p. costs[p] is the work in front, in tokens that
 * are not shared with the prompt before, and one a prompt; shared[p] what the cut would repeat. */
typedef struct cuts {
    size_t n, *costs, *shared; /* [n + 1] */
} cuts;

static cuts find_cuts(const jobs *list) {
    cuts c = {list->count, allocate(list->count + 1, sizeof *c.costs),
              allocate(list->count + 1, sizeof *c.shared)};
    for (size_t p = 0; p < c.n; p++) {
        c.shared[p] = p == 0 ? 0 : common_prefix(&list->items[p - 1], &list->items[p]);
        c.costs[p + 1] = c.costs[p] + 1 + list->items[p].ids.count - c.shared[p];
    }
    return c;
}

static size_t distance(size_t a, size_t b) {
    return a < b ? b - a : a - b;
}

/* The end of the i-th of n shards: its fair place, or one within a quarter of a share of it where
 * less would be repeated. */
static size_t end_of(const cuts *c, size_t i, size_t n) {
    size_t total = c->costs[c->n], fair = total / n * i + total % n * i / n, best = 0;
    while (c->costs[best] < fair)
        best++;
    for (size_t p = 0; p <= c->n; p++) {
        size_t off = distance(c->costs[p], fair);
        if (off > total / n / 4)
            continue;
        if (c->shared[p] < c->shared[best] ||
            (c->shared[p] == c->shared[best] && off < distance(c->costs[best], fair)))
            best = p;
    }
    return best;
}

void shard_cut(const shard *s, jobs *list) {
    if (s->count == 0)
        return;
    qsort(list->items, list->count, sizeof *list->items, compare_tokens);
    cuts c = find_cuts(list);
    size_t begin = s->index == 1 ? 0 : end_of(&c, s->index - 1, s->count);
    size_t end = s->index == s->count ? c.n : end_of(&c, s->index, s->count);
    free(c.costs);
    free(c.shared);
    job *ours = allocate(list->count, sizeof *ours);
    memcpy(ours, list->items + begin, (end - begin) * sizeof *ours);
    memcpy(ours + (end - begin), list->items, begin * sizeof *ours);
    memcpy(ours + end, list->items + end, (list->count - end) * sizeof *ours);
    qsort(ours, end - begin, sizeof *ours, compare_places);
    free(list->items);
    list->items = ours;
    list->count = end - begin;
}
